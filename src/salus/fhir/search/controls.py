# SPDX-License-Identifier: Apache-2.0
"""Read the parameters that shape the answer of a search and not its matches.

`_count`, `_total`, `_summary`, `_elements`, `_sort` and `_include`; each function takes the value as
written and refuses with a `Problem` that does not repeat it. https://hl7.org/fhir/R4/search.html#Summary
"""

from __future__ import annotations

from collections.abc import Mapping

from salus.fhir.definitions import fields, resource_types
from salus.fhir.search.clauses import Include, Sort
from salus.fhir.search.parameters import Parameter
from salus.fhir.search.terms import refuse, unanswered

MAX_COUNT = 1000

_TOTALS = ("none", "estimate", "accurate")


def count(text: str) -> int:
    """`_count`: a page size; more than 1000 is taken as 1000, as R4 allows a server to return fewer."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise refuse("is not a whole number from 0")
    return min(int(text), MAX_COUNT)


def total(text: str) -> str:
    """`_total`: none, estimate or accurate."""
    if text not in _TOTALS:
        raise refuse("is not one of none, estimate, accurate")
    return text


def summary(text: str) -> str:
    """`_summary`: `count`, or "" for `false`; the other forms of R4 are not answered."""
    if text in ("true", "text", "data"):
        raise unanswered("is supported with count and false only")
    if text not in ("count", "false"):
        raise refuse("is not one of count, false")
    return "" if text == "false" else text


def elements(type_: str, text: str) -> tuple[str, ...]:
    """`_elements`: top-level elements of the type, choice elements by their base name."""
    names = tuple(dict.fromkeys(text.split(",")))
    known = fields(type_)
    if not all(name in known or f"{name}[x]" in known for name in names):
        raise refuse(f"names something that is not a top-level element of {type_}")
    return names


def sort(type_: str, known: Mapping[str, Parameter], text: str) -> tuple[Sort, ...]:
    """`_sort`: parameters of the type in order of weight, `-` in front for descending."""
    keys = tuple(Sort(part.removeprefix("-"), part.startswith("-")) for part in text.split(","))
    for key in keys:
        found = known.get(key.parameter)
        if found is None:
            raise refuse(f"names something that is not a search parameter of {type_}")
        if found.unsupported:
            raise unanswered("names a parameter that is not supported")
        if found.kind in ("composite", "special") or found.code == "phonetic":
            raise refuse("names a parameter that has no order")
    if len({key.parameter for key in keys}) < len(keys):
        raise refuse("names a parameter twice")
    return keys


def include(type_: str, known: Mapping[str, Parameter], text: str) -> Include:
    """`_include`: `Type:parameter` or `Type:parameter:Target`, of the type that is searched."""
    parts = text.split(":")
    if "*" in parts:
        raise unanswered("is not supported with *")
    if len(parts) not in (2, 3) or parts[0] != type_:
        raise refuse(f"is not of the form {type_}:parameter or {type_}:parameter:Target")
    found = known.get(parts[1])
    if found is None or found.kind != "reference" or found.unsupported:
        raise refuse(f"names something that is not a reference parameter of {type_}")
    target = parts[2] if len(parts) == 3 else None
    if target is not None and target not in (found.targets or resource_types()):
        raise refuse("names a type that the parameter does not point to")
    return Include(type_, found.code, target)
