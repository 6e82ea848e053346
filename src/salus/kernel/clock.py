# SPDX-License-Identifier: Apache-2.0
"""The only place that reads the clock, so that tests can turn it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
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


def instant(ms: int) -> str:
    """Write milliseconds since the epoch as a FHIR instant in UTC with millisecond precision.

    https://hl7.org/fhir/R4/datatypes.html#instant
    """
    seconds, rest = divmod(ms, 1000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:03d}Z"


def http_date(ms: int) -> str:
    """Write milliseconds since the epoch as an HTTP date (RFC 9110 section 5.6.7)."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
