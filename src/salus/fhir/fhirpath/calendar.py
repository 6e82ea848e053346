# SPDX-License-Identifier: Apache-2.0
"""A date or time plus a duration (https://hl7.org/fhirpath/N1/#datetime-arithmetic).

Above seconds the fraction of a duration is dropped. A duration finer than the value counts in whole units of the
value's own precision: a year plus 365 days is the next year.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from salus.fhir.fhirpath.temporal import Temporal

WORDS: Final = ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
# UCUM's codes for durations that mean the same as a calendar word. Its year and month are averages and mean another.
DEFINITE: Final = {"wk": "week", "d": "day", "h": "hour", "min": "minute", "s": "second", "ms": "millisecond"}
AVERAGE: Final = {"a": "year", "mo": "month"}

_LEVELS: Final = {"year": 0, "month": 1, "week": 2, "day": 2, "hour": 3, "minute": 4, "second": 5, "millisecond": 5}
_COARSER: Final = {5: 60, 4: 60, 3: 24, 2: 30, 1: 12}
_DAYS_OF_A_YEAR: Final = 365
_DAY: Final = 24 * 3600


def add(value: Temporal, amount: Decimal, word: str) -> Temporal | None:
    """The value moved by a duration.

    Args:
        value: any precision; keeps it.
        amount: may be negative.
        word: one of `WORDS`; a Time takes hours and finer only.

    Returns:
        None when the result lies outside of the years 1 to 9999.

    Raises:
        ValueError: a Time is moved by days or more.
    """
    level = _LEVELS[word]
    amount = amount * 7 if word == "week" else amount / 1000 if word == "millisecond" else amount
    if abs(amount) > 10**12:
        return None
    if value.kind == "Time":
        return _time(value, amount, level)
    last = len(value.parts) - 1
    while level > last:
        if level == 2 and last == 0:
            amount, level = amount / _DAYS_OF_A_YEAR, 0
        else:
            amount, level = amount / _COARSER[level], level - 1
    try:
        return _months(value, int(amount), level) if level < 2 else _moment(value, amount, level)
    except (OverflowError, ValueError):
        return None


def _months(value: Temporal, amount: int, level: int) -> Temporal:
    year, month = int(value.parts[0]), int(value.parts[1]) if len(value.parts) > 1 else 1
    months = year * 12 + month - 1 + (amount * 12 if level == 0 else amount)
    year, month = months // 12, months % 12 + 1
    date(year, month, 1)
    moved: list[int | Decimal] = [year, month, *value.parts[2:]]
    if len(moved) > 2:
        moved[2] = min(int(moved[2]), monthrange(year, month)[1])
    return value._replace(parts=tuple(moved[: len(value.parts)]))


def _moment(value: Temporal, amount: Decimal, level: int) -> Temporal:
    year, month, day, *clock = value.parts
    if level == 2:
        whole = date(int(year), int(month), int(day)) + timedelta(days=int(amount))
        return value._replace(parts=(whole.year, whole.month, whole.day, *clock))
    seconds = _seconds(clock) + (amount if level == 5 else Decimal(int(amount) * (3600 if level == 3 else 60)))
    days, rest = seconds // _DAY, seconds % _DAY
    if rest < 0:
        days, rest = days - 1, rest + _DAY
    moved = datetime(int(year), int(month), int(day)) + timedelta(days=int(days))  # noqa: DTZ001 - a calendar day
    return value._replace(parts=(moved.year, moved.month, moved.day, *_clock(rest, len(clock))))


def _time(value: Temporal, amount: Decimal, level: int) -> Temporal:
    if level < 3:
        raise ValueError(level)
    last = len(value.parts) + 2
    while level > last:
        amount, level = amount / _COARSER[level], level - 1
    moved = amount if level == 5 else Decimal(int(amount) * (3600 if level == 3 else 60))
    rest = (_seconds(list(value.parts)) + moved) % _DAY
    return value._replace(parts=_clock(rest + _DAY if rest < 0 else rest, len(value.parts)))


def _seconds(clock: list[int | Decimal]) -> Decimal:
    return sum((Decimal(part) * unit for part, unit in zip(clock, (3600, 60, 1), strict=False)), Decimal(0))


def _clock(seconds: Decimal, count: int) -> tuple[int | Decimal, ...]:
    minutes, second = divmod(seconds, 60)
    return (int(minutes) // 60, int(minutes) % 60, second)[:count]
