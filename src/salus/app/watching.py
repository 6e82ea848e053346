# SPDX-License-Identifier: Apache-2.0
"""Looking at every row once a day while the server answers, slowly, in one worker process at a time.

The index and the entries of the log are left to `salus verify`: they take longest. What is found is written to the log
and told to whoever reads the server's own; it closes nothing, since one forged row must not keep a clinic from all
others. When it was done last stands in `verified.json` of the data folder.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import closing
from pathlib import Path

import msgspec

from salus.app.background import Background
from salus.app.databases import opened
from salus.app.house import DATABASE, House
from salus.app.verifying import compare
from salus.audit.event import EventType, Outcome
from salus.freshness.manifest import Manifest
from salus.freshness.report import Finding
from salus.freshness.scan import count_rows
from salus.kernel.commit import Unit
from salus.kernel.db import Connection, FileLock
from salus.records.store.marks import Marking

MEMORY = "verified.json"
_LOCK = "verify.lock"
_LOOK_SECONDS = 600
_FIRST_SECONDS = 60  # after a start others have more to do
_HOUR_MS = 3_600_000
_PAUSE_SECONDS = 0.01  # after each portion of rows, so that requests come first

_log = logging.getLogger(__name__)


class _Done(msgspec.Struct, frozen=True):
    at_ms: int
    ok: bool


class _StoppedError(Exception):
    """The server stops."""


def check_counts(db: Connection, manifest: Manifest, tenant: str) -> bool:
    """Close a tenant where rows are missing or too many: by counting, without reading them.

    Returns:
        Whether the counts are right, as far as can be told.
    """
    db.execute("begin")
    try:
        state = manifest.stated(db, tenant)
        there = count_rows(db, tenant)
    finally:
        db.execute("rollback")
    if state is None:
        return True  # whoever releases something finds out by `vouch`
    written = {table: count for table, (count, _) in state.tables.items()}
    wrong = [
        f"{table}: {written.get(table, 0)} written, {count} there"
        for table, count in there.items()
        if count != written.get(table, 0)
    ]
    if wrong:
        manifest.shut(tenant, "; ".join(wrong))
    return not wrong


class Watch:
    """What one worker process does."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._stopping = threading.Event()

    def task(self) -> Background:
        """The task of the process: asks every ten minutes whether it is time to look."""
        return Background(
            "looking at all rows", self.turn, pause=_LOOK_SECONDS, first=_FIRST_SECONDS, ending=self._stopping.set
        )

    async def turn(self) -> None:
        """Look if it is time and no other process is at it."""
        with closing(FileLock(self._house.settings.folder / _LOCK)) as lock:
            if self._due() and lock.try_enter():
                try:
                    if self._due():  # nobody was first
                        await self.look()
                finally:
                    lock.__exit__()

    async def look(self) -> dict[str, list[Finding]]:
        """Look at every row now; gives what was found, by tenant, after it was written down."""
        house = self._house
        found = await asyncio.to_thread(self._compare)
        _remember(house.settings.folder, _Done(house.clock.now_ms(), not any(found.values())))
        for tenant, findings in found.items():
            if findings:
                _log.error("the database is not as it was written, %s findings: run salus verify", len(findings))
            outcome = Outcome.FAILED if findings else Outcome.GRANTED
            reason = f"in the background, without the index: {len(findings)} findings"
            await house.record(Unit(), house.operator(tenant), EventType.STORE_VERIFY, reason, outcome)
        return found

    def _compare(self) -> dict[str, list[Finding]]:
        house = self._house
        with closing(opened(house.settings.folder / DATABASE, house.keyring, "records")) as db:
            keys_of = house.keyring.tenant
            tenants = house.keyring.tenants()
            return compare(db, Manifest(keys_of), Marking(keys_of), tenants, self._pause, index=False).findings

    def _pause(self, _: str, __: int) -> None:
        if self._stopping.is_set():
            raise _StoppedError
        time.sleep(_PAUSE_SECONDS)

    def _due(self) -> bool:
        hours = self._house.settings.store.look_hours
        last = _last(self._house.settings.folder)
        return hours > 0 and (last is None or abs(self._house.clock.now_ms() - last.at_ms) >= hours * _HOUR_MS)


def _last(folder: Path) -> _Done | None:
    try:
        return msgspec.json.decode((folder / MEMORY).read_bytes(), type=_Done)
    except (OSError, msgspec.DecodeError):
        return None


def _remember(folder: Path, done: _Done) -> None:
    draft = folder / f"{MEMORY}.new"
    draft.write_bytes(msgspec.json.encode(done))
    draft.chmod(0o600)
    draft.replace(folder / MEMORY)
