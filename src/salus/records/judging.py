# SPDX-License-Identifier: Apache-2.0
"""Judging a resource that is written, without making others wait for a large one."""

from __future__ import annotations

from typing import Any

from salus.access.permissions import Permission
from salus.kernel.breath import Breath
from salus.records.context import Context

MANY = "Bundle"
"""The type that may hold thousands of resources."""


async def judge_many(ctx: Context, permission: Permission, resource: dict[str, Any]) -> None:
    """Let a valid Bundle pass, entry by entry; raises Problem as `Validator.check`.

    Whoever has no grant for it is refused first, in the same words as later.
    """
    ctx.decide(permission, MANY)
    breath = Breath()
    for _ in ctx.services.validator.checking(resource, MANY):
        await breath.pause()
