# SPDX-License-Identifier: Apache-2.0
"""Keeping the index up to date in the background: new search parameters, new packages, a new version of indexing.

One worker process at a time does the work, between requests; the others notice what has become ready by themselves.
"""

from __future__ import annotations

import logging

from salus.app.background import Background
from salus.app.house import House
from salus.kernel.errors import Problem
from salus.kernel.ids import uuid7
from salus.records.context import Context
from salus.records.index_turn import advance, under_way, waits
from salus.records.reindexing import Progress, pending, reindex, take_over_packages

_PAUSE_SECONDS = 2.0

_log = logging.getLogger(__name__)


def operator(house: House, tenant: str) -> Context:
    """Who indexes: the server itself, in the role that keeps whole records."""
    return Context(house.services, house.operator(tenant, roles=("service",)), uuid7())


async def bring_up_to_date(house: House, tenant: str, tell: Progress = lambda *_: None) -> list[str]:
    """Take over what packages define and index whatever is pending.

    Returns:
        What could not be finished, in words: the policy hides a record from the role `service`.
    """
    ctx = operator(house, tenant)
    await take_over_packages(ctx)
    left = await reindex(ctx, tell)
    if not left and await advance(ctx, tell) is not None and not waits(ctx):
        left.append("the change of the index key")
    return left


def indexing(house: House) -> Background:
    """The task of one worker process. It ends after the current group; what is left is done after the next start."""
    return Background("indexing", _Indexer(house).look, pause=_PAUSE_SECONDS)


class _Indexer:
    """What is known of each tenant between two rounds."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._seen: dict[str, tuple[int, int]] = {}
        self._stuck: set[str] = set()

    async def look(self) -> None:
        """Bring those tenants up to date of which something has changed, unless another process is at it."""
        lock = self._house.indexing
        for tenant in self._house.keyring.tenants():
            if self._has_changed(tenant) and lock.try_enter():
                try:
                    await self._one(tenant)
                finally:
                    lock.__exit__()

    def _has_changed(self, tenant: str) -> bool:
        """Whether there may be something to do: asked every two seconds, so it costs a few microseconds."""
        ctx = operator(self._house, tenant)
        now = (ctx.store.registries.of(tenant)[0].changes, ctx.knowledge.generation)
        if self._seen.get(tenant) == now:
            return tenant not in self._stuck and (bool(pending(ctx)) or (under_way(ctx) is not None and not waits(ctx)))
        self._seen[tenant] = now
        self._stuck.discard(tenant)
        return True

    async def _one(self, tenant: str) -> None:
        if operator(self._house, tenant).store.registries.of(tenant)[0].outdated:
            _log.warning("records were indexed by an earlier version; indexing them anew in the background")
        try:
            left = await bring_up_to_date(self._house, tenant)
        except Problem as problem:
            _log.warning("indexing stopped: %s", problem.kind.value)
            left = ["something"]
        if left:  # tried again when something has changed, or by `salus reindex`
            self._stuck.add(tenant)
