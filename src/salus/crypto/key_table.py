# SPDX-License-Identifier: Apache-2.0
"""The table of wrapped keys: `keys.db`, its own page-encrypted file with its own backup stream.

Only SQL lives here. Every method takes the tenant; nothing here can open a wrapped key. New rows are on the
disk before `add` returns. A key that is there is never replaced by another: of two processes that make a key for
the same subject one wins, and both read back the winner's. `rewrite` replaces what a key is wrapped under; a destroyed
key leaves an empty row, so that nobody makes another for the same subject.

Wrapped keys belong to an epoch of their tenant. New ones are taken for the newest epoch only, under the lock: a process
that has not noticed a rotation cannot leave a key behind in an epoch that is about to go.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, cast

from salus.crypto.wiping import Secret
from salus.kernel.db import FileLock, exclusive, migrate, open_database
from salus.kernel.errors import Problem

_STEPS = (
    """
    create table tenant_key(
        tenant text not null, epoch int not null, wrapped blob not null,
        primary key(tenant, epoch)) strict, without rowid;
    create table patient_key(
        tenant text not null, owner blob not null check(length(owner) = 16), epoch int not null,
        wrapped blob not null, primary key(tenant, owner)) strict, without rowid;
    create table audit_key(
        tenant text not null, owner blob not null check(length(owner) = 16), epoch int not null,
        wrapped blob not null, primary key(tenant, owner)) strict, without rowid;
    create table type_key(
        tenant text not null, type text not null, epoch int not null,
        wrapped blob not null, primary key(tenant, type)) strict, without rowid;
    """,
    # The wrapping key of each epoch, see `tenant_keys`; an empty one: epoch 1 of a tenant that was made before.
    """
    create table epoch_key(
        tenant text not null, epoch int not null, wrapped blob not null, link blob not null,
        primary key(tenant, epoch)) strict, without rowid;
    """,
    # Keys of the blind index after the first one, former keys of patients, and when what was rotated.
    """
    create table index_key(
        tenant text not null, number text not null, epoch int not null,
        wrapped blob not null, primary key(tenant, number)) strict, without rowid;
    create table former_key(
        tenant text not null, owner blob not null check(length(owner) = 16), epoch int not null,
        wrapped blob not null, primary key(tenant, owner)) strict, without rowid;
    create table rotation(
        tenant text not null, kind text not null, at int not null, primary key(tenant, kind)) strict, without rowid;
    """,
)
_AT_ONCE = 500  # bound variables in one query


class Purpose(StrEnum):
    """What a wrapped key is for; each purpose has its table."""

    PATIENT = "patient"
    AUDIT = "audit"
    TYPE = "type"
    INDEX = "index"
    FORMER = "former"


_TABLES = {
    Purpose.PATIENT: ("patient_key", "owner"),
    Purpose.AUDIT: ("audit_key", "owner"),
    Purpose.TYPE: ("type_key", "type"),
    Purpose.INDEX: ("index_key", "number"),
    Purpose.FORMER: ("former_key", "owner"),
}
_GET = {p: f"select epoch, wrapped from {t} where tenant=? and {s}=?" for p, (t, s) in _TABLES.items()}
_ADD = {p: f"insert or ignore into {t} values(?,?,?,?)" for p, (t, _) in _TABLES.items()}
_REWRITE = {
    p: f"update {t} set epoch=?, wrapped=? where tenant=? and {s}=? and epoch=? and wrapped=?"
    for p, (t, s) in _TABLES.items()
}
_NEWEST = "select coalesce(max(epoch), 1) from epoch_key where tenant=?"

Subject = bytes | str
"""Whom a key belongs to: the 16-byte surrogate of a patient, the name of a resource type, or a number."""
Row = tuple[Purpose, Subject, int, bytes]
"""Purpose, subject, epoch of the wrapping key, wrapped key; an empty one: the key was destroyed."""


def before_all(purpose: Purpose) -> Subject:
    """What comes before every subject of a purpose, in order."""
    return b"" if _TABLES[purpose][1] == "owner" else ""


class Epoch(NamedTuple):
    """One epoch of a tenant: its wrapping key, wrapped by the provider, and sealed for who holds the former epoch's."""

    number: int
    wrapped: bytes
    link: bytes


