# SPDX-License-Identifier: Apache-2.0
"""Times one stage, and tells it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

_RUNS = 5


def stage(name: str, work: Callable[[Any], object], inputs: Sequence[Any]) -> None:
    """Print the median CPU time of one call over some rounds."""
    rounds = []
    for _ in range(_RUNS):
        began = time.thread_time()
        for value in inputs:
            work(value)
        rounds.append(time.thread_time() - began)
    tell(name, statistics.median(rounds) / len(inputs))


def tell(name: str, seconds: float) -> None:
    """Print a line, in microseconds."""
    print(f"  {name:<34}{seconds * 1e6:9.1f}", flush=True)
