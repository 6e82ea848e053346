# SPDX-License-Identifier: Apache-2.0
"""Large code systems, asked in the database: one concept costs a look into an index, a page of an expansion a few.

Is-a is a table of ancestors and descendants that is filled when the system is loaded; names are found through a
full-text index with prefixes. Ids of one system follow each other, so a system is a range. What SQL cannot say of a
filter is judged concept by concept, up to a limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from salus.fhir.terminology import filters
from salus.fhir.terminology.source import Concept, Designation, Filter, Property, unknown_filter
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem
from salus.knowledge.conditions import Question, question

_KEPT = 20_000  # opened concepts of one system
_MOST_JUDGED = 20_000  # concepts that a filter without an index may look at
_LONGEST = 500  # characters of codes that are looked up, and remembered
_FIRST, _AT_ONCE = 20, 500  # concepts that are opened together: the first time, and then
_EVERYWHERE = filters.SELF | filters.ALWAYS


class Head(NamedTuple):
    """A line of the table `system`."""

    id: int
    url: str
    version: str
    name: str
    is_a: int
    folds: int
    complete: int
    first: int
    last: int


class LoadedSystem:
    """A code system in tables; a `CodeSource`. Belongs to one generation of the library."""

    effort = 0

    def __init__(self, db: Connection, row: Head) -> None:
        self._db = db
        self._row = row
        self.url, self.version, self.name = row.url, row.version, row.name
        self.is_a, self.complete = bool(row.is_a), bool(row.complete)
        self._concept = lru_cache(maxsize=_KEPT)(self._opened)
        self._id = lru_cache(maxsize=_KEPT)(self._looked_up)
        names: Any = db.execute(_PROPERTY_NAMES, (row.id, row.id)).fetchall()
        self._properties = frozenset(name for (name,) in names) | {"ancestor", "refset"}

    def find(self, code: str) -> Concept | None:
        """The concept of a code."""
        id_ = self._id(code) if len(code) <= _LONGEST else None
        return self._concept(id_) if id_ is not None else None

    def below(self, code: str, ancestor: str) -> bool:
        """Whether a code is strictly below another."""
        if len(code) + len(ancestor) > _LONGEST:
            return False
        low, high = self._id(code), self._id(ancestor)
        sql = "select 1 from ancestry where ancestor=? and descendant=?"
        return low is not None and high is not None and self._db.execute(sql, (high, low)).fetchone() is not None

    def ancestors(self, code: str) -> frozenset[str]:
        """Every code strictly above."""
        return frozenset(self._codes(_ANCESTORS, self._id(code)))

    def descendants(self, code: str, limit: int) -> frozenset[str]:
        """Every code strictly below, at most `limit` of them plus one."""
        sql = "select c.code from ancestry a join concept c on c.id=a.descendant where a.ancestor=? limit ?"
        return frozenset(self._codes(sql, self._id(code), limit + 1))

    def neighbours(self, code: str) -> tuple[Sequence[str], Sequence[str]]:
        """Parents and children."""
        id_ = self._id(code)
        up = "select c.code from parent p join concept c on c.id=p.parent where p.child=?"
        down = "select c.code from parent p join concept c on c.id=p.child where p.parent=?"
        return self._codes(up, id_), self._codes(down, id_)

    def fits(self, concept: Concept, condition: Filter) -> bool:
        """Whether a concept passes a filter; raises Problem(INVALID)."""
        if condition.property == "ancestor" and condition.op == "=":
            return self.below(concept.code, condition.value)
        if condition.property in filters.SELF and condition.op == "in" and self._is_refset(condition.value):
            # https://hl7.org/fhir/R4/snomedct.html: `concept in X` names a reference set
            return any(each.code == "refset" and each.value == condition.value for each in concept.properties)
        return filters.fits(self, concept, condition, self._properties)

    def select(self, conditions: Sequence[Filter], text: str, offset: int = 0) -> Iterator[Concept]:
        """Concepts that pass, in the order in which they were loaded."""
        asked = self._question(conditions, text)
        if asked.rest:
            yield from islice(self._judged(asked), offset, None)
            return
        ids = (id_ for (id_,) in self._rows(asked, f" limit -1 offset {int(offset)}"))
        yield from self._in_order(ids)

    def count(self, conditions: Sequence[Filter], text: str, limit: int) -> int:
        """How many `select` gives; counting stops beyond `limit`."""
        if not conditions and not text:
            return self._row.last - self._row.first + 1
        asked = self._question(conditions, text)
        if asked.rest:
            return sum(1 for _ in islice(self._judged(asked), limit + 1))
        sql = f"select count(*) from ({asked.sql} limit {int(limit) + 1})"
        row: Any = self._db.execute(sql, asked.values).fetchone()
        return int(row[0])

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _question(self, conditions: Sequence[Filter], text: str) -> Question:
        for condition in conditions:
            if condition.property not in _EVERYWHERE and condition.property not in self._properties:
                raise unknown_filter(condition)
        return question(self._row.id, (self._row.first, self._row.last), conditions, text, self._id, self._is_refset)

    def _judged(self, asked: Question) -> Iterator[Concept]:
        ids = (id_ for (id_,) in self._rows(asked, ""))
        for number, concept in enumerate(self._in_order(ids)):
            if number >= _MOST_JUDGED:
                raise Problem(Kind.TOO_COSTLY, "A filter of the value set would have to look at too many concepts.")
            if all(self.fits(concept, condition) for condition in asked.rest):
                yield concept

    def _rows(self, asked: Question, tail: str) -> Iterator[tuple[int]]:
        rows: Any = self._db.execute(asked.sql + tail, asked.values)
        return iter(rows)

    def _codes(self, sql: str, *values: Any) -> list[str]:
        if values[0] is None:
            return []
        rows: Any = self._db.execute(sql, values).fetchall()
        return [code for (code,) in rows]

    def _looked_up(self, code: str) -> int | None:
        sql = "select id from concept where system=? and code=?"
        row: Any = self._db.execute(sql, (self._row.id, code)).fetchone()
        if row is None and self._row.folds:
            row = self._db.execute(f"{sql} collate nocase", (self._row.id, code)).fetchone()
        return None if row is None else row[0]

    def _in_order(self, ids: Iterator[int]) -> Iterator[Concept]:
        """Concepts in the order of their ids, opened together: few at first, because a page may want no more."""
        size = _FIRST
        while some := list(islice(ids, size)):
            yield from self._opened_together(some)
            size = _AT_ONCE

    def _opened_together(self, ids: list[int]) -> Iterator[Concept]:
        marks = ",".join("?" * len(ids))
        names: dict[int, list[Designation]] = {}
        stated: dict[int, list[Property]] = {}
        for id_, *more in self._many("select concept, language, value, use from designation", marks, ids):
            names.setdefault(id_, []).append(_designation(*more))
        for id_, *more in self._many("select concept, name, type, value from property", marks, ids):
            stated.setdefault(id_, []).append(_property(*more))
        sql = f"select id, code, display, definition, active, abstract from concept where id in ({marks})"
        rows: Any = self._db.execute(sql, ids).fetchall()
        found = {row[0]: row[1:] for row in rows}
        for id_ in ids:
            if id_ in found:
                code, display, definition, active, abstract = found[id_]
                more = tuple(names.get(id_, ())), tuple(stated.get(id_, ()))
                yield Concept(code, display, definition, bool(active), bool(abstract), *more)

    def _many(self, select: str, marks: str, ids: list[int]) -> list[Any]:
        rows: list[Any] = self._db.execute(f"{select} where concept in ({marks})", ids).fetchall()
        return rows

    def _opened(self, id_: int) -> Concept:
        row: Any = self._db.execute(
            "select code, display, definition, active, abstract from concept where id=?", (id_,)
        ).fetchone()
        if row is None:  # another process has just replaced the system; the next request sees the new one
            raise Problem(Kind.UNAVAILABLE, "The code system is being replaced. Ask again.", retry_after=1)
        names: Any = self._db.execute("select language, value, use from designation where concept=?", (id_,)).fetchall()
        stated: Any = self._db.execute("select name, type, value from property where concept=?", (id_,)).fetchall()
        return Concept(
            row[0],
            row[1],
            row[2],
            bool(row[3]),
            bool(row[4]),
            tuple(_designation(*each) for each in names),
            tuple(_property(*each) for each in stated),
        )

    def _is_refset(self, value: str) -> bool:
        sql = "select 1 from property where system=? and name='refset' and value=? limit 1"
        return self._db.execute(sql, (self._row.id, value)).fetchone() is not None


_ANCESTORS = """with recursive up(id) as (select parent from parent where child=?
    union select p.parent from up join parent p on p.child=up.id) select c.code from up join concept c on c.id=up.id"""
# Names by skipping through the index: there are millions of rows and a few dozen names.
_PROPERTY_NAMES = """with recursive names(name) as (select min(name) from property where system=?
    union all select (select min(name) from property where system=? and name > names.name) from names
    where names.name is not null) select name from names where name is not null"""


def _designation(language: str, value: str, use: str) -> Designation:
    return Designation(language, value, msgspec.json.decode(use) if use else None)


def _property(name: str, type_: str, value: str) -> Property:
    if type_ == "boolean":
        return Property(name, type_, value == "true")
    return Property(name, type_, int(value) if type_ == "integer" else value)


def loaded(db: Connection) -> list[Head]:
    """The code systems that are ready to be asked."""
    sql = "select id, url, version, name, is_a, folds, complete, first, last from system where ready=1"
    rows: Any = db.execute(sql).fetchall()
    return [Head(*row) for row in rows]
