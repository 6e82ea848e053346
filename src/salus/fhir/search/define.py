# SPDX-License-Identifier: Apache-2.0
"""SearchParameters that somebody defines: what may be defined, and what it then is.

The expression may be the subset in which R4 writes its own (`expression`), which is compiled like those; anything else
goes to the FHIRPath engine. https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from salus.fhir import fhirpath
from salus.fhir.definitions import resource_types
from salus.fhir.search.expression import parse
from salus.fhir.search.leaves import leaves
from salus.fhir.search.parameters import STANDARD, Custom
from salus.fhir.search.spots import read_by, spots_of
from salus.fhir.search.table import Definition, table
from salus.kernel.errors import Issue, Kind, Problem

KINDS = ("number", "date", "string", "token", "reference", "quantity", "uri", "composite")
_PARTS = KINDS[:-1]
_NOTHING: Mapping[str, str] = MappingProxyType({})
_SPECIAL = (
    "Of a special parameter only words say what it compares, so there is nothing that a server could work out; "
    "say it with another type and an expression."
)
_OF_R4 = {"near", "phonetic"}  # codes whose values are read in a way of their own
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_\-]{0,63}")
_EVERY = ("Resource", "DomainResource")


def defined(resource: dict[str, Any], kinds: Mapping[str, str] = _NOTHING) -> Custom | None:
    """What a SearchParameter defines; not yet ready.

    Args:
        resource: validated.
        kinds: of the parameters that there are beside those of R4, by URL; a component may have one of them.

    Returns:
        None for a draft or a retired one, which is kept and has no effect.

    Raises:
        Problem: INVALID with an issue for each reason why it cannot be used.
    """
    if resource.get("status") != "active":
        return None
    problems = [*_problems(resource), *_problems_of_parts(resource, kinds)]
    if problems:
        raise Problem(Kind.INVALID, "This search parameter cannot be used.", issues=tuple(problems))
    definition = Definition(
        code=resource["code"],
        kind=resource["type"],
        base=tuple(resource["base"]),
        expression=_line(resource["expression"]),
        url=resource["url"],
        components=tuple((_bare(each["definition"]), _line(each["expression"])) for each in _components(resource)),
        kinds=tuple(_kind(each["definition"], kinds) for each in _components(resource)),
    )
    return Custom(definition, ready=False, engine=not _compiles(definition))


def usable(resources: Iterable[dict[str, Any]]) -> list[Custom]:
    """Those of some installed SearchParameters that can be used, and that R4 itself does not have."""
    found: dict[str, Custom] = {}
    every = list(resources)
    kinds = {each["url"]: each["type"] for each in every if "url" in each and "type" in each}
    for resource in every:
        try:
            custom = defined({**resource, "status": "active"} if resource.get("status") == "draft" else resource, kinds)
        except Problem:
            continue
        if custom is not None:
            found.setdefault(custom.definition.url, custom)
    return list(found.values())


def _problems(resource: dict[str, Any]) -> Iterable[Issue]:
    code, expression = resource.get("code", ""), resource.get("expression", "")
    if not _CODE.fullmatch(code):
        yield _issue("value", "A code has letters, digits, - and _, and begins with a letter.", "code")
    if code in _OF_R4:
        yield _issue("duplicate", "R4 gives this code a meaning of its own.", "code")
    if resource.get("type") == "special":
        yield _issue("not-supported", _SPECIAL, "type")
    elif resource.get("type") not in KINDS:
        yield _issue("not-supported", f"Salus takes parameters of these types: {', '.join(KINDS)}.", "type")
    bases = resource.get("base", [])
    for number, base in enumerate(bases):
        if base not in resource_types() and base not in _EVERY:
            yield _issue("value", "R4 has no such resource type.", f"base[{number}]")
        elif base in resource_types() and code in STANDARD.parameters(base):
            yield _issue("duplicate", f"{base} has a parameter of this code already.", "code")
        elif base in _EVERY and any(code in STANDARD.parameters(type_) for type_ in resource_types()):
            yield _issue("duplicate", "Some type has a parameter of this code already.", "code")
    if not expression:
        yield _issue("required", "A parameter needs its expression.", "expression")
        return
    yield from _misread(expression, "expression")


def _problems_of_parts(resource: dict[str, Any], kinds: Mapping[str, str]) -> Iterator[Issue]:
    """https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.component"""
    if resource.get("type") != "composite":
        return
    if not resource.get("component"):
        yield _issue("required", "A composite parameter needs its components.", "component")
    for number, each in enumerate(_components(resource)):
        place = f"component[{number}]"
        kind = _kind(each.get("definition", ""), kinds)
        if not kind:
            text = "No parameter of this address is known here; create the parameter of a component first."
            yield _issue("not-found", text, f"{place}.definition")
        elif kind not in _PARTS:
            yield _issue("value", f"A component is of one of these types: {', '.join(_PARTS)}.", f"{place}.definition")
        if not each.get("expression"):
            yield _issue("required", "A component needs its expression.", f"{place}.expression")
        else:
            yield from _misread(each["expression"], f"{place}.expression")


def _misread(expression: str, place: str) -> Iterator[Issue]:
    try:
        fhirpath.compile(expression)
    except Problem as problem:
        words = problem.issues[0].text if problem.issues else problem.public
        yield _issue("invalid", f"The expression cannot be used: {words}", place)


def _components(resource: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = resource.get("component", []) if resource.get("type") == "composite" else []
    return found


def _kind(url: str, kinds: Mapping[str, str]) -> str:
    """The kind of a parameter by its URL; empty when nobody knows it."""
    bare = _bare(url)
    return next((one.kind for one in table().parameters if one.url == bare), "") or kinds.get(bare, "")


def _bare(url: str) -> str:
    return url.partition("|")[0]


def _line(expression: str) -> str:
    return " ".join(expression.split())


def _issue(code: str, text: str, element: str) -> Issue:
    return Issue(code, text, f"SearchParameter.{element}")


def _compiles(definition: Definition) -> bool:
    """Whether the subset of R4's own parameters says it, for every type."""
    bases = resource_types() if any(base in _EVERY for base in definition.base) else definition.base
    try:
        if definition.kind == "composite":
            return all(_parts_compile(base, definition) for base in bases)
        return all(spots_of(base, definition) for base in bases)
    except Problem:
        return False


def _parts_compile(base: str, definition: Definition) -> bool:
    items = [leaf for path in parse(definition.expression) for leaf in leaves(base, path)]
    for (_, expression), kind in zip(definition.components, definition.kinds, strict=True):
        starts = [base] if expression.startswith("%resource.") else [leaf.datatype for leaf in items]
        paths = parse(expression.removeprefix("%resource."))
        if not any(read_by(start, paths, kind) for start in starts):
            return False
    return bool(items)
