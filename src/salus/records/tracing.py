# SPDX-License-Identifier: Apache-2.0
"""Which records are not as they were written, when the manifest says that some are not.

The audit log names every version that was ever written, and cannot be put back itself. Laid beside the store it tells
what is gone, what was added and what is older than it should be. Reads every row and opens it; needs memory for one
number per record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

import msgspec

from salus.access.permit import Permit
from salus.access.relations import Relations
from salus.audit.event import Event, EventType, Outcome
from salus.freshness.report import Finding, FindingKind
from salus.kernel.clock import instant
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context
from salus.records.facts import relations
from salus.records.store.schema import Row

WRITING = frozenset(
    {
        EventType.RECORD_CREATE,
        EventType.RECORD_UPDATE,
        EventType.RECORD_DELETE,
        EventType.RECORD_TRANSACTION,
        EventType.RECORD_BATCH,
        EventType.RECORD_IMPORT,
        EventType.RECORD_OPERATION,
    }
)
"""Events that may name versions which were written."""

Tell = Callable[[str, int], None]


class Written(msgspec.Struct, frozen=True, gc=False):
    """The newest version of a record that the log names.

    Attributes:
        entry: of the log.
        owner: surrogate of a patient of the record, or b"".
    """

    type: str
    version: int
    entry: int
    at_ms: int
    owner: bytes

    def words(self) -> str:
        """For people."""
        return f"version {self.version} (entry {self.entry} of the log, {instant(self.at_ms)})"


def written(ctx: Context, entries: Iterable[tuple[int, Event]]) -> dict[bytes, Written]:
    """The newest version of every record, by its surrogate, as the log has them.

    Args:
        entries: of the log, with their index, in order.
    """
    rid, tenant = ctx.store.rid, ctx.actor.tenant
    found: dict[bytes, Written] = {}
    for index, event in entries:
        if event.outcome is not Outcome.GRANTED:
            continue
        for entity in event.entities:
            if entity.action == "R" or not entity.version:
                continue
            name = rid(tenant, entity.type, entity.id)
            known = found.get(name)
            if known is None or known.version < entity.version:
                found[name] = Written(entity.type, entity.version, index, event.at_ms, entity.owner)
    return found


def trace(ctx: Context, permit: Permit, known: dict[bytes, Written], tell: Tell = lambda *_: None) -> Iterator[Finding]:
    """Compare the store with what the log has.

    Args:
        permit: to verify.
        known: see `written`; what is found is taken out.
    """
    done = 0
    for rid, each in groupby(ctx.store.reader.every(permit), key=lambda row: row.rid):
        rows = list(each)
        yield from _record(ctx, permit, rid, rows, known.pop(rid, None))
        done += len(rows)
        tell("tracing", done)
    for rid, wanted in known.items():
        if not _erased(ctx, wanted.owner):
            text = f"{wanted.type} {rid.hex()}: the log has {wanted.words()}, and nothing of it is here."
            yield Finding(FindingKind.GONE, text)


def _record(ctx: Context, permit: Permit, rid: bytes, rows: list[Row], wanted: Written | None) -> Iterator[Finding]:
    newest = rows[-1]
    what = f"{newest.type} {rid.hex()}, row {newest.seq}"
    if wanted is None:
        yield Finding(
            FindingKind.ADDED, f"{what}: no entry of the log writes this record. It was added behind our back."
        )
    elif newest.version < wanted.version:
        text = f"{what}: the log has {wanted.words()}, the newest here is version {newest.version}."
        yield Finding(FindingKind.OLDER, text)
    elif newest.version > wanted.version:
        text = f"{what}: version {newest.version} is in no entry of the log, which ends with {wanted.words()}."
        yield Finding(FindingKind.ADDED, text)
    emptied = not newest.body and ctx.store.intact(permit, newest)  # of an erased patient only the last one stays
    missing = sorted(set(range(1, newest.version)) - {row.version for row in rows})
    if missing and not emptied:
        text = f"{what}: version {', '.join(map(str, missing[:10]))} is not here, though {newest.version} is."
        yield Finding(FindingKind.GONE, text)
    for row in rows:
        place = f"{row.type} {rid.hex()}, version {row.version}, row {row.seq}"
        if row.current != (row is newest):
            text = f"{place}: it is{'' if row.current else ' not'} marked as the newest version."
            yield Finding(FindingKind.CHANGED, text)
        if not ctx.store.intact(permit, row):
            text = f"{place}: it does not open, or is not what stands beside it."
            yield Finding(FindingKind.CHANGED, text)


def _erased(ctx: Context, owner: bytes) -> bool:
    """Whether the key of a patient is gone: a restored database leaves such records out."""
    return bool(owner) and not ctx.store.keys(ctx.actor.tenant).keys_of([owner])


def trace_relations(ctx: Context, permit: Permit, table: Relations) -> Iterator[Finding]:
    """Compare the table of care relationships with the records that state them."""
    tenant, surrogate = ctx.actor.tenant, ctx.store.keys(ctx.actor.tenant).surrogate
    stated: set[tuple[bytes, bytes, str, bytes]] = set()
    for row in ctx.store.reader.every(permit):
        if not row.current or row.deleted or row.type not in ("CareTeam", "Encounter", "Patient"):
            continue
        try:
            _, resource = ctx.store.open_with_content(permit, row)
        except Problem as problem:
            if problem.kind is Kind.UNAVAILABLE:
                raise
            continue
        found = relations(tenant, resource, row.rid, row.owners, surrogate, ctx.lens.bases)
        if found is not None:
            stated |= {(*relation, row.rid) for relation in found.relations}
    for relation in table.all(tenant):
        if relation in stated:
            stated.discard(relation)
        else:
            yield Finding(FindingKind.RELATION, f"{_words(relation)} stands in the table and no record states it.")
    for relation in stated:
        yield Finding(FindingKind.RELATION, f"{_words(relation)} is stated by a record and is not in the table.")


def _words(relation: tuple[bytes, bytes, str, bytes]) -> str:
    party, owner, kind, source = relation
    return f"{kind} of {party.hex()} for patient {owner.hex()}, by record {source.hex()},"


def trace_contents(ctx: Context, permit: Permit) -> Iterator[Finding]:
    """Contents of Binary records that lack chunks, or whose head does not open.

    Args:
        permit: to verify.
    """
    for rid, owners, name, chunks in ctx.store.contents.every(permit):
        wanted = ctx.store.chunks_of(permit, rid, owners, name)
        if chunks != wanted:
            whole = "its head does not open" if wanted is None else f"{chunks} of {wanted} chunks are here"
            yield Finding(FindingKind.CONTENT, f"Binary {rid.hex()}, content {name.hex()}: {whole}.")
