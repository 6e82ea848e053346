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
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from salus.app.house import DATABASE, House
from salus.app.verifying import compare
from salus.audit.event import EventType, Outcome
from salus.crypto.wiping import wipe
from salus.freshness.manifest import Manifest
from salus.freshness.report import Finding
from salus.freshness.scan import count_rows
from salus.kernel.commit import Unit
from salus.kernel.db import Connection, FileLock, open_database
from salus.kernel.errors import Problem
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
    """The task of one worker process."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._task: asyncio.Task[None] | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin; from within the event loop."""
        if self._house.settings.store.look_hours > 0:
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """End, also in the middle."""
        self._stopping.set()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

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
        key = house.keyring.page_key("records")
        with closing(open_database(house.settings.folder / DATABASE, key)) as db:
            wipe(key)
            keys_of = house.keyring.tenant
            tenants = house.keyring.tenants()
            return compare(db, Manifest(keys_of), Marking(keys_of), tenants, self._pause, index=False).findings

    def _pause(self, _: str, __: int) -> None:
        if self._stopping.is_set():
            raise _StoppedError
        time.sleep(_PAUSE_SECONDS)

    def _due(self) -> bool:
        last = _last(self._house.settings.folder)
        hours = self._house.settings.store.look_hours
        return last is None or abs(self._house.clock.now_ms() - last.at_ms) >= hours * _HOUR_MS

    async def _work(self) -> None:
        await asyncio.sleep(_FIRST_SECONDS)
        lock = FileLock(self._house.settings.folder / _LOCK)
        try:
            while True:
                if lock.try_enter():
                    try:
                        if self._due():
                            await self.look()
                    except Problem as problem:  # keys are away, or the log: its requests say so
                        _log.warning("looking at all rows: %s: %s", problem.kind.value, problem.detail)
                    except _StoppedError:
                        return
                    finally:
                        lock.__exit__()
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            lock.close()


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
