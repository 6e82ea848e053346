# SPDX-License-Identifier: Apache-2.0
"""Rate limits: a token bucket per credential, and a smaller one per address for whoever has none.

Buckets live in one worker process; with several workers a client may reach the limit once in each.
"""

from __future__ import annotations

import time
from collections import OrderedDict

from salus.kernel.clock import Elapsed
from salus.kernel.errors import Kind, Problem

_BUCKETS = 50_000
ANONYMOUS_PER_SECOND = 10
ANONYMOUS_BURST = 40
PROGRAMS_PER_SECOND = 50
"""Of applications that prove who they are in the request: those of a whole clinic may share one address."""
PROGRAMS_BURST = 400


class RateLimit:
    """Allows `per_second` requests on average and `burst` at once, for each key, as `elapsed` counts seconds."""

    def __init__(self, per_second: float, burst: float, elapsed: Elapsed = time.monotonic) -> None:
        self._rate = per_second
        self._burst = burst
        self._elapsed = elapsed
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> None:
        """Count one request.

        Raises:
            Problem: THROTTLED with the seconds to wait.
        """
        now = self._elapsed()
        level, then = self._buckets.get(key, (self._burst, now))
        level = min(self._burst, level + (now - then) * self._rate)
        if level < 1:
            wait = max(1, round((1 - level) / self._rate))
            raise Problem(Kind.THROTTLED, "Too many requests.", "rate limit", retry_after=wait)
        if key not in self._buckets and len(self._buckets) >= _BUCKETS:
            self._buckets.popitem(last=False)
        self._buckets[key] = (level - 1, now)
