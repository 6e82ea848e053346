# SPDX-License-Identifier: Apache-2.0
"""Tables of the audit log and their SQL.

`audit_batch` holds the entries of one group commit in one row: entries are only ever added, never changed.
Each row carries a MAC over its place and its leaf hashes, so that a changed row is named and not only
noticed. `audit_head` holds size and frontier of the tree under a MAC; without the tenant's key nobody can
make a shorter log look whole. `audit_checkpoint` keeps the signed checkpoints beside the copies outside the
database.

Knows rows and MACs; when to write is in `log`, what damage means is in `verify`.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

from salus.audit.merkle import Frontier
from salus.crypto.tenant_keys import TenantKeys
from salus.crypto.wiping import Secret, wipe
from salus.kernel.db import Connection, migrate

ROOM = "audit"
HEAD_KEY = "audit-head-2"  # purposes of derived keys; a head under this one has a manifest beside it
FORMER_HEAD_KEY = "audit-head"  # of databases from before there were manifests
BATCH_KEY = "audit-batch"
SIGN_KEY = "audit-sign"

_MIGRATIONS = (
    """
    create table audit_batch(
      tenant text not null,
      first integer not null,        -- index of the first entry
      count integer not null,
      since integer not null,        -- earliest and latest time of an entry, milliseconds since the epoch
      until integer not null,
      mac blob not null,
      entries blob not null,         -- each entry behind its length, 4 bytes big-endian
      primary key(tenant, first)
    ) strict, without rowid;
    create table audit_head(
      tenant text primary key,
      size integer not null,
      frontier blob not null,
      mac blob not null
    ) strict, without rowid;
    create table audit_checkpoint(
      tenant text not null,
      size integer not null,
      signed integer not null,       -- milliseconds since the epoch
      note text not null,
      primary key(tenant, size)
    ) strict, without rowid;
    """,
    # How far the log has taken in the journal of a process: number of the last frame, by tenant.
    """
    create table audit_journal(
      name text not null,
      tenant text not null,
      folded integer not null,
      primary key(name, tenant)
    ) strict, without rowid;
    """,
    # The keys that signed after the first one: from which size of the log, and the statement: see `signers`.
    """
    create table audit_signer(
      tenant text not null,
      number integer not null,
      since integer not null,
      at integer not null,           -- milliseconds since the epoch
      statement text not null,
      primary key(tenant, number)
    ) strict, without rowid;
    """,
)


def prepare(db: Connection) -> None:
    """Make or update the tables of the audit log."""
    migrate(db, ROOM, _MIGRATIONS)


# ── batches ─────────────────────────────────────────────────────────────────────────────────────────────────


class Batch(NamedTuple):
    """One row of `audit_batch`; `entries` still packed."""

    first: int
    length: int
    since: int
    until: int
    mac: bytes
    entries: bytes


def pack(entries: Sequence[bytes]) -> bytes:
    """Put entries into one blob, each behind its length."""
    return b"".join([piece for entry in entries for piece in (len(entry).to_bytes(4), entry)])


def unpack(blob: bytes) -> list[bytes]:
    """Take the entries out of a blob.

    Raises:
        ValueError: the lengths do not add up.
    """
    entries = []
    position, end = 0, len(blob)
    while position < end:
        start = position + 4
        position = start + int.from_bytes(blob[position:start])
        if start > end or position > end:
            raise ValueError("an entry is cut off")
        entries.append(blob[start:position])
    return entries


def batch_mac(key: Secret, tenant: str, first: int, times: tuple[int, int], leaves: Sequence[bytes]) -> bytes:
    """MAC over the place of a batch, its earliest and latest time (ms) and all its leaf hashes; 32 bytes."""
    digest = sha256(b"".join(leaves)).digest()
    place = f"{len(tenant)}:{tenant}:{first}:{len(leaves)}:{times[0]}:{times[1]}:".encode()
    return hmac.digest(key, place + digest, "sha256")


def insert_batch(db: Connection, tenant: str, batch: Batch) -> None:
    """Add a batch; the primary key refuses a second one at the same place."""
    db.execute("insert into audit_batch values(?,?,?,?,?,?,?)", (tenant, *batch))


def batches(db: Connection, tenant: str, start: int = 0, end: int | None = None) -> Iterator[Batch]:
    """Batches in order that hold any of the entries [start, end); all from `start` on when end is None."""
    sql = (
        "select first, count, since, until, mac, entries from audit_batch where tenant=? and first < ?"
        " and first >= ifnull((select max(first) from audit_batch where tenant=? and first <= ?), 0)"
        " order by first"
    )
    limit = 1 << 62 if end is None else end
    return (Batch(*row) for row in db.execute(sql, (tenant, limit, tenant, start)))


def batches_backwards(db: Connection, tenant: str, before: int, since: int, until: int) -> Iterator[Batch]:
    """Batches with an entry below index `before` and a time within [since, until] (ms), newest first."""
    sql = (
        "select first, count, since, until, mac, entries from audit_batch"
        " where tenant=? and first < ? and until >= ? and since <= ? order by first desc"
    )
    return (Batch(*row) for row in db.execute(sql, (tenant, before, since, until)))


def has_batches(db: Connection, tenant: str) -> bool:
    """Whether the tenant has any entry."""
    return db.execute("select 1 from audit_batch where tenant=? limit 1", (tenant,)).fetchone() is not None


# ── head ────────────────────────────────────────────────────────────────────────────────────────────────────


class Head(NamedTuple):
    """One row of `audit_head`, as stored."""

    size: int
    frontier: bytes
    mac: bytes


def head_mac(key: Secret, tenant: str, size: int, frontier: bytes) -> bytes:
    """MAC over size and frontier of a tenant's tree; 32 bytes."""
    return hmac.digest(key, f"{len(tenant)}:{tenant}:{size}:".encode() + frontier, "sha256")


