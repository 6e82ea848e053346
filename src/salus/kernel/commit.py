# SPDX-License-Identifier: Apache-2.0
"""Group commit: many requests, one transaction, one flush to the disk.

A request collects what it wants to write in a `Unit`, hands it to the `Writer` and waits. Whatever has gathered while
one group was on its way to the disk goes with the next; so a lone request pays one flush and a thousand at once share
one. The writer knows no tables: rooms take part (`salus.kernel.group`), in the order in which the composition names
them.

A unit of many rows goes alone, and in steps (`Writer.in_steps_over`): requests that only read are answered in between,
those that write wait for its end.

One of them may be the keeper: it can make its part durable by itself. A unit that holds nothing else (a read and its
audit entry) then needs no transaction and no lock; the keeper brings it into a group within a tenth of a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Sequence
from time import perf_counter

from salus.kernel.db import Connection, FileLock
from salus.kernel.errors import Kind, Problem
from salus.kernel.group import Keeper, Participant, Stepwise, Unit, write, write_in_steps

__all__ = ["Keeper", "Participant", "Unit", "Writer"]

_log = logging.getLogger(__name__)

_MAX_WEIGHT = 2_000  # rows in one group: bounds the time that others wait for the lock
_LARGE = 100  # rows of a unit that goes in steps
_STEP_SECONDS = 0.004  # of such a unit, between which others have their turn
_QUIET_SECONDS = 0.25  # without a write, before housekeeping: an import pauses for less to prepare its next Bundle
_PUT_OFF_SECONDS = 2.0  # the longest that housekeeping waits for that
_IDLE_SECONDS = 0.05  # between two pieces of housekeeping
_FOLD_SECONDS = 0.1  # from what was kept to the group that takes it in
_TURNS = 3  # of the loop, from the start of a read to its entry: so long the first of a group waits for the others
_LOCK_PAUSE = 0.001  # seconds between two tries for the lock
_LOCK_TRIES = 40  # then wait for it in the kernel, which is fair

_Steps = Generator[bool, None, None]
_Job = tuple[Unit, "asyncio.Future[None]"]


class Writer:
    """Writes for one process, on the thread of its event loop.

    There is no writer thread on purpose. Every answer waits for its own flush, so a loop that waits for the disk keeps
    nobody from anything; two threads that fight for the interpreter lock at each SQL statement cost a third of the
    CPU of a read.

    Attributes:
        on_their_way: requests that were begun in this process and not answered yet, kept up by whoever serves them. A
            flush costs as much as several reads, so what is to be kept waits for them, a few turns of the loop at most.
    """

    def __init__(
        self,
        db: Connection,
        lock: FileLock,
        participants: Sequence[Participant],
        seal: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        """Write over `db`.

        Args:
            lock: between processes.
            participants: rooms, in the order in which they write.
            seal: called last in every transaction, when all have written.
        """
        self._db = db
        self._seal = seal
        self._lock = lock
        self._participants = participants
        self._stepwise = frozenset(each.name for each in participants if isinstance(each, Stepwise))
        self._waiting: list[_Job] = []
        self._scheduled = False
        self._tries = 0
        self._housekeeping: asyncio.TimerHandle | None = None
        self._housekeeping_due = 0.0  # on the loop's clock: when it is put off no more
        self._last_write = 0.0
        self._keeper: Keeper | None = None
        self._alone: list[_Job] = []  # units for the keeper
        self._turns = 0  # that they have waited for more
        self.on_their_way = 0
        self._folding: asyncio.TimerHandle | None = None
        self._open: Callable[[], Awaitable[Connection]] | None = None
        self._wide: Connection | None = None  # the other connection, once it was needed
        self._opening: asyncio.Task[None] | None = None
        self._under_way: tuple[_Steps, _Job] | None = None
        self._closed = False

    def keep_with(self, keeper: Keeper) -> None:
        """From now on units that hold a part of this participant alone are kept by it."""
        self._keeper = keeper

    def in_steps_over(self, open_: Callable[[], Awaitable[Connection]]) -> None:
        """From now on units of many rows are written in steps, over another connection.

        Args:
            open_: opens it; nobody else may use it, since it sees what is not committed.
        """
        self._open = open_

    def submit(self, unit: Unit) -> asyncio.Future[None]:
        """Queue a unit; must be called from a running event loop.

        Returns:
            A future that is done when the unit is durable, or holds the Problem (or UNAVAILABLE) that stopped it.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        if self._keeper is not None and len(unit.parts) == 1 and self._keeper.name in unit.parts:
            if not self._alone:
                loop.call_soon(self._keep, loop, self._keeper)
            self._alone.append((unit, future))
            return future
        self._waiting.append((unit, future))
        self._soon(loop)
        return future

    async def settle(self) -> None:
        """Wait until everything that was kept so far is in a group that is durable.

        Raises:
            Problem: UNAVAILABLE when it cannot be written.
        """
        if self._alone:
            await asyncio.wait([self._alone[-1][1]])
        if self._keeper is not None and self._keeper.kept():
            await self._in_group(Unit())

    def close(self) -> None:
        """Write what is queued, tidy up, stop."""
        self._closed = True
        for timer in (self._housekeeping, self._folding):
            if timer is not None:
                timer.cancel()
        if self._under_way is not None:
            self._step(None)
        self._waiting += self._alone
        self._alone = []
        if self._keeper is not None and self._keeper.kept():
            with self._lock:
                self._commit([])
        while self._waiting:
            with self._lock:
                self._commit(self._gather())
        self._tidy()
        if self._wide is not None:
            self._wide.close()

    def _in_group(self, unit: Unit) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append((unit, future))
        self._soon(loop)
        return future

    def _soon(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._flush, loop)  # runs after every request that is ready now has queued its unit

    def _keep(self, loop: asyncio.AbstractEventLoop, keeper: Keeper) -> None:
        if len(self._alone) < self.on_their_way and self._turns < _TURNS:
            self._turns += 1
            loop.call_soon(self._keep, loop, keeper)
            return
        self._turns = 0
        group, self._alone = self._alone, []
        if not group:  # the writer was closed meanwhile
            return
        try:
            keeper.keep(self._db, [unit.parts[keeper.name] for unit, _ in group])
        except Exception as error:  # noqa: BLE001  the ordinary way finds out which unit is to blame, and says why
            if not isinstance(error, Problem):
                _log.warning("kept nothing: %s", type(error).__name__)
            self._waiting += group
            self._soon(loop)
            return
        _release(group, {})
        if self._folding is None:
            self._folding = loop.call_later(_FOLD_SECONDS, self._fold, loop, keeper)

    def _fold(self, loop: asyncio.AbstractEventLoop, keeper: Keeper) -> None:
        self._folding = None
        if not keeper.kept():  # a group has come first
            return
        self._soon(loop)
        self._folding = loop.call_later(_FOLD_SECONDS, self._fold, loop, keeper)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._closed:
            return
        if self._open is not None and self._wide is None and self._waiting and self._large(self._waiting[0][0]):
            self._opening = loop.create_task(self._opened(loop, self._open))
        elif self._lock.try_enter():
            self._locked(loop)
        elif self._tries < _LOCK_TRIES:  # another process is at it: answer others meanwhile
            self._tries += 1
            loop.call_later(_LOCK_PAUSE, self._flush, loop)
        else:
            loop.run_in_executor(None, self._lock.__enter__).add_done_callback(lambda _: self._locked(loop))

    async def _opened(self, loop: asyncio.AbstractEventLoop, open_: Callable[[], Awaitable[Connection]]) -> None:
        try:
            self._wide = await open_()
        except Exception as error:  # noqa: BLE001  what cannot go in steps goes in one piece
            _log.warning("no connection for large units: %s", type(error).__name__)
            self._open = None
        self._opening = None
        self._flush(loop)

    def _locked(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._closed:
            return
        self._tries = 0
        group = self._gather()
        if self._wide is not None and group and self._large(group[0][0]):
            self._under_way = write_in_steps(self._wide, self._participants, self._seal, group[0][0]), group[0]
            self._step(loop)
            return
        try:
            self._commit(group)
        finally:
            self._unlock(loop, wrote=bool(group))  # without, it only took in what a keeper has kept

    def _large(self, unit: Unit) -> bool:
        return self._open is not None and unit.weight >= _LARGE and not self._stepwise.isdisjoint(unit.parts)

    def _step(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Go on with a large unit; to its end without a loop."""
        if self._under_way is None:  # `close` has ended it
            return
        steps, job = self._under_way
        turned_away: dict[int, Problem] = {}
        until = perf_counter() + _STEP_SECONDS
        try:
            while True:
                long = next(steps)
                if loop is not None and (long or perf_counter() >= until):
                    break
        except StopIteration:
            self._tell_committed()
        except Exception as error:  # noqa: BLE001  whatever it was, who waits must hear of it
            turned_away[0] = _told(error)
        else:
            if loop is not None:
                loop.call_soon(self._step, loop)
            return
        self._under_way = None
        if loop is None:
            self._lock.__exit__()
            _release([job], turned_away)
        else:
            loop.call_soon(_release, [job], turned_away)  # the answer to a large Bundle takes a while: others first
            self._unlock(loop, wrote=True)

    def _unlock(self, loop: asyncio.AbstractEventLoop, *, wrote: bool) -> None:
        self._lock.__exit__()
        self._scheduled = bool(self._waiting)
        if self._scheduled:
            loop.call_soon(self._flush, loop)
        if wrote:
            self._last_write = loop.time()
        if self._housekeeping is None:
            self._housekeeping_due = loop.time() + _PUT_OFF_SECONDS
            self._housekeeping = loop.call_later(_QUIET_SECONDS, self._idle, loop)

    def _gather(self) -> list[_Job]:
        """What goes next: a large unit alone, else what waits up to one."""
        weight = 0
        for number, (unit, _) in enumerate(self._waiting):
            weight += unit.weight
            large = self._large(unit)
            if large or weight >= _MAX_WEIGHT:
                count = max(1, number) if large else number + 1
                group, self._waiting = self._waiting[:count], self._waiting[count:]
                return group
        group, self._waiting = self._waiting, []
        return group

    def _commit(self, group: list[_Job]) -> None:
        try:
            turned_away = self._write(group)
        except Exception as error:  # noqa: BLE001  whatever it was, every waiter must hear of it
            if len(group) > 1:  # one poisoned unit must not take the others with it
                for job in group:
                    self._commit([job])
                return
            turned_away = {0: _told(error)}
        _release(group, turned_away)

    def _write(self, group: list[_Job]) -> dict[int, Problem]:
        turned_away = write(self._db, self._participants, self._seal, [unit for unit, _ in group])
        self._tell_committed()
        return turned_away

    def _tell_committed(self) -> None:
        for participant in self._participants:
            try:
                participant.committed()
            except Exception as error:  # noqa: BLE001  the group is durable: nothing after it may undo the answer
                _log.warning("after a commit: %s in %s", type(error).__name__, participant.name)

    def _idle(self, loop: asyncio.AbstractEventLoop) -> None:
        self._housekeeping = None
        start = min(self._last_write + _QUIET_SECONDS, self._housekeeping_due)
        if loop.time() < start:
            self._housekeeping = loop.call_at(start, self._idle, loop)
        elif self._scheduled:
            self._housekeeping = loop.call_later(_IDLE_SECONDS, self._idle, loop)
        elif self._tidy():
            self._housekeeping_due = loop.time() + _PUT_OFF_SECONDS
            self._housekeeping = loop.call_later(_IDLE_SECONDS, self._idle, loop)

    def _tidy(self) -> bool:
        """A little housekeeping; true when there is more to do."""
        if not self._lock.try_enter():
            return True
        more = False
        try:
            self._db.execute("begin immediate")
            for participant in self._participants:
                more = participant.idle(self._db) or more
            self._seal(self._db)
            self._db.execute("commit")
        except Exception as error:  # noqa: BLE001  housekeeping may be late, requests may not
            if self._db.in_transaction:
                self._db.execute("rollback")
            _log.warning("housekeeping failed: %s", type(error).__name__)
            return False
        finally:
            self._lock.__exit__()
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
