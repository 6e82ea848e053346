# SPDX-License-Identifier: Apache-2.0
"""Under which index key a tenant's tokens are: steps of going from one key to the next while everybody searches.

    begin    from now on every writer makes tokens under both keys; rows from before are caught up with
    switch   when no row is behind: searches ask under the new key; tokens of both are still written, for those who
             planned a search a moment ago
    clean    from now on every writer makes tokens under the new key only; rows from before are caught up with
    end      when no row is behind: nothing is under the former key any more, and it may be destroyed

`begin` and `clean` raise the stamp of the definitions, so that under the lock a writer who has not noticed is turned
away and starts over. So no row written afterwards is behind, and whether one is may be asked without the lock.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem
from salus.records.store.defined import State, keep, state


class Step(StrEnum):
    """What a turn does next, see above."""

    BEGIN = "begin"
    SWITCH = "switch"
    CLEAN = "clean"
    END = "end"


class IndexTurn(msgspec.Struct, frozen=True):
    """One step for a tenant.

    Attributes:
        key: number of the new index key.
        at: now, milliseconds since the epoch.
    """

    tenant: str
    step: Step
    key: int
    at: int


def next_step(now: State) -> Step | None:
    """What is to be done next; None when nothing is under way."""
    if now.beside > now.key:
        return Step.SWITCH
    if now.beside:
        return Step.CLEAN
    return Step.END if now.former else None


def check(db: Connection, turn: IndexTurn) -> None:
    """Turn a step away that somebody else has taken.

    Raises:
        Problem: CONFLICT.
    """
    now = state(db, turn.tenant)
    if turn.step is Step.BEGIN:
        fits = next_step(now) is None and turn.key > now.key and not now.outdated
    else:
        fits = next_step(now) is turn.step and turn.key == max(now.key, now.beside)
    if not fits:
        raise Problem(Kind.CONFLICT, "The index is being worked on by somebody else.", "another step was taken")


def carry_out(db: Connection, turn: IndexTurn) -> None:
    """Take the step."""
    now = state(db, turn.tenant)
    now = now._replace(changes=now.changes + 1)
    match turn.step:
        case Step.BEGIN:
            now = now._replace(beside=turn.key, definitions=now.definitions + 1)
            now = now._replace(due=now.stamp)
        case Step.SWITCH:
            now = now._replace(key=turn.key, beside=now.key, switched=turn.at)
        case Step.CLEAN:
            now = now._replace(beside=0, former=now.beside, definitions=now.definitions + 1)
            now = now._replace(due=now.stamp)
        case Step.END:
            now = now._replace(former=0)
    keep(db, turn.tenant, now)


def start_over(db: Connection, keys: dict[str, int]) -> None:
    """Throw the whole index away; every row is to be indexed anew under new keys, and no token counts until then.

    For a database that nobody else has open, after a restore; inside a transaction of the caller.

    Args:
        keys: by tenant, the number of its new index key; of all tenants in the database.
    """
    db.execute("insert into blind_token(blind_token) values('delete-all')")
    for tenant, key in keys.items():
        db.execute("update record set marks=x'' where tenant=? and marks<>x''", (tenant,))
        now = state(db, tenant)
        now = State(version=0, definitions=now.definitions + 1, changes=now.changes + 1, key=key)
        keep(db, tenant, now._replace(due=now.stamp))
