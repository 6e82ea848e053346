# SPDX-License-Identifier: Apache-2.0
"""Tables of accounts, tokens and failed sign-ins, and how changes to them join a group commit.

The file holds no name in clear: an account is found by its handle, the keyed surrogate of the login name,
and everything about it is sealed for its place. Changes are collected as `Statement`s in the unit of the
request, so that the audit entry about them is durable in the same moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection, migrate
from salus.kernel.errors import Kind, Problem

PART = "identity"

_SCHEMA = (
    """
    create table account(
        tenant text not null,
        handle blob not null,
        sealed blob not null,       -- msgpack: name, kind, roles, display, party
        password blob,              -- sealed Argon2 hash; null for a service
        totp blob,                  -- sealed secret; null for a service
        totp_step int not null,     -- last time step that was accepted
        disabled int not null,
        created int not null,
        primary key(tenant, handle)
    ) strict, without rowid;
    create table token(
        tenant text not null,
        hash blob not null,
        id text not null,
        handle blob not null,
        expires int not null,
        sealed blob not null,       -- msgpack: id, handle, purpose, label, scopes, created, expires
        primary key(tenant, hash)
    ) strict, without rowid;
    create unique index token_id on token(tenant, id);
    create index token_account on token(tenant, handle);
    create index token_expiry on token(expires);
    create table attempt(           -- of known and unknown names alike, so that nothing tells them apart
        tenant text not null,
        handle blob not null,
        failures int not null,
        locked_until int not null,
        primary key(tenant, handle)
    ) strict, without rowid;
    create index attempt_age on attempt(locked_until);
    create table generation(number int not null) strict;
    insert into generation values(1);
    """,
)

MAX_FAILURES = 100
"""Failures in a row after which only an administrator opens the account (NIST SP 800-63B-4 section 3.2.2)."""

_SWEEP_MS = 60_000
_FORGET_MS = 24 * 3600 * 1000

Values = tuple[str | bytes | int | None, ...]


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition under which a statement may run, judged inside the transaction.

    Attributes:
        sql: a SELECT that yields a row when all is well.
        values: for its placeholders.
        otherwise: the problem when it yields none.
    """

    sql: str
    values: Values
    otherwise: Problem


@dataclass(frozen=True, slots=True)
class Statement:
    """One change.

    Attributes:
        sql: an INSERT, UPDATE or DELETE.
        values: for its placeholders.
        guard: what must hold; then the statement changes exactly one row.
        revokes: whether somebody may lose access by it, so that every process must forget what it remembers.
    """

    sql: str
    values: Values
    guard: Guard | None = None
    revokes: bool = False


def prepare(db: Connection) -> None:
    """Make or update the tables of this room."""
    migrate(db, "identity", _SCHEMA)


def add(unit: Unit, *statements: Statement) -> None:
    """Add changes to what a request writes."""
    unit.parts.setdefault(PART, []).extend(statements)
    unit.weight += len(statements)


class Touches(Protocol):
    """What is remembered in memory until the next group."""

    def write(self, db: Connection) -> None:
        """Write it; the transaction may yet be rolled back."""
        ...

    def committed(self) -> None:
        """What was written is durable."""
        ...


class IdentityWrites:
    """Takes part in the group commit (`salus.kernel.commit.Participant`); a part is a list of `Statement`.

    Args:
        clock: tells which tokens have expired.
        on_revoke: called when a change that may take access away is durable; see `tokens.Tokens.forget`.
        touches: signs of life of sessions and uses of grants, written along with each group.
        sweeps: called once a minute in a transaction, with the time, to delete what has ended.
    """

    name = PART

    def __init__(
        self,
        clock: Clock,
        on_revoke: Callable[[], None] = lambda: None,
        touches: Sequence[Touches] = (),
        sweeps: Sequence[Callable[[Connection, int], None]] = (),
    ) -> None:
        self._clock = clock
        self._on_revoke = on_revoke
        self._touches = touches
        self._sweeps = sweeps
        self._revoking = False
        self._swept = 0

    def begin(self, db: Connection) -> None:
        """A new group starts."""
        self._revoking = False
        for touches in self._touches:
            touches.write(db)

    def check(self, db: Connection, part: list[Statement]) -> None:
        """Judge the guards against what was committed before this group."""
        for statement in part:
            guard = statement.guard
            if guard is not None and db.execute(guard.sql, guard.values).fetchone() is None:
                raise guard.otherwise

    def apply(self, db: Connection, parts: Sequence[list[Statement]]) -> None:
        """Run the statements.

        Raises:
            Problem: CONFLICT when an earlier unit of the same group took away what a guard had found. The
                writer then
                tries each unit alone, and the guard speaks.
        """
        for part in parts:
            for statement in part:
                db.execute(statement.sql, statement.values)
                if statement.guard is not None and db.changes() != 1:
                    raise Problem(Kind.CONFLICT, "Someone else was first.", "a guarded change met another")
                self._revoking = self._revoking or statement.revokes
        if self._revoking:
            db.execute("update generation set number = number + 1")

    def committed(self) -> None:
        """The group is durable."""
        for touches in self._touches:
            touches.committed()
        if self._revoking:
            self._on_revoke()

    def rolled_back(self) -> None:
        """Nothing was kept."""
        self._revoking = False

    def idle(self, db: Connection) -> bool:
        """Once a minute delete expired tokens, and failures of a day ago unless they closed the account."""
        now = self._clock.now_ms()
        if now - self._swept >= _SWEEP_MS:
            self._swept = now
            db.execute("delete from token where expires <= ?", (now,))
            db.execute(
                "delete from attempt where locked_until <= ? and failures < ?",
                (now - _FORGET_MS, MAX_FAILURES),
            )
            for sweep in self._sweeps:
                sweep(db, now)
        return False
