# SPDX-License-Identifier: Apache-2.0
"""Whether the index holds for every row exactly what was written into it, by the marks of the rows (`store.marks`).

One pass over rows and one over the index tell whether it does, in bounded memory. Only when it does not, the rows are
looked for, some at a time.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from salus.kernel.db import Connection
from salus.records.store.defined import keep, state
from salus.records.store.marks import IndexMarks, Marking, folded, numbers, places, words

_AT_ONCE = 4_096
_RANGE = 100_000  # rows that are looked through together
_END = 1 << 62
_MARKED = "select seq, tenant, marks from record where tenant=tenant order by seq"
_NAMED = "select seq, marks, type, version from record where tenant=? and seq >= ? and seq < ?"
_LAST = "select coalesce(max(seq), 0) from record"

Tell = Callable[[str, int], None]


class Astray(NamedTuple):
    """A row whose index entry is not the one that was written.

    Attributes:
        type: of the record; "" when there is no such row.
    """

    seq: int
    type: str
    version: int

    def words(self) -> str:
        """For people."""
        return f"row {self.seq}" + (f" ({self.type}, version {self.version})" if self.type else ", which is not there")


def mark_all(db: Connection, marks: IndexMarks) -> None:
    """Give every row of the tenant the marks of what the index holds; for a database from an earlier version."""
    for since, until in _ranges(db):
        sums = _sums(db, marks, since, until)
        for seq, _, _, _ in _rows(db, marks, since, until):
            if seq in sums:
                db.execute("update record set marks=? where seq=?", (marks.closed(sums[seq]), seq))


def distrust(db: Connection, marks: IndexMarks) -> int:
    """Take index entries out that are not those that were written, and have their rows indexed anew.

    Returns:
        How many there were.
    """
    tenant, rows = marks.keys.name, list(astray(db, marks))
    for row in rows:
        db.execute("delete from blind_token where rowid=?", (row.seq,))
        db.execute("update record set marks=x'', indexed=0 where seq=?", (row.seq,))
    if rows:
        now = state(db, tenant)
        keep(db, tenant, now._replace(version=0, changes=now.changes + 1))
    return len(rows)


def as_written(db: Connection, marking: Marking, tenants: Iterable[str], tell: Tell = lambda *_: None) -> set[str]:
    """Tenants whose index is as it was written, all rows taken together; in a transaction of the caller."""
    names = list(tenants)
    marks = [marking.tenant(name) for name in names]
    sums = [0] * len(names)
    owners = _stated(db, names, marks, sums)
    done = 0
    for terms, rows in words(db):
        for number, (own_terms, own_rows) in _by_owner(terms, rows, owners):
            try:
                sums[number] ^= folded(marks[number].pairs(numbers(own_terms), places(own_rows)))
            except (ValueError, OverflowError):
                sums[number] = -1
                break
        done += len(rows)
        tell("index", done)
    return {name for name, total in zip(names, sums, strict=True) if total == 0}


def astray(db: Connection, marks: IndexMarks) -> Iterator[Astray]:
    """The rows of a tenant whose index entries are not those that were written."""
    for since, until in _ranges(db):
        sums = _sums(db, marks, since, until)
        for seq, mark, type_, version in _rows(db, marks, since, until):
            stated = int.from_bytes(marks.opened(mark)) if mark else 0
            if sums.pop(seq, 0) != stated:
                yield Astray(seq, type_, version)
        for seq in sums:
            if db.execute("select 1 from record where seq=?", (seq,)).fetchone() is None:
                yield Astray(seq, "", 0)


def _stated(db: Connection, names: list[str], marks: list[IndexMarks], sums: list[int]) -> array[int] | None:
    """Take in what the rows state; gives the tenant of each row by number, None when there is one tenant only."""
    last: int = db.execute(_LAST).get
    owners = array("H", bytes(2 * (last + 1))) if len(names) > 1 else None
    known = {name: number for number, name in enumerate(names)}
    rows: Any = db.execute(_MARKED)
    while some := list(islice(rows, _AT_ONCE)):
        joined: dict[str, list[bytes]] = {}
        for seq, tenant, mark in some:
            if owners is not None and tenant in known:
                owners[seq] = known[tenant] + 1
            if mark:
                joined.setdefault(tenant, []).append(mark)
        for tenant, each in joined.items():
            if tenant in known:
                number = known[tenant]
                blocks = b"".join(each)
                sums[number] = -1 if len(blocks) % 16 else sums[number] ^ folded(marks[number].opened(blocks))
    return owners


_Pairs = tuple[list[str], list[int]]


def _by_owner(terms: list[str], rows: list[int], owners: array[int] | None) -> Iterable[tuple[int, _Pairs]]:
    """Pairs by the number of their tenant; those of no row count for the first one, so that they are noticed."""
    if owners is None:
        return ((0, (terms, rows)),)
    found: dict[int, _Pairs] = {}
    last = len(owners) - 1
    for term, row in zip(terms, rows, strict=True):
        number = max(owners[row] - 1, 0) if 0 <= row <= last else 0
        own = found.setdefault(number, ([], []))
        own[0].append(term)
        own[1].append(row)
    return found.items()


def _rows(db: Connection, marks: IndexMarks, since: int, until: int) -> list[tuple[int, bytes, str, int]]:
    rows: Any = db.execute(_NAMED, (marks.keys.name, since, until)).fetchall()
    return list(rows)


def _ranges(db: Connection) -> Iterator[tuple[int, int]]:
    last: int = db.execute(_LAST).get
    yield -_END, 0
    for since in range(0, last + 1, _RANGE):
        yield since, min(since + _RANGE, last + 1)
    yield last + 1, _END


def _sums(db: Connection, marks: IndexMarks, since: int, until: int) -> dict[int, int]:
    """What the index holds for each row, added up; -1 where it holds something that is no token."""
    sums: dict[int, int] = {}
    for terms, rows in words(db, since, until):
        try:
            blocks = marks.pairs(numbers(terms), places(rows))
        except (ValueError, OverflowError):
            sums.update(dict.fromkeys(rows, -1))
            continue
        for at, row in enumerate(rows):
            if (before := sums.get(row, 0)) >= 0:
                sums[row] = before ^ int.from_bytes(blocks[16 * at : 16 * at + 16])
    return sums