class Rewrite(NamedTuple):
    """A key that is now wrapped under another epoch; it takes the place of exactly what was read."""

    subject: Subject
    former_epoch: int
    former: bytes
    epoch: int
    wrapped: bytes


class KeyTable:
    """Rows of wrapped keys. May be used from several threads and several processes."""

    def __init__(self, path: Path, page_key: Secret) -> None:
        """Open or make the file.

        Raises:
            Problem: UNAVAILABLE when the page key is wrong, the file damaged, or written by a newer version.
        """
        self._db = open_database(path, page_key)
        self._process_lock = FileLock(path.with_suffix(".lock"))
        self._thread_lock = threading.Lock()  # one connection: one thread at a time
        try:
            with self._process_lock:
                migrate(self._db, "crypto", _STEPS)
        except Problem:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; the table must not be used afterwards."""
        with self._thread_lock:
            self._db.close()
            self._process_lock.close()

    def tenants(self) -> list[str]:
        """Names of all tenants, sorted."""
        with self._thread_lock:
            rows = self._db.execute("select distinct tenant from tenant_key order by tenant").fetchall()
        return [str(name) for (name,) in rows]

    def root(self, tenant: str) -> tuple[int, bytes] | None:
        """Newest epoch and wrapped root key of a tenant; None when there is no such tenant."""
        sql = "select epoch, wrapped from tenant_key where tenant=? order by epoch desc limit 1"
        with self._thread_lock:
            row: tuple[int, bytes] | None = self._db.execute(sql, (tenant,)).fetchone()
        return row

    def add_root(self, tenant: str, epoch: int, wrapped: bytes, wrapping: bytes) -> bool:
        """Store root key and first wrapping key of a new tenant; false when it is there already."""
        with self._thread_lock, self._process_lock, exclusive(self._db):
            self._db.execute("insert or ignore into tenant_key values(?,?,?)", (tenant, epoch, wrapped))
            if self._db.changes() != 1:
                return False
            self._db.execute("insert into epoch_key values(?,?,?,x'')", (tenant, epoch, wrapping))
            return True

    def get(self, tenant: str, purpose: Purpose, subject: Subject) -> tuple[int, bytes] | None:
        """Epoch and wrapped key of one subject; None when there is none."""
        with self._thread_lock:
            row: tuple[int, bytes] | None = self._db.execute(_GET[purpose], (tenant, subject)).fetchone()
        return row

    def get_many(self, tenant: str, purpose: Purpose, subjects: Sequence[Subject]) -> dict[Subject, tuple[int, bytes]]:
        """Epochs and wrapped keys of those of the subjects that have one."""
        table, column = _TABLES[purpose]
        found: dict[Subject, tuple[int, bytes]] = {}
        for start in range(0, len(subjects), _AT_ONCE):
            some = subjects[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            sql = f"select {column}, epoch, wrapped from {table} where tenant=? and {column} in ({marks})"
            with self._thread_lock:
                rows = self._db.execute(sql, (tenant, *some)).fetchall()
            found.update(cast("list[tuple[Subject, tuple[int, bytes]]]", [(row[0], row[1:]) for row in rows]))
        return found

    def add(self, tenant: str, rows: Sequence[Row]) -> bool:
        """Store keys for subjects that have none yet, in one durable transaction; others stay as they are.

        Returns:
            False when a row was not wrapped under the newest epoch; then nothing was stored.
        """
        with self._thread_lock, self._process_lock, exclusive(self._db):
            (newest,) = cast("tuple[int]", self._db.execute(_NEWEST, (tenant,)).fetchone())
            if any(row[2] != newest for row in rows):
                return False
            for purpose, subject, epoch, wrapped in rows:
                self._db.execute(_ADD[purpose], (tenant, subject, epoch, wrapped))
            return True

    def destroy(self, tenant: str, purpose: Purpose, subject: Subject) -> None:
        """Destroy a wrapped key, overwrite where it lay, and leave a mark so that nobody makes another."""
        table, _ = _TABLES[purpose]
        with self._thread_lock, self._process_lock:
            self._db.execute("pragma secure_delete=on").fetchall()
            try:
                with exclusive(self._db):
                    (newest,) = cast("tuple[int]", self._db.execute(_NEWEST, (tenant,)).fetchone())
                    self._db.execute(f"insert or replace into {table} values(?,?,?,x'')", (tenant, subject, newest))
                self._db.execute("pragma wal_checkpoint(truncate)").fetchall()
            finally:
                self._db.execute("pragma secure_delete=fast").fetchall()

    def renew(self, tenant: str, owner: bytes, was: bytes, former: tuple[int, bytes], fresh: tuple[int, bytes]) -> bool:
        """Put another key in place of a patient's, and keep the one that was there as the former one.

        Args:
            was: the wrapped key that is there.
            former: the same key wrapped as a former one, behind its epoch.
            fresh: the new key, behind its epoch.

        Returns:
            False when there is another key by now, or a newer epoch; then nothing was changed.
        """
        with self._thread_lock, self._process_lock, exclusive(self._db):
            (newest,) = cast("tuple[int]", self._db.execute(_NEWEST, (tenant,)).fetchone())
            if former[0] != newest or fresh[0] != newest:
                return False
            sql = "update patient_key set epoch=?, wrapped=? where tenant=? and owner=? and wrapped=?"
            self._db.execute(sql, (*fresh, tenant, owner, was))
            if self._db.changes() != 1:
                return False
            self._db.execute("insert into former_key values(?,?,?,?)", (tenant, owner, *former))
            return True

    def remove(self, tenant: str, purpose: Purpose, subject: Subject) -> None:
        """Destroy a wrapped key, overwrite where it lay, and leave no mark."""
        table, column = _TABLES[purpose]
        with self._thread_lock, self._process_lock:
            self._db.execute("pragma secure_delete=on").fetchall()
            try:
                with exclusive(self._db):
                    self._db.execute(f"delete from {table} where tenant=? and {column}=?", (tenant, subject))
                self._db.execute("pragma wal_checkpoint(truncate)").fetchall()
            finally:
                self._db.execute("pragma secure_delete=fast").fetchall()

    def destroyed(self, tenant: str, purpose: Purpose) -> list[Subject]:
        """Subjects whose key was destroyed."""
        table, column = _TABLES[purpose]
        sql = f"select {column} from {table} where tenant=? and wrapped=x''"
        with self._thread_lock:
            return [cast("Subject", row[0]) for row in self._db.execute(sql, (tenant,))]

    # ── rotations ───────────────────────────────────────────────────────────────────────────────────────────

    def note_rotation(self, tenant: str, kind: str, at_ms: int) -> None:
        """Note when a kind of key was rotated, in milliseconds since the epoch; an empty tenant: the installation."""
        with self._thread_lock, self._process_lock, exclusive(self._db):
            self._db.execute("insert or replace into rotation values(?,?,?)", (tenant, kind, at_ms))

    def rotations(self, tenant: str) -> dict[str, int]:
        """When which kind of key was rotated last, in milliseconds since the epoch."""
        with self._thread_lock:
            rows = self._db.execute("select kind, at from rotation where tenant=?", (tenant,)).fetchall()
        return dict(cast("list[tuple[str, int]]", rows))

    def subjects(self, tenant: str, purpose: Purpose) -> list[Subject]:
        """Subjects that have or had a key."""
        table, column = _TABLES[purpose]
        with self._thread_lock:
            rows = self._db.execute(f"select {column} from {table} where tenant=?", (tenant,)).fetchall()
        return [cast("Subject", row[0]) for row in rows]

    # ── epochs ──────────────────────────────────────────────────────────────────────────────────────────────

    def epochs(self, tenant: str) -> list[Epoch]:
        """The epochs whose wrapping key still exists, oldest first; none for a tenant that was made before them."""
        sql = "select epoch, wrapped, link from epoch_key where tenant=? order by epoch"
        with self._thread_lock:
            return [Epoch(*cast("tuple[int, bytes, bytes]", row)) for row in self._db.execute(sql, (tenant,))]

    def add_epoch(self, tenant: str, epoch: Epoch) -> bool:
        """Begin an epoch; false when another process began it meanwhile."""
        with self._thread_lock, self._process_lock, exclusive(self._db):
            (newest,) = cast("tuple[int]", self._db.execute(_NEWEST, (tenant,)).fetchone())
            if epoch.number != newest + 1:
                return False
            if newest == 1:
                self._db.execute("insert or ignore into epoch_key values(?,1,x'',x'')", (tenant,))
            self._db.execute("insert into epoch_key values(?,?,?,?)", (tenant, *epoch))
            return True

    def before(self, tenant: str, purpose: Purpose, epoch: int, after: Subject, limit: int) -> list[Any]:
        """Subject, epoch and wrapped key of some keys that are still wrapped under an earlier epoch.

        Args:
            after: only subjects behind this one, in order; empty for all.
        """
        table, column = _TABLES[purpose]
        sql = f"select {column}, epoch, wrapped from {table} where tenant=? and {column} > ? and epoch < ?"
        with self._thread_lock:
            found = self._db.execute(f"{sql} order by {column} limit ?", (tenant, after, epoch, limit))
            return found.fetchall()

    def count(self, tenant: str, purpose: Purpose, epoch: int) -> tuple[int, int, int]:
        """How many keys there are, how many under an earlier epoch, and how many subjects whose key was destroyed."""
        table, _ = _TABLES[purpose]
        sql = f"""select coalesce(sum(wrapped <> x''), 0), coalesce(sum(epoch < ?), 0), coalesce(sum(wrapped = x''), 0)
                  from {table} where tenant=?"""
        with self._thread_lock:
            return cast("tuple[int, int, int]", self._db.execute(sql, (epoch, tenant)).fetchone())

    def rewrite(self, tenant: str, purpose: Purpose, rewrites: Iterable[Rewrite]) -> None:
        """Put rewrapped keys in place, in one durable transaction; one that has changed meanwhile stays as it is."""
        rows = [(r.epoch, r.wrapped, tenant, r.subject, r.former_epoch, r.former) for r in rewrites]
        with self._thread_lock, self._process_lock, exclusive(self._db):
            self._db.executemany(_REWRITE[purpose], rows)

    def end_epochs(self, tenant: str, newest: int) -> bool:
        """Delete the wrapping keys of all epochs before this one; false when a key is still wrapped under one."""
        if any(self.before(tenant, purpose, newest, before_all(purpose), 1) for purpose in Purpose):
            return False  # no such row can come any more: `add` takes the newest epoch only
        with self._thread_lock, self._process_lock, exclusive(self._db):
            self._db.execute("delete from epoch_key where tenant=? and epoch < ?", (tenant, newest))
        return True

    def rewrite_provided(self, tenant: str, rewrap: Callable[[str, int, bytes], bytes]) -> None:
        """Replace what the provider wrapped: the root key and the wrapping keys of a tenant.

        Args:
            rewrap: takes the table's purpose (`tenant_key` or `epoch_key`), the epoch and the wrapped key.
        """
        for table in ("tenant_key", "epoch_key"):
            with self._thread_lock:
                sql = f"select epoch, wrapped from {table} where tenant=? and wrapped <> x''"
                rows = cast("list[tuple[int, bytes]]", self._db.execute(sql, (tenant,)).fetchall())
            for epoch, wrapped in rows:
                fresh = rewrap(table, epoch, wrapped)  # may take its time: outside of the locks
                with self._thread_lock, self._process_lock, exclusive(self._db):
                    sql = f"update {table} set wrapped=? where tenant=? and epoch=? and wrapped=?"
                    self._db.execute(sql, (fresh, tenant, epoch, wrapped))
