# SPDX-License-Identifier: Apache-2.0
"""Sealing everything of a patient anew after the patient's key was replaced, a little in each group commit.

Under the write lock, so that nothing changes between opening and sealing; nothing that is opened leaves this module.
Every step looks at what lies under which key and may be taken twice; rows that are written meanwhile are under the new
key (`renewed`). All versions are sealed anew, deleted ones too. A content gets a key of its own that is new, since who
had the patient's key could read the former one: first its heads are replaced, then its chunks, in place; a reader knows
from each chunk under which of the two keys it lies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from salus.crypto.envelope import SealingKey
from salus.crypto.tenant_keys import TenantKeys
from salus.kernel.db import Connection
from salus.records.store import codec
from salus.records.store.content import Opening, Place, renewed_heads
from salus.records.store.renewed import write_under

PART = "renewal"
CHUNKS = 16
"""Chunks of a content in one commit, 768 KiB."""

_SPAN = 5_000  # rows that are looked at in one question
_BINARY = "Binary"
_ROWS = "select seq from record where tenant=? and owners=? and seq > ? and seq <= ? order by seq"
_LAST = "select coalesce(max(seq), 0) from record"
_ROW = """select rid, type, version, deleted, owners, author, labels, sensitivity, rank, body
          from record where seq=? and tenant=? and owners=?"""
_RESEAL = "update record set body=? where seq=? and body=?"
_CONTENTS = """select distinct c.rid, c.name from content c join record r on r.tenant=c.tenant and r.rid=c.rid
               where r.seq=? and r.tenant=? and r.type=?"""
_HEADS = "select head, former from content where tenant=? and rid=? and name=?"
_SOME_CHUNKS = """select number, body from content_chunk where tenant=? and name=? and number >= ? and number < ?
                  order by number"""


class Begin(NamedTuple):
    """From now on nothing is written under the patient's former key."""

    tenant: str
    owner: bytes
    at_ms: int


class Rows(NamedTuple):
    """Some rows of the patient."""

    tenant: str
    owner: bytes
    seqs: Sequence[int]


class Chunks(NamedTuple):
    """The heads of a content (when `first` is 0) and `CHUNKS` chunks from the number `first` on."""

    tenant: str
    owner: bytes
    rid: bytes
    name: bytes
    first: int


class Ended(NamedTuple):
    """Every chunk of a content lies under its new key."""

    tenant: str
    owner: bytes
    rid: bytes
    name: bytes


Step = Begin | Rows | Chunks | Ended


class Renewals:
    """The participant for renewals (`salus.kernel.commit.Participant`).

    Args:
        keys_of: keys of a tenant.

    Attributes:
        sealed: how many rows and chunks it has sealed anew.
    """

    name = PART

    def __init__(self, keys_of: Callable[[str], TenantKeys]) -> None:
        self._keys_of = keys_of
        self.sealed = 0

    def begin(self, db: Connection) -> None:
        """Nothing to do."""

    def check(self, db: Connection, part: Step) -> None:
        """Nothing stands against it: what is gone or done already is passed over."""

    def apply(self, db: Connection, parts: Sequence[Step]) -> None:
        """Take the steps.

        Raises:
            Problem: FAULT when a row or content was tampered with; then nothing of the group is written.
        """
        for part in parts:
            keys = self._keys_of(part.tenant)
            keys.reconsider(part.owner)
            fresh, former = keys.record_key(part.owner, ""), keys.former_key(part.owner)
            match part:
                case Begin():
                    write_under(db, part.tenant, part.owner, fresh.commitment, part.at_ms)
                case Rows():
                    if former is not None:
                        self.sealed += sum(_row(db, part, seq, former, fresh) for seq in part.seqs)
                case Chunks():
                    self.sealed += _chunks(db, part, former, fresh)
                case Ended():
                    sql = "update content set former=x'' where tenant=? and rid=? and name=?"
                    db.execute(sql, (part.tenant, part.rid, part.name))

    def committed(self) -> None:
        """Nothing is cached."""

    def rolled_back(self) -> None:
        """Nothing is cached."""

    def idle(self, db: Connection) -> bool:
        """Nothing to do."""
        return False


# ── what there is to do; tells numbers and names, no content ─────────────────────────────────────────────────────────


def rows_of(db: Connection, tenant: str, owner: bytes) -> Iterator[list[int]]:
    """Rows of any version that belong to this patient alone, some at a time; between them others may have a turn."""
    last: Any = db.execute(_LAST).get
    for start in range(0, last, _SPAN):
        found: Any = db.execute(_ROWS, (tenant, owner, start, start + _SPAN)).fetchall()
        yield [seq for (seq,) in found]


def contents_of(db: Connection, tenant: str, seq: int) -> list[tuple[bytes, bytes]]:
    """Record and name of every content of the Binary whose version a row is; none for other types."""
    found: Any = db.execute(_CONTENTS, (seq, tenant, _BINARY)).fetchall()
    return [(rid, name) for rid, name in found]


def count_chunks(db: Connection, tenant: str, name: bytes) -> int:
    """How many chunks a content has."""
    found: Any = db.execute("select count(*) from content_chunk where tenant=? and name=?", (tenant, name)).fetchone()
    return int(found[0])


# ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _row(db: Connection, part: Rows, seq: int, former: SealingKey, fresh: SealingKey) -> bool:
    """Seal one row anew; false when there is nothing to do."""
    found: Any = db.execute(_ROW, (seq, part.tenant, part.owner)).fetchone()
    if found is None or not found[-1] or fresh.made(found[-1]):
        return False
    rid, type_, version, deleted, *facts, body = found
    bound_to = codec.context(part.tenant, rid, type_, version, deleted, tuple(facts))
    db.execute(_RESEAL, (fresh.seal(former.open(body, bound_to), bound_to), seq, body))
    return True


def _chunks(db: Connection, part: Chunks, former: SealingKey | None, fresh: SealingKey) -> int:
    """Seal some chunks anew; how many that were."""
    place = Place(part.tenant, part.owner, part.rid, part.name)
    found: Any = db.execute(_HEADS, (part.tenant, part.rid, part.name)).fetchone()
    if found is None:
        return 0
    head, before = found
    if former is not None and former.made(head):
        head, before = renewed_heads(former, fresh, place, head)
        sql = "update content set head=?, former=? where tenant=? and rid=? and name=?"
        db.execute(sql, (head, before, part.tenant, part.rid, part.name))
    if not before or not fresh.made(head):  # done, or under another patient's key
        return 0
    opening, count = Opening(fresh, place, head, before), 0
    some: Any = db.execute(_SOME_CHUNKS, (part.tenant, part.name, part.first, part.first + CHUNKS)).fetchall()
    for number, sealed in some:
        if (anew := opening.renewed(number, sealed)) is not None:
            sql = "update content_chunk set body=? where tenant=? and name=? and number=?"
            db.execute(sql, (anew, part.tenant, part.name, number))
            count += 1
    return count
