# SPDX-License-Identifier: Apache-2.0
"""A clock that is turned by hand."""

from __future__ import annotations

from salus.kernel.clock import SystemClock


class HandClock:
    """Stands still until it is turned; starts at the present, so that files and certificates fit it."""

    def __init__(self) -> None:
        self._now_ms = SystemClock().now_ms()

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        return self._now_ms

    def forward(self, ms: int) -> None:
        """Turn it; backwards with a negative number."""
        self._now_ms += ms


class HandElapsed:
    """Elapsed seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds
