# SPDX-License-Identifier: Apache-2.0
"""Dates as ranges of milliseconds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.fhir.search.dates import interval

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("1970", "1970-01-01T00:00:00+00:00", "1971-01-01T00:00:00+00:00"),
        ("2024", "2024-01-01T00:00:00+00:00", "2025-01-01T00:00:00+00:00"),
        ("2024-02", "2024-02-01T00:00:00+00:00", "2024-03-01T00:00:00+00:00"),
        ("2023-12-31", "2023-12-31T00:00:00+00:00", "2024-01-01T00:00:00+00:00"),
        ("2024-05-17T10:30", "2024-05-17T10:30:00+00:00", "2024-05-17T10:31:00+00:00"),
        ("2024-05-17T10:30Z", "2024-05-17T10:30:00+00:00", "2024-05-17T10:31:00+00:00"),
        ("2024-05-17T10:30:05-05:00", "2024-05-17T15:30:05+00:00", "2024-05-17T15:30:06+00:00"),
        ("2024-05-17T10:30:05.250+02:00", "2024-05-17T08:30:05.250+00:00", "2024-05-17T08:30:05.251+00:00"),
        ("2024-05-17T10:30:05.1Z", "2024-05-17T10:30:05.100+00:00", "2024-05-17T10:30:05.101+00:00"),
        ("1850-06-01T12:00:00Z", "1850-06-01T12:00:00+00:00", "1850-06-01T12:00:01+00:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00+00:00", "2017-01-01T00:00:01+00:00"),
    ],
)
def test_a_date_is_as_wide_as_its_precision(text: str, low: str, high: str) -> None:
    assert interval(text) == (ms(datetime.fromisoformat(low)), ms(datetime.fromisoformat(high)))


@pytest.mark.parametrize("text", ["0001", "9999", "9999-12", "9999-12-31", "0001-01-01T00:00:00+14:00"])
def test_the_ends_of_the_calendar_do_not_overflow(text: str) -> None:
    found = interval(text)
    assert found is not None
    assert found[0] < found[1]


@pytest.mark.parametrize(
    "text", ["", "20", "2024-13", "2024-02-30", "2024-05-17T25:00:00Z", "yesterday", "2024-05-17T1"]
)
def test_what_is_no_date_gives_none(text: str) -> None:
    assert interval(text) is None


@given(st.dates())
def test_days_lie_in_their_month_and_year(day: date) -> None:
    text = day.isoformat()
    found, month, year = interval(text), interval(text[:7]), interval(text[:4])
    assert found is not None
    assert month is not None
    assert year is not None
    assert year[0] <= month[0] <= found[0] < found[1] <= month[1] <= year[1]
    assert found[1] - found[0] == 86_400_000


@given(st.datetimes(min_value=datetime(1800, 1, 1), max_value=datetime(2200, 1, 1)), st.integers(-840, 840))  # noqa: DTZ001
def test_a_moment_is_the_same_in_every_zone(moment: datetime, minutes: int) -> None:
    moment = moment.replace(tzinfo=UTC, microsecond=0)
    shifted = moment + timedelta(minutes=minutes)
    sign, offset = "+" if minutes >= 0 else "-", abs(minutes)
    text = f"{shifted.strftime('%Y-%m-%dT%H:%M:%S')}{sign}{offset // 60:02d}:{offset % 60:02d}"
    assert interval(text) == (ms(moment), ms(moment) + 1000)
