# SPDX-License-Identifier: Apache-2.0
"""FHIR batch: every entry for itself.  https://hl7.org/fhir/R4/http.html#transaction

Each entry is carried out, committed and audited as if it had been sent alone; one that fails changes nothing for the
others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from salus.fhir.outcome import outcome
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context
from salus.records.interactions.create import create
from salus.records.interactions.delete import conditional_delete, delete
from salus.records.interactions.entry import STATUS, Answer, Entry, answer_made, placed
from salus.records.interactions.get import get_in_bundle
from salus.records.interactions.update import conditional_update, update

Operate = Callable[[Context, Entry], Awaitable[Answer]]
"""Carries out an entry that calls an operation; operations are built on the interactions, so they are handed in."""

_TOGETHER = 32  # entries on their way at once: enough to share flushes, not enough to crowd others out


async def batch(ctx: Context, entries: Sequence[Entry], operate: Operate) -> list[Answer]:
    """Carry out a batch Bundle.

    Args:
        operate: for entries that call an operation.

    Returns:
        One answer per entry, in the order of the request; failures as answers with an OperationOutcome.

    Raises:
        Problem: UNAVAILABLE or FAULT, which concern the server and not an entry.
    """
    answers: list[Answer] = []
    for start in range(0, len(entries), _TOGETHER):
        answers += await asyncio.gather(*(_one(ctx, entry, operate) for entry in entries[start : start + _TOGETHER]))
    return answers


async def _one(ctx: Context, entry: Entry, operate: Operate) -> Answer:
    alone = Context(ctx.services, ctx.actor, ctx.request, ctx.address)
    try:
        with placed(entry):
            return await (operate(alone, entry) if entry.operation else _carry_out(alone, entry))
    except Problem as problem:
        status = STATUS.get(problem.kind)
        if status is None:
            raise
        return Answer(status, outcome=outcome(problem))


async def _carry_out(ctx: Context, entry: Entry) -> Answer:
    if entry.method == "GET":
        return await get_in_bundle(ctx, entry)
    if entry.method == "DELETE":
        if entry.query:
            await conditional_delete(ctx, entry.type, entry.query)
        else:
            await delete(ctx, entry.type, entry.id, entry.if_match)
        return Answer("204 No Content")
    if entry.resource is None:
        raise Problem(Kind.INCORRECT, f"{entry.method} needs a resource.")
    if entry.method == "POST":
        version, made = await create(ctx, entry.type, entry.resource, entry.if_none_exist)
    elif entry.query:
        version, made = await conditional_update(ctx, entry.type, entry.query, entry.resource, entry.if_match)
    else:
        version, made = await update(ctx, entry.type, entry.id, entry.resource, entry.if_match)
    return answer_made(version, made)
