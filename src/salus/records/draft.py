# SPDX-License-Identifier: Apache-2.0
"""From a resource that somebody sent to a version that can be committed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from salus.access.facts import Facts
from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.access.relations import Replace
from salus.access.scopes import narrowed
from salus.audit.event import Action, Entity
from salus.fhir import json
from salus.fhir.search.define import defined
from salus.fhir.search.table import Definition
from salus.kernel.clock import instant
from salus.kernel.commit import Unit
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.attached import check_attached
from salus.records.context import Context
from salus.records.facts import facts as facts_of_resource
from salus.records.facts import relations
from salus.records.lens import lens
from salus.records.persevere import RACED
from salus.records.security_context import BINARY, facts_within
from salus.records.store import codec
from salus.records.store.defined import Define
from salus.records.store.store import Version, entities
from salus.records.store.write import Change, Guard, RecordsPart
from salus.records.terms import Rows, rows_of, tokens_of, words_of


@dataclass(slots=True)
class Prepared:
    """A version on its way to the store, with everything that has to be committed beside it.

    Attributes:
        shown: the version as the answer may show it: without its body to a session whose scopes do not let it read
            what it wrote (SMART App Launch, create without `r`).
    """

    change: Change
    relations: Replace | None
    version: Version
    shown: Version
    entities: tuple[Entity, ...]
    reason: str
    defines: Define | None = None


@dataclass(slots=True)
class Draft:
    """A version that is being made; `Drafting` fills in the rest, stage by stage.

    Attributes:
        permit: for creating or updating this type; its conditions are held against the new content.
        resource: validated; its `id`, `meta.versionId` and `meta.lastUpdated` are replaced.
        base: the version it follows; 0 if none may exist, None for an id that the server has just assigned.
        content: name of a content in chunks that is committed with it.
        claiming: with whose permit it is asked whether the id of a new record belongs to a hidden one.
        updated: instant of the version, milliseconds.
        facts: what access judges the version by.
        rows: what it is to be found by.
        tokens: blind tokens of it.
        plain, packed: its JSON, and that compressed.
    """

    permit: Permit
    resource: dict[str, Any]
    id: str
    version: int
    base: int | None
    method: str
    content: bytes = b""
    claiming: Permit | None = None
    updated: int = 0
    facts: Facts | None = None
    rows: Rows = ()
    tokens: set[str] = field(default_factory=set)
    plain: bytes = b""
    packed: bytes = b""


class Drafting:
    """Judges, indexes and seals drafts.

    Many drafts go through one stage after the other together: what a stage needs stays in the processor's cache, which
    makes it about a third faster than one draft after the other. One object serves for a short while only: it reads
    with the search parameters that there were when it was made. A commit refuses tokens that are older than they are.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._tenant = ctx.actor.tenant
        self._keys = ctx.store.keys(self._tenant)
        self._state, registry = ctx.store.registries.of(self._tenant)
        self._indexes = ctx.store.indexes(self._tenant, self._state)
        self._view = lens(ctx.base, registry)
        self._surrogates: dict[tuple[str, str], bytes] = {}  # entries of a Bundle speak of the same few people

    def stages(self) -> tuple[Callable[[Draft], None], ...]:
        """What a draft goes through before it is sealed, in order."""
        return self.judge, self._extract, self._token, self._word, self._pack

    def judge(self, draft: Draft) -> None:
        """Stamp a draft and hold it against its permit.

        Raises:
            Problem: FORBIDDEN when the permit does not cover this content (for example somebody else's patient) or the
                id belongs to a hidden record; INVALID for a Binary with a context or content that is not there.
        """
        ctx, permit = self._ctx, draft.permit
        draft.updated = ctx.services.clock.now_ms()
        draft.resource = _stamp(draft.resource, draft.id, draft.version, draft.updated)
        found = facts_of_resource(draft.resource, self._surrogate, self._view.compartment, self._view.bases)
        if permit.type == BINARY:
            found = facts_within(ctx, draft.resource, found)
        if not ctx.store.covers(permit, found, draft.resource):
            raise _outside(permit, "content is outside the grant")
        if permit.type == BINARY and not draft.content:
            rid = ctx.store.rid(self._tenant, permit.type, draft.id)
            check_attached(ctx, permit, draft.resource, rid, found.owners)
        # Asked last: content outside the grant must not find out which ids are taken.
        if draft.claiming is not None and ctx.store.taken(draft.claiming, draft.id):
            if ctx.store.newest(draft.claiming, draft.id) is not None:  # somebody has made it since the draft was begun
                raise Problem(Kind.CONFLICT, "Someone else made this record at the same time.", RACED)
            raise _outside(permit, "the id belongs to a hidden record")
        draft.facts = found

    def _extract(self, draft: Draft) -> None:
        """Find what a judged draft is to be found by."""
        draft.rows = rows_of(self._view.extractor, draft.resource)

    def _token(self, draft: Draft) -> None:
        """Make the tokens of what was extracted."""
        draft.tokens = tokens_of(self._indexes, draft.rows)

    def _word(self, draft: Draft) -> None:
        """Make the tokens of its words, and put all of them together."""
        draft.tokens |= words_of(self._indexes, draft.resource)

    def _pack(self, draft: Draft) -> None:
        """Write it as JSON and compress it."""
        draft.plain = json.encode(draft.resource)
        draft.packed = codec.packed(draft.plain)

    def seal(self, draft: Draft) -> Prepared:
        """Make a judged and indexed draft what can be committed."""
        type_, version, facts = draft.permit.type, draft.version, draft.facts
        if facts is None:
            raise Problem(Kind.FAULT, "Something went wrong on our side.", "a draft that nobody judged")
        change = self._ctx.store.seal(
            self._tenant,
            type_=type_,
            id_=draft.id,
            packed=draft.packed,
            facts=facts,
            terms=" ".join(draft.tokens),
            version=version,
            base=draft.base,
            method=draft.method,
            updated=draft.updated,
            indexed=self._state.stamp,
        )
        action: Action = "C" if draft.method == "POST" or version == 1 else "U"
        made = Version(type_, draft.id, version, draft.updated, False, draft.method, draft.plain)
        shown = made if _readable(self._ctx, type_, facts, draft.resource) else msgspec.structs.replace(made, body=b"")
        return Prepared(
            change,
            relations(self._tenant, draft.resource, change.rid, facts.owners, self._surrogate, self._view.bases),
            made,
            shown,
            entities(facts.owners, type_, draft.id, version, action),
            draft.permit.reason,
            _defines(self._ctx, draft.resource, change.rid),
        )

    def _surrogate(self, kind: str, value: str) -> bytes:
        known = self._surrogates.get((kind, value))
        if known is None:
            known = self._surrogates[kind, value] = self._keys.surrogate(kind, value)
        return known


