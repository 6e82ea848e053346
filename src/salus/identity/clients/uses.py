# SPDX-License-Identifier: Apache-2.0
"""When applications last used what people allow them, for the list that people see.

A use is remembered in memory, at most once a minute for each grant, and written along with the next group commit: a
read by an application costs no write of its own. What a crash loses is a minute of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from salus.kernel.db import Connection

_NOTED_MS = 60_000
_KEPT = 10_000


class Uses:
    """Uses of grants on their way to the database (`store.Touches`).

    Args:
        db: connection for reading, of the calling thread.
    """

    def __init__(self, db: Connection) -> None:
        self._db = db
        self._noted: dict[tuple[str, str], int] = {}
        self._waiting: dict[tuple[str, str], int] = {}
        self._writing: dict[tuple[str, str], int] = {}

    def note(self, tenant: str, grant: str, at_ms: int) -> None:
        """An application used a grant; on the path of every request that it sends."""
        key = (tenant, grant)
        if 0 <= at_ms - self._noted.get(key, -_NOTED_MS) < _NOTED_MS:
            return
        if len(self._noted) >= _KEPT:
            self._noted.clear()
        self._noted[key] = self._waiting[key] = at_ms

    def last(self, tenant: str, grants: Iterable[str]) -> dict[str, int]:
        """When each of these grants was last used, milliseconds since the epoch; those that never were are left out."""
        found: dict[str, int] = {}
        for grant in grants:
            row = self._db.execute("select seen from client_use where tenant = ? and grant_id = ?", (tenant, grant))
            kept = row.fetchone()
            key = (tenant, grant)
            at = max(kept[0] if kept else 0, self._waiting.get(key, 0), self._writing.get(key, 0))
            if at:
                found[grant] = at
        return found

    def write(self, db: Connection) -> None:
        """Inside the transaction of a group."""
        self._writing |= self._waiting
        self._waiting = {}
        for (tenant, grant), at_ms in self._writing.items():
            db.execute(
                "insert into client_use(tenant, grant_id, seen) values(?,?,?) "
                "on conflict do update set seen = max(seen, excluded.seen)",
                (tenant, grant, at_ms),
            )

    def committed(self) -> None:
        """What was written is durable."""
        self._writing = {}


def sweep(db: Connection, _: int) -> None:
    """Delete uses of grants that are over; runs in a transaction, now and then."""
    db.execute(
        "delete from client_use where not exists (select 1 from oauth_grant g "
        "where g.tenant = client_use.tenant and g.id = client_use.grant_id)"
    )
