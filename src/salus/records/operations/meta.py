# SPDX-License-Identifier: Apache-2.0
"""`$meta`, `$meta-add`, `$meta-delete`: profiles, tags and security labels.

https://hl7.org/fhir/R4/resource-operation-meta.html

R4 lets the last two change a version in place; here they make a new one, because a version is never changed. Labels
decide who may see a record, so the permit must cover the record as it is and as it becomes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.audit.event import EventType
from salus.fhir import json
from salus.fhir.definitions import resource_types
from salus.fhir.operations.answer import parameters
from salus.fhir.operations.definition import Definition, Parameter
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context
from salus.records.draft import unit_of
from salus.records.interactions.update import stage
from salus.records.operations.operation import Invocation, Operation, Result
from salus.records.persevere import persevering
from salus.records.store.store import Version, entities
from salus.records.wording import absent, gone

Meta = dict[str, Any]
Change = Callable[[Meta, Meta], Meta]

_BREATH = 64  # records between two breaths of the event loop
_SETS = ("profile", "security", "tag")


async def meta(call: Invocation) -> Result:
    """Give the meta of one record, or all labels in use on a type or everywhere, as far as the actor may see."""
    ctx = call.ctx
    if call.id:
        permit = ctx.decide(Permission.RECORD_READ, call.type)
        version, owners = _current(ctx, permit, call.id)
        await call.note(entities(owners, call.type, call.id, version.version, "R"), permit.reason)
        return _answer(json.decode(version.body)["meta"], version)
    permits = list(_permits(ctx, call.type))
    used: Meta = {}
    opened = 0
    for permit in permits:
        for row in ctx.store.reader.candidates(permit, ""):
            opened += 1
            if opened > ctx.services.limits.search_candidates:
                text = "There are too many records to gather their labels; ask one type, or single records."
                raise Problem(Kind.TOO_COSTLY, text)
            used = added(used, json.decode(ctx.store.open(permit, row).body)["meta"])
            if opened % _BREATH == 0:
                await asyncio.sleep(0)
    await call.note(reason="; ".join(dict.fromkeys(permit.reason for permit in permits)))
    return Result.of(parameters([("return", "Meta", {name: used[name] for name in _SETS if used.get(name)})]))


def _permits(ctx: Context, type_: str) -> Iterator[Permit]:
    """For the type, or for every type that the actor may search; a refusal only when there is none."""
    if type_:
        yield ctx.decide(Permission.RECORD_SEARCH, type_)
        return
    given = 0
    for each in resource_types():
        try:
            permit = ctx.decide(Permission.RECORD_SEARCH, each)
        except Problem as problem:
            if problem.kind is not Kind.FORBIDDEN:
                raise
            continue
        given += 1
        yield permit
    if not given:
        raise Problem(Kind.FORBIDDEN, "You may not search any type.", "no grant")


async def meta_add(call: Invocation) -> Result:
    """Add profiles, tags and labels that are not there yet."""
    return await _changed(call.ctx, call, added)


async def meta_delete(call: Invocation) -> Result:
    """Take profiles, tags and labels away; those that are not there are no error."""
    return await _changed(call.ctx, call, removed)


@persevering
async def _changed(ctx: Context, call: Invocation, change: Change) -> Result:
    permit = ctx.decide(Permission.RECORD_READ, call.type)
    seen, owners = _current(ctx, permit, call.id)
    update = ctx.decide(Permission.RECORD_UPDATE, call.type)
    row = ctx.store.newest(update, call.id)
    if row is None:
        raise Problem(Kind.FORBIDDEN, f"You may not change this {call.type}.", "outside the grant for updates")
    _, resource = ctx.store.open_with_content(update, row)
    before = resource["meta"]
    after = change(before, call.arguments.one("meta"))
    if after == before:
        await call.note(entities(owners, call.type, call.id, seen.version, "R"), permit.reason)
        return _answer(before, seen)
    prepared, _ = stage(ctx, call.type, call.id, {**resource, "meta": after}, row.version)
    touched, reason = prepared.entities, prepared.reason
    event = ctx.event(EventType.RECORD_UPDATE, reason=reason, entities=touched, query=call.address)
    await ctx.commit(unit_of([prepared]), event)
    return _answer(json.decode(prepared.version.body)["meta"], prepared.version)


def _current(ctx: Context, permit: Permit, id_: str) -> tuple[Version, bytes]:
    row = ctx.store.newest(permit, id_)
    if row is None:
        raise absent()
    version = ctx.store.open(permit, row)
    if row.deleted:
        raise gone(row.version)
    return version, row.owners


def _answer(found: Meta, version: Version) -> Result:
    return Result(json.encode(parameters([("return", "Meta", found)])), version=version.version)


# ── sets of labels ───────────────────────────────────────────────────────────────────────────────────────────────────


def added(before: Meta, more: Meta) -> Meta:
    """A meta with what is not in it yet. The same tag or label is one with the same system and code."""
    after = dict(before)
    for name in _SETS:
        known = {_identity(each) for each in before.get(name, ())}
        new = {_identity(each): each for each in more.get(name, ()) if _identity(each) not in known}
        if new:
            after[name] = [*before.get(name, ()), *new.values()]
    return after


def removed(before: Meta, less: Meta) -> Meta:
    """A meta without those; version and display of a tag or label do not count."""
    after = dict(before)
    for name in _SETS:
        gone_now = {_identity(each) for each in less.get(name, ())}
        kept = [each for each in before.get(name, ()) if _identity(each) not in gone_now]
        if kept:
            after[name] = kept
        else:
            after.pop(name, None)
    return after


def _identity(each: Any) -> tuple[str, str]:
    return (each, "") if isinstance(each, str) else (each.get("system", ""), each.get("code", ""))


# ── definitions ──────────────────────────────────────────────────────────────────────────────────────────────────────

_RETURN = (Parameter("return", "Meta", "The meta afterwards, or what is in use.", min=1),)

META = Operation(
    Definition(
        code="meta",
        title="Profiles, tags and labels in use",
        doc="Gives the meta of one record, or all profiles, tags and security labels that occur on the records of a "
        "type, or of all types, that you may see.",
        levels=("system", "type", "instance"),
        outputs=_RETURN,
        standard="Resource-meta",
    ),
    None,
    meta,
)

META_ADD = Operation(
    Definition(
        code="meta-add",
        title="Add profiles, tags and labels",
        doc="Adds profiles, tags and security labels to a record, as a new version of it.",
        levels=("instance",),
        inputs=(Parameter("meta", "Meta", "What to add; versionId and lastUpdated are passed over.", min=1),),
        outputs=_RETURN,
        affects_state=True,
        standard="Resource-meta-add",
    ),
    Permission.RECORD_UPDATE,
    meta_add,
)

META_DELETE = Operation(
    Definition(
        code="meta-delete",
        title="Remove profiles, tags and labels",
        doc="Removes profiles, tags and security labels from a record, as a new version of it.",
        levels=("instance",),
        inputs=(Parameter("meta", "Meta", "What to remove, by system and code, or by URL.", min=1),),
        outputs=_RETURN,
        affects_state=True,
        standard="Resource-meta-delete",
    ),
    Permission.RECORD_UPDATE,
    meta_delete,
)
