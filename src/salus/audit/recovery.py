# SPDX-License-Identifier: Apache-2.0
"""What crashes have left in journals goes into the log before anything is answered.

A journal that was altered, or is gone although the log knows it, becomes an `audit.gap` entry: what it held of its last
tenth of a second is lost, and somebody should ask why. A log that cannot be relied on is passed over: its requests are
refused, and its journal waits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from salus.audit import store
from salus.audit.event import Event, EventType, Outcome
from salus.audit.journal import Frame, Sealed, last_numbers, left
from salus.audit.log import AuditLog
from salus.crypto.envelope import SealingKey
from salus.kernel.actor import Actor
from salus.kernel.clock import Clock
from salus.kernel.db import Connection, exclusive
from salus.kernel.errors import Problem

_log = logging.getLogger(__name__)


Seal = Callable[[Connection], None]


def recover(
    log: AuditLog, db: Connection, folder: Path, key: SealingKey, clock: Clock, seal: Seal = lambda _: None
) -> None:
    """Take in the journals of processes that have died; the journals of living ones are left alone.

    Args:
        log: of this process.
        folder: where the journals are.
        key: the key of the journals.
        clock: dates the entries about gaps.
        seal: called last in every transaction.
    """
    for one in left(folder):
        known = store.folded(db, one.name)
        frames, altered = one.frames(key, max(known.values(), default=0))
        waiting = _missing(frames, known)
        if altered:
            _add_gaps(log, waiting, [*known], one.name, clock.now_ms())
        if _taken_in(log, db, one.name, waiting, seal):
            one.remove()
    for name in store.journals(db) - {path.stem for path in folder.glob("*.journal")}:
        waiting = {}
        _add_gaps(log, waiting, [*store.folded(db, name)], name, clock.now_ms())
        _taken_in(log, db, name, waiting, seal)


def behind(db: Connection, folder: Path) -> bool:
    """Whether any process has kept entries in its journal that the log does not have yet."""
    numbers = last_numbers(folder)
    return any(number > max(store.folded(db, name).values(), default=0) for name, number in numbers.items())


def _missing(frames: Sequence[Frame], known: dict[str, int]) -> dict[str, list[Sealed]]:
    waiting: dict[str, list[Sealed]] = {}
    for frame in frames:
        for sealed in frame.entries:
            if frame.number > known.get(sealed[0], 0):
                waiting.setdefault(sealed[0], []).append(sealed)
    return waiting


def _add_gaps(
    log: AuditLog, waiting: dict[str, list[Sealed]], tenants: Sequence[str], journal_id: str, now: int
) -> None:
    _log.error("journal %s of the audit log was altered or is missing", journal_id)
    for tenant in tenants:
        actor = Actor(tenant, "salus", "service", (), "")
        reason = "a journal was altered or is missing"
        event = Event(EventType.AUDIT_GAP, Outcome.FAILED, actor, now, journal_id, reason=reason)
        waiting.setdefault(tenant, []).append((tenant, now, log.entry(event)))


def _taken_in(log: AuditLog, db: Connection, name: str, waiting: dict[str, list[Sealed]], seal: Seal) -> bool:
    try:
        with exclusive(db):
            log.take_in(db, waiting)
            store.drop_journal(db, name)
            seal(db)
    except Problem:
        log.rolled_back()
        return False
    log.committed()
    return True
