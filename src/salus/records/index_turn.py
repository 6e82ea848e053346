# SPDX-License-Identifier: Apache-2.0
"""Going over to another index key beside the running service, step by step: see `store.turned`.

Whoever calls `advance` goes on from where the work stands, in whichever process; two at once do no harm. Searches are
right at every moment: until the switch they ask under the former key, which every record has tokens of; after it under
the new one, which by then every record has tokens of, too.
"""

from __future__ import annotations

import asyncio

from salus.audit.event import EventType
from salus.fhir.definitions import resource_types
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context
from salus.records.reindexing import Pending, Progress, caught_up
from salus.records.store.defined import State
from salus.records.store.erase import Merge
from salus.records.store.turned import IndexTurn, Step, next_step
from salus.records.store.write import RecordsPart

SETTLE_MS = 60_000
"""How long tokens of both keys are written after the switch: no request that planned a search before is still at it."""

KIND = "index"  # in the table of rotations, see `salus.app.schedule`
_PAGES = 500  # of the index, merged in one commit


def under_way(ctx: Context) -> Step | None:
    """The step that comes next; None when no change of keys is under way."""
    return next_step(_state(ctx))


def waits(ctx: Context) -> bool:
    """Whether nothing can be done yet: the switch was a moment ago."""
    now = _state(ctx)
    return next_step(now) is Step.CLEAN and ctx.services.clock.now_ms() - now.switched < SETTLE_MS


def left(ctx: Context) -> int:
    """How many records that the actor may search are still to be gone through in this step."""
    now = _state(ctx)
    if next_step(now) not in {Step.SWITCH, Step.END}:
        return 0
    return sum(ctx.store.reader.count_behind(permit, now.due) for permit in _pending(now).permits(ctx))


async def begin(ctx: Context) -> int:
    """Draw a new index key and begin to go over to it; gives its number.

    Raises:
        Problem: CONFLICT while the index is being worked on otherwise; UNAVAILABLE.
    """
    keys, now = ctx.store.keys(ctx.actor.tenant), _state(ctx)
    number = now.key + 1
    while number in keys.index_numbers() and not keys.has_index(number):  # destroyed before: its number is used up
        number += 1
    keys.make_index(number)
    await _take(ctx, Step.BEGIN, number, EventType.KEYS_ROTATE, f"index key {number} of the tenant")
    return number


async def advance(ctx: Context, tell: Progress = lambda *_: None) -> Step | None:
    """Do what can be done now.

    Args:
        ctx: an operator who may search every record.

    Returns:
        The step that is still to come; None when nothing is under way any more.
    """
    tenant = ctx.actor.tenant
    while (step := under_way(ctx)) is not None:
        now = _state(ctx)
        if waits(ctx):
            return step
        number, count = max(now.key, now.beside), 0
        if step is not Step.CLEAN:
            count = await caught_up(ctx, _pending(now), tell)
            if await _lagging(ctx, now):
                return step  # the policy hides records of a type from the actor
        try:
            if step is Step.SWITCH:
                reason = f"searches go by index key {number}; {count} records have its tokens since"
                await _take(ctx, step, number, EventType.INDEX_REBUILD, reason)
                ctx.store.keys(tenant).note_rotation(KIND, ctx.services.clock.now_ms())
            elif step is Step.CLEAN:
                reason = f"no more tokens under index key {now.beside}; those there are will be removed"
                await _take(ctx, step, number, EventType.INDEX_REBUILD, reason)
            else:
                await _merged(ctx)
                ctx.store.keys(tenant).destroy_index(now.former)
                reason = f"index key {now.former}: its tokens were removed from {count} records"
                await _take(ctx, step, number, EventType.KEYS_DESTROY, reason)
        except Problem as problem:
            if problem.kind is not Kind.CONFLICT:  # another process has just taken this step
                raise
            await asyncio.sleep(0)
    return None


def _state(ctx: Context) -> State:
    return ctx.store.registries.of(ctx.actor.tenant)[0]


def _pending(now: State) -> Pending:
    words = f"index key {now.beside}" if now.beside else f"the end of index key {now.former}"
    return Pending(None, words, tuple(resource_types()), now.due)


async def _lagging(ctx: Context, now: State) -> bool:
    for type_ in resource_types():
        if ctx.store.reader.lagging(ctx.actor.tenant, type_, now.due):
            return True
        await asyncio.sleep(0)
    return False


async def _merged(ctx: Context) -> None:
    """Merge the index into one segment, so that nothing of what was removed stays in it."""
    step = Merge(_PAGES, first=True)
    while step.more:
        unit = Unit()
        unit.parts["records"] = RecordsPart(merge=step)
        await ctx.services.writer.submit(unit)
        step = Merge(_PAGES, first=False, more=step.more)


async def _take(ctx: Context, step: Step, number: int, type_: EventType, reason: str) -> None:
    unit = Unit()
    turn = IndexTurn(ctx.actor.tenant, step, number, ctx.services.clock.now_ms())
    unit.parts["records"] = RecordsPart(turn=turn)
    await ctx.commit(unit, ctx.event(type_, reason=reason))
