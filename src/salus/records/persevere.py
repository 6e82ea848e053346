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

    Raises:
        Problem: CONFLICT when it lost many times in a row.
    """

    @functools.wraps(interaction)
    async def again(ctx: Context, /, *args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(_ATTEMPTS - 1):
            try:
                return await interaction(ctx, *args, **kwargs)
            except Problem as problem:
                if problem.kind is not Kind.CONFLICT or problem.detail != RACED:
                    raise
        return await interaction(ctx, *args, **kwargs)

    return again
