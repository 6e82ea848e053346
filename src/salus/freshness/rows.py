# SPDX-License-Identifier: Apache-2.0
"""Which rows are covered, and the keyed number that stands for one of them.

The rows of a table are added up: a row that comes adds its number, a row that goes takes it away (a multiset hash in
the manner of MSet-Add-Hash, Clarke et al., ASIACRYPT 2003, section 5). Numbers come from a keyed hash and sums are kept
sealed, so that nobody without the tenant's key can choose rows that add up to the same.

Every table with a column `tenant` is covered, whichever room it belongs to, unless it stands in `EXEMPT`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b, sha256
from typing import NamedTuple

import msgspec

from salus.crypto.tenant_keys import TenantKeys
from salus.crypto.wiping import wipe
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem

EXEMPT = {
    "audit_batch": "the log proves itself: tree, MACs, signed checkpoints",
    "audit_head": "as above; and what the manifest is bound to",
    "audit_checkpoint": "as above",
    "audit_journal": "as above; a wrong line becomes an audit.gap entry",
    "freshness": "the manifest itself",
    "content_chunk": "sealed one by one with place and number; whether all are there is counted against the heads",
    "content_upload": "uploads under way, swept when nobody goes on with them",
    "blind_token": "the full-text index, covered through the marks of its rows",
    "schema_version": "compared with the program at every start",
    "client_assertion": "proofs of applications that were used, kept for minutes; of no tenant",
    "oauth_proof": "as above",
    "generation": "a count that makes processes forget what they remember",
}
"""Tables without a sum of their own, and why."""

MASK = (1 << 128) - 1
_SIZE = 16
_KEY = "freshness-rows"

_encode = msgspec.msgpack.Encoder().encode


class Table(NamedTuple):
    """A covered table: its columns in order, and which of them is the tenant."""

    columns: tuple[str, ...]
    tenant: int


def covered(db: Connection) -> dict[str, Table]:
    """The covered tables of a database, by name."""
    found = {}
    names = [name for (name,) in db.execute("select name from sqlite_schema where type='table' order by name")]
    for name in names:
        if name in EXEMPT or name.startswith(("sqlite_", "blind_token_")):
            continue
        columns = tuple(row[0] for row in db.execute("select name from pragma_table_info(?)", (name,)))
        if "tenant" in columns:
            found[name] = Table(columns, columns.index("tenant"))
    return found


def shape(db: Connection) -> bytes:
    """A digest of everything the database is defined by: tables, indexes, triggers, views; 16 bytes.

    Somebody's trigger would change rows in our own transactions.
    """
    rows = db.execute("select type, name, tbl_name, sql from sqlite_schema order by type, name").fetchall()
    return sha256(_encode(rows)).digest()[:_SIZE]


class RowMarks:
    """Numbers of rows under the key of one tenant."""

    def __init__(self, keys: TenantKeys) -> None:
        self.keys = keys
        key = keys.derived(_KEY)
        self._base = blake2b(key=key, digest_size=_SIZE)
        wipe(key)
        self._tables: dict[str, Callable[[], blake2b]] = {}
        keys.when_forgotten(self._let_go)

    def _let_go(self) -> None:
        self._tables.clear()
        del self._base

    def of(self, table: str, values: Sequence[object]) -> int:
        """The number of a row: 128 bits over its table and all its values, in the order of the columns.

        Raises:
            Problem: UNAVAILABLE when the keys of the tenant were let go.
        """
        started = self._tables.get(table)
        if started is None:
            started = self._start(table)
        mark = started()
        mark.update(_encode(values))
        return int.from_bytes(mark.digest())

    def _start(self, table: str) -> Callable[[], blake2b]:
        try:
            base = self._base.copy()
        except AttributeError:
            raise Problem(Kind.UNAVAILABLE, "The keys are not available.", "let go", retry_after=5) from None
        base.update(table.encode() + b"\x00")
        self._tables[table] = base.copy
        return base.copy
