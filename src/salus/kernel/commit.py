# SPDX-License-Identifier: Apache-2.0
"""Group commit: many requests, one transaction, one flush to the disk.

A request collects what it wants to write in a `Unit`, hands it to the `Writer` and waits. While one group is on its way
to the disk the next one gathers; so a lone request pays one flush and a thousand at once share one. A unit holds parts
by room: what `records` writes and what `audit` writes are committed together or not at all.

The writer knows no tables. Rooms take part as a `Participant`, in the order in which the composition names them.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Sequence
from typing import Any, Protocol

from salus.kernel.db import Connection, FileLock
from salus.kernel.errors import Kind, Problem

_log = logging.getLogger(__name__)

_MAX_WEIGHT = 2_000  # rows in one group: bounds the time that others wait for the lock
_IDLE_SECONDS = 0.05


class Unit:
    """Everything that one request writes, all or nothing.

    Attributes:
        parts: payload by participant name; each participant knows its own.
        weight: about how many rows it writes.
    """

    __slots__ = ("parts", "weight")

    def __init__(self) -> None:
        self.parts: dict[str, Any] = {}
        self.weight = 1


class Participant(Protocol):
    """A room that writes in the group transaction.

    Per group the writer calls `begin`, then `check` for each unit, then `apply` once, then `committed` or
    `rolled_back`. All of it runs on the writer's thread.
    """

    name: str

    def begin(self, db: Connection) -> None:
        """A new group starts; the write lock is held."""
        ...

    def check(self, db: Connection, part: Any) -> None:
        """Raise `Problem` to turn this unit away without harm to the others."""
        ...

    def apply(self, db: Connection, parts: Sequence[Any]) -> None:
        """Write the parts of all accepted units."""
        ...

    def committed(self) -> None:
        """The group is on the disk."""
        ...

    def rolled_back(self) -> None:
        """Nothing of the group was kept; forget cached state."""
        ...

    def idle(self, db: Connection) -> bool:
        """Nothing waits: do a bit of housekeeping inside a transaction; true when there is more to do."""
        ...


_Job = tuple[Unit, "asyncio.Future[None]"]


class Writer:
    """The one thread of a process that writes."""

    def __init__(self, db: Connection, lock: FileLock, participants: Sequence[Participant]) -> None:
        self._db = db
        self._lock = lock
        self._participants = participants
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="salus-writer", daemon=True)
        self._thread.start()

    def submit(self, unit: Unit) -> asyncio.Future[None]:
        """Queue a unit; must be called from a running event loop.

        Returns:
            A future that is done when the unit is durable, or holds the Problem (or UNAVAILABLE) that stopped it.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._jobs.put((unit, future))
        return future

    def close(self) -> None:
        """Write what is queued, then stop."""
        self._jobs.put(None)
        self._thread.join()

    # ── writer thread ────────────────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        more_idle_work = True
        while True:
            try:
                job = self._jobs.get(timeout=_IDLE_SECONDS) if more_idle_work else self._jobs.get()
            except queue.Empty:
                more_idle_work = self._idle()
                continue
            if job is None:
                self._idle()
                return
            group, closing = self._gather(job)
            self._commit(group)
            more_idle_work = True
            if closing:
                self._idle()
                return

    def _gather(self, first: _Job) -> tuple[list[_Job], bool]:
        group = [first]
        weight = first[0].weight
        while weight < _MAX_WEIGHT:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return group, True
            group.append(job)
            weight += job[0].weight
        return group, False

    def _commit(self, group: list[_Job]) -> None:
        try:
            turned_away = self._write(group)
        except Exception as error:  # noqa: BLE001  whatever it was, every waiter must hear of it
            if len(group) > 1:  # one poisoned unit must not take the others with it
                for job in group:
                    self._commit([job])
                return
            turned_away = {0: _told(error)}
        loop = group[0][1].get_loop()
        try:
            loop.call_soon_threadsafe(_release, group, turned_away)
        except RuntimeError:  # the loop is closed: nobody waits any more
            _log.warning("%d writes finished after their requests had gone", len(group))

    def _write(self, group: list[_Job]) -> dict[int, Problem]:
        turned_away: dict[int, Problem] = {}
        with self._lock:
            self._db.execute("begin immediate")
            try:
                for participant in self._participants:
                    participant.begin(self._db)
                accepted = []
                for index, (unit, _) in enumerate(group):
                    try:
                        for participant in self._participants:
                            part = unit.parts.get(participant.name)
                            if part is not None:
                                participant.check(self._db, part)
                    except Problem as problem:
                        turned_away[index] = problem
                    else:
                        accepted.append(unit)
                for participant in self._participants:
                    name = participant.name
                    parts = [unit.parts[name] for unit in accepted if name in unit.parts]
                    if parts:
                        participant.apply(self._db, parts)
                self._db.execute("commit")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("rollback")
                for participant in self._participants:
                    participant.rolled_back()
                raise
        for participant in self._participants:
            try:
                participant.committed()
            except Exception as error:  # noqa: BLE001  the group is durable: nothing after it may undo the answer
                _log.warning("after a commit: %s in %s", type(error).__name__, participant.name)
        return turned_away

    def _idle(self) -> bool:
        more = False
        try:
            with self._lock:
                self._db.execute("begin immediate")
                try:
                    for participant in self._participants:
                        more = participant.idle(self._db) or more
                    self._db.execute("commit")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("rollback")
                    raise
        except Exception as error:  # noqa: BLE001  housekeeping may be late, requests may not
            _log.warning("housekeeping failed: %s", type(error).__name__)
            return False
        return more


def _told(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    _log.error("commit failed: %s", type(error).__name__)  # no traceback: values could be in it
    return Problem(Kind.UNAVAILABLE, "The record store cannot write at the moment.", retry_after=5)


def _release(group: list[_Job], turned_away: dict[int, Problem]) -> None:
    for index, (_, future) in enumerate(group):
        if future.done():
            continue
        problem = turned_away.get(index)
        if problem is None:
            future.set_result(None)
        else:
            future.set_exception(problem)
