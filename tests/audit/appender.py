# SPDX-License-Identifier: Apache-2.0
"""A process of its own that appends to a clinic's log: `appender.py <folder> <name> <groups>`.

Writes a line to standard output after each group that is durable. Real clock, real files, real locks.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from salus.audit import store
from salus.audit.event import Entity, Event, EventType, Outcome
from salus.audit.log import AuditLog
from salus.crypto.keyring import open_keyring
from salus.crypto.kms.local import LocalKeyProvider
from salus.kernel.actor import Actor
from salus.kernel.clock import SystemClock
from salus.kernel.commit import Unit, Writer
from salus.kernel.db import FileLock, open_database


class HurriedClock:
    """Every look at it is a second later, so that every group signs and publishes a checkpoint."""

    def __init__(self) -> None:
        self.ms = SystemClock().now_ms()

    def now_ms(self) -> int:
        self.ms += 1_000
        return self.ms


async def run(folder: Path, name: str, groups: int) -> None:
    ring = open_keyring(folder / "keys", LocalKeyProvider.open(folder / "kms" / "root.key", None))
    db = open_database(folder / "records.db", ring.page_key("records"))
    store.prepare(db)
    log = AuditLog(ring.tenant, HurriedClock(), folder / "checkpoints")
    writer = Writer(db, FileLock(folder / "writer.lock"), [log])
    actor = Actor("default", name, "user", ("nurse",), "TREAT")
    patient = ring.tenant("default").surrogate("patient", "anna")
    for group in range(groups):
        waiting = []
        for i in range(3):
            unit = Unit()
            entity = Entity(patient, "Observation", f"{name}-{group}-{i}", 1, "R")
            log.add(
                unit,
                Event(EventType.RECORD_READ, Outcome.GRANTED, actor, SystemClock().now_ms(), "r", entities=(entity,)),
            )
            waiting.append(writer.submit(unit))
        await asyncio.gather(*waiting)
        sys.stdout.write(f"{group}\n")
        sys.stdout.flush()
    writer.close()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
