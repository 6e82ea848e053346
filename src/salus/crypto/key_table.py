# SPDX-License-Identifier: Apache-2.0
"""The table of wrapped keys: `keys.db`, its own page-encrypted file with its own backup stream.

Only SQL lives here. Every method takes the tenant; nothing here can open a wrapped key. New rows are on the
disk before `add` returns. A key that is there is never replaced: of two processes that make a key for the
same subject one wins, and both read back the winner's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import cast

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
)
_AT_ONCE = 500  # bound variables in one query


class Purpose(StrEnum):
    """What a wrapped key is for; each purpose has its table."""

    PATIENT = "patient"
    AUDIT = "audit"
    TYPE = "type"


_TABLES = {
    Purpose.PATIENT: ("patient_key", "owner"),
    Purpose.AUDIT: ("audit_key", "owner"),
    Purpose.TYPE: ("type_key", "type"),
}
_GET = {p: f"select epoch, wrapped from {t} where tenant=? and {s}=?" for p, (t, s) in _TABLES.items()}
_ADD = {p: f"insert or ignore into {t} values(?,?,?,?)" for p, (t, _) in _TABLES.items()}

Subject = bytes | str
"""Whom a key belongs to: the 16-byte surrogate of a patient, or the name of a resource type."""
Row = tuple[Purpose, Subject, int, bytes]
"""Purpose, subject, epoch of the wrapping key, wrapped key."""


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

    def add_root(self, tenant: str, epoch: int, wrapped: bytes) -> bool:
        """Store the root key of a new tenant; false when the tenant is there already."""
        with self._thread_lock, self._process_lock, exclusive(self._db):
            self._db.execute("insert or ignore into tenant_key values(?,?,?)", (tenant, epoch, wrapped))
            return self._db.changes() == 1

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

    def add(self, tenant: str, rows: Iterable[Row]) -> None:
        """Store keys for subjects that have none yet, in one durable transaction; others stay as they are."""
        with self._thread_lock, self._process_lock, exclusive(self._db):
            for purpose, subject, epoch, wrapped in rows:
                self._db.execute(_ADD[purpose], (tenant, subject, epoch, wrapped))
