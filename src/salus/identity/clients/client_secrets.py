# SPDX-License-Identifier: Apache-2.0
"""Secrets of confidential clients: made here, shown once, kept only as keyed hash.

A client has at most two at a time: the former one may go on for a while, so that the change leaves no gap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any

from salus.crypto.tenant_keys import TenantKeys
from salus.identity.accounts.store import Guard, Statement, add
from salus.identity.clients.client import Client
from salus.identity.clients.store import handle_of, hashed, new_secret
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem
from salus.kernel.ids import uuid7

PREFIX = "salus_cs_"
LONGEST_OVERLAP_MS = 30 * 24 * 3600 * 1000
_LIVE = (
    "select id, hash, created, expires from client_secret where tenant = ? and handle = ? and "
    "(expires = 0 or expires > ?) order by expires = 0 desc, created desc, id desc"
)
# The newest has no end, and those before it have one: two that are made in one millisecond are told apart by that.
_MOST = 2
_NOTHING = bytes(32)


@dataclass(frozen=True, slots=True)
class SecretRecord:
    """A secret as an administrator sees it; the secret itself is not in it.

    Attributes:
        id: names it in lists.
        created_ms: milliseconds since the epoch.
        expires_ms: milliseconds since the epoch; 0 when it has no end.
    """

    id: str
    created_ms: int
    expires_ms: int


class ClientSecrets:
    """Makes, compares and ends secrets.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name; NOT_FOUND for an unknown one.
        clock: the time.
    """

    def __init__(self, db: Connection, keys_of: Callable[[str], TenantKeys], clock: Clock) -> None:
        self._db = db
        self._keys_of = keys_of
        self._clock = clock

    def issue(self, unit: Unit, client: Client, *, overlap_ms: int = 0) -> tuple[str, SecretRecord]:
        """Make a new secret.

        Args:
            unit: takes the change; hand the secret out only when it is durable.
            client: whose.
            overlap_ms: for how long the newest of the former ones goes on; all others end at once.

        Returns:
            The secret, which cannot be had again, and its record.

        Raises:
            Problem: INVALID for a client that has no secrets, and for an overlap beyond 30 days.
        """
        if client.auth_method not in {"client_secret_basic", "client_secret_post"}:
            raise Problem(Kind.INVALID, "This client proves who it is without a secret.")
        if not 0 <= overlap_ms <= LONGEST_OVERLAP_MS:
            raise Problem(Kind.INVALID, "A former secret goes on for at most 30 days.")
        keys = self._keys_of(client.tenant)
        handle, now = handle_of(keys, client.id), self._clock.now_ms()
        secret = new_secret(PREFIX)
        record = SecretRecord(uuid7(), now, 0)
        live = self.of(client.tenant, client.id)
        kept = live[: _MOST - 1] if overlap_ms else []
        for each in live:
            if each not in kept:
                self.end(unit, client.tenant, client.id, each.id)
        for each in kept:
            ends = min(now + overlap_ms, each.expires_ms or now + overlap_ms)
            add(
                unit,
                Statement(
                    "update client_secret set expires = ? where tenant = ? and id = ?", (ends, client.tenant, each.id)
                ),
            )
        add(
            unit,
            Statement(
                "insert into client_secret(tenant, id, handle, hash, created, expires) values(?,?,?,?,?,0)",
                (client.tenant, record.id, handle, hashed(keys, "client-secret", handle, secret.encode()), now),
            ),
        )
        return secret, record

    def of(self, tenant: str, client_id: str) -> list[SecretRecord]:
        """Secrets of a client that count, newest first."""
        return [SecretRecord(id_, created, expires) for id_, _, created, expires in self._rows(tenant, client_id)]

    def end(self, unit: Unit, tenant: str, client_id: str, id: str) -> None:  # noqa: A002  the field's word
        """End one secret.

        Raises:
            Problem: the commit fails with NOT_FOUND when the client has none of this id.
        """
        where = (tenant, handle_of(self._keys_of(tenant), client_id), id)
        which = "where tenant = ? and handle = ? and id = ?"
        absent = Problem(Kind.NOT_FOUND, "This client has no such secret.")
        guard = Guard(f"select 1 from client_secret {which}", where, absent)
        add(unit, Statement(f"delete from client_secret {which}", where, guard))

    def matches(self, tenant: str, client_id: str, secret: str) -> bool:
        """Whether this is a secret of the client; takes the same time for clients that do not exist."""
        keys = self._keys_of(tenant)
        handle = handle_of(keys, client_id)
        shown = hashed(keys, "client-secret", handle, secret.encode("utf-8", "replace"))
        kept = [row[1] for row in self._rows(tenant, client_id)][:_MOST]
        kept += [_NOTHING] * (_MOST - len(kept))
        return any([compare_digest(shown, each) for each in kept])  # noqa: C419  all are compared, whichever fits

    def _rows(self, tenant: str, client_id: str) -> list[tuple[str, bytes, int, int]]:
        handle = handle_of(self._keys_of(tenant), client_id)
        rows: list[Any] = self._db.execute(_LIVE, (tenant, handle, self._clock.now_ms())).fetchall()
        return rows
