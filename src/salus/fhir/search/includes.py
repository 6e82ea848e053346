# SPDX-License-Identifier: Apache-2.0
"""Read `_include` and `_revinclude`.  https://hl7.org/fhir/R4/search.html#include

`Type:parameter`, `Type:parameter:Target`, `Type:*` or `*`. Without `:iterate` an include starts at the matches, so it
must name a type that is searched, and a reverse one must lead there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from salus.fhir.definitions import resource_types
from salus.fhir.search.clauses import Include
from salus.fhir.search.parameters import Parameter, Registry
from salus.fhir.search.terms import refuse

ALL = "*"
MODIFIERS = {"iterate"}


def include(types: Collection[str], text: str, registry: Registry, *, reverse: bool, iterate: bool) -> Include:
    """Read one value.

    Args:
        types: resource types that are searched.
        text: as written.
        registry: which search parameters there are.
        reverse: for `_revinclude`.
        iterate: with `:iterate`.

    Raises:
        Problem: INCORRECT when it is malformed, or names something that is not there or leads nowhere.
    """
    if text == ALL:
        return Include(ALL, ALL, None, reverse, iterate)
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(parts):
        raise refuse("is not of the form Type:parameter, Type:parameter:Target, Type:* or *")
    source, code = parts[0], parts[1]
    target = parts[2] if len(parts) == 3 else None
    if source not in resource_types() or (target is not None and target not in resource_types()):
        raise refuse("names something that is not a resource type")
    if not (reverse or iterate or source in types):
        raise refuse("starts at a type that is not searched; :iterate starts at included records too")
    if code != ALL:
        found = registry.parameters(source).get(code)
        if found is None or found.kind != "reference" or found.unsupported:
            raise refuse(f"names something that is not a reference parameter of {source}")
        if target is not None and target not in (found.targets or resource_types()):
            raise refuse("names a type that the parameter does not point to")
        ends = {target} if target else set(found.targets)
        if reverse and not iterate and ends and not ends.intersection(types):
            raise refuse("never points to what is searched")
    return Include(source, code, target, reverse, iterate)


def written(include: Include) -> tuple[str, str]:
    """Name and value of an include, for the self link."""
    name = "_revinclude" if include.reverse else "_include"
    value = ALL if include.source_type == ALL else f"{include.source_type}:{include.parameter}"
    if include.target_type:
        value += f":{include.target_type}"
    return f"{name}:iterate" if include.iterate else name, value


def followed(include: Include, type_: str, known: Mapping[str, Parameter]) -> list[Parameter]:
    """Reference parameters of a type of source records that an include follows.

    Args:
        known: the parameters of the type.
    """
    if include.source_type not in (ALL, type_):
        return []
    if include.parameter != ALL:
        return [known[include.parameter]] if include.parameter in known else []
    return [found for found in known.values() if found.kind == "reference" and not found.unsupported]
