# SPDX-License-Identifier: Apache-2.0
"""FHIR batch: every entry for itself.  https://hl7.org/fhir/R4/http.html#transaction

Each entry is carried out, committed and audited as if it had been sent alone; one that fails changes nothing for the
others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from salus.audit.event import EventType
from salus.fhir.outcome import outcome
from salus.fhir.patch import of_entry
from salus.fhir.references import rewrite
from salus.kernel.breath import Breath
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context, note_failure
from salus.records.interactions.answer import Answer, answer_deleted, answer_made
from salus.records.interactions.create import create
from salus.records.interactions.delete import conditional_delete, delete
from salus.records.interactions.entry import STATUS, Entry, placed
from salus.records.interactions.get import get_in_bundle
from salus.records.interactions.patch import conditional_patch, patch
from salus.records.interactions.targets import Apart
from salus.records.interactions.update import conditional_update, update

Operate = Callable[[Context, Entry], Awaitable[Answer]]
"""Carries out an entry that calls an operation; operations are built on the interactions, so they are handed in."""

_TOGETHER = 32  # entries on their way at once: enough to share flushes, not enough to crowd others out


async def batch(ctx: Context, entries: Sequence[Entry | Problem], operate: Operate) -> list[Answer]:
    """Carry out a batch Bundle.

    Args:
        entries: as `salus.records.interactions.entry.entries_apart` reads them.
        operate: for entries that call an operation.

    Returns:
        One answer per entry, in the order of the request; failures as answers with an OperationOutcome.

    Raises:
        Problem: UNAVAILABLE or FAULT, which concern the server and not an entry.
    """
    made = frozenset(one.full_url for one in entries if isinstance(one, Entry) and _makes(one))
    breath = Breath()
    answers: list[Answer] = []
    for start in range(0, len(entries), _TOGETHER):
        some = entries[start : start + _TOGETHER]
        answers += await asyncio.gather(*(_one(ctx, entry, operate, made, breath) for entry in some))
    return answers


def _makes(entry: Entry) -> bool:
    return entry.method == "POST" and bool(entry.full_url) and not entry.operation


async def _one(ctx: Context, entry: Entry | Problem, operate: Operate, made: frozenset[str], breath: Breath) -> Answer:
    await breath.pause()  # those before it in the same slice may have taken long
    alone = Context(ctx.services, ctx.actor, ctx.request, ctx.address)
    if isinstance(entry, Problem):
        await note_failure(alone, EventType.RECORD_BATCH, entry)
        return Answer(STATUS.get(entry.kind, "400 Bad Request"), outcome=outcome(entry))
    try:
        with placed(entry):
            if entry.operation:
                return await operate(alone, entry)
            if entry.resource is not None:
                rewrite(entry.resource, Apart(alone, made))
            return await _carry_out(alone, entry)
    except Problem as problem:
        status = STATUS.get(problem.kind)
        if status is None:
            raise
        if not alone.noted:  # it ended before an interaction began
            alone.asked = alone.asked or f"{entry.method} {'/'.join(filter(None, (entry.type, entry.id)))}"
            await note_failure(alone, EventType.RECORD_BATCH, problem)
        return Answer(status, outcome=outcome(problem))


async def _carry_out(ctx: Context, entry: Entry) -> Answer:
    if entry.reads:
        return await get_in_bundle(ctx, entry)
    if entry.method == "DELETE":
        if entry.query:
            return answer_deleted(len(await conditional_delete(ctx, entry.type, entry.query, entry.if_match)))
        gone = await delete(ctx, entry.type, entry.id, entry.if_match)
        return answer_deleted(1 if gone else 0)
    if entry.resource is None:
        raise Problem(Kind.INCORRECT, f"{entry.method} needs a resource.")
    if entry.method == "PATCH":
        change = of_entry(entry.resource)
        if entry.query:
            return answer_made(await conditional_patch(ctx, entry.type, entry.query, change, entry.if_match), new=False)
        return answer_made(await patch(ctx, entry.type, entry.id, change, entry.if_match), new=False)
    if entry.method == "POST":
        version, made = await create(ctx, entry.type, entry.resource, entry.if_none_exist)
    elif entry.query:
        version, made = await conditional_update(ctx, entry.type, entry.query, entry.resource, entry.if_match)
    else:
        version, made = await update(ctx, entry.type, entry.id, entry.resource, entry.if_match)
    return answer_made(version, made)
