# SPDX-License-Identifier: Apache-2.0
"""Searches that take long let others in between.

Most searches are over within a few milliseconds. They run in one go on the one connection, whose pages lie decrypted
in memory. One that opens many records would keep every other request of its process waiting, up to seconds. So what is
not done after a moment is broken off and begun again on a connection of its own, in slices. There it sees the records
as they were when it began, whatever others write between its slices. One at a time of each process goes that way.

What is broken off must only read. Its functions stay plain ones: a greenlet carries their stack over a pause.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import Final, TypeVar

from greenlet import greenlet

from salus.kernel.breath import Breath
from salus.records.context import Context

T = TypeVar("T")

AT_ONCE: Final = 0.025
"""Seconds that a search may take in one go."""


class TakesLonger(Exception):  # noqa: N818  no error: it is begun again
    """What was begun on the shared connection is not done in time."""


async def unhurried(ctx: Context, work: Callable[[Context], T]) -> T:
    """Do work that reads many records, without keeping others waiting for the whole of it.

    Args:
        work: is given the context to use; may be called twice, and must not write.

    Raises:
        Problem: what the work raises; UNAVAILABLE when the keys for another connection are away.
    """
    try:
        return _at_once(ctx, work)
    except TakesLonger:
        pass
    async with ctx.services.aside:
        beside = replace(ctx, services=replace(ctx.services, store=ctx.store.aside()))
        return await _in_slices(beside, work)


def _at_once(ctx: Context, work: Callable[[Context], T]) -> T:
    until = perf_counter() + AT_ONCE

    def pace() -> None:
        if perf_counter() > until:
            raise TakesLonger

    reader = ctx.store.reader
    reader.pace = pace
    try:
        return work(ctx)
    finally:
        reader.pace = reader.at_ease


async def _in_slices(ctx: Context, work: Callable[[Context], T]) -> T:
    found: list[T] = []
    runner = greenlet(lambda: found.append(work(ctx)))
    runner.gr_context = contextvars.copy_context()
    breath = Breath()

    def pace() -> None:
        if breath.due:
            runner.parent.switch()

    reader = ctx.store.reader
    reader.pace = pace
    try:
        runner.switch()
        while not runner.dead:
            await breath.pause()
            runner.switch()
    except BaseException as error:
        if not runner.dead:  # whoever asked has gone: its transaction ends where it stands
            runner.throw(error)
        raise
    finally:
        reader.pace = reader.at_ease
    return found[0]
