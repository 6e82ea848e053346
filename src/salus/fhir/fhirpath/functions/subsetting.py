# SPDX-License-Identifier: Apache-2.0
"""Parts of a collection by position (https://hl7.org/fhirpath/N1/#subsetting)."""

from __future__ import annotations

from typing import Final

from salus.fhir.fhirpath.context import Collection, Context, fault
from salus.fhir.fhirpath.convert import integer_of
from salus.fhir.fhirpath.functions.calling import Function, Input, eager, plain
from salus.fhir.fhirpath.operators import EMPTY


def at(items: Collection, index: int | None) -> Collection:
    """The item at a position from 0, as `[…]` gives it."""
    return [items[index]] if index is not None and 0 <= index < len(items) else EMPTY


def _single(items: Collection, _: Context) -> Collection:
    if len(items) > 1:
        fault("`single()` found several items")
    return items


def _first(items: Collection, _: Context) -> Collection:
    return items[:1]


def _last(items: Collection, _: Context) -> Collection:
    return items[-1:]


def _tail(items: Collection, _: Context) -> Collection:
    return items[1:]


def _skip(items: Collection, _: Context, count: Collection) -> Collection:
    number = integer_of(count)
    return EMPTY if number is None else items[max(0, number) :]


def _take(items: Collection, _: Context, count: Collection) -> Collection:
    number = integer_of(count)
    return EMPTY if number is None else items[: max(0, number)]


FUNCTIONS: Final[dict[str, Function]] = {
    "single": plain(_single, Input.AS_ASKED),
    "first": plain(_first, Input.AS_ASKED),
    "last": plain(_last, Input.AS_ASKED),
    "tail": plain(_tail, Input.AS_ASKED),
    "skip": eager(_skip, 1, asks=Input.AS_ASKED),
    "take": eager(_take, 1, asks=Input.AS_ASKED),
}
