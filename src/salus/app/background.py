# SPDX-License-Identifier: Apache-2.0
"""What a worker process does beside its requests: rounds of work with pauses between them, until it stops.

A round that fails is told to whoever reads the server's log, and the next one comes all the same: no failure ends the
work before the server ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from salus.kernel.errors import Problem

_AFTER_FAILURE_SECONDS = 60.0  # what fails now fails in two seconds too, and fills the log

_log = logging.getLogger(__name__)


class Background:
    """One such task.

    Args:
        name: what it does, in fixed words, for the log.
        work: one round.
        pause: seconds after a round.
        first: seconds before the first round.
        ending: called when it is to end, before the round under way is cancelled.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[object]],
        *,
        pause: float,
        first: float = 0.0,
        ending: Callable[[], object] = lambda: None,
    ) -> None:
        self._name = name
        self._work = work
        self._pause = pause
        self._first = first
        self._ending = ending
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; from within the event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End, also in the middle of a round."""
        self._ending()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        await asyncio.sleep(self._first)
        while True:
            went_well = await self._round()
            await asyncio.sleep(self._pause if went_well else max(self._pause, _AFTER_FAILURE_SECONDS))

    async def _round(self) -> bool:
        try:
            await self._work()
        except Problem as problem:
            _log.error("%s: %s: %s", self._name, problem.kind.value, problem.detail)
        except Exception as error:  # noqa: BLE001  it must outlive whatever it meets
            _log.error("%s: %s", self._name, type(error).__name__)  # no words: values could be in them
        else:
            return True
        return False
