# SPDX-License-Identifier: Apache-2.0
"""What one transaction writes: units of requests, and the rooms that take part.

A unit holds parts by room: what `records` writes and what `audit` writes are committed together or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from salus.kernel.db import Connection
from salus.kernel.errors import Problem


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
    `rolled_back`.
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


class Keeper(Participant, Protocol):
    """A participant that can make its parts durable outside a group."""

    def keep(self, db: Connection, parts: Sequence[Any]) -> None:
        """Make the parts durable; on an error nothing was kept, and they go with a group."""
        ...

    def kept(self) -> bool:
        """Whether kept parts wait for a group; the participant takes them in at `begin`."""
        ...


@runtime_checkable
class Stepwise(Participant, Protocol):
    """A participant that can write much in steps, between which other requests are answered."""

    def check_in_steps(self, db: Connection, part: Any) -> Iterator[bool]:
        """As `check`; gives True before a step that takes long."""
        ...

    def apply_in_steps(self, db: Connection, parts: Sequence[Any]) -> Iterator[bool]:
        """As `apply`."""
        ...


def write(
    db: Connection, participants: Sequence[Participant], seal: Callable[[Connection], None], units: Sequence[Unit]
) -> dict[int, Problem]:
    """Write units in one transaction.

    Args:
        db: no transaction is open.
        participants: in the order in which they write.
        seal: called last, when all have written.
        units: those that a participant turns away are left out.

    Returns:
        Why, for those that were turned away, by position.
    """
    turned_away: dict[int, Problem] = {}
    with _transaction(db, participants, seal):
        for participant in participants:
            participant.begin(db)
        accepted = []
        for index, unit in enumerate(units):
            try:
                for participant in participants:
                    part = unit.parts.get(participant.name)
                    if part is not None:
                        participant.check(db, part)
            except Problem as problem:
                turned_away[index] = problem
            else:
                accepted.append(unit)
        for participant in participants:
            name = participant.name
            parts = [unit.parts[name] for unit in accepted if name in unit.parts]
            if parts:
                participant.apply(db, parts)
    return turned_away


def write_in_steps(
    db: Connection, participants: Sequence[Participant], seal: Callable[[Connection], None], unit: Unit
) -> Generator[bool, None, None]:
    """Write one large unit in one transaction, in steps; whoever closes the generator rolls it back.

    The stepwise write first. Between their steps others may read what is known of the log and the manifest in memory,
    so everybody else begins when only the last piece is left, which is one step with the commit.

    Args:
        db: a connection that nobody else uses, so that nobody sees what is not committed.

    Yields:
        Whether the next step takes long, so that others should have their turn before it.

    Raises:
        Problem: a participant turns the unit away; nothing was written.
    """
    with _transaction(db, participants, seal):
        rest = []
        for participant in participants:
            if not isinstance(participant, Stepwise) or participant.name not in unit.parts:
                rest.append(participant)
                continue
            part = unit.parts[participant.name]
            participant.begin(db)
            yield from participant.check_in_steps(db, part)
            yield from participant.apply_in_steps(db, [part])
        yield True
        mine = [(participant, unit.parts[participant.name]) for participant in rest if participant.name in unit.parts]
        for participant in rest:
            participant.begin(db)
        for participant, part in mine:
            participant.check(db, part)
        for participant, part in mine:
            participant.apply(db, [part])


@contextmanager
def _transaction(
    db: Connection, participants: Sequence[Participant], seal: Callable[[Connection], None]
) -> Iterator[None]:
    """One write transaction that is sealed last; on any error nothing of it stays, and everybody is told."""
    db.execute("begin immediate")
    try:
        yield
        seal(db)
        db.execute("commit")
    except BaseException:
        if db.in_transaction:
            db.execute("rollback")
        for participant in participants:
            participant.rolled_back()
        raise
