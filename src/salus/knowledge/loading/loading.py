# SPDX-License-Identifier: Apache-2.0
"""Writing a code system into the tables, in batches, unseen until it is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import islice
from typing import Any, NamedTuple

from salus.kernel.db import Connection, FileLock, exclusive
from salus.kernel.errors import Kind, Problem
from salus.knowledge.library import Library

_BATCH = 20_000  # rows of one transaction
_SPAN = 4_000  # concepts whose ancestors are worked out, or whose names are indexed, at a time

Progress = Callable[[str, int], None]
"""Told what is being done and how many rows were written since the last time."""


class About(NamedTuple):
    """What a code system says of itself.

    Attributes:
        is_a: its hierarchy means "is a kind of".
        folds: case does not count.
        complete: every code is there.
    """

    url: str
    version: str
    name: str
    is_a: bool
    folds: bool = False
    complete: bool = True


class Loading:
    """A code system on its way in; use `loading`, write the rows, then `finish`.

    Rows name concepts by code. Names, properties and parents of codes that are not there are passed over.
    """

    def __init__(self, db: Connection, system: int, progress: Progress, *, grouped: bool = True) -> None:
        """Args: `grouped`: commit every batch; False inside a transaction of somebody else."""
        self._group = exclusive if grouped else nullcontext
        self._db = db
        self._system = system
        self._progress = progress
        self.finished = False

    def concepts(self, rows: Iterable[tuple[str, str, str, bool, bool]]) -> None:
        """Code, display, definition, active, abstract. A code that is there already stays as it is."""
        columns = "system,code,display,definition,active,abstract"
        sql = f"insert or ignore into concept({columns}) values({self._system},?,?,?,?,?)"
        self._write("concepts", sql, rows)

    def displays(self, rows: Iterable[tuple[str, str]]) -> None:
        """Code and display, where a file tells it later; the last one stands."""
        sql = f"update concept set display=?2 where system={self._system} and code=?1"
        self._write("displays", sql, rows)

    def designations(self, rows: Iterable[tuple[str, str, str, str]]) -> None:
        """Code, value, language, use (a Coding as JSON, or nothing)."""
        self._write("names", f"insert or ignore into designation select id,?2,?3,?4 {self._of}", rows)

    def properties(self, rows: Iterable[tuple[str, str, str, str]]) -> None:
        """Code, name, value, type (a FHIR type such as `code`)."""
        self._write("properties", f"insert or ignore into property select {self._system},?2,?3,id,?4 {self._of}", rows)

    def parents(self, rows: Iterable[tuple[str, str]]) -> None:
        """Code and the code of its parent."""
        parent = f"select id from concept where system={self._system} and code=?2"
        sql = f"insert or ignore into parent select id,({parent}) {self._of} and ?1<>?2 and exists ({parent})"
        self._write("parents", sql, rows)

    @property
    def _of(self) -> str:
        return f"from concept where system={self._system} and code=?1"

    def _write(self, what: str, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        waiting = iter(rows)
        while batch := list(islice(waiting, _BATCH)):
            with self._group(self._db):
                self._db.executemany(sql, batch)
            self._progress(what, len(batch))

    def finish(self) -> None:
        """Work out who is below whom, and index the names: the last step.

        Raises:
            Problem: INVALID for a hierarchy that goes round, or a system without concepts.
        """
        row: Any = self._db.execute("select min(id), max(id) from concept where system=?", (self._system,)).fetchone()
        first, last = row
        if first is None:
            raise Problem(Kind.INVALID, "There is not one concept in these files.")
        for start in range(first, last + 1, _SPAN):
            span = (start, min(start + _SPAN - 1, last))
            with self._group(self._db):
                self._db.execute(_ANCESTRY, span)
                self._db.execute(_WORDS, span)
            self._progress("hierarchy and words", span[1] - span[0] + 1)
        circle = "select 1 from ancestry where ancestor=descendant and ancestor between ? and ? limit 1"
        if self._db.execute(circle, (first, last)).fetchone() is not None:
            raise Problem(Kind.INVALID, "The hierarchy goes round in a circle: a concept is below itself.")
        self._db.execute("update system set first=?, last=? where id=?", (first, last, self._system))
        self.finished = True


@contextmanager
def alone(library: Library) -> Iterator[Connection]:
    """Change code systems while nobody else does, so that the ids of one follow each other.

    What an interrupted load left behind is cleared first, and at the end what was replaced or begun in vain.

    Raises:
        Problem: CONFLICT while somebody else does.
    """
    lock = FileLock(library.lock_file)
    if not lock.try_enter():
        lock.close()
        raise Problem(Kind.CONFLICT, "Another code system or package is being loaded; wait until that is done.")
    try:
        db = library.writable()
        clear_unfinished(db)
        try:
            yield db
        finally:
            clear_unfinished(db)
    finally:
        lock.__exit__()
        lock.close()


@contextmanager
def loading(library: Library, about: About, now_ms: int, progress: Progress) -> Iterator[Loading]:
    """Load one version of a code system; it is there for others when the `with` block ends without an error.

    Args:
        progress: told of every batch.

    Raises:
        Problem: CONFLICT while another load runs; INVALID for a hierarchy that goes round or an empty system.
    """
    with alone(library) as db:
        with exclusive(db):
            system = begin(db, about, now_ms)
        made = Loading(db, system, progress)
        yield made
        if not made.finished:
            raise Problem(Kind.FAULT, "The load was not finished.", "finish() was not called")
        with exclusive(db):
            db.execute("update system set ready=0 where url=? and version=?", (about.url, about.version))
            db.execute("update system set ready=1 where id=?", (system,))
            library.changed(db)
        library.after_change()


def begin(db: Connection, about: About, now_ms: int, package: int | None = None) -> int:
    """The line of a new code system, unseen yet; gives its id."""
    columns = "package,url,version,name,is_a,folds,complete,first,last,ready,loaded_ms"
    stated = (package, about.url, about.version, about.name, int(about.is_a), int(about.folds), int(about.complete))
    db.execute(f"insert into system({columns}) values(?,?,?,?,?,?,?,0,0,0,?)", (*stated, now_ms))
    return db.last_insert_rowid()


def unload(library: Library, url: str, version: str) -> list[str]:
    """Remove a loaded code system; all versions when none is named. Gives those that were removed.

    Raises:
        Problem: NOT_FOUND when it is not loaded; CONFLICT while a load runs.
    """
    db = library.db
    sql = "select version from system where ready=1 and package is null and url=? and (?='' or version=?)"
    found: Any = db.execute(sql, (url, version, version)).fetchall() if db is not None else []
    if not found:
        raise Problem(Kind.NOT_FOUND, "This code system is not loaded; `salus terminology list` shows what is.")
    with alone(library) as db:
        with exclusive(db):
            sql = "update system set ready=0 where package is null and url=? and (?='' or version=?)"
            db.execute(sql, (url, version, version))
            library.changed(db)
        library.after_change()
    return [version for (version,) in found]


def clear_unfinished(db: Connection) -> None:
    """Take away code systems that nobody sees: replaced, removed, or left half by an interrupted load."""
    rows: Any = db.execute("select id from system where ready=0").fetchall()
    for (system,) in rows:
        while True:
            ids: Any = db.execute("select id from concept where system=? limit ?", (system, _SPAN)).fetchall()
            if not ids:
                break
            with exclusive(db):
                for statement in _CLEAR:
                    db.executemany(statement, ids)
        with exclusive(db):
            db.execute("delete from property where system=?", (system,))
            db.execute("delete from system where id=?", (system,))


# Going up from each concept of a span; `union` ends at a circle.
_ANCESTRY = """insert or ignore into ancestry
    with recursive up(below, above) as (
        select child, parent from parent where child between ?1 and ?2
        union select up.below, p.parent from up join parent p on p.child=up.above)
    select above, below from up"""
_WORDS = """insert into concept_text(rowid, words)
    select c.id, c.code || ' ' || c.display || ' ' ||
        coalesce((select group_concat(d.value, ' ') from designation d where d.concept=c.id), '')
    from concept c where c.id between ?1 and ?2"""
_CLEAR = (
    "delete from concept_text where rowid=?",
    "delete from designation where concept=?",
    "delete from parent where child=?",
    "delete from ancestry where ancestor=?",
    "delete from property where concept=?",
    "delete from concept where id=?",
)
