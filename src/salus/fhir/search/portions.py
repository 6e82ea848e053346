# SPDX-License-Identifier: Apache-2.0
"""Which part of a resource an answer shows: `_summary` and `_elements`.

Mandatory elements and those that change the meaning of others are kept whatever was asked for.
https://hl7.org/fhir/R4/search.html#summary  https://hl7.org/fhir/R4/search.html#elements
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

from salus.fhir.definitions import Field, fields
from salus.fhir.search.shapes import shapes

_ALWAYS = ("resourceType", "id", "meta")


def portion(resource: dict[str, Any], summary: str, elements: tuple[str, ...]) -> dict[str, Any]:
    """The part of a resource that is to be shown.

    Args:
        resource: a validated resource; it is left as it is.
        summary: `true`, `text`, `data` or "".
        elements: names of top-level elements; choice elements by their base name.
    """
    type_ = resource["resourceType"]
    if summary == "true":
        resource = _summary(type_, resource, {name: resource[name] for name in _ALWAYS if name in resource})
    elif summary == "text":
        resource = _only(resource, _kept(type_, ("text",)))
    elif summary == "data":
        resource = {name: value for name, value in resource.items() if name != "text"}
    return _only(resource, _kept(type_, elements)) if elements else resource


def elements_for(type_: str, elements: Iterable[str], *, matched: bool) -> tuple[str, ...]:
    """The element names that concern a type: `Type.name` for that type, bare names for matches."""
    bare = [name for name in elements if "." not in name] if matched else []
    return (*bare, *(name.partition(".")[2] for name in elements if name.startswith(f"{type_}.")))


def _only(resource: dict[str, Any], kept: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name.lstrip("_") in kept}


@cache
def _names(field: Field) -> tuple[str, ...]:
    """JSON names of an element; a choice such as `value[x]` has one for each of its types."""
    if not field.name.endswith("[x]"):
        return (field.name,)
    return tuple(f"{field.name[:-3]}{kind[0].upper()}{kind[1:]}" for kind in field.types)


@lru_cache(maxsize=1024)  # what is asked for is the client's choice
def _kept(type_: str, elements: tuple[str, ...]) -> frozenset[str]:
    modifiers = shapes().modifiers.get(type_, ())
    kept = set(_ALWAYS)
    for name, field in fields(type_).items():
        if field.min or name.removesuffix("[x]") in elements or name in elements or name in modifiers:
            kept.update(_names(field))
    return frozenset(kept)


@cache
def _summarized(path: str) -> Mapping[str, str]:
    """JSON names of the summary elements below a path, with the path of what is below them ("" for data types)."""
    marked = {*shapes().summary.get(path, ()), *shapes().modifiers.get(path, ())}
    kept: dict[str, str] = {}
    for name, field in fields(path).items():
        if name in marked or field.min:
            below = field.types[0][1:] if field.types[0].startswith("#") else ""
            kept.update(dict.fromkeys(_names(field), below))
    return kept


def _summary(path: str, node: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    names = _summarized(path)
    for name, value in node.items():
        below = names.get(name.lstrip("_"))
        if below is None or name in kept:
            continue
        if below and isinstance(value, list):
            kept[name] = [_summary(below, item, {}) for item in value]
        else:
            kept[name] = _summary(below, value, {}) if below and isinstance(value, dict) else value
    return kept
