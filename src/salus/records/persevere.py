# SPDX-License-Identifier: Apache-2.0
"""Start over when someone else was faster: the optimistic half of the store's concurrency."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec, TypeVar

from salus.kernel.errors import Kind, Problem
from salus.records.context import Context

P = ParamSpec("P")
T = TypeVar("T")

_ATTEMPTS = 20
RACED = "raced"


def persevering(
    interaction: Callable[Concatenate[Context, P], Awaitable[T]],
) -> Callable[Concatenate[Context, P], Awaitable[T]]:
    """Run an interaction again, from its first read, when its commit was turned away because of a race.

    The first attempt runs beside everyone else's. Whoever loses stands in line: were a hundred losers of one record to
    try again at once, one would win each time and the last would give up long before its turn.

    Raises:
        Problem: CONFLICT when it lost many times in a row (to other processes).
    """

    @functools.wraps(interaction)
    async def again(ctx: Context, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await interaction(ctx, *args, **kwargs)
        except Problem as problem:
            if not _raced(problem):
                raise
        async with ctx.services.line:
            for _ in range(_ATTEMPTS - 2):
                try:
                    return await interaction(ctx, *args, **kwargs)
                except Problem as problem:
                    if not _raced(problem):
                        raise
            return await interaction(ctx, *args, **kwargs)

    return again


def _raced(problem: Problem) -> bool:
    return problem.kind is Kind.CONFLICT and problem.detail == RACED
