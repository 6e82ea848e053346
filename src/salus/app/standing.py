# SPDX-License-Identifier: Apache-2.0
"""Opening the database of the records so that from then on its manifests follow it.

Tables are changed only in a database that is as it was last written: otherwise a new version of the program would take
over what somebody did behind its back. A database from before there were manifests gets its first ones here, once, with
an entry in the log; that one was there is known from the head of the log, so a manifest that was taken away is not made
again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import apsw

from salus.audit import store as audit_store
from salus.audit.event import Event
from salus.audit.log import AuditLog
from salus.crypto.tenant_keys import TenantKeys
from salus.freshness.manifest import Manifest, present
from salus.freshness.scan import scan, stands
from salus.kernel.db import Connection, FileLock, exclusive
from salus.kernel.errors import Kind, Problem
from salus.records.store.indexed import mark_all
from salus.records.store.marks import Marking

_log = logging.getLogger(__name__)

Prepare = Callable[[Connection], None]
_STEPS = "select room, step from schema_version order by room"
_ACTING = "select name, sql from sqlite_schema where type in ('trigger', 'view') order by name"


def open_tables(
    db: Connection, rooms: Sequence[Prepare], manifest: Manifest, tenants: Callable[[], Sequence[str]], lock: FileLock
) -> None:
    """Make or update the tables of all rooms, and follow them.

    Args:
        lock: of all processes that write.

    Raises:
        Problem: UNAVAILABLE when tables would have to be changed in a database that is not as it was written.
    """
    if not _older(db, rooms):
        _make(db, rooms, manifest)
        return
    with lock:  # of two processes that start at once, the second has nothing left to do
        _update(db, rooms, manifest, tenants)


def _make(db: Connection, rooms: Sequence[Prepare], manifest: Manifest) -> None:
    for prepare in rooms:
        prepare(db)
    manifest.follow(db)


def _older(db: Connection, rooms: Sequence[Prepare]) -> bool:
    return present(db) and db.execute(_STEPS).fetchall() != _steps(tuple(rooms))


def _update(db: Connection, rooms: Sequence[Prepare], manifest: Manifest, tenants: Callable[[], Sequence[str]]) -> None:
    older = _older(db, rooms)
    if older and (wrong := stands(db, manifest, tenants())):
        raise Problem(
            Kind.UNAVAILABLE,
            "The database is not as it was last written, so it is not brought to this version of the program.",
            "; ".join(wrong),
        )
    _make(db, rooms, manifest)
    if older:
        with exclusive(db):
            scanned = scan(db, manifest, tenants())
            for tenant, sums in scanned.sums.items():
                if db.execute("select 1 from freshness where tenant=?", (tenant,)).fetchone() is not None:
                    manifest.put(db, tenant, sums)


def first_manifests(
    db: Connection,
    manifest: Manifest,
    audit: AuditLog,
    keys_of: Callable[[str], TenantKeys],
    event: Callable[[str], Event],
    lock: FileLock,
) -> None:
    """Make the manifests of a database from an earlier version of the program.

    Args:
        event: what is written to the log of a tenant about it.
        lock: of all processes that write.
    """
    for tenant in manifest.missing(db):
        with lock, exclusive(db):
            if tenant not in manifest.missing(db):  # another process was first
                continue
            head = audit_store.read_head(db, tenant)
            if head is None or audit_store.opened_former(head, keys_of(tenant)) is None:
                _log.error("the manifest of tenant %s was taken away", tenant)
                continue
            mark_all(db, Marking(keys_of).tenant(tenant))
            manifest.put(db, tenant, scan(db, manifest, [tenant]).sums[tenant])
            said = event(tenant)
            audit.take_in(db, {tenant: [(tenant, said.at_ms, audit.entry(said))]})
            manifest.seal(db)
        audit.committed()


def foreign(db: Connection, rooms: Sequence[Prepare]) -> list[str]:
    """Names of triggers and views that this program has not made."""
    own = set(_blank(tuple(rooms), _ACTING))
    return [str(name) for name, sql in db.execute(_ACTING).fetchall() if (name, sql) not in own]


def _steps(rooms: tuple[Prepare, ...]) -> list[tuple[Any, ...]]:
    """How far the tables are brought by this version of the program."""
    return _blank(rooms, _STEPS)


@cache
def _blank(rooms: tuple[Prepare, ...], sql: str) -> list[tuple[Any, ...]]:
    """What a question gives in a new database."""
    blank = apsw.Connection(":memory:")
    try:
        for prepare in rooms:
            prepare(blank)
        found: Any = blank.execute(sql).fetchall()
        return list(found)
    finally:
        blank.close()
