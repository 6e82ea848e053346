# SPDX-License-Identifier: Apache-2.0
"""FHIR dates as half-open ranges of milliseconds since the epoch.

A date names a range as wide as its precision: a year, a month, a day, a minute, a second, a millisecond. A
date without a time zone is read as UTC. https://hl7.org/fhir/R4/search.html#date, datatypes.html#dateTime
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_DAY = 86_400_000
_ONE_SECOND = timedelta(seconds=1)

Interval = tuple[int, int]


def interval(text: str) -> Interval | None:
    """The range [low, high) of a date, dateTime or instant, in milliseconds since the epoch.

    Args:
        text: as FHIR writes it; a search value may also leave out the seconds or the zone.

    Returns:
        None when the text is not a date; a validated resource holds no such text.
    """
    if len(text) <= 10:
        return _days(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _leap_second(text)
    return _range(moment, text)


def _range(moment: datetime, text: str) -> Interval:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - _EPOCH
    low = since.days * _DAY + since.seconds * 1000 + since.microseconds // 1000
    if text[16:17] != ":":
        return low, low + 60_000
    return low, low + (1 if text[19:20] == "." else 1000)


def _leap_second(text: str) -> Interval | None:
    """FHIR allows second 60, Python does not: it is the first second of the next minute, as POSIX counts."""
    if text[16:19] != ":60":
        return None
    try:
        moment = datetime.fromisoformat(f"{text[:17]}59{text[19:]}")
    except ValueError:
        return None
    low, high = _range(moment, text)
    return low + 1000, high + 1000


# Birth dates and days of care repeat; a hit costs a tenth of the work.
@lru_cache(maxsize=16_384)
def _days(text: str) -> Interval | None:
    try:
        match len(text):
            case 10:
                first = date.fromisoformat(text)
                count = 1
            case 7:
                first = date.fromisoformat(f"{text}-01")
                count = monthrange(first.year, first.month)[1]
            case 4:
                first = date.fromisoformat(f"{text}-01-01")
                count = 337 + monthrange(first.year, 2)[1]
            case _:
                return None
    except ValueError:
        return None
    low = (first.toordinal() - _EPOCH_DAY) * _DAY
    return low, low + count * _DAY
