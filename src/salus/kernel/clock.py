# SPDX-License-Identifier: Apache-2.0
"""The only place that reads the clock, so that tests can turn it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache, partial
from typing import Protocol


class Clock(Protocol):
    """Source of the present moment."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns() // 1_000_000


Elapsed = Callable[[], float]
"""Seconds since some moment; only goes forward, whatever is done to the clock on the wall."""


elapsed_seconds: Elapsed = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
"""Seconds since the machine was started, time asleep included: a lease also ends while a lid is closed."""


def instant(ms: int) -> str:
    """Write milliseconds since the epoch as a FHIR instant in UTC with millisecond precision.

    https://hl7.org/fhir/R4/datatypes.html#instant
    """
    seconds, rest = divmod(ms, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    """Date and time of one second: what is written now was mostly asked for a moment ago."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def parse_http_date(text: str) -> int | None:
    """Seconds since the epoch of an HTTP date; None for anything else (RFC 9110 section 5.6.7)."""
    if not text.endswith("GMT"):
        return None
    try:
        return int(parsedate_to_datetime(text).replace(tzinfo=UTC).timestamp())
    except (ValueError, OverflowError):
        return None


def http_date(ms: int) -> str:
    """Write milliseconds since the epoch as an HTTP date (RFC 9110 section 5.6.7)."""
    return _http_second(ms // 1000)


@lru_cache(maxsize=1024)
def _http_second(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
