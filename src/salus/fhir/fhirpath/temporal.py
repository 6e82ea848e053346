# SPDX-License-Identifier: Apache-2.0
"""Dates and times that know how precise they are (https://hl7.org/fhirpath/N1/#date-datetime-and-time-types).

A value is a list of components from the largest down; what is not stated is not there. Seconds and their fraction are
one component. Comparison stops, with no answer, where one of the two says no more.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
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
        if self.kind == "Time":
            return _clock(self.parts)
        days, clock = self.parts[:3], self.parts[3:]
        text = "-".join(f"{part:0{4 if at == 0 else 2}d}" for at, part in enumerate(days) if isinstance(part, int))
        if clock:
            text += "T" + _clock(clock)
        if self.zone is not None:
            text += zone_text(self.zone)
        return text


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
    return _parse(kind, text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _parse(kind: str, text: str) -> Temporal | None:
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


def compare(left: Temporal, right: Temporal) -> int | None:
    """-1, 0 or 1; None when the two differ in precision, or in knowing their zone, and are equal so far.

    Args:
        left: any value.
        right: a value of the same kind, or a Date against a DateTime.
    """
    if left.zone == right.zone and len(left.parts) == len(right.parts):
        return int(left.parts > right.parts) - int(left.parts < right.parts)
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
    said = []
    for part in parts:
        whole = int(part)
        fraction = str(part).partition(".")[2] if isinstance(part, Decimal) else ""
        said.append(f"{whole:02d}" + (f".{fraction}" if fraction else ""))
    return ":".join(said)


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
