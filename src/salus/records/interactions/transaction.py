# SPDX-License-Identifier: Apache-2.0
"""FHIR transaction: all entries or none.  https://hl7.org/fhir/R4/http.html#transaction

Entries are staged in the order of the specification (DELETE, POST, PUT, GET) and committed as one unit with one audit
entry. What an actor may do is judged by the relations as they were before the transaction.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from salus.audit.event import Entity, EventType
from salus.fhir.references import rewrite
from salus.kernel.errors import Issue, Kind, Problem
from salus.kernel.ids import uuid7
from salus.records.context import Context, audited
from salus.records.draft import Prepared, unit_of
from salus.records.finding import Found, match_one
from salus.records.interactions import create, delete, update
from salus.records.interactions.entry import Answer, Entry, answer_found, answer_made, placed
from salus.records.interactions.get import check_get, get_in_bundle
from salus.records.interactions.targets import Targets
from salus.records.persevere import persevering
from salus.records.store.write import Guard
from salus.records.wording import wrong_id

_ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "GET": 3}
_BREATH = 16  # entries between two breaths of the event loop


@dataclass(slots=True)
class Staging:
    """What the entries of a Bundle have come to so far.

    Attributes:
        prepared: versions to be written.
        guards: what conditional entries rely on.
        answers: by position in the Bundle.
        read: records that conditional entries found.
        named: (type, id) of everything that is changed.
        same: entries that ask for the same new record as an earlier one, by position.
    """

    prepared: list[Prepared] = field(default_factory=list)
    guards: list[Guard] = field(default_factory=list)
    answers: dict[int, Answer] = field(default_factory=dict)
    read: list[Entity] = field(default_factory=list)
    named: set[tuple[str, str]] = field(default_factory=set)
    same: dict[int, Entry] = field(default_factory=dict)


@audited(EventType.RECORD_TRANSACTION)
@persevering
async def transaction(ctx: Context, fresh: Callable[[], Sequence[Entry]]) -> list[Answer]:
    """Carry out a transaction Bundle.

    Args:
        fresh: gives the entries as `salus.records.interactions.entry.entries_of` reads them. Staging writes ids and
            references into them, so that a second attempt after a race needs them anew.

    Returns:
        One answer per entry, in the order of the request.

    Raises:
        Problem: whatever the first failing entry raises, its places starting at `Bundle.entry[i]`; nothing is kept.
    """
    entries = fresh()
    staging = Staging()
    await stage_writes(ctx, entries, staging)
    _refuse_reading_by_new_relation(ctx, entries, staging)
    if staging.prepared or staging.guards:
        reasons = "; ".join(dict.fromkeys(one.reason for one in staging.prepared))
        touched = tuple(entity for one in staging.prepared for entity in one.entities)
        event = ctx.event(EventType.RECORD_TRANSACTION, reason=reasons, entities=(*touched, *staging.read))
        await ctx.commit(unit_of(staging.prepared, staging.guards), event)
    for entry in entries:
        if entry.method == "GET":
            staging.answers[entry.index] = await get_in_bundle(ctx, entry)
    return [staging.answers[entry.index] for entry in entries]


async def stage_writes(ctx: Context, entries: Sequence[Entry], staging: Staging) -> None:
    """Stage everything but the reads; gives way to other requests between entries."""
    for entry in entries:
        if entry.operation:
            with placed(entry):
                text = "An operation may be an entry of a batch, not of a transaction."
                raise Problem(Kind.INCORRECT, text, issues=(Issue("not-supported", text, "request.url"),))
        if entry.method == "GET":  # a read that cannot be answered stops the transaction before anything is written
            with placed(entry):
                check_get(ctx, entry)
    conditional = _resolve_conditional_creates(ctx, entries, staging)
    mapping = Targets(ctx, _addresses(entries, conditional, staging.same))
    ordered = sorted((e for e in entries if e.method != "GET"), key=lambda e: _ORDER[e.method])
    for number, entry in enumerate(ordered):
        if entry.index not in staging.answers and entry.index not in staging.same:
            with placed(entry):
                _stage_one(ctx, entry, mapping, staging)
        if number % _BREATH == _BREATH - 1:
            await asyncio.sleep(0)
    for index, first in staging.same.items():
        staging.answers[index] = dataclasses.replace(staging.answers[first.index], status="200 OK")


def _refuse_reading_by_new_relation(ctx: Context, entries: Sequence[Entry], staging: Staging) -> None:
    """Reads come after the writes; they must not be judged by a care relationship that the same Bundle makes."""
    if not ctx.actor.party or all(entry.method != "GET" for entry in entries):
        return
    me = ctx.store.keys(ctx.actor.tenant).surrogate("party", ctx.actor.party)
    stated = (relation for one in staging.prepared if one.relations for relation in one.relations.relations)
    if any(party == me for party, _, _ in stated):
        text = "A transaction that relates you to a patient may not read as well; read after it."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("business-rule", text, "Bundle.entry"),))


def _stage_one(ctx: Context, entry: Entry, mapping: dict[str, str], staging: Staging) -> None:
    if entry.method == "DELETE":
        _stage_delete(ctx, entry, staging)
        return
    resource = entry.resource
    if resource is None:
        raise Problem(Kind.INCORRECT, f"{entry.method} needs a resource.")
    rewrite(resource, mapping)
    if entry.method == "POST":
        made, new = create.stage(ctx, entry.type, resource, entry.id), True
    elif entry.query:
        made, new = _stage_conditional_update(ctx, entry, resource, staging)
    else:
        _name(entry, entry.id, staging)
        made, new = update.stage(ctx, entry.type, entry.id, resource, entry.if_match)
    staging.prepared.append(made)
    staging.answers[entry.index] = answer_made(made.version, new)


def _stage_delete(ctx: Context, entry: Entry, staging: Staging) -> None:
    target = entry.id
    if entry.query:
        found, guard = match_one(ctx, entry.type, entry.query, "request.url")
        staging.guards.append(guard)
        target = found.version.id if found else ""
    if target:
        _name(entry, target, staging)
    gone = delete.stage(ctx, entry.type, target, entry.if_match) if target else None
    if gone is not None:
        staging.prepared.append(gone)
    staging.answers[entry.index] = Answer("204 No Content")


def _stage_conditional_update(
    ctx: Context, entry: Entry, resource: dict[str, Any], staging: Staging
) -> tuple[Prepared, bool]:
    found, guard = match_one(ctx, entry.type, entry.query, "request.url")
    if found is None:
        staging.guards.append(guard)
    elif resource.get("id", found.version.id) != found.version.id:
        raise wrong_id("resource.id")
    _name(entry, found.version.id if found else f"?{entry.query}", staging)
    id_ = found.version.id if found else entry.id
    return update.stage(ctx, entry.type, id_, {**resource, "id": id_}, entry.if_match)


def _resolve_conditional_creates(ctx: Context, entries: Sequence[Entry], staging: Staging) -> dict[int, Found]:
    """`ifNoneExist` entries that match a record stand for it, also for references from other entries.

    Two entries with the same condition mean the same record: the first makes it.
    """
    matched: dict[int, Found] = {}
    first: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        if entry.method == "POST" and entry.if_none_exist:
            with placed(entry):
                found, guard = match_one(ctx, entry.type, entry.if_none_exist, "request.ifNoneExist")
            earlier = first.setdefault((entry.type, entry.if_none_exist), entry)
            if found is None and earlier is not entry:
                staging.same[entry.index] = earlier
            elif found is None:
                staging.guards.append(guard)
            else:
                matched[entry.index] = found
                staging.answers[entry.index] = answer_found(found.version)
                staging.read += found.entities
    return matched


def _addresses(entries: Sequence[Entry], matched: dict[int, Found], same: dict[int, Entry]) -> dict[str, str]:
    """Give every new record its id now, so that entries can refer to each other in any order."""
    mapping: dict[str, str] = {}
    for entry in entries:
        if entry.index in matched:
            entry.id = matched[entry.index].version.id
        elif entry.index in same:
            entry.id = same[entry.index].id
        elif entry.method == "POST" or (entry.query and entry.method == "PUT"):
            entry.id = entry.id or uuid7()
        if entry.full_url and entry.id and entry.method != "GET":
            target = f"{entry.type}/{entry.id}"
            if mapping.setdefault(entry.full_url, target) != target:  # https://hl7.org/fhir/R4/bundle.html bdl-7
                text = "Two entries have the same fullUrl."
                place = f"Bundle.entry[{entry.index}].fullUrl"
                raise Problem(Kind.INCORRECT, text, issues=(Issue("duplicate", text, place),))
    return mapping


def _name(entry: Entry, id_: str, staging: Staging) -> None:
    """Note what an entry changes; no other may change it too (https://hl7.org/fhir/R4/http.html#trules)."""
    if (entry.type, id_) in staging.named:
        text = "The transaction names this record twice."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("duplicate", text),))
    staging.named.add((entry.type, id_))