def prepare(ctx: Context, draft: Draft) -> Prepared:
    """Stamp, judge, index and seal one new version; raises Problem as `Drafting.judge`."""
    drafting = Drafting(ctx)
    for stage in drafting.stages():
        stage(draft)
    return drafting.seal(draft)


def _outside(permit: Permit, detail: str) -> Problem:
    return Problem(Kind.FORBIDDEN, f"You may not write this {permit.type}.", detail)


def _readable(ctx: Context, type_: str, facts: Facts, resource: dict[str, Any]) -> bool:
    """Whether the scopes of the session, if it has any, let it read what it writes."""
    if not narrowed(ctx.actor):
        return True
    try:
        permit = ctx.decide(Permission.RECORD_READ, type_)
    except Problem as problem:
        if problem.kind is not Kind.FORBIDDEN:
            raise
        return False
    return ctx.store.covers(permit, facts, resource)


def prepare_deletion(ctx: Context, permit: Permit, *, id_: str, facts: Facts, base: int) -> Prepared:
    """Make the version that says: deleted. It keeps the facts of the last content, so that history stays guarded."""
    tenant = ctx.actor.tenant
    updated = ctx.services.clock.now_ms()
    stub = {"resourceType": permit.type, "id": id_}
    change = ctx.store.seal(
        tenant,
        type_=permit.type,
        id_=id_,
        packed=codec.packed(json.encode(stub)),
        facts=facts,
        terms="",
        version=base + 1,
        base=base,
        method="DELETE",
        updated=updated,
        indexed=0,
        deleted=True,
    )
    keys = ctx.store.keys(tenant)
    relation = relations(tenant, stub, change.rid, facts.owners, keys.surrogate, ())
    gone = Version(permit.type, id_, base + 1, updated, True, "DELETE", b"")
    return Prepared(
        change,
        relation,
        gone,
        gone,
        entities(facts.owners, permit.type, id_, base + 1, "D"),
        permit.reason,
        ctx.store.registries.change(tenant, change.rid, None) if permit.type == "SearchParameter" else None,
    )


def _defines(ctx: Context, resource: dict[str, Any], rid: bytes) -> Define | None:
    """What a SearchParameter changes; only an active one has an effect.

    Raises:
        Problem: INVALID when it cannot be used.
    """
    if resource["resourceType"] != "SearchParameter":
        return None
    registries = ctx.store.registries
    others = [each.definition for row, each in registries.kept(ctx.actor.tenant) if row.name != rid]
    custom = defined(resource, {each.url: each.kind for each in others})
    if custom is not None and any(_clash(each, custom.definition) for each in others):
        text = "There is a parameter of this code for one of these types already."
        raise Problem(Kind.INVALID, text, issues=(Issue("duplicate", text, "SearchParameter.code"),))
    return registries.change(ctx.actor.tenant, rid, custom)


def _clash(one: Definition, other: Definition) -> bool:
    return one.code == other.code and bool(set(one.base) & set(other.base))


def unit_of(prepared: list[Prepared], guards: list[Guard] | None = None) -> Unit:
    """Put versions into one unit: all of them or none."""
    unit = Unit()
    defines = [one.defines for one in prepared if one.defines is not None]
    unit.parts["records"] = RecordsPart([one.change for one in prepared], guards or [], defines)
    replaced = [one.relations for one in prepared if one.relations is not None]
    if replaced:
        unit.parts["access"] = replaced
    unit.weight = len(prepared)
    return unit


def _stamp(resource: dict[str, Any], id_: str, version: int, updated: int) -> dict[str, Any]:
    """Put type, id and meta first (the store relies on it) and set what the server owns."""
    meta = dict(resource.get("meta", ()))
    meta["versionId"] = str(version)
    meta["lastUpdated"] = instant(updated)
    stamped: dict[str, Any] = {"resourceType": resource["resourceType"], "id": id_, "meta": meta}
    for name, value in resource.items():
        if name not in stamped:
            stamped[name] = value
    return stamped
