# SPDX-License-Identifier: Apache-2.0
"""Whether a period ends before it starts (per-1: https://hl7.org/fhir/R4/datatypes.html#Period).

A date stands for all moments within its precision. A period is faulty only if no reading of the two saves
it, so `2020` to `2020-01-05` is fine; where just one of the two names a time zone, the other may lie in
any.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Final

_DATE_TIME: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d)))?)?)?",
    re.ASCII,
)
_WIDEST_OFFSET: Final = 14 * 3600
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def backwards(start: str, end: str) -> bool:
    """Whether `start` lies after `end` for certain.

    Args:
        start: a FHIR dateTime, any precision.
        end: likewise. Texts that are no dateTime are not judged: False.
    """
    first, last = _span(start), _span(end)
    if first is None or last is None:
        return False
    slack = _WIDEST_OFFSET if ("T" in start) != ("T" in end) else 0
    return first[0] >= last[1] + slack


def _span(text: str) -> tuple[Fraction, Fraction] | None:
    """Seconds since 1970 in UTC from which and before which a dateTime lies."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, ahead_hours, ahead_minutes = match.groups()
    try:
        if hour is None:
            return _days(int(year), int(month or 0), int(day or 0))
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    ahead = int(sign + "1") * (int(ahead_hours) * 3600 + int(ahead_minutes) * 60) if sign else 0
    digits = fraction or ""
    width = Fraction(1, 10 ** len(digits))
    low = _seconds(moment) - ahead + int(second) + int(digits or 0) * width
    return low, low + width


def _days(year: int, month: int, day: int) -> tuple[Fraction, Fraction]:
    low = datetime(year, month or 1, day or 1, tzinfo=UTC)
    if day:
        high = low + timedelta(days=1)
    elif month:
        high = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    else:
        high = datetime(year + 1, 1, 1, tzinfo=UTC)
    return _seconds(low), _seconds(high)


def _seconds(moment: datetime) -> Fraction:
    since = moment - _EPOCH
    return Fraction(since.days * 86400 + since.seconds)
