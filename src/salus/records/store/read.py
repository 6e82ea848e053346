# SPDX-License-Identifier: Apache-2.0
"""Every way to get rows out of the embedded store. Each takes a `Permit`; there is no other door.

One record: the row is fetched, then the permit judges its facts. Many: the permit's filter is part of the same SQL, so
that what the actor may not see is never a candidate, is never counted and never moves a page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from salus.access.facts import Facts
from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.fhir import json
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem
from salus.records.store.schema import COLUMNS, Row

_NEWEST = f"select {COLUMNS} from record r where r.tenant=? and r.rid=? order by r.version desc limit 1"
_VERSION = f"select {COLUMNS} from record r where r.tenant=? and r.rid=? and r.version=?"
_MATCHING = "blind_token t cross join record r on r.seq = t.rowid where t.blind_token match ?"  # tokens first
_HELD = "select 1 from blind_token where blind_token match ? limit 1"
_TAKEN = "select 1 from record r where r.tenant=? and r.rid=? limit 1"
_FOLLOWED = "select 1 from record n where n.tenant=r.tenant and n.rid=r.rid and n.version=r.version+1 and n.updated<=?"
_GONE = "select 1 from erased e where e.tenant=r.tenant and e.owner=r.owners"
_BATCH = 64
_NAMED = 100  # surrogates in one question
_END = 1 << 62
_MOST_REJECTED = 20_000  # records opened for one question and found to lie outside the permit

Span = tuple[int | None, int | None]
OPEN_SPAN: Span = (None, None)


def _row(found: Any) -> Row:
    return Row(*found)  # the table is strict: its columns have these types


def facts_of(row: Row) -> Facts:
    """What access judges a row by."""
    return Facts(row.owners, row.author, row.labels, row.sensitivity, row.rank)


def _number(found: Any) -> int:
    return int(found[0] or 0) if found else 0


class Content(Protocol):
    """Judges what facts cannot tell, for permits with `extents`."""

    def within(self, permit: Permit, row: Row) -> bool:
        """Whether the content of a row, which is no deletion, lies within the permit."""
        ...

    def narrowing(self, permit: Permit) -> tuple[str, bool]:
        """As `covering.Covering.narrowing`."""
        ...


class Reader:
    """Queries over one connection; used on one thread.

    Args:
        content: judges the content of rows.

    Attributes:
        pace: called for each record that is opened for a search; see `salus.records.unhurried`.
    """

    def __init__(self, db: Connection, content: Content) -> None:
        self._db = db
        self._content = content
        self._held: set[str] = set()
        self.pace: Callable[[], None] = self.at_ease

    @staticmethod
    def at_ease() -> None:
        """The pace of those whom nobody waits for."""

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Show one moment to everything that is read inside; no `await` may stand there."""
        self._db.execute("begin")
        try:
            yield
        finally:
            self._db.execute("rollback")

    def newest(self, permit: Permit, rid: bytes) -> Row | None:
        """The newest version of a record, a deletion included; None when there is none or it is hidden."""
        found = self._db.execute(_NEWEST, (permit.actor.tenant, rid)).fetchone()
        return self._if_visible(permit, found)

    def version(self, permit: Permit, rid: bytes, version: int) -> Row | None:
        """One version; None when there is none, or it or the newest version is hidden from the actor."""
        if self.newest(permit, rid) is None:
            return None
        found = self._db.execute(_VERSION, (permit.actor.tenant, rid, version)).fetchone()
        return self._if_visible(permit, found)

    def _if_visible(self, permit: Permit, found: Any) -> Row | None:
        if found is None:
            return None
        row = _row(found)
        if row.type != permit.type or not permit.allows(facts_of(row)):
            return None
        return row if self._within(permit, row) else None

    def _within(self, permit: Permit, row: Row) -> bool:
        """Whether the content is covered too; a deletion is judged by what was deleted."""
        if not permit.extents:
            return True
        if row.deleted:
            before = self._db.execute(_VERSION, (permit.actor.tenant, row.rid, row.version - 1)).fetchone()
            return before is not None and self._content.within(permit, _row(before))
        return self._content.within(permit, row)

    def _narrowed(self, permit: Permit, expression: str) -> tuple[str, bool]:
        """An expression with what the index can say of the permit, and whether rows still have to be judged."""
        if not permit.extents:
            return expression, False
        narrowing, exact = self._content.narrowing(permit)
        parts = [f"({part})" for part in (expression, narrowing) if part]
        return " AND ".join(parts), not exact

    def erased(self, tenant: str, owner: bytes) -> bytes:
        """The mark of a patient who was erased; empty for others. What it is worth: `Store.mark`."""
        found: Any = self._db.execute("select mark from erased where tenant=? and owner=?", (tenant, owner)).fetchone()
        return bytes(found[0]) if found else b""

    def owned(self, permit: Permit, owner: bytes) -> list[int]:
        """Rows of any version and type that belong to this patient alone, for whoever may erase."""
        if permit.permission is not Permission.ERASURE_EXECUTE:
            raise Problem(Kind.FAULT, "The permit is for something else.", str(permit.permission))
        found = self._db.execute("select seq from record where tenant=? and owners=?", (permit.actor.tenant, owner))
        return [row[0] for row in found]

    def every(self, permit: Permit) -> Iterator[Row]:
        """Every row of every type, record by record, its versions in order; for whoever may verify."""
        if permit.permission is not Permission.AUDIT_VERIFY:
            raise Problem(Kind.FAULT, "The permit is for something else.", str(permit.permission))
        sql = f"select {COLUMNS} from record r where r.tenant=? order by r.rid, r.version"
        yield from map(_row, self._db.execute(sql, (permit.actor.tenant,)))

    def left_of(self, permit: Permit, owner: bytes) -> tuple[int, int]:
        """Of a patient's rows: how many still have a body, and how many still stand in the index."""
        seqs = self.owned(permit, owner)
        bodies = tokens = 0
        for seq in seqs:
            bodies += _number(self._db.execute("select body <> x'' from record where seq=?", (seq,)).fetchone())
            tokens += self._db.execute("select 1 from blind_token where rowid=?", (seq,)).fetchone() is not None
        return bodies, tokens

    def taken(self, tenant: str, rid: bytes) -> bool:
        """Whether any version lies under this surrogate."""
        return self._db.execute(_TAKEN, (tenant, rid)).fetchone() is not None

    def candidates(
        self,
        permit: Permit,
        expression: str,
        *,
        before: int | None = None,
        updated: Span = OPEN_SPAN,
        batch: int = _BATCH,
    ) -> Iterator[Row]:
        """Current records of the permit's type that the actor may see, newest first.

        Args:
            expression: full-text expression over tokens; empty: all records of the type.
            before: only rows with a smaller `seq` (the cursor of paging).
            updated: [from, to) in milliseconds of `_lastUpdated`, either end may be open.
            batch: rows fetched at a time; a little more than the caller expects to use.
        """
        where, values = self._conditions(permit, updated)
        expression, judging = self._narrowed(permit, expression)
        rejected = 0
        if expression:
            sql = f"select {COLUMNS} from {_MATCHING}"
            values = [expression, *values]
            order = "t.rowid"
        else:
            sql = f"select {COLUMNS} from record r where true"
            order = "r.seq"
        cursor = before if before is not None else _END
        sql_page = f"{sql} {where} and {order} < ? order by {order} desc limit {batch}"
        # Batches of a fixed size: no read transaction stays open while the caller opens records.
        while True:
            rows: list[Any] = self._db.execute(sql_page, [*values, cursor]).fetchall()
            for found in rows:
                row = _row(found)
                if judging and not self._within(permit, row):
                    rejected += 1
                    self.pace()
                    if rejected > _MOST_REJECTED:
                        raise Problem(Kind.TOO_COSTLY, "The search would have to open too many records.", "by scope")
                    continue
                yield row
            if len(rows) < batch:
                return
            cursor = rows[-1][0]

    def named(self, permit: Permit, rids: list[bytes], *, before: int | None = None) -> list[Row]:
        """Those of these records that are current and that the actor may see.

        Args:
            before: only rows with a smaller `seq`.
        """
        where, values = self._conditions(permit, OPEN_SPAN)
        cursor = before if before is not None else _END
        found: list[Row] = []
        for start in range(0, len(rids), _NAMED):
            some = rids[start : start + _NAMED]
            marks = ",".join("?" * len(some))
            sql = f"select {COLUMNS} from record r where r.tenant=? and r.rid in ({marks}) {where} and r.seq < ?"
            rows = [_row(each) for each in self._db.execute(sql, [permit.actor.tenant, *some, *values, cursor])]
            found += [row for row in rows if self._within(permit, row)]
        return found

    def moved(self, permit: Permit, expression: str, since: int, *, updated: Span = OPEN_SPAN) -> list[tuple[Row, int]]:
        """Current records that were rewritten after the row `since`, each with the `seq` it had until then.

        Args:
            expression, updated: as for `candidates`; they are put to the record as it is now.
        """
        where, values = self._conditions(permit, updated)
        expression, judging = self._narrowed(permit, expression)
        former = "(select max(o.seq) from record o where o.tenant=r.tenant and o.rid=r.rid and o.seq <= ?)"
        if expression:
            tables = f"{_MATCHING} and t.rowid > ?"
            bound: list[object] = [expression, since]
        else:
            tables = "record r where r.seq > ?"
            bound = [since]
        sql = f"select {COLUMNS}, {former} from {tables} and r.version > 1 {where}"
        found: list[Any] = self._db.execute(sql, [since, *bound, *values]).fetchall()
        rows = [(_row(row[:-1]), row[-1]) for row in found if row[-1] is not None]
        return [(row, at) for row, at in rows if not judging or self._within(permit, row)]

    def former(self, permit: Permit, rid: bytes, since: int) -> Row | None:
        """A record as it was when the newest row was `since`; None when it was not, or was hidden."""
        sql = f"select {COLUMNS} from record r where r.tenant=? and r.rid=? and r.seq <= ? order by r.seq desc limit 1"
        return self._if_visible(permit, self._db.execute(sql, (permit.actor.tenant, rid, since)).fetchone())

    def at(self, permit: Permit, seq: int) -> Row | None:
        """The row with this `seq`, of whatever version; None when it is hidden."""
        sql = f"select {COLUMNS} from record r where r.tenant=? and r.seq=?"
        return self._if_visible(permit, self._db.execute(sql, (permit.actor.tenant, seq)).fetchone())

    def held(self, term: str) -> bool:
        """Whether any record carries a token: what kinds of values there are, of nobody in particular."""
        if term not in self._held:
            if self._db.execute(_HELD, (term,)).fetchone() is None:
                return False
            self._held.add(term)  # taken to stay: a plan that expects it is longer than it need be, never wrong
        return True

    def with_terms(self, seqs: list[int], expression: str) -> set[int]:
        """Those of these rows that the expression over tokens admits."""
        found = self._db.execute(
            "select rowid from blind_token where blind_token match ? and rowid in (select value from json_each(?))",
            (expression, json.encode(seqs).decode()),
        )
        return {row[0] for row in found}

    def count(self, permit: Permit, expression: str, *, updated: Span = OPEN_SPAN) -> int:
        """How many records `candidates` would give."""
        where, values = self._conditions(permit, updated)
        narrowed, judging = self._narrowed(permit, expression)
        if judging:
            return sum(1 for _ in self.candidates(permit, expression, updated=updated))
        expression = narrowed
        if expression:
            sql = f"select count(*) from {_MATCHING}"
            values = [expression, *values]
        else:
            sql = "select count(*) from record r where true"
        return _number(self._db.execute(f"{sql} {where}", values).fetchone())

    def _conditions(self, permit: Permit, updated: Span) -> tuple[str, list[object]]:
        visible, bound = permit.sql()
        where = f"and r.tenant=? and r.type=? and r.current=1 and r.deleted=0 and {visible}"
        values: list[object] = [permit.actor.tenant, permit.type, *bound]
        low, high = updated
        if low is not None:
            where += " and r.updated >= ?"
            values.append(low)
        if high is not None:
            where += " and r.updated < ?"
            values.append(high)
        return where, values

    def history(
        self,
        permit: Permit,
        *,
        rid: bytes | None = None,
        before: int | None = None,
        since: int | None = None,
        at: Span = OPEN_SPAN,
    ) -> Iterator[Row]:
        """Versions, newest first: of one record, or of the permit's type.

        Args:
            rid: the record; None for all records of the type.
            before: only rows with a smaller `seq`.
            since: only versions written at or after this moment, in milliseconds (`_since`).
            at: only versions that were the newest some time within [from, to) (`_at`).
        """
        visible, bound = permit.sql()
        sql = f"select {COLUMNS} from record r where r.tenant=? and r.type=? and {visible} and r.seq < ?"
        sql += f" and (r.body <> x'' or not exists ({_GONE}))"  # nothing is left of an erased patient's
        values: list[object] = [permit.actor.tenant, permit.type, *bound]
        tail: list[object] = []
        if rid is not None:
            sql += " and r.rid=?"
            tail.append(rid)
        if since is not None:
            sql += " and r.updated >= ?"
            tail.append(since)
        if at[1] is not None:
            sql += " and r.updated < ?"
            tail.append(at[1])
        if at[0] is not None:
            sql += f" and not exists ({_FOLLOWED})"
            tail.append(at[0])
        sql += f" order by r.seq desc limit {_BATCH}"
        cursor = before if before is not None else _END
        while True:
            rows: list[Any] = self._db.execute(sql, [*values, cursor, *tail]).fetchall()
            for found in rows:
                row = _row(found)
                # A version of the time before a record moved out of sight stays out of sight as well.
                if (row.current or self.newest(permit, row.rid) is not None) and self._within(permit, row):
                    yield row
            if len(rows) < _BATCH:
                return
            cursor = rows[-1][0]

    def behind(self, permit: Permit, stamp: int, after: int, batch: int) -> list[Row]:
        """Current records of the permit's type, after a `seq`, whose tokens were made before a stamp; oldest first."""
        where, values = self._conditions(permit, OPEN_SPAN)
        sql = f"select {COLUMNS} from record r where true {where} and r.seq > ? and r.indexed < ?"
        found = self._db.execute(f"{sql} order by r.seq limit {batch}", [*values, after, stamp])
        return [row for each in found if self._within(permit, row := _row(each))]

    def count_behind(self, permit: Permit, stamp: int) -> int:
        """How many such records there are."""
        where, values = self._conditions(permit, OPEN_SPAN)
        sql = f"select count(*) from record r where true {where} and r.indexed < ?"
        return _number(self._db.execute(sql, [*values, stamp]).fetchone())

    def lagging(self, tenant: str, type_: str, stamp: int) -> bool:
        """Whether there is any such record, whoever may see it."""
        sql = "select 1 from record where tenant=? and type=? and current=1 and deleted=0 and indexed < ? limit 1"
        return self._db.execute(sql, (tenant, type_, stamp)).fetchone() is not None

    def last_seq(self) -> int:
        """The newest row there is; what a conditional request relies on."""
        return _number(self._db.execute("select max(seq) from record").fetchone())

    def progress(self, tenant: str, source: bytes) -> tuple[int, bytes]:
        """How far an import of this source came (0 when it never began), and the mark of what was read until there."""
        found: Any = self._db.execute(
            "select position, mark from import_progress where tenant=? and source=?", (tenant, source)
        ).fetchone()
        return (int(found[0]), found[1]) if found else (0, b"")
