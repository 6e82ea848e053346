# SPDX-License-Identifier: Apache-2.0
"""The records part of a group commit: rows in, former versions retired, the index kept in step.

Writers prepare their rows without a lock (validate, seal, hash), against the version that they read. Under the lock
only this is checked: is that still the newest version, and has nothing new matched a conditional request meanwhile?
If not, the unit is turned away with CONFLICT and the interaction starts over from a fresh read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from salus.crypto.envelope import commitment
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem
from salus.records.store import turned
from salus.records.store.defined import Define, Ready, Reindexed, define, finish, reindex, state
from salus.records.store.erase import Erase, Merge, erase, merge, refuse_erased
from salus.records.store.expression import admits
from salus.records.store.marks import Marking
from salus.records.store.renewed import replaced
from salus.records.store.schema import ROOM
from salus.records.store.turned import IndexTurn

# One row a statement: before a statement of many rows FTS5 writes what it holds into a segment of its own, so that it
# could take the statement back. The 1: new versions are current.
_ROW = "insert into record values (?,?,?,?,?,1,?,?,?,?,?,?,?,?,?,?,?)"
_TERMS = "insert into blind_token(rowid, terms) values (?,?)"
_CURRENT = "select seq, version from record where tenant=? and rid=? order by version desc limit 1"
_MERGE_PAGES = 200
_STEP = 32  # rows


class Change(msgspec.Struct, frozen=True):
    """One new version, ready to be written.

    `base` is the version it follows: 0 for a record that must not exist yet, None for a server-assigned id, which
    cannot exist. `terms` are the blind tokens, separated by spaces; empty for a deletion.
    """

    tenant: str
    rid: bytes
    type: str
    version: int
    base: int | None
    deleted: int
    method: str
    updated: int
    owners: bytes
    author: bytes
    labels: bytes
    sensitivity: bytes
    rank: int
    body: bytes
    terms: str
    indexed: int  # stamp of the definitions that the terms were made with, see `store.defined`


class Guard(msgspec.Struct, frozen=True):
    """A conditional request saw no match (or one) when the newest row was `since`; nothing newer may match now.

    `steps` are guards for the other records that the condition leads through.
    """

    tenant: str
    type: str
    expression: str  # full-text expression over tokens; empty: any record of the type
    since: int
    steps: tuple[Guard, ...] = ()
    stamp: int = 0  # of the definitions that the expression was made with


@dataclass(slots=True)
class RecordsPart:
    """What one unit writes here.

    Attributes:
        changes: new versions, in order.
        guards: what conditional requests rely on.
        defines: changes of search parameters.
        reindexed: new tokens of rows.
        ready: definitions that may be ready now.
        turn: a step towards another index key.
        erases: patients whose records go.
        merge: how far the index is to be merged now.
        progress: (tenant, source, position, mark) of an import, kept in the same commit as what it brought.
    """

    changes: list[Change] = field(default_factory=list)
    guards: list[Guard] = field(default_factory=list)
    defines: list[Define] = field(default_factory=list)
    reindexed: list[Reindexed] = field(default_factory=list)
    ready: list[Ready] = field(default_factory=list)
    turn: IndexTurn | None = None
    erases: list[Erase] = field(default_factory=list)
    merge: Merge | None = None
    progress: tuple[str, bytes, int, bytes] | None = None


class RecordsWriter:
    """The participant `records` of `salus.kernel.commit`.

    Args:
        marking: makes the marks of rows.
        forget: called with tenant and owner when a key of theirs was used that was replaced.
    """

    name = ROOM

    def __init__(self, marking: Marking, forget: Callable[[str, bytes], None] = lambda *_: None) -> None:
        self._marking = marking
        self._forget_key = forget
        self._touched: set[bytes] = set()  # records that this group already changes
        self._added: dict[tuple[str, str], list[str]] = {}  # tokens of what this group already adds, by tenant and type
        self._stamps: dict[str, int] = {}  # by tenant: what tokens must have been made with
        self._retired: dict[int, list[int]] = {}  # by part: only accepted parts may retire what they replace

    def begin(self, db: Connection) -> None:
        """Start a group."""
        self._touched.clear()
        self._added.clear()
        self._stamps.clear()
        self._retired.clear()

    def check(self, db: Connection, part: RecordsPart) -> None:
        """Turn the unit away (CONFLICT) when the world moved since it was prepared."""
        for _ in self.check_in_steps(db, part):
            pass

    def check_in_steps(self, db: Connection, part: RecordsPart) -> Iterator[bool]:
        """As `check`, with steps of a few rows."""
        retired: list[int] = []
        mine: set[bytes] = set()
        if part.turn is not None:
            turned.check(db, part.turn)
        looked_at: set[tuple[str, bytes, int, bytes]] = set()
        for at, change in enumerate(part.changes, 1):
            if at % _STEP == 0:
                yield False
            whose = (change.tenant, change.owners, change.deleted, commitment(change.body))
            if whose in looked_at:
                continue
            looked_at.add(whose)
            refuse_erased(db, change.tenant, change.owners, change.deleted)
            if replaced(db, change.tenant, change.owners, change.body):
                self._forget_key(change.tenant, change.owners)
                raise _raced()
        for at, change in enumerate(part.changes, 1):
            if at % _STEP == 0:
                yield False
            if not change.deleted and change.indexed != self._stamp(db, change.tenant):
                raise _raced()
            if change.base is None:
                continue
            if change.rid in self._touched or change.rid in mine:
                raise _raced()
            row = db.execute(_CURRENT, (change.tenant, change.rid)).fetchone()
            if (row[1] if row else 0) != change.base:
                raise _raced()
            mine.add(change.rid)
            if row:
                retired.append(row[0])
        for guard in part.guards:
            if self._matched_since(db, guard):
                raise _raced()
        self._touched |= mine
        for change in part.changes:
            if not change.deleted:
                self._added.setdefault((change.tenant, change.type), []).append(change.terms)
        self._retired[id(part)] = retired

    def _stamp(self, db: Connection, tenant: str) -> int:
        stamp = self._stamps.get(tenant)
        if stamp is None:
            stamp = self._stamps[tenant] = state(db, tenant).stamp
        return stamp

    def _matched_since(self, db: Connection, guard: Guard) -> bool:
        if guard.stamp != self._stamp(db, guard.tenant):
            return True  # tokens may be under another index key by now
        if any(self._matched_since(db, step) for step in guard.steps):
            return True
        waiting = self._added.get((guard.tenant, guard.type), ())  # not visible to the queries below before `apply`
        if any(admits(guard.expression, terms) for terms in waiting):
            return True
        if guard.expression:
            found = db.execute(
                "select 1 from blind_token where blind_token match ? and rowid > ? limit 1",
                (guard.expression, guard.since),
            ).fetchone()
        else:
            found = db.execute(
                "select 1 from record where tenant=? and type=? and seq > ? and current=1 limit 1",
                (guard.tenant, guard.type, guard.since),
            ).fetchone()
        return found is not None

    def apply(self, db: Connection, parts: Sequence[RecordsPart]) -> None:
        """Write all rows of the group with few statements."""
        for _ in self.apply_in_steps(db, parts):
            pass

    def apply_in_steps(self, db: Connection, parts: Sequence[RecordsPart]) -> Iterator[bool]:
        """As `apply`, with steps of a few rows."""
        changes = [change for part in parts for change in part.changes]
        if changes:
            retired = [(seq,) for part in parts for seq in self._retired.get(id(part), ())]
            for start in range(0, len(retired), _STEP):
                some = retired[start : start + _STEP]
                db.executemany("update record set current=0, marks=x'' where seq=?", some)
                db.executemany("delete from blind_token where rowid=?", some)
                yield False
            first = db.execute("select coalesce(max(seq), 0) + 1 from record").get
            marks = {tenant: self._marking.tenant(tenant).of for tenant in {change.tenant for change in changes}}
            for start in range(0, len(changes), _STEP):
                numbered = list(enumerate(changes[start : start + _STEP], first + start))
                rows = [_row(seq, change, marks[change.tenant](seq, change.terms)) for seq, change in numbered]
                db.executemany(_ROW, rows)
                yield False
                db.executemany(_TERMS, [(seq, change.terms) for seq, change in numbered if change.terms])
                yield False
        for part in parts:
            for define_ in part.defines:
                define(db, define_)
            reindex(db, part.reindexed, self._marking)
            for ready in part.ready:
                finish(db, ready)
            if part.turn is not None:
                turned.carry_out(db, part.turn)
            for gone in part.erases:
                erase(db, gone)
            if part.merge is not None:
                merge(db, part.merge)
            if part.progress is not None:
                db.execute(
                    "insert or replace into import_progress(tenant, source, position, mark) values(?,?,?,?)",
                    part.progress,
                )

    def committed(self) -> None:
        """Nothing is cached between groups."""

    def rolled_back(self) -> None:
        """Nothing is cached between groups."""

    def idle(self, db: Connection) -> bool:
        """Merge a few index segments: each segment costs every later search a little."""
        before = db.total_changes()
        db.execute("insert into blind_token(blind_token, rank) values('merge', ?)", (_MERGE_PAGES,))
        return db.total_changes() - before >= 2  # FTS5 documents this as the sign that it did something


def _raced() -> Problem:
    return Problem(Kind.CONFLICT, "Someone else changed this record at the same time.", "raced")


def _row(seq: int, change: Change, marks: bytes) -> tuple[object, ...]:
    return (
        seq,
        change.tenant,
        change.rid,
        change.type,
        change.version,
        change.deleted,
        change.method,
        change.updated,
        change.owners,
        change.author,
        change.labels,
        change.sensitivity,
        change.rank,
        change.body,
        change.indexed,
        marks,
    )
