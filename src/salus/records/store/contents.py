# SPDX-License-Identifier: Apache-2.0
"""Where chunks lie: tables of the record store, written in group commits, read one chunk at a time.

Chunks of an upload are durable before the record that names them. Until then the upload is noted; what is noted and was
not touched for a day (its server died) is swept in quiet times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from salus.access.permit import Permit
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem
from salus.records.store.content import Place
from salus.records.store.renewed import replaced

PART = "contents"

_WEIGHT = 250  # of a batch of chunks, in rows: they are large
_ABANDONED_MS = 24 * 60 * 60 * 1000
_SWEPT = 64  # chunks at a time
_COUNTED = """select c.rid,
    ifnull((select r.owners from record r where r.tenant=c.tenant and r.rid=c.rid
            order by r.version desc limit 1), x''),
    c.name,
    (select count(*) from content_chunk k where k.tenant=c.tenant and k.name=c.name)
    from content c where c.tenant=?"""


class Chunks(msgspec.Struct, frozen=True):
    """Further chunks of an upload; `first` is the number of the first one."""

    tenant: str
    name: bytes
    first: int
    bodies: tuple[bytes, ...]


class Keep(msgspec.Struct, frozen=True):
    """The upload is complete, and a record names it."""

    place: Place
    head: bytes


class Drop(msgspec.Struct, frozen=True):
    """The upload failed."""

    tenant: str
    name: bytes


Step = Chunks | Keep | Drop


def unit_with(step: Step, unit: Unit | None = None) -> Unit:
    """Put a step into a unit, a new one if none is given."""
    unit = unit or Unit()
    unit.parts[PART] = step
    unit.weight += _WEIGHT
    return unit


class ContentWrites:
    """The participant for contents (`salus.kernel.commit.Participant`).

    Args:
        forget: called with tenant and owner when a key of theirs was used that was replaced.
    """

    name = PART

    def __init__(self, clock: Clock, forget: Callable[[str, bytes], None] = lambda *_: None) -> None:
        self._clock = clock
        self._forget_key = forget

    def begin(self, db: Connection) -> None:
        """Nothing to do."""

    def check(self, db: Connection, part: Step) -> None:
        """An upload that was swept, or lies under a key that was replaced, cannot be kept."""
        if isinstance(part, Keep) and not _noted(db, part.place.tenant, part.place.name):
            raise Problem(Kind.UNAVAILABLE, "The upload took too long. Send it again.", "swept", retry_after=1)
        if isinstance(part, Keep) and replaced(db, part.place.tenant, part.place.owner, part.head):
            self._forget_key(part.place.tenant, part.place.owner)
            text = "The upload cannot be kept. Send it again."
            raise Problem(Kind.UNAVAILABLE, text, "the patient's key was replaced during an upload", retry_after=1)

    def apply(self, db: Connection, parts: Sequence[Step]) -> None:
        """Write chunks and heads, or take an upload away."""
        for part in parts:
            match part:
                case Chunks(tenant, name, first, bodies):
                    db.execute("insert or replace into content_upload values(?,?,?)", (tenant, name, self._now()))
                    rows = [(tenant, name, first + at, body) for at, body in enumerate(bodies)]
                    db.executemany("insert into content_chunk(tenant, name, number, body) values(?,?,?,?)", rows)
                case Keep(place, head):
                    values = (place.tenant, place.rid, place.name, head)
                    db.execute("insert into content(tenant, rid, name, head) values(?,?,?,?)", values)
                    _forget(db, place.tenant, place.name)
                case Drop(tenant, name):
                    db.execute("delete from content_chunk where tenant=? and name=?", (tenant, name))
                    _forget(db, tenant, name)

    def committed(self) -> None:
        """Nothing is cached."""

    def rolled_back(self) -> None:
        """Nothing is cached."""

    def idle(self, db: Connection) -> bool:
        """Sweep a bit of an upload that nobody goes on with."""
        before = self._now() - _ABANDONED_MS
        found: tuple[str, bytes] | None = db.execute(
            "select tenant, name from content_upload where touched < ? limit 1", (before,)
        ).fetchone()
        if found is None:
            return False
        swept = "select rowid from content_chunk where tenant=? and name=? limit ?"
        db.execute(f"delete from content_chunk where rowid in ({swept})", (*found, _SWEPT))
        if not db.changes():
            _forget(db, *found)
        return True

    def _now(self) -> int:
        return self._clock.now_ms()


def _noted(db: Connection, tenant: str, name: bytes) -> bool:
    sql = "select 1 from content_upload where tenant=? and name=?"
    return db.execute(sql, (tenant, name)).fetchone() is not None


def _forget(db: Connection, tenant: str, name: bytes) -> None:
    db.execute("delete from content_upload where tenant=? and name=?", (tenant, name))


class Contents:
    """Reads contents, for a permit that found their record."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    def head(self, permit: Permit, rid: bytes, name: bytes) -> tuple[bytes, bytes] | None:
        """The head of a record's content, and the former head while there is one, both still sealed.

        None when the record never had a content of this name.
        """
        found: tuple[bytes, bytes] | None = self._db.execute(
            "select head, former from content where tenant=? and rid=? and name=?", (permit.actor.tenant, rid, name)
        ).fetchone()
        return found

    def every(self, permit: Permit) -> Iterator[tuple[bytes, bytes, bytes, int]]:
        """Every content of the tenant: surrogate of its record, owners of that, its name, how many chunks are there."""
        found: Any = self._db.execute(_COUNTED, (permit.actor.tenant,))
        yield from found

    def chunk(self, permit: Permit, name: bytes, number: int) -> bytes | None:
        """One chunk, still sealed."""
        found: tuple[bytes] | None = self._db.execute(
            "select body from content_chunk where tenant=? and name=? and number=?",
            (permit.actor.tenant, name, number),
        ).fetchone()
        return None if found is None else found[0]
