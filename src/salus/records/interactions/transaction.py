# SPDX-License-Identifier: Apache-2.0
"""FHIR transaction: all entries or none.  https://hl7.org/fhir/R4/http.html#transaction

Entries are staged in the order of the specification (DELETE, POST, PUT and PATCH, GET and HEAD) and committed as one
unit with one audit entry. What an actor may do is judged by the relations as they were before the transaction.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby

from salus.access.permissions import Permission
from salus.audit.event import EventType
from salus.fhir.patch import of_entry
from salus.kernel.breath import Breath
from salus.kernel.errors import Issue, Kind, Problem
from salus.kernel.ids import uuid7
from salus.records.context import Context, audited
from salus.records.draft import unit_of
from salus.records.finding import Found, match_one
from salus.records.interactions import delete, patch
from salus.records.interactions.answer import Answer, answer_deleted, answer_found, answer_made
from salus.records.interactions.entry import Entry, placed
from salus.records.interactions.get import check_get, get_in_bundle
from salus.records.interactions.staging import Staging, name, promise, stage_wholes
from salus.records.interactions.targets import Targets
from salus.records.persevere import RACED, persevering
from salus.records.wording import absent

_ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2}
_WHOLE = {"POST", "PUT"}


@audited(EventType.RECORD_TRANSACTION)
@persevering
async def transaction(ctx: Context, fresh: Callable[[], Sequence[Entry]], *, pins: bool = False) -> list[Answer]:
    """Carry out a transaction Bundle.

    Args:
        fresh: gives the entries as `salus.records.interactions.entry.entries_of` reads them. Staging writes ids and
            references into them, so that a second attempt after a race needs them anew.
        pins: whether a reference may ask to become version-specific.

    Returns:
        One answer per entry, in the order of the request.

    Raises:
        Problem: whatever the first failing entry raises, its places starting at `Bundle.entry[i]`; nothing is kept.
    """
    entries = fresh()
    staging = Staging(pins)
    await stage_writes(ctx, entries, staging)
    _refuse_reading_by_new_relation(ctx, entries, staging)
    if staging.prepared or staging.guards:
        reasons = "; ".join(dict.fromkeys(one.reason for one in staging.prepared))
        touched = tuple(entity for one in staging.prepared for entity in one.entities)
        event = ctx.event(EventType.RECORD_TRANSACTION, reason=reasons, entities=(*touched, *staging.read))
        await ctx.commit(unit_of(staging.prepared, staging.guards), event)
    for entry in entries:
        if entry.reads:
            staging.answers[entry.index] = await get_in_bundle(ctx, entry)
    return [staging.answers[entry.index] for entry in entries]


async def stage_writes(ctx: Context, entries: Sequence[Entry], staging: Staging) -> None:
    """Stage everything but the reads; gives way to other requests between entries."""
    breath = Breath()
    for entry in entries:
        if entry.operation or entry.reads:
            with placed(entry):
                _check_read(ctx, entry)
            await breath.pause()
    matched = await _resolve_conditions(ctx, entries, staging, breath)
    targets = _targets(ctx, entries, matched, staging)
    todo = sorted(
        (
            entry
            for entry in entries
            if not (entry.reads or entry.index in staging.answers or entry.index in staging.same)
        ),
        key=lambda entry: _ORDER[entry.method],
    )
    for wholes, some in groupby(todo, key=lambda entry: entry.method in _WHOLE):
        if wholes:
            await stage_wholes(ctx, list(some), targets, staging, breath)
            continue
        for entry in some:
            with placed(entry):
                _stage_one(ctx, entry, targets, staging)
            await breath.pause()
    for index, first in staging.same.items():
        staging.answers[index] = dataclasses.replace(staging.answers[first.index], status="200 OK")
    _keep_promises(staging)


def _check_read(ctx: Context, entry: Entry) -> None:
    """A read that cannot be answered stops the transaction before anything is written."""
    if entry.operation:
        text = "An operation may be an entry of a batch, not of a transaction."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("not-supported", text, "request.url"),))
    check_get(ctx, entry)


def _refuse_reading_by_new_relation(ctx: Context, entries: Sequence[Entry], staging: Staging) -> None:
    """Reads come after the writes; they must not be judged by a care relationship that the same Bundle makes."""
    if not ctx.actor.party or not any(entry.reads for entry in entries):
        return
    me = ctx.store.keys(ctx.actor.tenant).surrogate("party", ctx.actor.party)
    stated = (relation for one in staging.prepared if one.relations for relation in one.relations.relations)
    if any(party == me for party, _, _ in stated):
        text = "A transaction that relates you to a patient may not read as well; read after it."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("business-rule", text, "Bundle.entry"),))


def _stage_one(ctx: Context, entry: Entry, targets: Targets, staging: Staging) -> None:
    """Stage a DELETE or a PATCH."""
    if entry.method == "DELETE":
        _stage_delete(ctx, entry, staging)
        return
    sent = entry.brought()
    if sent is None:
        raise Problem(Kind.INCORRECT, f"{entry.method} needs a resource.")
    target = entry.id or _one_match(ctx, entry)
    name(entry, target, staging)
    seen = targets.seen_from(entry.full_url)
    made = patch.stage(ctx, entry.type, target, of_entry(sent), entry.if_match, seen)
    staging.prepared.append(made)
    staging.answers[entry.index] = answer_made(made.shown, False)


def _stage_delete(ctx: Context, entry: Entry, staging: Staging) -> None:
    if entry.query:
        gone = delete.stage_matching(ctx, entry.type, entry.query, entry.if_match, "request.url")
        for one in gone:
            name(entry, one.version.id, staging)
    else:
        name(entry, entry.id, staging)
        one_gone = delete.stage(ctx, entry.type, entry.id, entry.if_match)
        gone = [one_gone] if one_gone else []
    staging.prepared += gone
    staging.answers[entry.index] = answer_deleted(len(gone))


def _one_match(ctx: Context, entry: Entry) -> str:
    found, _ = match_one(ctx, entry.type, entry.query, "request.url")
    if found is None:
        raise absent()
    return found.version.id


async def _resolve_conditions(
    ctx: Context, entries: Sequence[Entry], staging: Staging, breath: Breath
) -> dict[int, Found]:
    """Look up what conditional creates and updates match.

    `ifNoneExist` entries that match a record stand for it, also for references from other entries. Two entries with
    the same condition mean the same record: the first makes it.

    Returns:
        What conditional creates match, by position.
    """
    matched: dict[int, Found] = {}
    first: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        if entry.method == "POST" and entry.if_none_exist:
            with placed(entry):
                ctx.decide(Permission.RECORD_CREATE, entry.type)
                found, guard = match_one(ctx, entry.type, entry.if_none_exist, "request.ifNoneExist")
            earlier = first.setdefault((entry.type, entry.if_none_exist), entry)
            if found is None and earlier is not entry:
                staging.same[entry.index] = earlier
            elif found is None:
                staging.guards.append(guard)
            else:
                matched[entry.index] = found
                staging.kept.add((entry.type, found.version.id))
                staging.answers[entry.index] = answer_found(found.version)
                staging.read += found.entities
            await breath.pause()
        elif entry.method == "PUT" and entry.query:
            with placed(entry):
                staging.matches[entry.index] = match_one(ctx, entry.type, entry.query, "request.url")
            await breath.pause()
    return matched


def _targets(ctx: Context, entries: Sequence[Entry], matched: dict[int, Found], staging: Staging) -> Targets:
    """Give every new record its id now, so that entries can refer to each other in any order."""
    mapping: dict[str, str] = {}
    named: dict[str, Entry] = {}
    for entry in entries:
        if entry.index in matched:
            entry.id = matched[entry.index].version.id
            staging.promised[f"{entry.type}/{entry.id}"] = matched[entry.index].version.version
        elif entry.index in staging.same:
            entry.id = staging.same[entry.index].id
        elif entry.method == "POST":
            entry.id = uuid7()
            staging.promised[f"{entry.type}/{entry.id}"] = 1
        elif entry.method == "PUT" and entry.query:
            entry.id = _future_id(entry, staging.matches[entry.index][0])
        if entry.method in {"POST", "PUT", "PATCH"} and entry.id:
            staging.written.add(f"{entry.type}/{entry.id}")
        if entry.full_url and entry.id and not entry.reads:
            _map(entry, mapping)
            named[entry.full_url] = entry

    @cache
    def sent(full_url: str) -> str:
        return _version_sent(named[full_url]) if full_url in named else ""

    return Targets(ctx, mapping, sent, lambda target: promise(ctx, target, staging))


def _map(entry: Entry, mapping: dict[str, str]) -> None:
    """Note what an entry's fullUrl stands for (https://hl7.org/fhir/R4/bundle.html#bundle-unique, bdl-7, bdl-8)."""
    place = f"Bundle.entry[{entry.index}].fullUrl"
    if "/_history/" in entry.full_url:
        text = "A fullUrl names a record, never one of its versions."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("invariant", text, place),))
    target = f"{entry.type}/{entry.id}"
    if mapping.setdefault(entry.full_url, target) != target:
        text = "Two entries have the same fullUrl."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("duplicate", text, place),))


def _version_sent(entry: Entry) -> str:
    """The version that a resource says it is."""
    resource = entry.brought()
    meta = resource.get("meta") if resource else None
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return version if isinstance(version, str) else ""


def _future_id(entry: Entry, found: Found | None) -> str:
    """The id that a conditional update will write to: that of the match, of the body, or a new one."""
    if found is not None:
        return found.version.id
    resource = entry.brought()
    sent = resource.get("id") if resource else None
    return sent if isinstance(sent, str) and sent else uuid7()


def _keep_promises(staging: Staging) -> None:
    """A reference may have been given the version after one that was the newest then, and is not any more."""
    for one in staging.prepared:
        promised = staging.promised.get(f"{one.version.type}/{one.version.id}")
        if promised not in {None, one.version.version}:
            raise Problem(Kind.CONFLICT, "Someone else changed a record of the transaction at the same time.", RACED)
