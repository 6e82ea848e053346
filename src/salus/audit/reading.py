# SPDX-License-Identifier: Apache-2.0
"""Reading the audit log: by position, by filter with the newest first, and proofs of single entries.

Reads only. Who may read, and that the reading itself is audited, is decided by the callers. An entry that was
changed does not open; that none is missing is for `verify` to say.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from salus.audit import store
from salus.audit.entry import Entry, open_entry, outline
from salus.audit.event import EventType, Outcome
from salus.audit.merkle import consistency_proof, inclusion_proof, leaf_hash
from salus.crypto.keyring import TenantKeys
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem

_END = 1 << 62


class Filter(msgspec.Struct, frozen=True):
    """Which entries are wanted; every condition that is set must hold.

    Attributes:
        types: any of these event types; empty means all.
        outcomes: any of these outcomes; empty means all.
        actor: account name of who acted.
        owner: 16-byte surrogate of a patient who is concerned.
        since_ms: earliest time, included, in ms since the epoch.
        until_ms: latest time, included.
    """

    types: frozenset[EventType] = frozenset()
    outcomes: frozenset[Outcome] = frozenset()
    actor: str = ""
    owner: bytes = b""
    since_ms: int = 0
    until_ms: int = _END


class Page(msgspec.Struct, frozen=True):
    """Some of the entries that were asked for, newest first.

    Attributes:
        entries: (index, entry).
        before: pass this as `before` to read on; None when everything was seen.
    """

    entries: list[tuple[int, Entry]]
    before: int | None


def size(db: Connection, tenant: str) -> int:
    """How many entries the tenant's log has, as its head says; `verify` checks whether that is so."""
    head = store.read_head(db, tenant)
    return head.size if head else 0


def raw_entries(db: Connection, tenant: str, first: int = 0, last: int | None = None) -> Iterator[tuple[int, bytes]]:
    """The sealed entries [first, last) with their indices, in order; all from `first` on when last is None.

    Raises:
        Problem: FAULT when a stored row is damaged.
    """
    for batch in store.batches(db, tenant, first, last):
        for index, entry in enumerate(_unpacked(batch), batch.first):
            if index >= first and (last is None or index < last):
                yield index, entry


def entries(db: Connection, keys: TenantKeys, first: int = 0, last: int | None = None) -> Iterator[tuple[int, Entry]]:
    """The opened entries [first, last) of the tenant `keys.name`, in order.

    Raises:
        Problem: FAULT when a row is damaged or an entry was tampered with.
    """
    for index, data in raw_entries(db, keys.name, first, last):
        yield index, open_entry(data, keys)


def find(
    db: Connection,
    keys: TenantKeys,
    wanted: Filter,
    *,
    limit: int = 100,
    before: int | None = None,
    look_at: int = 200_000,
) -> Page:
    """Entries of the tenant `keys.name` that a filter lets through, newest first.

    Args:
        db: database of the log.
        keys: keys of the tenant.
        wanted: the filter. Only `actor` needs entries to be opened before it is known whether they match.
        limit: most entries to return.
        before: look only at indices below this one; from a former page.
        look_at: most entries to look at, which bounds the time; the page may then be short and still go on.

    Raises:
        Problem: FAULT when a row is damaged or an entry was tampered with.
    """
    found: list[tuple[int, Entry]] = []
    end = _END if before is None else before
    looked = 0
    for batch in store.batches_backwards(db, keys.name, end, wanted.since_ms, wanted.until_ms):
        packed = _unpacked(batch)
        for offset in range(min(len(packed), end - batch.first) - 1, -1, -1):
            index = batch.first + offset
            looked += 1
            entry = _matching(packed[offset], wanted, keys)
            if entry is not None:
                found.append((index, entry))
            if len(found) >= limit or looked >= look_at:
                return Page(found, index or None)
    return Page(found, None)


def prove_inclusion(db: Connection, tenant: str, index: int, tree_size: int) -> list[bytes]:
    """Proof that entry `index` is in the log's tree of `tree_size` entries, for `merkle.verify_inclusion`.

    Reads the whole tree once (about 400,000 entries a second).

    Raises:
        Problem: NOT_FOUND when the log is shorter, or the index is not in it; FAULT when a row is damaged.
    """
    leaves = (leaf_hash(data) for _, data in raw_entries(db, tenant, 0, tree_size))
    try:
        return inclusion_proof(leaves, index, tree_size)
    except ValueError:
        raise _no_proof() from None


def prove_consistency(db: Connection, tenant: str, old: int, new: int) -> list[bytes]:
    """Proof that the log of `new` entries only added to that of `old` ones, for `merkle.verify_consistency`.

    Raises:
        Problem: NOT_FOUND when the log is shorter or the sizes do not fit; FAULT when a row is damaged.
    """
    leaves = (leaf_hash(data) for _, data in raw_entries(db, tenant, 0, new))
    try:
        return consistency_proof(leaves, old, new)
    except ValueError:
        raise _no_proof() from None


def _matching(data: bytes, wanted: Filter, keys: TenantKeys) -> Entry | None:
    if wanted.owner and wanted.owner not in data:  # most entries fall here, before anything is decoded
        return None
    shown = outline(data)
    if (
        not wanted.since_ms <= shown.at_ms <= wanted.until_ms
        or (wanted.types and shown.type not in wanted.types)
        or (wanted.outcomes and shown.outcome not in wanted.outcomes)
        or (wanted.owner and wanted.owner not in shown.owners)
    ):
        return None
    entry = open_entry(data, keys)
    return entry if not wanted.actor or entry.event.actor.id == wanted.actor else None


def _unpacked(batch: store.Batch) -> list[bytes]:
    try:
        found = store.unpack(batch.entries)
    except ValueError:
        found = []
    if len(found) != batch.length:
        raise Problem(Kind.FAULT, "A stored part of the audit log is damaged.", f"batch at {batch.first}")
    return found


def _no_proof() -> Problem:
    return Problem(Kind.NOT_FOUND, "The audit log has no such entry or size.")
