# SPDX-License-Identifier: Apache-2.0
"""The manifest of a tenant: how many rows each table has and what they add up to, as of the newest entry of the log.

It is sealed under the tenant's key and bound to the head of the audit log, and it is written in the transaction that
changes the rows or the head. So it cannot be put back without the log, and the log not without the checkpoints that
were published (`salus.audit.published`).

SQLite itself tells of every row that changes (preupdate hook), whichever room changes it. A transaction that changed
covered rows and was not sealed does not commit: nothing can be forgotten, and no crash leaves the two apart.

    begin ─ rows change (noted) ─ `seal` writes the manifest ─ commit

`vouch` is asked before anything is released: a manifest that is missing, forged or of another time closes the tenant.
It does not look at the rows; `scan` does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import apsw
import msgspec

from salus.crypto.tenant_keys import TenantKeys
from salus.freshness.rows import MASK, RowMarks, covered, shape
from salus.kernel.db import Connection, migrate
from salus.kernel.errors import Kind, Problem

_log = logging.getLogger(__name__)

ROOM = "freshness"
_MIGRATIONS = (
    """
    create table freshness(tenant text primary key, sealed blob not null) strict, without rowid;
    """,
)
_PURPOSE = "freshness"
_CONTEXT = "salus.freshness.1"
_HEAD = "audit_head"
_STORED = "select sealed from freshness where tenant=?"
_BOUND_TO = f"select mac from {_HEAD} where tenant=?"
_MOST_NOTED = 64  # rows that are kept before they are added up: little at a time, for it is done amid a statement
_REPLACE = "update freshness set sealed=? where tenant=?"
_WRITE = "insert into freshness values(?,?)"

Sums = dict[str, tuple[int, int]]
"""By table: number of rows, and their sum."""


class State(msgspec.Struct, frozen=True, array_like=True):
    """What a manifest says.

    Attributes:
        shape: see `rows.shape`.
        tables: by name: number of rows, and their sum as 16 bytes. A table without rows is left out.
    """

    shape: bytes
    tables: dict[str, tuple[int, bytes]]

    def sums(self) -> Sums:
        """The sums as numbers."""
        return {name: (count, int.from_bytes(total)) for name, (count, total) in self.tables.items()}


_encode = msgspec.msgpack.Encoder(order="sorted").encode
_decode = msgspec.msgpack.Decoder(State).decode
_Noted = tuple[str, Any, Any]  # table, former values, new values


class _Known:
    """A manifest as this process last read or wrote it."""

    __slots__ = ("bound_to", "sealed", "shape", "sums")

    def __init__(self, sealed: bytes, bound_to: bytes, shape_: bytes, sums: Sums) -> None:
        self.sealed = sealed
        self.bound_to = bound_to
        self.shape = shape_
        self.sums = sums


def prepare(db: Connection) -> None:
    """Make or update the table of this room."""
    migrate(db, ROOM, _MIGRATIONS)


def present(db: Connection) -> bool:
    """Whether the database has manifests at all; one from an earlier version has not."""
    return db.execute("select 1 from sqlite_schema where name='freshness'").fetchone() is not None


class Manifest:
    """The manifests of all tenants, over the one connection of a process that writes.

    Args:
        keys_of: the keys of a tenant.
    """

    def __init__(self, keys_of: Callable[[str], TenantKeys]) -> None:
        self._keys_of = keys_of
        self._marks: dict[str, RowMarks] = {}
        self._places: dict[str, int] = {}  # covered tables: where the tenant stands
        self._shape = b""
        self._noted: list[_Noted] = []
        self._changed: dict[str, Sums] = {}  # what was noted, added up by tenant
        self._heads: dict[str, list[bytes]] = {}  # by tenant: the head's MAC before and after this transaction
        self._known: dict[str, _Known] = {}
        self._vouched: set[str] = set()  # tenants whose manifest was looked at in this transaction
        self._followed = 0  # connections
        self._writing = 0  # which of them has changed what is noted
        self._shut: dict[str, str] = {}  # tenants whose rows were found wrong, and how
        self._closed: set[str] = set()  # tenants whose manifest was found wrong

    def follow(self, db: Connection) -> None:
        """Note from now on whatever changes; nothing may be written over this connection without `seal`.

        Several connections may be followed: SQLite lets one at a time write. Another may begin and end its reading
        meanwhile.
        """
        self._followed += 1
        self._places = {name: table.tenant for name, table in covered(db).items()}
        self._shape = shape(db)
        db.preupdate_hook(partial(self._note, self._followed))
        db.set_commit_hook(self._forgotten)
        db.set_rollback_hook(partial(self._rolled_back, self._followed))

    def _note(self, connection: int, change: apsw.PreUpdate) -> None:
        self._writing = connection
        table = change.table_name
        if table in self._places:
            self._noted.append((table, change.old, change.new))
            if len(self._noted) >= _MOST_NOTED:
                self._add_up()
        elif table == _HEAD:
            old: Any = change.old
            new: Any = change.new
            if old is not None:  # a head may be written more than once: the first former one counts
                self._heads.setdefault(old[0], [old[3], b""])
            if new is not None:
                self._heads.setdefault(new[0], [b"", b""])[1] = new[3]

    def _forgotten(self) -> bool:
        """SQLite asks before it commits; true turns the commit into a rollback."""
        if self._noted or self._changed or self._heads:
            _log.error("a transaction changed rows without the manifest, and was rolled back")
            return True
        self._vouched.clear()
        return False

    def _rolled_back(self, connection: int) -> None:
        if connection != self._writing and (self._noted or self._changed or self._heads):
            return  # it has read, and another is in the middle of writing
        self._noted.clear()
        self._changed.clear()
        self._heads.clear()
        self._vouched.clear()
        self._known.clear()

    # ── in every transaction ────────────────────────────────────────────────────────────────────────────────

    def vouch(self, db: Connection, tenant: str, head: bytes) -> None:
        """Refuse when the manifest of a tenant is not the one of the stored log.

        Outside of a transaction only what was found before counts: another process may write between two questions.

        Args:
            head: MAC of the head of the log, as it was just read; empty without one.

        Raises:
            Problem: UNAVAILABLE.
        """
        if tenant in self._shut:
            raise _refusal(tenant, self._shut[tenant])
        if not self._places or tenant in self._heads:
            return
        if not db.in_transaction:
            if tenant in self._closed:
                raise _refusal(tenant, "as was found before")
            return
        self._current(db, tenant, head)
        self._vouched.add(tenant)

    def shut(self, tenant: str, why: str) -> None:
        """Vouch for a tenant no more, in this process: its rows are known to be other ones."""
        self._shut[tenant] = why
        _log.error("rows of tenant %s were taken away or added: run salus verify", tenant)

    def seal(self, db: Connection) -> None:
        """Bring the manifests up to what this transaction has changed; call it last.

        Raises:
            Problem: UNAVAILABLE when a manifest is not the one of the log before this transaction, or keys are away.
        """
        self._add_up()
        for tenant in self._changed.keys() | self._heads.keys():
            if tenant in self._vouched:  # nobody else has written since
                known = self._known[tenant]
            else:
                known = self._current(db, tenant, self._before(db, tenant))
            sums = dict(known.sums)
            for table, (count, total) in self._changed.get(tenant, {}).items():
                before = sums.get(table, (0, 0))
                sums[table] = (before[0] + count, (before[1] + total) & MASK)
            after = self._heads[tenant][1] if tenant in self._heads else known.bound_to
            self._write(db, tenant, known.shape, sums, after)
        self._changed.clear()
        self._heads.clear()
        self._vouched.clear()

    def _before(self, db: Connection, tenant: str) -> bytes:
        """MAC of the head before this transaction."""
        head = self._heads.get(tenant)
        return head[0] if head is not None else _bound(db, tenant)

    def _add_up(self) -> None:
        marks: dict[str, RowMarks] = {}
        for table, old, new in self._noted:
            place = self._places[table]
            for values, sign in ((old, -1), (new, 1)):
                if values is not None:
                    tenant = values[place]
                    if tenant not in marks:
                        marks[tenant] = self.marks(tenant)
                        self._changed.setdefault(tenant, {})
                    sums = self._changed[tenant]
                    count, total = sums.get(table, (0, 0))
                    sums[table] = (count + sign, total + sign * marks[tenant].of(table, values))
        self._noted.clear()

    def put(self, db: Connection, tenant: str, sums: Sums) -> None:
        """Take rows as they are from now on; inside a transaction, for a first manifest or one that is accepted."""
        self._add_up()
        self._changed.pop(tenant, None)
        bound_to = _bound(db, tenant)
        self._shut.pop(tenant, None)
        self._closed.discard(tenant)
        self._write(db, tenant, shape(db), sums, bound_to)

    def stated(self, db: Connection, tenant: str) -> State | None:
        """The manifest as it is stored, if it is genuine and of the stored head; for one snapshot."""
        row: Any = db.execute(_STORED, (tenant,)).fetchone()
        return None if row is None else self._opened(tenant, bytes(row[0]), _bound(db, tenant))

    def missing(self, db: Connection) -> list[str]:
        """Tenants that have a log and no manifest."""
        sql = f"select tenant from {_HEAD} where tenant not in (select tenant from freshness) order by tenant"
        return [str(tenant) for (tenant,) in db.execute(sql)]

    def marks(self, tenant: str) -> RowMarks:
        """Numbers of rows of a tenant."""
        keys = self._keys_of(tenant)
        marks = self._marks.get(tenant)
        if marks is None or marks.keys is not keys:
            marks = self._marks[tenant] = RowMarks(keys)
        return marks

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────

    def _current(self, db: Connection, tenant: str, before: bytes) -> _Known:
        row: Any = db.execute(_STORED, (tenant,)).fetchone()
        known = self._known.get(tenant)
        if row is None:
            if before or (known is not None and known.sealed):
                raise self._refused(tenant, "it is missing although the log has entries")
            known = _Known(b"", b"", self._shape, {})
            self._known[tenant] = known
        elif known is None or known.sealed != row[0]:
            state = self._opened(tenant, bytes(row[0]), before)
            if state is None:
                raise self._refused(tenant, "it is forged, or belongs to another state of the log")
            known = _Known(bytes(row[0]), before, state.shape, state.sums())
            self._known[tenant] = known
        elif known.bound_to != before:
            raise self._refused(tenant, "the head of the log is not the one it was written with")
        if known.shape != self._shape:
            raise self._refused(tenant, "the tables, indexes or triggers of the database were changed")
        self._closed.discard(tenant)
        return known

    def _opened(self, tenant: str, sealed: bytes, bound_to: bytes) -> State | None:
        sealer = self._keys_of(tenant).sealer(_PURPOSE)
        try:
            return _decode(sealer.open(sealed, (_CONTEXT, tenant, bound_to)))
        except Problem as problem:
            if problem.kind is not Kind.FAULT:
                raise
        except msgspec.MsgspecError:
            pass
        return None

    def _write(self, db: Connection, tenant: str, shape_: bytes, sums: Sums, bound_to: bytes) -> None:
        tables = {name: (count, total.to_bytes(16)) for name, (count, total) in sums.items() if count or total}
        sealer = self._keys_of(tenant).sealer(_PURPOSE)
        sealed = sealer.seal(_encode(State(shape_, tables)), (_CONTEXT, tenant, bound_to))
        db.execute(_REPLACE, (sealed, tenant))
        if not db.changes():
            db.execute(_WRITE, (tenant, sealed))
        self._known[tenant] = _Known(sealed, bound_to, shape_, sums)

    def _refused(self, tenant: str, why: str) -> Problem:
        self._closed.add(tenant)
        return _refusal(tenant, why)


def _bound(db: Connection, tenant: str) -> bytes:
    row: Any = db.execute(_BOUND_TO, (tenant,)).fetchone()
    return b"" if row is None else bytes(row[0])


def _refusal(tenant: str, why: str) -> Problem:
    _log.error("the manifest of tenant %s is refused: %s", tenant, why)
    return Problem(
        Kind.UNAVAILABLE,
        "The database is not as it was last written, so nothing is released. Run: salus verify",
        f"manifest of tenant {tenant}: {why}",
        retry_after=60,
    )
