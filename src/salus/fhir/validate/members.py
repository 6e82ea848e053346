# SPDX-License-Identifier: Apache-2.0
"""The JSON names of a type's elements: choices written out, siblings of primitives, and what each holds.

https://hl7.org/fhir/R4/json.html#primitive and https://hl7.org/fhir/R4/formats.html#choice
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from salus.fhir.definitions import PRIMITIVES, Field, structure


class Member(NamedTuple):
    """One JSON name.

    Attributes:
        name: as it stands in JSON: `valueQuantity`, `_birthDate`.
        place: as FHIRPath says it: `value.ofType(Quantity)`, `birthDate`.
        type: type code or `#path` without the `#`; `Element` for a sibling.
        primitive: whether the value is a JSON string, number or boolean.
        sibling: True for the underscore member of a primitive.
        field: the definition behind it.
    """

    name: str
    place: str
    type: str
    primitive: bool
    sibling: bool
    field: Field


@cache
def members(path: str) -> dict[str, Member]:
    """Every JSON name that a type allows, except `resourceType`.

    Args:
        path: type or backbone path such as `Patient.contact`, without `#`.
    """
    found: dict[str, Member] = {}
    for field in structure().types[path].fields:
        stem, choice = field.name.removesuffix("[x]"), field.name.endswith("[x]")
        for code in field.types:
            name = stem + code[0].upper() + code[1:] if choice else stem
            place = f"{stem}.ofType({code})" if choice else stem
            primitive = code in PRIMITIVES
            found[name] = Member(name, place, code.removeprefix("#"), primitive, False, field)
            if primitive and not _is_attribute(path, field):
                found["_" + name] = Member("_" + name, place, "Element", False, True, field)
    return found


def names(path: str, element: str) -> tuple[str, ...]:
    """JSON names whose presence means that an element of a type exists.

    Args:
        path: type or backbone path.
        element: element name without `[x]`.

    Raises:
        KeyError: the type has no such element.
    """
    found = tuple(n for n, m in members(path).items() if m.field.name.removesuffix("[x]") == element)
    if not found:
        raise KeyError(element)
    return found


def _is_attribute(path: str, field: Field) -> bool:
    return field.name == "id" or (path == "Extension" and field.name == "url") or field.types == ("xhtml",)
