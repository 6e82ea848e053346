# SPDX-License-Identifier: Apache-2.0
"""The import itself: every document in parts, each part in one commit together with how far it brought the document.

A transaction Bundle is one part: all of it or nothing. Other Bundles and NDJSON go resource by resource; a refused one
is reported with its place and leaves the others alone. Whatever stops the import, the next run goes on after the last
part that was committed.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from salus.audit.event import EventType
from salus.fhir import json
from salus.fhir.definitions import resource_types
from salus.fhir.references import rewrite
from salus.kernel.errors import Issue, Kind, Problem
from salus.kernel.ids import uuid7
from salus.records.context import Context
from salus.records.draft import Prepared, unit_of
from salus.records.importing.sources import Document, damaged
from salus.records.interactions import create, update
from salus.records.interactions.entry import entries_of
from salus.records.interactions.transaction import Staging, stage_writes
from salus.records.persevere import persevering
from salus.records.store.write import RecordsPart

_PART = 200  # resources in one commit
_MAX_ENTRIES = 1_000_000
_TYPES = frozenset(resource_types())


@dataclass(frozen=True, slots=True)
class Refused:
    """A resource (or a whole transaction) that was not taken.

    Attributes:
        file: where it stands.
        place: line of an NDJSON file, FHIRPath in a Bundle, or nothing.
        reason: words; never content.
    """

    file: str
    place: str
    reason: str


@dataclass(slots=True)
class Tally:
    """What an import came to.

    Attributes:
        accepted: resources that are durable now.
        skipped: documents, or resources of a document begun before, that an earlier run had brought in.
        refused: what was not taken.
    """

    accepted: int = 0
    skipped: int = 0
    refused: list[Refused] = field(default_factory=list)


@dataclass(slots=True)
class _Item:
    place: str
    resource: dict[str, Any] | None
    problem: Problem | None = None


class Import:
    """One run.

    Args:
        ctx: an operator or service that may create and update.
        on_progress: called after every commit.
    """

    def __init__(self, ctx: Context, on_progress: Callable[[Tally], None] = lambda _: None) -> None:
        self._ctx = ctx
        self._on_progress = on_progress
        self.tally = Tally()

    async def document(self, document: Document) -> None:
        """Bring in one document.

        Raises:
            Problem: UNAVAILABLE when the store cannot write; everything else is put into the tally.
        """
        try:
            if document.lines:
                await self._lines(document)
            else:
                await self._whole(document)
        except Problem as problem:
            if problem.kind in {Kind.UNAVAILABLE, Kind.FAULT}:
                raise
            self._refuse(document.name, "", problem)

    async def _whole(self, document: Document) -> None:
        raw = document.read()
        source = self._source("document", hashlib.sha256(raw).hexdigest())
        done = self._ctx.store.reader.progress(self._ctx.actor.tenant, source)
        sent = json.decode(raw)
        kind = sent.get("type") if sent.get("resourceType") == "Bundle" else None
        if kind == "transaction":
            if done:
                self.tally.skipped += 1
                return
            await self._transaction(document.name, raw, source)
        else:
            items = iter([_Item("", sent)]) if kind is None else _of_bundle(sent)
            await self._one_by_one(document.name, items, source, done)

    async def _lines(self, document: Document) -> None:
        source = self._source("lines", document.name)
        done = self._ctx.store.reader.progress(self._ctx.actor.tenant, source)
        await self._one_by_one(document.name, _of_lines(document), source, done)

    def _source(self, *words: str) -> bytes:
        return self._ctx.store.keys(self._ctx.actor.tenant).surrogate("import", "\n".join(words))

    async def _transaction(self, name: str, raw: bytes, source: bytes) -> None:
        progress = (self._ctx.actor.tenant, source, 1)
        try:
            self.tally.accepted += await _keep_transaction(self._ctx, raw, progress)
        except Problem as problem:
            if problem.kind in {Kind.UNAVAILABLE, Kind.FAULT}:
                raise
            self._refuse(name, "", problem)
        self._on_progress(self.tally)

    async def _one_by_one(self, name: str, items: Iterator[_Item], source: bytes, done: int) -> None:
        self.tally.skipped += sum(1 for _ in islice(items, done))
        position = done
        while part := list(islice(items, _PART)):
            position += len(part)
            progress = (self._ctx.actor.tenant, source, position)
            accepted, refused = await _keep_part(self._ctx, part, progress)
            self.tally.accepted += accepted
            for place, problem in refused:
                self._refuse(name, place, problem)
            self._on_progress(self.tally)

    def _refuse(self, name: str, place: str, problem: Problem) -> None:
        issues = problem.issues or (Issue("processing", problem.public),)
        for issue in issues:
            where = ", ".join(part for part in (place, issue.place) if part)
            self.tally.refused.append(Refused(name, where, issue.text))


@persevering
async def _keep_transaction(ctx: Context, raw: bytes, progress: tuple[str, bytes, int]) -> int:
    staging = Staging()
    await stage_writes(ctx, entries_of(json.decode(raw), _MAX_ENTRIES), staging)
    await _commit(ctx, staging.prepared, progress, staging)
    return len(staging.prepared)


@persevering
async def _keep_part(
    ctx: Context, part: list[_Item], progress: tuple[str, bytes, int]
) -> tuple[int, list[tuple[str, Problem]]]:
    prepared: dict[tuple[str, str], Prepared] = {}
    refused: list[tuple[str, Problem]] = []
    for item in part:
        try:
            one = _stage(ctx, item)
        except Problem as problem:
            if problem.kind in {Kind.UNAVAILABLE, Kind.FAULT}:
                raise
            refused.append((item.place, problem))
            continue
        name = (one.version.type, one.version.id)
        if name in prepared:
            text = "The same record stands twice within a short distance; the first was taken."
            refused.append((item.place, Problem(Kind.CONFLICT, text)))
        else:
            prepared[name] = one
    await _commit(ctx, list(prepared.values()), progress)
    return len(prepared), refused


def _stage(ctx: Context, item: _Item) -> Prepared:
    if item.problem is not None:
        raise item.problem
    resource = item.resource or {}
    type_ = resource.get("resourceType")
    if type_ not in _TYPES:
        text = "resourceType must be a resource type of FHIR R4."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("structure", text, "resourceType"),))
    if isinstance(resource.get("id"), str):
        return update.stage(ctx, type_, resource["id"], resource)[0]
    return create.stage(ctx, type_, resource)


async def _commit(
    ctx: Context, prepared: list[Prepared], progress: tuple[str, bytes, int], staging: Staging | None = None
) -> None:
    unit = unit_of(prepared, staging.guards if staging else None)
    records: RecordsPart = unit.parts["records"]
    records.progress = progress
    reasons = "; ".join(dict.fromkeys(one.reason for one in prepared))
    touched = tuple(entity for one in prepared for entity in one.entities)
    await ctx.commit(unit, ctx.event(EventType.RECORD_IMPORT, reason=reasons, entities=touched))
    await asyncio.sleep(0)


def _of_lines(document: Document) -> Iterator[_Item]:
    try:
        for number, line in enumerate(document.stream, start=1):
            if not line.strip():
                yield _Item(f"line {number}", None, Problem(Kind.INCORRECT, "The line is empty."))
                continue
            try:
                yield _Item(f"line {number}", json.decode(line))
            except Problem as problem:
                yield _Item(f"line {number}", None, problem)
    except (OSError, EOFError):
        raise damaged() from None


def _of_bundle(bundle: dict[str, Any]) -> Iterator[_Item]:
    """Resources of a collection, batch or other Bundle; those without an id get one, so that others can refer to it."""
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise Problem(Kind.INCORRECT, "The Bundle cannot be read: entry must be an array.")
    mapping: dict[str, str] = {}
    for entry in entries:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict):
            resource.setdefault("id", uuid7())
            full_url = entry.get("fullUrl")
            if isinstance(full_url, str):
                mapping[full_url] = f"{resource.get('resourceType')}/{resource['id']}"
    for index, entry in enumerate(entries):
        place = f"Bundle.entry[{index}]"
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict):
            yield _Item(place, None, Problem(Kind.INCORRECT, "The entry has no resource."))
            continue
        rewrite(resource, mapping)
        yield _Item(place, resource)
