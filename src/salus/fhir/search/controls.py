# SPDX-License-Identifier: Apache-2.0
"""Read the parameters that shape the answer of a search and not its matches.

`_count`, `_total`, `_summary`, `_elements` and `_sort`; each function takes the value as
written and refuses with a `Problem` that does not repeat it. https://hl7.org/fhir/R4/search.html#Summary
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from salus.fhir.definitions import fields, resource_types
from salus.fhir.search.clauses import Sort
from salus.fhir.search.parameters import Parameter
from salus.fhir.search.spots import WORDY
from salus.fhir.search.terms import refuse, unanswered

MAX_COUNT = 1000

_NAMED_BY_CLIENTS = "resourceType"  # no element, and in every answer; fhirpy asks for it
_TOTALS = ("none", "estimate", "accurate")
_SUMMARIES = ("true", "text", "data", "count", "false")


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


def total_method(text: str) -> str:
    """`_totalMethod`, the name that one vendor gave `_total` and that its client fhirpy sends; `count` is accurate."""
    return total("accurate" if text == "count" else text)


def summary(text: str) -> str:
    """`_summary`: count, true, text, data, or "" for `false` (https://hl7.org/fhir/R4/search.html#summary)."""
    if text not in _SUMMARIES:
        raise refuse("is not one of true, text, data, count, false")
    return "" if text == "false" else text


def contained(text: str) -> str:
    """`_contained`: true, both, or "" for `false` (https://hl7.org/fhir/R4/search.html#contained)."""
    if text not in ("true", "false", "both"):
        raise refuse("is not one of true, false, both")
    return "" if text == "false" else text


def contained_type(text: str) -> str:
    """`_containedType`: contained, or "" for `container`."""
    if text not in ("container", "contained"):
        raise refuse("is not one of container, contained")
    return "" if text == "container" else text


def elements(types: Collection[str], text: str) -> tuple[str, ...]:
    """`_elements`: top-level elements of the types searched, `Type.name` for others; a choice by its base name.

    `resourceType` may stand among them, and says nothing.

    https://hl7.org/fhir/R4/search.html#elements
    """
    named = tuple(dict.fromkeys(text.split(",")))
    names = tuple(name for name in named if name != _NAMED_BY_CLIENTS) or named
    for name in names:
        type_, dot, element = name.rpartition(".")
        asked = (type_,) if dot else types
        if not all(each in resource_types() and _has_element(each, element) for each in asked):
            raise refuse("names something that is not a top-level element of what is asked for")
    return names


def directed(text: str, *, descending: bool) -> str:
    """`_sort:asc` or `_sort:desc`, as before R4, written as `_sort`; fhirclient for Python still sends them."""
    return ",".join(f"-{part}" for part in text.split(",")) if descending else text


def _has_element(type_: str, name: str) -> bool:
    known = fields(type_)
    return name in known or f"{name}[x]" in known


def sort(type_: str, known: Mapping[str, Parameter], text: str) -> tuple[Sort, ...]:
    """`_sort`: parameters of the type in order of weight, `-` in front for descending."""
    keys = tuple(Sort(part.removeprefix("-"), part.startswith("-")) for part in text.split(","))
    for key in keys:
        found = known.get(key.parameter)
        if found is None:
            raise refuse(f"names something that is not a search parameter of {type_}")
        if found.unsupported:
            raise unanswered("names a parameter that is not supported")
        if found.kind in ("composite", "special") or found.code in {"phonetic", *WORDY}:
            raise refuse("names a parameter that has no order")
    if len({key.parameter for key in keys}) < len(keys):
        raise refuse("names a parameter twice")
    return keys
