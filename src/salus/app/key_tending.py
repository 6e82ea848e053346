# SPDX-License-Identifier: Apache-2.0
"""Keys that sign id_tokens are replaced by the server itself, before they are too old."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from salus.app.house import House
from salus.audit.event import EventType
from salus.identity.oauth.rotation import tend
from salus.kernel.commit import Unit
from salus.kernel.errors import Problem

_LOOK_SECONDS = 600.0

_log = logging.getLogger(__name__)


class KeyTender:
    """The task of one worker process: looks every ten minutes. The first keys of a tenant are made when needed."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; from within the event loop."""
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> list[str]:
        """Do what is due for each tenant that has keys, and write it down; says what was done."""
        house, done = self._house, []
        for tenant in house.keyring.tenants():
            if not house.oauth.signing.all(tenant):
                continue

            async def commit(unit: Unit, words: str, tenant: str = tenant) -> None:
                await house.record(unit, house.operator(tenant), EventType.OAUTH_KEY, words)

            done += await tend(house.oauth.signing, tenant, commit)
        return done

    async def _work(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self.look()
            except Problem as problem:
                _log.error("replacing signing keys: %s: %s", problem.kind.value, problem.detail)
