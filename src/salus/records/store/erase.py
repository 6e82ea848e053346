# SPDX-License-Identifier: Apache-2.0
"""Erasing a patient from the store: under the write lock of a group commit.

Versions go, tokens go; of each record one row stays, deleted and without a body, so that its id answers that it is
gone. From then on nothing is written for the patient, also by a process that still holds the key.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from salus.access.facts import SURROGATE
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem

_SOME = "select 1 from erased limit 1"
_ERASED = "select 1 from erased where tenant=? and owner=?"
_LATER = "select seq from record where seq > ? and tenant=? and owners=?"
_FOLLOWED = """delete from record where seq=? and exists(
    select 1 from record n where n.tenant=record.tenant and n.rid=record.rid and n.version > record.version)"""
_FILES = "select c.name from content c join record r on r.tenant=c.tenant and r.rid=c.rid where r.seq=?"
_EMPTIED = "update record set body=x'', deleted=1, author=x'', labels=x'', marks=x'' where seq=?"


@dataclass(slots=True)
class Erase:
    """A patient whose records go.

    Attributes:
        owner: surrogate of the patient.
        mark: see `Store.mark`.
        seqs: rows of the patient, as they were found before.
        since: the newest row then; what was written later is looked for under the lock.
    """

    tenant: str
    owner: bytes
    mark: bytes
    at: int
    seqs: list[int]
    since: int


@dataclass(slots=True)
class Merge:
    """A step of merging the index into one segment, which leaves out what was deleted.

    Attributes:
        pages: about how many pages to write.
        first: whether this is the first step.
        more: set afterwards: whether there is more to do.
    """

    pages: int
    first: bool
    more: bool = field(default=True)


def erase(db: Connection, gone: Erase) -> None:
    """Take everything out that belongs to this patient alone."""
    later = [row[0] for row in db.execute(_LATER, (gone.since, gone.tenant, gone.owner))]
    for seq in [*gone.seqs, *later]:
        db.execute("delete from blind_token where rowid=?", (seq,))
        for (name,) in db.execute(_FILES, (seq,)).fetchall():
            db.execute("delete from content_chunk where tenant=? and name=?", (gone.tenant, name))
            db.execute("delete from content where tenant=? and name=?", (gone.tenant, name))
    for seq in [*gone.seqs, *later]:
        db.execute(_FOLLOWED, (seq,))
        db.execute(_EMPTIED, (seq,))
    db.execute("insert or ignore into erased values(?,?,?,?)", (gone.tenant, gone.owner, gone.at, gone.mark))


def merge(db: Connection, step: Merge) -> None:
    """Do one step (https://sqlite.org/fts5.html#the_merge_command)."""
    before = db.total_changes()
    pages = -step.pages if step.first else step.pages
    db.execute("insert into blind_token(blind_token, rank) values('merge', ?)", (pages,))
    step.more = db.total_changes() - before >= 2


def refuse_erased(db: Connection, tenant: str, owners: bytes, deleted: int) -> None:
    """Turn a write away that belongs to somebody who was erased; a record of several people may be deleted.

    Raises:
        Problem: GONE.
    """
    if not owners or (deleted and len(owners) > SURROGATE) or db.execute(_SOME).fetchone() is None:
        return
    for start in range(0, len(owners), SURROGATE):
        if db.execute(_ERASED, (tenant, owners[start : start + SURROGATE])).fetchone() is not None:
            raise Problem(Kind.GONE, "This patient was erased.", "a write for an erased patient")
