# SPDX-License-Identifier: Apache-2.0
"""Rows that several requests want at the same moment, found one after the other.

Requests that wait at the same place go on together: what they need is in the processor's cache by then, and one read
transaction serves them all. A lone request loses a few microseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from salus.access.permit import Permit
from salus.records.store.read import Reader
from salus.records.store.schema import Row

_Wanted = tuple[Permit, str, "asyncio.Future[Row | None]"]


class Together:
    """Finds the newest versions of records for many requests at once.

    Args:
        reader: where they are.
        rid: the surrogate of tenant, type and id.
    """

    def __init__(self, reader: Reader, rid: Callable[[str, str, str], bytes]) -> None:
        self._reader = reader
        self._rid = rid
        self._wanted: list[_Wanted] = []

    def newest(self, permit: Permit, id_: str) -> asyncio.Future[Row | None]:
        """What `Store.newest` gives, once the requests that are ready now have asked."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Row | None] = loop.create_future()
        if not self._wanted:
            loop.call_soon(self._find)
        self._wanted.append((permit, id_, future))
        return future

    def _find(self) -> None:
        wanted, self._wanted = self._wanted, []
        with self._reader.snapshot():
            for permit, id_, future in wanted:
                if future.done():  # whoever asked has gone
                    continue
                try:
                    future.set_result(self._reader.newest(permit, self._rid(permit.actor.tenant, permit.type, id_)))
                except Exception as error:  # noqa: BLE001  each request hears of its own failure
                    future.set_exception(error)
