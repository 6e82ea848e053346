# SPDX-License-Identifier: Apache-2.0
"""A small clinic's audit log with real keys and files, and the means to write to it and to damage it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from salus.audit import store
from salus.audit.event import Entity, Event, EventType, Outcome
from salus.audit.log import AuditLog
from salus.audit.report import FindingKind, Report
from salus.audit.verify import verify
from salus.crypto.keyring import Keyring, create_keyring, open_keyring
from salus.crypto.kms.local import LocalKeyProvider
from salus.kernel.actor import Actor
from salus.kernel.commit import Unit
from salus.kernel.db import Connection, open_database

NOON = 1_800_000_000_000
TENANT = "default"
PHYSICIAN = Actor(TENANT, "dr.amara", "user", ("physician",), "TREAT", "Practitioner/1", "session-1", ("user/*.rs",))
NURSE = Actor(TENANT, "nurse.lin", "user", ("nurse",), "TREAT", "Practitioner/2", "session-2")


class HandClock:
    """A clock that is turned by hand; starts at noon."""

    def __init__(self) -> None:
        self.ms = NOON

    def now_ms(self) -> int:
        return self.ms


def found_clinic(folder: Path) -> Keyring:
    """Keys for a new clinic."""
    provider = LocalKeyProvider.create(folder / "kms" / "root.key", None)
    ring = create_keyring(folder / "keys", provider)
    ring.create_tenant(TENANT)
    return ring


def reopen_clinic(folder: Path) -> Keyring:
    """The keys of a clinic that exists."""
    return open_keyring(folder / "keys", LocalKeyProvider.open(folder / "kms" / "root.key", None))


class Registry:
    """The audit log of one clinic, written without a server: one call is one group commit."""

    def __init__(self, folder: Path, ring: Keyring) -> None:
        self.folder = folder
        self.ring = ring
        self.keys = ring.tenant(TENANT)
        self.clock = HandClock()
        self.path = folder / "records.db"
        self.checkpoints = folder / "checkpoints"
        self.db = self.connect()
        store.prepare(self.db)
        self.log = self.new_log()
        self.patient = self.keys.surrogate("patient", "anna")
        self.other = self.keys.surrogate("patient", "ben")

    def connect(self) -> Connection:
        return open_database(self.path, self.ring.page_key("records"))

    def new_log(self) -> AuditLog:
        """The log as a newly started process has it."""
        return AuditLog(self.ring.tenant, self.clock, self.checkpoints)

    def reading(self, record: str = "obs-1", *, owner: bytes | None = None, **changed: Any) -> Event:
        """The physician reads one record of Anna's."""
        entity = Entity(self.patient if owner is None else owner, "Observation", record, 3, "R")
        values: dict[str, Any] = {
            "type": EventType.RECORD_READ,
            "outcome": Outcome.GRANTED,
            "actor": PHYSICIAN,
            "at_ms": self.clock.ms,
            "request": "request-7",
            "address": "192.0.2.7",
            "reason": "grant:care-relationship",
            "entities": (entity,),
        } | changed
        return Event(**values)

    def commit(self, *events: Event, log: AuditLog | None = None, db: Connection | None = None) -> None:
        """Write events as one group, as the writer does."""
        log, db = log or self.log, db or self.db
        units = []
        for event in events:
            unit = Unit()
            log.add(unit, event)
            units.append(unit)
        db.execute("begin immediate")
        try:
            log.begin(db)
            parts = [unit.parts[log.name] for unit in units]
            for part in parts:
                log.check(db, part)
            log.apply(db, parts)
            db.execute("commit")
        except BaseException:
            db.execute("rollback")
            log.rolled_back()
            raise
        log.committed()

    def rest(self, log: AuditLog | None = None) -> bool:
        """Nothing waits: let the log do its housekeeping."""
        with self.db:
            return (log or self.log).idle(self.db)

    def fill(self, groups: int = 4, size: int = 3) -> None:
        """Some groups, each a second after the last, so that each has a checkpoint."""
        for group in range(groups):
            self.clock.ms += 1_000
            self.commit(*(self.reading(f"obs-{group}-{i}") for i in range(size)))

    def verify(self, *, published: bool = True, **options: bool) -> Report:
        return verify(self.db, self.keys, self.checkpoints if published else None, **options)

    def row(self, first: int) -> list[bytes]:
        """The entries of the batch that starts at `first`."""
        row = self.db.execute("select entries from audit_batch where first=?", (first,)).fetchone()
        return store.unpack(row[0])

    def put_row(self, first: int, entries: Sequence[bytes]) -> None:
        """An attacker with the page key, but not the tenant's, writes a batch anew."""
        blob = store.pack(entries)
        self.db.execute("update audit_batch set entries=?, count=? where first=?", (blob, len(entries), first))


def kinds(report: Report) -> set[FindingKind]:
    return {finding.kind for finding in report.findings}


def flipped(data: bytes, position: int) -> bytes:
    """The same bytes with one bit changed."""
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)
