# SPDX-License-Identifier: Apache-2.0
"""Long work on the event loop, in slices: nobody else's request waits for the whole of it."""

from __future__ import annotations

import asyncio
from time import perf_counter

_SLICE = 0.005  # seconds


class Breath:
    """Gives way to other requests when a slice of time is used up; tasks that work side by side share one."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = perf_counter()

    @property
    def due(self) -> bool:
        """Whether the slice is used up; for loops whose steps are shorter than asking `pause` costs."""
        return perf_counter() - self._since > _SLICE

    async def pause(self) -> None:
        """Call between steps that are short themselves."""
        while perf_counter() - self._since > _SLICE:
            seen = self._since
            await asyncio.sleep(0)
            if self._since == seen:  # the first one back begins the next slice, in which the others may go on
                self._since = perf_counter()
                return
