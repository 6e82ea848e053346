# SPDX-License-Identifier: Apache-2.0
"""A span of time is covered by few nodes, and no date that matches a question is ever missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from salus.crypto.calendar_tree import (
    DAY_MS,
    INTERVAL,
    MINUTE_MS,
    clauses,
    cover,
    day_terms,
    exact,
    hour_terms,
    minute_terms,
    month_day,
    month_terms,
    points,
    year_terms,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PREFIXES = ("eq", "gt", "lt", "ge", "le", "sa", "eb", "ap")
Span = tuple[int | None, int | None]


def ms(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)


def terms_of(low: int | None, high: int | None) -> set[bytes]:
    found, terms = points(low, high)
    for side, minute, whole_days in found:
        terms += to_the_day(side, minute // 1_440)
        if not whole_days:
            terms += hour_terms(side, minute // 60) + minute_terms(side, minute)
    return set(terms)


def to_the_day(side: str, day: int) -> list[bytes]:
    month, _ = month_day(day)
    return [*year_terms(side, month // 12), *month_terms(side, month), *day_terms(side, day)]


def naive(prefix: str, low: float, high: float, a: int, b: int) -> bool:
    """FHIR R4 section 3.1.1.4.5, spelled out: does the value [low, high) match the searched [a, b)?"""
    inside = a <= low and high <= b
    return {
        "eq": inside,
        "gt": high > b,
        "lt": low < a,
        "ge": high > b or inside,
        "le": low < a or inside,
        "sa": low >= b,
        "eb": high <= a,
        "ap": low < b and high > a,
    }[prefix]


def found_by(prefix: str, span: Span, a: int, b: int) -> bool:
    lists = clauses(prefix, a, b)
    assert lists is not None
    terms = terms_of(*span)
    return all(terms.intersection(any_of) for any_of in lists)


@st.composite
def spans(draw: st.DrawFn) -> tuple[int, int]:
    """An interval of any precision, most of them near one another so that they meet."""
    start = draw(
        st.one_of(
            st.integers(ms("2024-02-27"), ms("2024-03-03")),
            st.integers(ms("2019-01-01"), ms("2026-01-01")),
            st.sampled_from([ms("2024-02-28") + n * DAY_MS for n in range(4)]),
            st.sampled_from([ms("2024-02-29T13:47:30"), ms("1792-01-01"), ms("2112-01-01"), ms("2024-01-01")]),
            st.integers(ms("1700-01-01"), ms("2300-01-01")),
        )
    )
    unit = draw(st.sampled_from([1, 1_000, MINUTE_MS, 10 * MINUTE_MS, 60 * MINUTE_MS, DAY_MS, 366 * DAY_MS, 0, -1]))
    if unit > 0:
        start -= start % unit
        return start, start + unit * draw(st.sampled_from([1, 1, 1, 2, 3, 30]))
    if unit == 0:  # a calendar year or month
        there = EPOCH + timedelta(milliseconds=start)
        month = draw(st.booleans())
        first = there.replace(day=1, month=there.month if month else 1, hour=0, minute=0, second=0, microsecond=0)
        after = (first + timedelta(days=32 if month else 367)).replace(day=1)
        return tuple((moment - EPOCH) // timedelta(milliseconds=1) for moment in (first, after))  # type: ignore[return-value]
    return start, start + draw(st.integers(1, 40 * DAY_MS))


@settings(max_examples=1_500)
@given(spans(), st.sampled_from(["", "", "", "low", "high", "both"]), st.sampled_from(PREFIXES), spans())
@example((ms("2024-02-29"), ms("2024-03-01")), "", "ge", (ms("2024-02-29T13:00"), ms("2024-02-29T13:01")))
@example((ms("2024-02-01"), ms("2024-03-01")), "", "gt", (ms("2024-02-29T13:00"), ms("2024-02-29T13:01")))
@example((ms("2024-02-29"), ms("2024-04-01")), "", "lt", (ms("2024-02-29T13:00"), ms("2024-02-29T13:01")))
@example((ms("2024-02-29"), ms("2024-04-01")), "low", "eb", (ms("2024-04-01"), ms("2024-04-02")))
@example((ms("1700-01-01"), ms("1701-01-01")), "", "lt", (ms("1750-06-01T01:00"), ms("1750-06-02")))
@example((ms("2200-01-01"), ms("2201-01-01")), "", "eq", (ms("2200-01-01"), ms("2300-01-01")))
def test_no_match_is_missed(value: tuple[int, int], open_end: str, prefix: str, asked: tuple[int, int]) -> None:
    low = None if open_end in ("low", "both") else value[0]
    high = None if open_end in ("high", "both") else value[1]
    bounds = (float("-inf") if low is None else low, float("inf") if high is None else high)
    if naive(prefix, *bounds, *asked):
        assert found_by(prefix, (low, high), *asked)


@given(spans(), spans())
def test_eq_finds_little_that_lies_elsewhere(value: tuple[int, int], asked: tuple[int, int]) -> None:
    a, b = asked
    inside_horizon = ms("1792-01-01") <= a and b <= ms("2112-01-01")
    if inside_horizon and found_by("eq", value, a, b):
        assert a - MINUTE_MS < value[0] < b + MINUTE_MS


@given(st.integers(ms("1792-01-01") // MINUTE_MS, ms("2112-01-01") // MINUTE_MS - 1), st.integers(1, 100_000_000))
def test_a_cover_is_exact_and_short(low: int, length: int) -> None:
    high = min(low + length, ms("2112-01-01") // MINUTE_MS)
    nodes = list(cover(low, high))
    # The most: 3 siblings at each side of each four-fold level, 7 days, 3 of 4 six-hours, 5, 5, 9 below, both sides.
    assert len(nodes) == len(set(nodes)) <= 100

    def inside(minute: int) -> bool:
        terms = [*to_the_day("S", minute // 1_440), *hour_terms("S", minute // 60), *minute_terms("S", minute)]
        return any(f"S{'abcdefghijkl'[level]}{node}".encode() in terms for level, node in nodes)

    assert inside(low)
    assert inside(high - 1)
    assert inside((low + high) // 2)
    assert not inside(low - 1)
    assert not inside(high)


@pytest.mark.parametrize(
    ("low", "high", "size"),
    [
        ("2024-01-01", "2025-01-01", 1),
        ("2024-02-01", "2024-03-01", 1),
        ("2024-02-29", "2024-03-01", 1),
        ("2020-01-01", "2112-01-01", 5),
        ("2024-02-29T13:00", "2024-02-29T14:00", 1),
    ],
)
def test_calendar_questions_have_tiny_covers(low: str, high: str, size: int) -> None:
    assert len(list(cover(ms(low) // MINUTE_MS, ms(high) // MINUTE_MS))) == size


def test_a_moment_has_twelve_terms_and_a_birth_date_nine() -> None:
    moment = ms("2024-02-29T13:47:30.250")
    assert len(terms_of(moment, moment + 1)) == 12
    assert len(terms_of(ms("1959-04-21"), ms("1959-04-22"))) == 9


def test_ne_cannot_be_narrowed() -> None:
    assert clauses("ne", 0, DAY_MS) is None


def test_another_prefix_is_refused() -> None:
    with pytest.raises(ValueError, match="prefix"):
        clauses("xx", 0, DAY_MS)


@st.composite
def moments(draw: st.DrawFn) -> tuple[int, int]:
    """Values without the term for intervals: within a minute, or one day."""
    minute = draw(st.integers(ms("1800-01-01") // MINUTE_MS, ms("2100-01-01") // MINUTE_MS))
    if draw(st.booleans()):
        day = minute // 1_440 * DAY_MS
        return day, day + DAY_MS
    start = minute * MINUTE_MS + draw(st.integers(0, 59)) * 1000
    return start, start + 1000


@given(moments(), st.sampled_from(["eq", "gt", "lt", "ge", "le", "sa", "eb", "ap"]), spans())
def test_without_intervals_no_match_is_missed_and_midnight_boundaries_are_exact(
    value: tuple[int, int], prefix: str, asked: tuple[int, int]
) -> None:
    terms = terms_of(*value)
    assert INTERVAL not in terms
    wanted = clauses(prefix, *asked, intervals=False)
    assert wanted is not None
    found = all(terms.intersection(alternatives) for alternatives in wanted)
    matches = naive(prefix, *value, *asked)
    if matches:
        assert found
    if exact(prefix, *asked):
        assert found == matches


@given(spans())
def test_only_points_and_single_days_lack_the_term_for_intervals(value: tuple[int, int]) -> None:
    low, high = value
    within_minute = low // MINUTE_MS == (high - 1) // MINUTE_MS
    one_day = not low % DAY_MS and high - low == DAY_MS
    assert (INTERVAL in terms_of(low, high)) == (not within_minute and not one_day)
