# SPDX-License-Identifier: Apache-2.0
"""Which search parameters a tenant has defined, and with which definitions its rows are indexed.

Every current row carries a stamp: the version of indexing itself and the number of definitions' changes at that time.
A definition is ready when no row of its types has an older stamp than it. A writer that prepared its tokens before a
definition came is turned away under the lock and starts over, so that no row is missed, in whichever process.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from salus.kernel.db import Connection
from salus.records.store.marks import Marking

INDEXING = 2
"""Version of indexing itself: raise it when the same resource and definitions give other tokens than before."""

_SHIFT = 32
_STATE = "select version, definitions, changes, key, beside, former, due, switched from index_state where tenant=?"
_SOME = "select seq from record where tenant=? and type in ({}) and current=1 and deleted=0 and indexed < ? limit 1"


class State(NamedTuple):
    """Where a tenant's index stands; a tenant without rows from before stands at the present version.

    Attributes:
        key: number of the index key that searches ask under.
        beside: number of another one that tokens are made under, too; 0 for none.
        former: number of one that tokens are still to be removed of; 0 for none.
        due: stamp of the rows that have the tokens which `key`, `beside` and `former` say.
        switched: when searches went over to `key`, milliseconds since the epoch.
    """

    version: int = INDEXING
    definitions: int = 0
    changes: int = 0
    key: int = 1
    beside: int = 0
    former: int = 0
    due: int = 0
    switched: int = 0

    @property
    def stamp(self) -> int:
        """What rows that are indexed now carry."""
        return INDEXING << _SHIFT | self.definitions

    @property
    def outdated(self) -> bool:
        """Whether rows were indexed by an older version, so that their tokens cannot be relied on."""
        return self.version < INDEXING


class Kept(NamedTuple):
    """A definition as it lies in the table; its body is sealed."""

    name: bytes
    since: int
    ready: bool
    body: bytes


class Define(msgspec.Struct, frozen=True):
    """A change of a definition: `body` is sealed, None takes the definition away."""

    tenant: str
    name: bytes
    body: bytes | None


class Reindexed(msgspec.Struct, frozen=True):
    """New tokens of a row whose content did not change."""

    tenant: str
    seq: int
    stamp: int
    terms: str


class Ready(msgspec.Struct, frozen=True):
    """A definition is ready (or, without `name`, the version of indexing is reached) unless a row is still behind.

    Attributes:
        types: resource types that it concerns.
        stamp: what their rows must carry at least.
    """

    tenant: str
    name: bytes | None
    types: tuple[str, ...]
    stamp: int


def state(db: Connection, tenant: str) -> State:
    """Where a tenant's index stands."""
    found: Any = db.execute(_STATE, (tenant,)).fetchone()
    return State(*found) if found else State()


def kept(db: Connection, tenant: str) -> list[Kept]:
    """Every definition of a tenant, the oldest first."""
    sql = "select name, since, ready, body from search_parameter where tenant=? order by since, name"
    rows: Any = db.execute(sql, (tenant,)).fetchall()
    return [Kept(name, since, bool(ready), body) for name, since, ready, body in rows]


def behind(db: Connection, tenant: str, types: Iterable[str], stamp: int) -> bool:
    """Whether a current row of these types has an older stamp."""
    names = tuple(types)
    sql = _SOME.format(",".join("?" * len(names)))
    return db.execute(sql, (tenant, *names, stamp)).fetchone() is not None


def define(db: Connection, change: Define) -> None:
    """Carry out a change of a definition."""
    now = state(db, change.tenant)
    if change.body is None:
        db.execute("delete from search_parameter where tenant=? and name=?", (change.tenant, change.name))
        keep(db, change.tenant, now._replace(changes=now.changes + 1))
        return
    now = now._replace(definitions=now.definitions + 1, changes=now.changes + 1)
    keep(db, change.tenant, now)
    db.execute(
        "insert or replace into search_parameter(tenant, name, since, ready, body) values(?,?,?,0,?)",
        (change.tenant, change.name, now.stamp, change.body),
    )


def reindex(db: Connection, rows: Iterable[Reindexed], marking: Marking) -> None:
    """Give rows their new tokens; a row that is not current any more is passed over."""
    for row in rows:
        db.execute(
            "update record set indexed=?, marks=? where seq=? and current=1 and deleted=0 and indexed < ?",
            (row.stamp, marking.tenant(row.tenant).of(row.seq, row.terms), row.seq, row.stamp),
        )
        if db.changes():
            db.execute("insert or replace into blind_token(rowid, terms) values(?,?)", (row.seq, row.terms))


def finish(db: Connection, ready: Ready) -> None:
    """Make it so, unless a row is still behind."""
    if behind(db, ready.tenant, ready.types, ready.stamp):
        return
    now = state(db, ready.tenant)
    if ready.name is None:
        now = now._replace(version=INDEXING)
    else:
        db.execute(
            "update search_parameter set ready=1 where tenant=? and name=? and since<=?",
            (ready.tenant, ready.name, ready.stamp),
        )
    keep(db, ready.tenant, now._replace(changes=now.changes + 1))


def keep(db: Connection, tenant: str, now: State) -> None:
    """Store where a tenant's index stands."""
    db.execute("insert or replace into index_state values(?,?,?,?,?,?,?,?,?)", (tenant, *now))
