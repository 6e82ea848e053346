# SPDX-License-Identifier: Apache-2.0
"""When the care happened that a record is about, for `start` and `end` of `$everything`.

R4 asks for "care dates, not record currency dates". They are read through the date parameters of each type, but those
that date a person's life, a plan's target or the record itself. A record without such a date always counts: nothing is
left out because it is not known when it was. https://hl7.org/fhir/R4/patient-operation-everything.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from salus.fhir.search.parameters import parameters

Row = tuple[Any, ...]
Span = tuple[int | None, int | None]

_NOT_CARE = frozenset(
    {"_lastUpdated", "birthdate", "death-date", "modified", "target-date", "last-date", "value-date"}
    | {"reaction-date", "payment-date", "location-period", "entered-date", "activity-date"}
)
# What lasts until it is said to have ended, by the parameter that says so.
_LASTING = {"Condition": "abatement-date", "AllergyIntolerance": ""}


def care_test(type_: str, low: int | None, high: int | None) -> Callable[[Iterable[Row]], bool]:
    """A function that tells from the index rows of a record of this type whether its care falls into [low, high).

    Args:
        low, high: milliseconds since the epoch; None is open.
    """
    families, ended = _families(type_)

    def in_range(rows: Iterable[Row]) -> bool:
        spans: list[Span] = [(row[2], row[3]) for row in rows if row[1] == "date" and row[0] in families]
        if not spans or (low is None and high is None):
            return True
        if ended is not None and not any(row[0] in ended for row in rows if row[1] == "date"):
            spans = [(_least(spans), None)]
        return any((to is None or low is None or to > low) and (at is None or high is None or at < high)
                   for at, to in spans)  # fmt: skip

    return in_range


def _least(spans: list[Span]) -> int | None:
    starts = [start for start, _ in spans]
    return None if None in starts else min(start for start in starts if start is not None)


@cache
def _families(type_: str) -> tuple[frozenset[str], frozenset[str] | None]:
    """Families of the dates of care, and those that end what lasts (None when nothing does)."""
    known = parameters(type_)
    dates = [each for code, each in known.items() if each.kind == "date" and code not in _NOT_CARE]
    ending = known.get(_LASTING.get(type_, "?"))
    ended = frozenset(ending.families) if ending else frozenset[str]() if type_ in _LASTING else None
    return frozenset(family for each in dates for family in each.families), ended
