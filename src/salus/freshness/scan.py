# SPDX-License-Identifier: Apache-2.0
"""Counting and adding up every covered row anew, to compare with what the manifests say.

One pass over each table, in one snapshot, a few rows in memory at a time. It tells which tables are not as they were
written; which rows, `salus.records.store.trace` finds out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from salus.freshness.manifest import Manifest, State, Sums, present
from salus.freshness.rows import MASK, covered, shape
from salus.kernel.db import Connection

_AT_ONCE = 500  # rows between two calls of `tell`

Tell = Callable[[str, int], None]
"""Called with the name of a table and how many of its rows are done; may pause."""


@dataclass(slots=True)
class Scanned:
    """What is in the database.

    Attributes:
        shape: see `rows.shape`.
        sums: by tenant.
        strange: by table: rows of tenants that there are not.
    """

    shape: bytes
    sums: dict[str, Sums] = field(default_factory=dict)
    strange: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """A table that is not as it was written: how many rows there are, and how many there should be."""

    table: str
    there: int
    written: int

    def words(self) -> str:
        """For people; no patient data."""
        if self.there < self.written:
            return f"{self.table}: {self.written} rows were written, {self.there} are there."
        if self.there > self.written:
            return f"{self.table}: {self.there} rows are there, {self.written} were written."
        return f"{self.table}: a row was changed, or put back as it once was ({self.there} rows)."


@contextmanager
def snapshot(db: Connection) -> Iterator[None]:
    """Show one moment to everything that is read inside."""
    db.execute("begin")
    try:
        yield
    finally:
        db.execute("rollback")


def count_rows(db: Connection, tenant: str) -> dict[str, int]:
    """How many rows of a tenant each covered table has; by an index, without reading them."""
    return {name: db.execute(f"select count(*) from {name} where tenant=?", (tenant,)).get for name in covered(db)}


def scan(db: Connection, manifest: Manifest, tenants: Iterable[str], tell: Tell = lambda *_: None) -> Scanned:
    """Read everything; in a transaction of the caller.

    Args:
        tenants: all tenants that there are.
    """
    marks = {tenant: manifest.marks(tenant).of for tenant in tenants}
    scanned = Scanned(shape(db), {tenant: {} for tenant in marks})
    for name, table in covered(db).items():
        sums = dict.fromkeys(marks, (0, 0))
        names = ", ".join(f'"{column}"' for column in table.columns)
        rows: Any = db.execute(f'select {names} from "{name}"')
        done = 0
        while some := list(islice(rows, _AT_ONCE)):
            for row in some:
                tenant = row[table.tenant]
                mark = marks.get(tenant)
                if mark is None:
                    scanned.strange[name] = scanned.strange.get(name, 0) + 1
                    continue
                count, total = sums[tenant]
                sums[tenant] = (count + 1, total + mark(name, row))
            done += len(some)
            tell(name, done)
        for tenant, (count, total) in sums.items():
            if count:
                scanned.sums[tenant][name] = (count, total & MASK)
    return scanned


def differences(scanned: Sums, stated: Sums) -> list[Difference]:
    """Tables that differ, by name."""
    found = []
    for name in sorted(scanned.keys() | stated.keys()):
        there, written = scanned.get(name, (0, 0)), stated.get(name, (0, 0))
        if there != written:
            found.append(Difference(name, there[0], written[0]))
    return found


def stands(db: Connection, manifest: Manifest, tenants: Iterable[str]) -> list[str]:
    """Whether a whole database is as it was written, before its tables are changed.

    Returns:
        What is not, in words; nothing for a database without manifests.
    """
    if not present(db):
        return []
    found: list[str] = []
    names = list(tenants)
    with snapshot(db):
        scanned = scan(db, manifest, names)
        for tenant in names:
            state = manifest.stated(db, tenant)
            if state is not None:
                found += _words(tenant, scanned, state)
    return found


def _words(tenant: str, scanned: Scanned, state: State) -> list[str]:
    found = [each.words() for each in differences(scanned.sums[tenant], state.sums())]
    if scanned.shape != state.shape:
        found.append("tables, indexes or triggers were changed.")
    return [f"{tenant}: {words}" for words in found]
