# SPDX-License-Identifier: Apache-2.0
"""Whether a period starts before it ends (per-1: https://hl7.org/fhir/R4/datatypes.html#Period).

`start <= end` is FHIRPath: two times are compared part by part from the year on, and when one ends where the other goes
on, so that the answer would depend on what is not said, there is none (http://hl7.org/fhirpath/N1/#datetime-comparison).
A rule without an answer is not fulfilled: `2020` to `2020-01-05` breaks per-1, as in HL7's validator.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final

_DATE_TIME: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d)))?)?)?",
    re.ASCII,
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def in_order(start: str, end: str) -> bool | None:
    """Whether `start` is not after `end`.

    Args:
        start: a FHIR dateTime, any precision.
        end: likewise.

    Returns:
        None when it cannot be told from what is said. Texts that are no dateTime are not judged: True.
    """
    first, last = _DATE_TIME.fullmatch(start), _DATE_TIME.fullmatch(end)
    if first is None or last is None:
        return True
    if first[4] and last[4]:
        a, b = _moment(first), _moment(last)
        return a is None or b is None or a <= b
    left = [int(part) for part in first.groups()[:3] if part]
    right = [int(part) for part in last.groups()[:3] if part]
    for one, other in zip(left, right, strict=False):
        if one != other:
            return one < other
    return True if len(left) == len(right) and bool(first[4]) == bool(last[4]) else None


def _moment(match: re.Match[str]) -> Fraction | None:
    """Seconds since 1970 in UTC."""
    year, month, day, hour, minute, second, fraction, sign, ahead_hours, ahead_minutes = match.groups()
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    since = moment - _EPOCH
    ahead = int(sign + "1") * (int(ahead_hours) * 3600 + int(ahead_minutes) * 60) if sign else 0
    digits = fraction or ""
    return Fraction(since.days * 86400 + since.seconds - ahead + int(second)) + Fraction(
        int(digits or 0), 10 ** len(digits)
    )