def read_head(db: Connection, tenant: str) -> Head | None:
    """The stored head, not yet checked; None when there is none."""
    row = db.execute("select size, frontier, mac from audit_head where tenant=?", (tenant,)).fetchone()
    return Head(*row) if row else None


def write_head(db: Connection, tenant: str, frontier: Frontier, key: Secret) -> bytes:
    """Store the head of a tree; returns its MAC."""
    blob = frontier.pack()
    mac = head_mac(key, tenant, frontier.size, blob)
    db.execute("insert or replace into audit_head values(?,?,?,?)", (tenant, frontier.size, blob, mac))
    return mac


def opened_head(head: Head, tenant: str, key: Secret) -> Frontier | None:
    """The tree of a stored head, or None when its MAC does not hold."""
    if not hmac.compare_digest(head.mac, head_mac(key, tenant, head.size, head.frontier)):
        return None
    return Frontier.parse(head.size, head.frontier)


def opened_former(head: Head, keys: TenantKeys) -> Frontier | None:
    """The tree of a head that was written before there were manifests; None when it was not."""
    key = keys.derived(FORMER_HEAD_KEY)
    try:
        return opened_head(head, keys.name, key)
    finally:
        wipe(key)


# ── checkpoints ─────────────────────────────────────────────────────────────────────────────────────────────


def insert_checkpoint(db: Connection, tenant: str, size: int, signed_ms: int, note: str) -> None:
    """Keep a signed checkpoint; one of the same size says the same and stays."""
    db.execute("insert or ignore into audit_checkpoint values(?,?,?,?)", (tenant, size, signed_ms, note))


def last_checkpoint(db: Connection, tenant: str) -> tuple[int, int]:
    """Size and time (ms) of the newest checkpoint; (0, 0) when there is none."""
    sql = "select size, signed from audit_checkpoint where tenant=? order by size desc limit 1"
    row = db.execute(sql, (tenant,)).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def checkpoint_notes(db: Connection, tenant: str) -> Iterator[tuple[int, str]]:
    """Size and note of every checkpoint in order of size."""
    rows = db.execute("select size, note from audit_checkpoint where tenant=? order by size", (tenant,))
    return ((size, note) for size, note in rows)


def newest_note(db: Connection, tenant: str) -> str | None:
    """The note of the largest checkpoint."""
    sql = "select note from audit_checkpoint where tenant=? order by size desc limit 1"
    row = db.execute(sql, (tenant,)).fetchone()
    return str(row[0]) if row else None


def put_checkpoint(db: Connection, tenant: str, size: int, signed_ms: int, note: str) -> None:
    """Keep a checkpoint in place of one of the same size that fewer keys signed."""
    db.execute("insert or replace into audit_checkpoint values(?,?,?,?)", (tenant, size, signed_ms, note))


def unsigned_tenants(db: Connection) -> list[str]:
    """Tenants whose log has grown since its last checkpoint."""
    sql = (
        "select tenant from audit_head h where size > ifnull("
        "(select max(c.size) from audit_checkpoint c where c.tenant = h.tenant), 0)"
    )
    return [tenant for (tenant,) in db.execute(sql)]


# ── signers ─────────────────────────────────────────────────────────────────────────────────────────────────


class Signed(NamedTuple):
    """A key that signed after another.

    Attributes:
        number: 2 for the second key.
        since: size of the log at which both signed.
        at: when, milliseconds since the epoch.
        statement: see `signers`.
    """

    number: int
    since: int
    at: int
    statement: str


def signers(db: Connection, tenant: str) -> list[Signed]:
    """The keys after the first one, in order."""
    sql = "select number, since, at, statement from audit_signer where tenant=? order by number"
    return [Signed(*row) for row in db.execute(sql, (tenant,))]


def add_signer(db: Connection, tenant: str, row: Signed) -> None:
    """Note a further key."""
    db.execute("insert into audit_signer values(?,?,?,?,?)", (tenant, *row))


# ── journals ────────────────────────────────────────────────────────────────────────────────────────────────


def mark_folded(db: Connection, journal: str, tenant: str, number: int) -> None:
    """Note that the log has everything of a tenant up to this frame of a journal."""
    db.execute("insert or replace into audit_journal values(?,?,?)", (journal, tenant, number))


def folded(db: Connection, journal: str) -> dict[str, int]:
    """Number of the last frame that the log has, by tenant."""
    rows = db.execute("select tenant, folded from audit_journal where name=?", (journal,))
    return {tenant: number for tenant, number in rows}  # noqa: C416  dict() does not know what a row holds


def journals(db: Connection) -> set[str]:
    """Names of the journals that the log knows."""
    return {name for (name,) in db.execute("select distinct name from audit_journal")}


def drop_journal(db: Connection, journal: str) -> None:
    """Forget a journal that is done with."""
    db.execute("delete from audit_journal where name=?", (journal,))
