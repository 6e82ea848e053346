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
from functools import partial
from itertools import islice

from salus.access.permissions import Permission
from salus.audit.event import EventType
from salus.fhir import json
from salus.fhir.definitions import resource_types
from salus.kernel.breath import Breath
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.context import Context
from salus.records.draft import Prepared, unit_of
from salus.records.importing.items import Item, Lines, made_id, of_bundle, parts
from salus.records.importing.sources import Document
from salus.records.interactions import update
from salus.records.interactions.entry import Fresh
from salus.records.interactions.staging import Staging
from salus.records.interactions.transaction import stage_writes
from salus.records.persevere import persevering
from salus.records.store.write import RecordsPart

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
        skipped: documents, or resources of a document begun before, that an earlier run had dealt with.
        refused: what was not taken.
    """

    accepted: int = 0
    skipped: int = 0
    refused: list[Refused] = field(default_factory=list)


Progress = tuple[str, bytes, int, bytes]


class Import:
    """One run.

    Args:
        ctx: an operator or service that may create and update.
        on_progress: called after every commit.
        on_refused: called with what is refused before the commit that passes over it: an interruption loses none.
    """

    def __init__(
        self,
        ctx: Context,
        on_progress: Callable[[Tally], None] = lambda _: None,
        on_refused: Callable[[list[Refused]], None] = lambda _: None,
    ) -> None:
        self._ctx = ctx
        self._on_progress = on_progress
        self._on_refused = on_refused
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
            self._refuse(document.name, ("", problem))

    async def _whole(self, document: Document) -> None:
        raw = document.read()
        digest = hashlib.sha256(raw).hexdigest()
        source = self._source("document", digest)
        done, _ = self._ctx.store.reader.progress(self._ctx.actor.tenant, source)
        sent = json.decode(raw)
        kind = sent.get("type") if sent.get("resourceType") == "Bundle" else None
        if kind == "transaction":
            if done:
                self.tally.skipped += 1
                return
            await self._transaction(document.name, Fresh(sent, raw, _MAX_ENTRIES), source)
            return
        surrogate = self._ctx.store.keys(self._ctx.actor.tenant).surrogate
        if kind is None:
            named = "id" not in sent
            if named:
                sent["id"] = made_id(surrogate, f"{digest}/0")
            items = iter([Item("", sent, named=named)])
        else:
            items = of_bundle(sent, digest, surrogate)
        self.tally.skipped += sum(1 for _ in islice(items, done))
        await self._one_by_one(document.name, items, source, done)

    async def _lines(self, document: Document) -> None:
        """Go on where an earlier run stopped, if the file still begins as it did then; else read all of it again."""
        lines = Lines(document, self._ctx.store.keys(self._ctx.actor.tenant).surrogate)
        source = self._source("lines", lines.first())
        done, mark = self._ctx.store.reader.progress(self._ctx.actor.tenant, source)
        if done and lines.skip(done) and lines.mark == mark:
            self.tally.skipped += done
        elif done:
            lines.rewind()
            done = 0
        await self._one_by_one(document.name, lines.items(), source, done)

    def _source(self, *words: str) -> bytes:
        return self._ctx.store.keys(self._ctx.actor.tenant).surrogate("import", "\n".join(words))

    async def _transaction(self, name: str, fresh: Fresh, source: bytes) -> None:
        progress = (self._ctx.actor.tenant, source, 1, b"")
        try:
            self.tally.accepted += await _keep_transaction(self._ctx, fresh, progress)
        except Problem as problem:
            if problem.kind in {Kind.UNAVAILABLE, Kind.FAULT}:
                raise
            self._refuse(name, ("", problem))
        self._on_progress(self.tally)

    async def _one_by_one(self, name: str, items: Iterator[Item], source: bytes, done: int) -> None:
        position = done
        for part in parts(items):
            position += len(part)
            if not any(item.resource is not None or item.problem is not None for item in part):
                continue  # empty lines alone: nothing to write down
            told = _Told(partial(self._refuse, name))
            kept = await _keep_part(self._ctx, part, (self._ctx.actor.tenant, source, position, part[-1].mark), told)
            self.tally.accepted += kept.accepted
            self.tally.skipped += kept.skipped
            self._on_progress(self.tally)

    def _refuse(self, name: str, *refused: tuple[str, Problem]) -> None:
        found: list[Refused] = []
        for place, problem in refused:
            for issue in problem.issues or (Issue("processing", problem.public),):
                where = ", ".join(part for part in (place, issue.place) if part)
                found.append(Refused(name, where, issue.text))
        self.tally.refused += found
        self._on_refused(found)


@persevering
async def _keep_transaction(ctx: Context, fresh: Fresh, progress: Progress) -> int:
    staging = Staging()
    await stage_writes(ctx, fresh(), staging)
    await _commit(ctx, staging.prepared, progress, staging)
    return len(staging.prepared)


@dataclass(slots=True)
class _Kept:
    """What a part came to."""

    accepted: int = 0
    skipped: int = 0


class _Told:
    """Tells what a part refuses once, however often its commit is tried."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell
        self._done = False

    def __call__(self, refused: list[tuple[str, Problem]]) -> None:
        if refused and not self._done:
            self._done = True
            self._tell(*refused)


@persevering
async def _keep_part(ctx: Context, part: list[Item], progress: Progress, told: _Told) -> _Kept:
    kept = _Kept()
    refused: list[tuple[str, Problem]] = []
    prepared: list[Prepared] = []
    breath = Breath()
    for item in part:
        await breath.pause()
        if item.resource is None and item.problem is None:
            continue
        try:
            one = _stage(ctx, item)
        except Problem as problem:
            if problem.kind in {Kind.UNAVAILABLE, Kind.FAULT}:
                raise
            refused.append((item.place, problem))
            continue
        if one is None:
            kept.skipped += 1
        else:
            prepared.append(one)
    told(refused)
    await _commit(ctx, prepared, progress)
    kept.accepted = len(prepared)
    return kept


def _stage(ctx: Context, item: Item) -> Prepared | None:
    """Stage one resource; None when it is there from an earlier run."""
    if item.problem is not None:
        raise item.problem
    resource = item.resource or {}
    type_, id_ = resource.get("resourceType"), resource.get("id")
    if type_ not in _TYPES:
        text = "resourceType must be a resource type of FHIR R4."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("structure", text, "resourceType"),))
    if not isinstance(id_, str):
        text = "An id must be text."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("structure", text, f"{type_}.id"),))
    if item.named and ctx.store.taken(ctx.decide(Permission.RECORD_CREATE, type_), id_):
        return None
    return update.stage(ctx, type_, id_, resource)[0]


async def _commit(ctx: Context, prepared: list[Prepared], progress: Progress, staging: Staging | None = None) -> None:
    unit = unit_of(prepared, staging.guards if staging else None)
    records: RecordsPart = unit.parts["records"]
    records.progress = progress
    reasons = "; ".join(dict.fromkeys(one.reason for one in prepared))
    touched = tuple(entity for one in prepared for entity in one.entities)
    await ctx.commit(unit, ctx.event(EventType.RECORD_IMPORT, reason=reasons, entities=touched))
    await asyncio.sleep(0)
