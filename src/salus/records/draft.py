# SPDX-License-Identifier: Apache-2.0
"""From a resource that somebody sent to a version that can be committed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from salus.access.facts import Facts
from salus.access.permit import Permit
from salus.access.relations import Replace
from salus.audit.event import Action, Entity
from salus.fhir.search.define import defined
from salus.kernel.clock import instant
from salus.kernel.commit import Unit
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.attached import check_attached
from salus.records.context import Context
from salus.records.facts import facts as facts_of_resource
from salus.records.facts import relations
from salus.records.lens import lens
from salus.records.security_context import BINARY, facts_within
from salus.records.store.defined import Define
from salus.records.store.store import Version, entities
from salus.records.store.write import Change, Guard, RecordsPart
from salus.records.terms import terms_of


@dataclass(slots=True)
class Prepared:
    """A version on its way to the store, with everything that has to be committed beside it."""

    change: Change
    relations: Replace | None
    version: Version
    entities: tuple[Entity, ...]
    reason: str
    defines: Define | None = None


def prepare(
    ctx: Context,
    permit: Permit,
    resource: dict[str, Any],
    *,
    id_: str,
    version: int,
    base: int | None,
    method: str,
    content: bytes = b"",
) -> Prepared:
    """Stamp, judge, index and seal one new version.

    Args:
        permit: for creating or updating this type; its conditions are held against the new content.
        resource: validated; its `id`, `meta.versionId` and `meta.lastUpdated` are replaced.
        base: the version it follows; 0 if none may exist, None for an id that the server has just assigned.
        content: name of a content in chunks that is committed with it.

    Raises:
        Problem: INVALID for a Binary with a context or content that is not there; FORBIDDEN
            when the permit does not cover this content (for example somebody else's patient).
    """
    tenant = ctx.actor.tenant
    keys = ctx.store.keys(tenant)
    updated = ctx.services.clock.now_ms()
    stamped = _stamp(resource, id_, version, updated)
    state, registry = ctx.store.registries.of(tenant)
    view = lens(ctx.base, registry)
    facts = facts_of_resource(stamped, keys.surrogate, view.compartment, view.bases)
    if permit.type == BINARY:
        facts = facts_within(ctx, stamped, facts)
    if not permit.allows(facts):
        raise Problem(Kind.FORBIDDEN, f"You may not write this {permit.type}.", "content is outside the grant")
    if permit.type == BINARY and not content:
        check_attached(ctx, permit, stamped, ctx.store.rid(tenant, permit.type, id_), facts.owners)
    change, body = ctx.store.seal(
        tenant,
        resource=stamped,
        facts=facts,
        terms=terms_of(keys.index(), view.extractor, stamped),
        version=version,
        base=base,
        method=method,
        updated=updated,
        indexed=state.stamp,
    )
    relation = relations(tenant, stamped, change.rid, facts.owners, keys.surrogate, view.bases)
    action: Action = "C" if method == "POST" or version == 1 else "U"
    return Prepared(
        change,
        relation,
        Version(permit.type, id_, version, updated, False, method, body),
        entities(facts.owners, permit.type, id_, version, action),
        permit.reason,
        _defines(ctx, stamped, change.rid),
    )


def prepare_deletion(ctx: Context, permit: Permit, *, id_: str, facts: Facts, base: int) -> Prepared:
    """Make the version that says: deleted. It keeps the facts of the last content, so that history stays guarded."""
    tenant = ctx.actor.tenant
    updated = ctx.services.clock.now_ms()
    stub = {"resourceType": permit.type, "id": id_}
    change, _ = ctx.store.seal(
        tenant,
        resource=stub,
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
    return Prepared(
        change,
        relation,
        Version(permit.type, id_, base + 1, updated, True, "DELETE", b""),
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
    custom = defined(resource)
    registries = ctx.store.registries
    if custom is not None:
        others = [each.definition for row, each in registries.kept(ctx.actor.tenant) if row.name != rid]
        if any(each.code == custom.definition.code and set(each.base) & set(custom.definition.base) for each in others):
            text = "There is a parameter of this code for one of these types already."
            raise Problem(Kind.INVALID, text, issues=(Issue("duplicate", text, "SearchParameter.code"),))
    return registries.change(ctx.actor.tenant, rid, custom)


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
