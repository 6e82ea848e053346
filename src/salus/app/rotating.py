# SPDX-License-Identifier: Apache-2.0
"""Rotations over all rooms, each in steps that may stop anywhere: whoever asks again goes on with the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from salus.app.house import House
from salus.app.indexing import operator
from salus.app.schedule import PATIENT, SIGNING
from salus.audit.event import Entity, EventType
from salus.audit.signers import Turn, newest_number
from salus.kernel.commit import Unit
from salus.records.index_turn import advance, begin, left, under_way, waits
from salus.records.store import renewal

_ROWS = 50  # in one commit, about 5 ms
_LOOK_SECONDS = 0.5

Tell = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and how much there is."""


async def rotate_signing(house: House, tenant: str) -> int:
    """Have another key sign the audit log of a tenant; gives its number. One commit: it is done, or it never was.

    Raises:
        Problem: NOT_FOUND for an unknown tenant; CONFLICT when another process did the same just now.
    """
    keys = house.keyring.tenant(tenant)
    number = newest_number(house.db, tenant) + 1
    unit = Unit()
    unit.parts["audit-signer"] = Turn(tenant, number)
    reason = f"key {number} that signs the audit log"
    await house.record(unit, house.operator(tenant), EventType.KEYS_ROTATE, reason)
    keys.note_rotation(SIGNING, house.clock.now_ms())
    return number


@dataclass(frozen=True, slots=True)
class Resealed:
    """What was sealed anew.

    Attributes:
        rows: versions of records.
        chunks: of files.
    """

    rows: int
    chunks: int


async def rotate_patient(
    house: House, tenant: str, owner: bytes, patient: str = "", tell: Tell = lambda *_: None
) -> Resealed:
    """Give a patient another key and seal everything anew under it, or go on with what was begun.

    The former key stays until `end_patient`.

    Args:
        owner: surrogate of the patient.
        patient: id, for the audit log; empty when it is not known.

    Raises:
        Problem: NOT_FOUND when there is no such patient; GONE when they were erased; FAULT when a record was tampered
            with: what was done stays, and so does the former key.
    """
    keys, ctx = house.keyring.tenant(tenant), operator(house, tenant)
    if not keys.is_renewing(owner):
        keys.require_patient(owner)  # an unknown one is nothing for the log
        event = ctx.event(EventType.KEYS_ROTATE, reason="the key of a patient", entities=_named(owner, patient))
        await ctx.commit(Unit(), event)
    keys.renew(owner)
    await _step(house, renewal.Begin(tenant, owner, house.clock.now_ms()), 1)
    seqs: list[int] = []
    for some in renewal.rows_of(house.db, tenant, owner):
        seqs += some
        await asyncio.sleep(0)
    rows = 0
    for start in range(0, len(seqs), _ROWS):
        some = seqs[start : start + _ROWS]
        rows += await _step(house, renewal.Rows(tenant, owner, some), len(some))
        tell("records", start + len(some), len(seqs))
    chunks = await _contents(house, tenant, owner, seqs, tell)
    return Resealed(rows, chunks)


async def end_patient(house: House, tenant: str, owner: bytes, patient: str, done: Resealed) -> None:
    """Destroy the former key of a patient, after everything was sealed anew."""
    ctx = operator(house, tenant)
    reason = f"the former key of a patient; {done.rows} versions and {done.chunks} chunks of files were sealed anew"
    await ctx.commit(Unit(), ctx.event(EventType.KEYS_DESTROY, reason=reason, entities=_named(owner, patient)))
    keys = house.keyring.tenant(tenant)
    keys.end_renewal(owner)
    keys.note_rotation(PATIENT, house.clock.now_ms())


async def _contents(house: House, tenant: str, owner: bytes, seqs: Sequence[int], tell: Tell) -> int:
    known = {place: None for seq in seqs for place in renewal.contents_of(house.db, tenant, seq)}
    done = 0
    for number, (rid, name) in enumerate(known, 1):
        for first in range(0, renewal.count_chunks(house.db, tenant, name), renewal.CHUNKS):
            done += await _step(house, renewal.Chunks(tenant, owner, rid, name, first), 250)
        await _step(house, renewal.Ended(tenant, owner, rid, name), 1)
        tell("files", number, len(known))
    return done


async def _step(house: House, step: renewal.Step, weight: int) -> int:
    """Take one step; how much it has sealed anew."""
    unit, before = Unit(), house.renewals.sealed
    unit.parts[renewal.PART] = step
    unit.weight = weight
    await house.writer.submit(unit)
    return house.renewals.sealed - before


def _named(owner: bytes, patient: str) -> tuple[Entity, ...]:
    return (Entity(owner, "Patient", patient, 0, "U"),) if patient else ()


async def rotate_index(house: House, tenant: str, tell: Tell = lambda *_: None) -> bool:
    """Go over to another index key, or go on with what was begun.

    Returns:
        Whether all is done; if not, tokens of the former key are still to be removed, a little later.

    Raises:
        Problem: NOT_FOUND for an unknown tenant; CONFLICT while the index is behind for another reason.
    """
    house.keyring.tenant(tenant)
    ctx = operator(house, tenant)
    if under_way(ctx) is None:
        await begin(ctx)
    lock, most = house.indexing, left(ctx)
    while not lock.try_enter():  # a server is at it already
        tell("records", most - left(ctx), most)
        if under_way(ctx) is None or waits(ctx):
            break
        await asyncio.sleep(_LOOK_SECONDS)
    else:
        try:
            return await advance(ctx, tell) is None
        finally:
            lock.__exit__()
    return under_way(ctx) is None


def index_under_way(house: House, tenant: str) -> bool:
    """Whether going over to another index key was begun and is not at its end."""
    return under_way(operator(house, tenant)) is not None
