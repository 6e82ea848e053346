# SPDX-License-Identifier: Apache-2.0
"""Create and update of a Binary whose content is large: taken in, sealed and stored chunk by chunk.

https://hl7.org/fhir/R4/binary.html#rest  Memory holds one batch of chunks, however large the content is. Who may not
keep the record learns so before more than a chunk of it is taken in.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from salus.audit.event import EventType
from salus.kernel.entropy import nonce_bytes
from salus.kernel.errors import Kind, Problem
from salus.kernel.ids import uuid7
from salus.records.attached import Attached
from salus.records.context import Context, audited
from salus.records.draft import Prepared, unit_of
from salus.records.interactions import create as creating
from salus.records.interactions import update as updating
from salus.records.persevere import persevering
from salus.records.security_context import BINARY
from salus.records.store.content import Sealing
from salus.records.store.contents import Chunks, Drop, Keep, unit_with
from salus.records.store.store import Version
from salus.records.wording import attempted

_BATCH = 16  # chunks that one commit makes durable, 768 KiB


@dataclass(frozen=True, slots=True)
class _Kept:
    """A content whose chunks are durable."""

    keep: Keep
    attached: Attached


@audited(EventType.RECORD_CREATE)
async def create(ctx: Context, resource: dict[str, Any], pieces: AsyncIterator[bytes]) -> Version:
    """Keep a new Binary.

    Args:
        resource: the Binary without its content.
        pieces: the content, in pieces of exactly `CHUNK` bytes except the last.

    Raises:
        Problem: as `salus.records.interactions.create.create`; what `pieces` raises.
    """
    id_ = uuid7()
    first = creating.stage(ctx, BINARY, resource, id_)
    kept = await _take_in(ctx, first, pieces)
    try:
        whole = resource | {"_data": kept.attached.element()}
        prepared = creating.stage(ctx, BINARY, whole, id_, content=kept.attached.name)
        return await _commit(ctx, EventType.RECORD_CREATE, first, prepared, kept)
    except BaseException:
        _drop(ctx, kept.attached.name)
        raise


@audited(EventType.RECORD_UPDATE)
async def update(
    ctx: Context, id_: str, resource: dict[str, Any], pieces: AsyncIterator[bytes], if_match: int | None = None
) -> tuple[Version, bool]:
    """Replace a Binary, or make it under the client's id.

    Returns:
        The version, and whether it makes the record.

    Raises:
        Problem: as `salus.records.interactions.update.update`; what `pieces` raises.
    """
    ctx.entities = attempted(BINARY, id_, "U")
    first, _ = updating.stage(ctx, BINARY, id_, resource, if_match)
    kept = await _take_in(ctx, first, pieces)
    try:
        return await _replace(ctx, id_, resource, if_match, first, kept)
    except BaseException:
        _drop(ctx, kept.attached.name)
        raise


@persevering
async def _replace(
    ctx: Context, id_: str, resource: dict[str, Any], if_match: int | None, first: Prepared, kept: _Kept
) -> tuple[Version, bool]:
    whole = resource | {"_data": kept.attached.element()}
    prepared, made = updating.stage(ctx, BINARY, id_, whole, if_match, content=kept.attached.name)
    return await _commit(ctx, EventType.RECORD_UPDATE, first, prepared, kept), made


async def _commit(ctx: Context, type_: EventType, first: Prepared, prepared: Prepared, kept: _Kept) -> Version:
    if prepared.change.owners != first.change.owners:  # the content lies under the key of the first
        text = "The record that securityContext names has changed hands meanwhile. Send the content again."
        raise Problem(Kind.CONFLICT, text, "owners changed during an upload")
    unit = unit_with(kept.keep, unit_of([prepared]))
    await ctx.commit(unit, ctx.event(type_, reason=prepared.reason, entities=prepared.entities))
    return prepared.shown


async def _take_in(ctx: Context, first: Prepared, pieces: AsyncIterator[bytes]) -> _Kept:
    """Seal and store chunks as they come; what was stored is taken away when it does not come to an end."""
    change = first.change
    place = ctx.store.place(change.tenant, change.rid, change.owners, nonce_bytes(16))
    sealing = Sealing(place)
    try:
        size, digest = await _store(ctx, sealing, pieces)
        return _Kept(
            Keep(place, ctx.store.seal_head(sealing, BINARY, size, digest)), Attached(place.name, size, digest)
        )
    except BaseException:  # a client that went away, or a task that was cancelled
        _drop(ctx, place.name)
        raise
    finally:
        sealing.close()


async def _store(ctx: Context, sealing: Sealing, pieces: AsyncIterator[bytes]) -> tuple[int, bytes]:
    place, digest, size, stored = sealing.place, hashlib.sha256(), 0, 0
    waiting: list[bytes] = []
    held = b""  # a chunk is sealed when it is known whether it is the last
    async for piece in pieces:
        digest.update(piece)
        size += len(piece)
        if held:
            waiting.append(sealing.chunk(held, last=False))
        held = piece
        if len(waiting) == _BATCH:
            await ctx.services.writer.submit(unit_with(Chunks(place.tenant, place.name, stored, tuple(waiting))))
            stored += len(waiting)
            waiting.clear()
    waiting.append(sealing.chunk(held, last=True))
    await ctx.services.writer.submit(unit_with(Chunks(place.tenant, place.name, stored, tuple(waiting))))
    return size, digest.digest()


def _drop(ctx: Context, name: bytes) -> None:
    """Have the chunks taken away; nobody waits for it, and what fails is swept later."""
    future = ctx.services.writer.submit(unit_with(Drop(ctx.actor.tenant, name)))
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
