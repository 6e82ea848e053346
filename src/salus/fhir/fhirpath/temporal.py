# SPDX-License-Identifier: Apache-2.0
"""Dates and times that know how precise they are (https://hl7.org/fhirpath/N1/#date-datetime-and-time-types).

A value is a list of components from the largest down; what is not stated is not there. Seconds and their fraction are
one component. Comparison stops, with no answer, where one of the two says no more.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from typing import Final, NamedTuple

_DATE: Final = r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2}))?)?"
_CLOCK: Final = r"(?P<hour>[0-9]{2})(?::(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}(?:\.[0-9]+)?))?)?"
_ZONE: Final = r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?"
_DATE_FORM: Final = re.compile(_DATE)
_DATE_TIME_FORM: Final = re.compile(rf"{_DATE}(?:T(?:{_CLOCK})?{_ZONE})?")
_TIME_FORM: Final = re.compile(rf"T?{_CLOCK}")
# Places east and west of which nobody keeps time: https://hl7.org/fhir/R4/datatypes.html#dateTime.
EARLIEST_ZONE: Final = 14 * 60
LATEST_ZONE: Final = -12 * 60
_TWO: Final[dict[int | Decimal, str]] = {number: f"{number:02}" for number in range(60)}
_LONGEST: Final = 64  # characters; what is longer has more digits than any clock


class Temporal(NamedTuple):
    """A Date, DateTime or Time.

    Attributes:
        kind: `Date`, `DateTime` or `Time`.
        parts: year, month, day, hour, minute, second (a Decimal); a Time starts with the hour.
        zone: minutes east of UTC, None when not stated.
    """

    kind: str
    parts: tuple[int | Decimal, ...]
    zone: int | None = None

    def __str__(self) -> str:
        kind, parts, zone = self
        if kind == "Time":
            return _clock(parts)
        text = f"{parts[0]:04}"
        if len(parts) > 2:
            text = f"{text}-{_TWO[parts[1]]}-{_TWO[parts[2]]}"
        elif len(parts) > 1:
            text = f"{text}-{_TWO[parts[1]]}"
        if len(parts) > 3:
            text += "T" + _clock(parts[3:])
        return text if zone is None else text + zone_text(zone)


def zone_text(zone: int) -> str:
    """`+10:00`, or `Z` for UTC."""
    if zone == 0:
        return "Z"
    hours, minutes = divmod(abs(zone), 60)
    return f"{'-' if zone < 0 else '+'}{hours:02d}:{minutes:02d}"


def parse(kind: str, text: str) -> Temporal | None:
    """Read a date or time as FHIR and FHIRPath write it.

    Args:
        kind: `Date`, `DateTime` or `Time`.
        text: without `@`.

    Returns:
        the value, or None when the text is none or names no real day or time. A second of 60 (FHIR allows leap
        seconds) counts as the last one of its minute.
    """
    return _READERS[kind](text) if len(text) <= _LONGEST else None


def _read(kind: str, text: str) -> Temporal | None:
    form = {"Date": _DATE_FORM, "DateTime": _DATE_TIME_FORM, "Time": _TIME_FORM}[kind]
    match = form.fullmatch(text)
    if match is None:
        return None
    found = match.groupdict()
    names = ("hour", "minute", "second") if kind == "Time" else ("year", "month", "day", "hour", "minute", "second")
    parts: list[int | Decimal] = []
    for name in names:
        said = found.get(name)
        if said is None:
            break
        parts.append(Decimal(said) if name == "second" else int(said))
    zone = _zone(found.get("zone"))
    if kind != "Time" and found.get("hour") and len(parts) < 4:
        return None  # an hour of no day
    value = Temporal(kind, tuple(parts), zone)
    return _leap(value) if _real(value) else None


# One for each kind: a cache looks up a single text in half the time.
_READERS: Final = {kind: lru_cache(maxsize=2048)(partial(_read, kind)) for kind in ("Date", "DateTime", "Time")}


def of_moment(moment: datetime) -> Temporal:
    """DateTime of an aware moment, to the millisecond."""
    offset = moment.utcoffset() or timedelta(0)
    second = Decimal(moment.second) + Decimal(moment.microsecond // 1000) / 1000
    parts = (moment.year, moment.month, moment.day, moment.hour, moment.minute, second.quantize(Decimal("0.001")))
    return Temporal("DateTime", parts, int(offset.total_seconds() // 60))


def utc(value: Temporal) -> Temporal:
    """The same moment in UTC, with the same precision; values without zone or clock as they are."""
    if not value.zone or len(value.parts) < 4:
        return value
    year, month, day, hour, *rest = (int(part) for part in value.parts[:5])
    try:
        local = datetime(year, month, day, hour, rest[0] if rest else 0, tzinfo=UTC)
        moved = local - timedelta(minutes=value.zone)
    except OverflowError:
        return value
    whole = (moved.year, moved.month, moved.day, moved.hour, moved.minute)
    # Half an hour of offset needs the minute, even where only the hour was stated.
    kept = whole if rest or moved.minute else whole[:4]
    return Temporal("DateTime", kept + value.parts[5:], 0)


def alike(left: Temporal, right: Temporal) -> bool:
    """Whether two values say the same kind of thing to the same precision, so that their components tell the order."""
    kind, mine, here = left
    other, his, there = right
    return here == there and len(mine) == len(his) and (kind == "Time") == (other == "Time")


def compare(left: Temporal, right: Temporal) -> int | None:
    """-1, 0 or 1; None when the two differ in precision, or in knowing their zone, and are equal so far.

    Args:
        left: any value.
        right: a value of the same kind, or a Date against a DateTime.
    """
    if alike(left, right):
        return (left.parts > right.parts) - (left.parts < right.parts)
    slack = 0
    if left.kind != "Time":
        if (left.zone is None) != (right.zone is None):
            slack = 1
        left, right = utc(left), utc(right)
    if slack:
        return _far_apart(left, right)
    for one, other in zip(left.parts, right.parts, strict=False):
        if one != other:
            return -1 if one < other else 1
    return 0 if len(left.parts) == len(right.parts) else None


def _far_apart(left: Temporal, right: Temporal) -> int | None:
    """Comparison when only one of the two states its zone: certain only if any zone gives the same answer."""
    if len(left.parts) < 3 or len(right.parts) < 3:
        for one, other in zip(left.parts, right.parts, strict=False):
            if one != other:
                return -1 if one < other else 1
        return None
    first, second = _minutes(left), _minutes(right)
    low, high = (0 if len(v.parts) > 3 else 24 * 60 for v in (right, left))
    if first + high < second + LATEST_ZONE:
        return -1
    if first + LATEST_ZONE > second + low + EARLIEST_ZONE:
        return 1
    return None


def _minutes(value: Temporal) -> int:
    year, month, day, *clock = (int(part) for part in value.parts[:5])
    return date(year, month, day).toordinal() * 24 * 60 + (clock[0] * 60 if clock else 0)


def _clock(parts: tuple[int | Decimal, ...]) -> str:
    if len(parts) < 3:
        return f"{_TWO[parts[0]]}:{_TWO[parts[1]]}" if len(parts) > 1 else _TWO[parts[0]]
    second = str(parts[2]) if parts[2] >= 1 else f"{parts[2]:f}"  # the one that never writes an exponent is slow
    pad = "0" if second[1:2] in ("", ".") else ""
    return f"{_TWO[parts[0]]}:{_TWO[parts[1]]}:{pad}{second}"


def _zone(text: str | None) -> int | None:
    if text is None:
        return None
    if text == "Z":
        return 0
    return int(text[0] + "1") * (int(text[1:3]) * 60 + int(text[4:6]))


def _real(value: Temporal) -> bool:
    days, clock = (value.parts[:3], value.parts[3:]) if value.kind != "Time" else ((), value.parts)
    if any(part > limit for part, limit in zip(clock, (23, 59, 60), strict=False)):
        return False
    if value.zone is not None and not -EARLIEST_ZONE <= value.zone <= EARLIEST_ZONE:
        return False
    if not days:
        return bool(clock)
    try:
        date(int(days[0]), int(days[1]) if len(days) > 1 else 1, int(days[2]) if len(days) > 2 else 1)
    except ValueError:
        return False
    return True


def _leap(value: Temporal) -> Temporal:
    second = value.parts[-1]
    if isinstance(second, Decimal) and second >= 60:
        return value._replace(parts=(*value.parts[:-1], Decimal(59) + second % 1))
    return value
