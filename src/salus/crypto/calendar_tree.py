# SPDX-License-Identifier: Apache-2.0
"""Dates as nodes of a calendar, so that a range of time is found by looking up a few nodes.

Twelve levels, each nested in the one above: 64 years, 16 years, 4 years, year, quarter, month, octad (eight
days of a month), day, 6 hours, hour, 10 minutes, minute. A moment is indexed under the node of every level
that holds it; a range is covered by the fewest nodes that make it up. Real questions follow the calendar, so
most covers are short.

A value is a half-open interval [low, high) in milliseconds since the epoch, with these terms:

    S…           nodes of its start
    E…           nodes of its last moment, unless start and end share their finest node
    D…           first and last day of a value of whole days (`2024-03-05`, `2024-03`): its nodes stop at the
                 day, and a question that begins inside that day would miss it
    O< O>        it has no start, no end
    I            it has an `E`, `O<` or `O>`: an interval. Where no value has this term, all are points or single days,
                 and questions need their starts only
    S< E< S> E>  it starts or ends before or after the horizon, 1792-01-01 to 2112-01-01

The covers never miss a true match of FHIR's prefixes (https://hl7.org/fhir/R4/search.html#prefix); they may
name too many, so the caller compares the candidates exactly. Pure functions; the blind index turns terms into
tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

MINUTE_MS = 60_000
DAY_MS = 86_400_000
DAY_MINUTES = 1_440
DAY_LEVELS = 8  # 64 years … day

_LETTERS = "abcdefghijkl"  # one letter per level keeps terms short and unambiguous
_YEARS = (64, 16, 4, 1)
_MINUTES = (360, 60, 10, 1)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_FIRST_YEAR, _LAST_YEAR = 1792, 2112  # multiples of 64
_FIRST_MINUTE = (date(_FIRST_YEAR, 1, 1).toordinal() - _EPOCH_DAY) * DAY_MINUTES
_LAST_MINUTE = (date(_LAST_YEAR, 1, 1).toordinal() - _EPOCH_DAY) * DAY_MINUTES

INTERVAL = b"I"

Point = tuple[str, int, bool]
"""Side (`S` or `E`), minute since the epoch, and whether its terms stop at the day."""


def points(low_ms: int | None, high_ms: int | None) -> tuple[list[Point], list[bytes]]:
    """What to index for one value.

    Args:
        low_ms: start in milliseconds since the epoch; None when there is none.
        high_ms: end, exclusive, later than the start; None when there is none.

    Returns:
        The ends to look up in the tree (`year_terms` to `minute_terms`), and the terms beside the tree.
    """
    found: list[Point] = []
    terms: list[bytes] = []
    whole_days = (low_ms is None or not low_ms % DAY_MS) and (high_ms is None or not high_ms % DAY_MS)
    step = DAY_MINUTES if whole_days else 1
    finest_start: int | None = None
    if low_ms is None:
        terms.append(b"O<")
    else:
        minute = low_ms // MINUTE_MS
        finest_start = minute // step
        _add_point("S", minute, whole_days, found, terms)
    if high_ms is None:
        terms.append(b"O>")
    else:
        minute = (high_ms - 1) // MINUTE_MS
        if minute // step != finest_start:
            _add_point("E", minute, whole_days, found, terms)
            terms.append(INTERVAL)
    if low_ms is None or high_ms is None:
        terms.append(INTERVAL)
    return found, terms


def _add_point(side: str, minute: int, whole_days: bool, found: list[Point], terms: list[bytes]) -> None:
    if minute < _FIRST_MINUTE:
        terms.append(f"{side}<".encode())
    elif minute >= _LAST_MINUTE:
        terms.append(f"{side}>".encode())
    else:
        found.append((side, minute, whole_days))
        if whole_days:
            terms.append(f"D{minute // DAY_MINUTES}".encode())


def year_terms(side: str, year: int) -> list[bytes]:
    """Terms of the four levels from 64 years to the year, which many days share; side is `S` or `E`."""
    return [
        f"{side}a{year // 64}".encode(),
        f"{side}b{year // 16}".encode(),
        f"{side}c{year // 4}".encode(),
        f"{side}d{year}".encode(),
    ]


def month_terms(side: str, month: int) -> list[bytes]:
    """Terms of quarter and month, `month` counted from the year 0."""
    return [f"{side}e{month // 3}".encode(), f"{side}f{month}".encode()]


def day_terms(side: str, day: int) -> list[bytes]:
    """Terms of octad and day, `day` counted from the epoch, inside the horizon."""
    there = month_day(day)
    return [f"{side}g{there[0] * 4 + (there[1] - 1) // 8}".encode(), f"{side}h{day}".encode()]


def month_day(day: int) -> tuple[int, int]:
    """Month, counted from the year 0, and day of the month of a day since the epoch."""
    there = date.fromordinal(day + _EPOCH_DAY)
    return there.year * 12 + there.month - 1, there.day


def hour_terms(side: str, hour: int) -> list[bytes]:
    """Terms of 6 hours and hour, `hour` counted from the epoch."""
    return [f"{side}i{hour // 6}".encode(), f"{side}j{hour}".encode()]


def minute_terms(side: str, minute: int) -> list[bytes]:
    """Terms of 10 minutes and minute, `minute` counted from the epoch."""
    return [f"{side}k{minute // 10}".encode(), f"{side}l{minute}".encode()]


def clauses(prefix: str, low_ms: int, high_ms: int, *, intervals: bool = True) -> list[list[bytes]] | None:
    """Terms to look for: every value that matches has at least one term of each list.

    Args:
        prefix: eq, ne, gt, lt, ge, le, sa, eb or ap.
        low_ms: start of the searched interval.
        high_ms: its end, exclusive; for ap of the interval that is near enough.
        intervals: whether there may be values with the term `INTERVAL`; without them half the terms are needed.

    Returns:
        An AND of ORs; None for ne, which no term can narrow.

    Raises:
        ValueError: another prefix.
    """
    if prefix == "ne":
        return None
    if prefix == "eq":  # the value lies inside, so it starts inside
        return [_side("S", low_ms, high_ms)]
    if prefix == "gt":
        return [_reaching(high_ms, intervals)]
    if prefix == "ge":  # inside or reaching past the end: in both cases it reaches past the start
        return [_reaching(low_ms, intervals)]
    if prefix == "lt":
        return [_begun(low_ms, intervals)]
    if prefix == "le":
        return [_begun(high_ms, intervals)]
    if prefix == "sa":
        return [_side("S", high_ms, None)]
    if prefix == "eb":  # it has ended, so it has begun
        return [[*_side("S", None, low_ms), *([b"O<"] if intervals else [])]]
    if prefix == "ap":  # overlap
        return [_begun(high_ms, intervals), _reaching(low_ms, intervals)]
    raise ValueError("not a search prefix")


def exact(prefix: str, low_ms: int, high_ms: int) -> bool:
    """Whether `clauses` without intervals names exactly the values that match, so that none needs a closer look.

    Values are then points within a minute or single days, and a boundary at midnight cuts none of them.
    """
    whole_days = not (low_ms % DAY_MS or high_ms % DAY_MS)
    inside = low_ms >= _FIRST_MINUTE * MINUTE_MS and high_ms <= _LAST_MINUTE * MINUTE_MS
    return whole_days and inside and prefix not in {"ne", "ap"}


def _reaching(ms: int, intervals: bool) -> list[bytes]:
    """Values whose last moment is at or after `ms`."""
    ends = [*_side("E", ms, None), b"O>"] if intervals else []
    return [*_side("S", ms, None), *ends, *_inner_day(ms)]


def _begun(ms: int, intervals: bool) -> list[bytes]:
    """Values that start before `ms`."""
    return [*_side("S", None, ms), *_inner_day(ms), *([b"O<"] if intervals else [])]


def _inner_day(ms: int) -> list[bytes]:
    # A boundary inside a day cuts that day's node out of the cover; values of whole days have nothing finer.
    return [f"D{ms // DAY_MS}".encode()] if ms % DAY_MS else []


def _side(side: str, low_ms: int | None, high_ms: int | None) -> list[bytes]:
    low = _FIRST_MINUTE if low_ms is None else low_ms // MINUTE_MS
    high = _LAST_MINUTE if high_ms is None else -(-high_ms // MINUTE_MS)
    terms = [
        f"{side}{_LETTERS[level]}{node}".encode()
        for level, node in cover(max(low, _FIRST_MINUTE), min(high, _LAST_MINUTE))
    ]
    if low_ms is None or low < _FIRST_MINUTE:
        terms.append(f"{side}<".encode())
    if high_ms is None or high > _LAST_MINUTE:
        terms.append(f"{side}>".encode())
    return terms


def cover(low: int, high: int, level: int = 0) -> Iterator[tuple[int, int]]:
    """The fewest nodes that make up [low, high).

    Args:
        low: first minute since the epoch, not before the horizon.
        high: minute after the last, not after the horizon.
        level: where to begin, 0 for the coarsest.

    Yields:
        Level and number of each node.
    """
    if low >= high:
        return
    for node in range(_node(level, low), _node(level, high - 1) + 1):
        start, end = _start(level, node), _start(level, node + 1)
        if low <= start and end <= high:
            yield level, node
        else:
            yield from cover(max(low, start), min(high, end), level + 1)


def _node(level: int, minute: int) -> int:
    """Number of the node of a level that holds a minute; nodes of a level are numbered in order of time."""
    if level >= DAY_LEVELS:
        return minute // _MINUTES[level - DAY_LEVELS]
    day = minute // DAY_MINUTES
    if level == 7:
        return day
    there = date.fromordinal(day + _EPOCH_DAY)
    if level < 4:
        return there.year // _YEARS[level]
    month = there.year * 12 + there.month - 1
    if level == 4:
        return month // 3
    return month if level == 5 else month * 4 + (there.day - 1) // 8


def _start(level: int, node: int) -> int:
    """First minute of a node."""
    if level >= DAY_LEVELS:
        return node * _MINUTES[level - DAY_LEVELS]
    if level == 7:
        return node * DAY_MINUTES
    octad = 0
    if level < 4:
        month = node * _YEARS[level] * 12
    elif level == 4:
        month = node * 3
    elif level == 5:
        month = node
    else:
        month, octad = divmod(node, 4)
    year, month = divmod(month, 12)
    return (date(year, month + 1, 1).toordinal() + octad * 8 - _EPOCH_DAY) * DAY_MINUTES
