# SPDX-License-Identifier: Apache-2.0
"""`Composition/$document`: a Composition and everything it refers to, as one document Bundle.

https://hl7.org/fhir/R4/composition-operation-document.html

Each record is read under its own permit and mask; what the actor may not read is left out like what is not there. The
labels of all that is in it stand on the Bundle, so that it is never easier to see than its parts. A document that is
kept (`persist`) is a record like any other, which belongs to the patients of its entries.
"""

from __future__ import annotations

from typing import Any

from salus.access.permissions import Permission
from salus.audit.event import Entity, EventType
from salus.fhir import json
from salus.fhir.operations.definition import Definition, Parameter
from salus.fhir.references import local_reference
from salus.kernel.clock import instant
from salus.kernel.errors import Kind, Problem
from salus.kernel.ids import uuid7
from salus.records.context import Context
from salus.records.draft import unit_of
from salus.records.interactions.create import stage
from salus.records.operations.meta import added
from salus.records.operations.operation import Invocation, Operation, Result
from salus.records.operations.referenced import Permits, followed
from salus.records.persevere import persevering
from salus.records.store.store import entities
from salus.records.wording import absent, gone

_DEPTH = 8  # steps from the Composition; a chain of references is shorter in practice


async def document(call: Invocation) -> Result:
    """Make the document, and keep it if that was asked for."""
    arguments = call.arguments
    if arguments.one("graph") is not None:
        text = "graph is not supported: the document holds everything that the Composition refers to."
        raise arguments.wrong("graph", text, "not-supported")
    persist = arguments.flag("persist")
    if persist and call.safe:
        raise arguments.wrong("persist", "GET keeps nothing; call $document by POST to keep the Bundle.")
    return await _made(call.ctx, call, call.id or _named(call), persist)


def _named(call: Invocation) -> str:
    """The Composition that `id` names, for a call on the type."""
    text = call.arguments.text("id")
    if not text:
        raise call.arguments.wrong("id", "On the type, id must name the Composition.", "required")
    target = local_reference(text if "/" in text else f"Composition/{text}", call.ctx.lens.bases)
    if target is None or target[0] != "Composition":
        raise call.arguments.wrong("id", "id must name a Composition of this server.")
    return target[1]


@persevering
async def _made(ctx: Context, call: Invocation, id_: str, persist: bool) -> Result:
    permits = Permits(ctx)
    permit = ctx.decide(Permission.RECORD_READ, "Composition")
    row = ctx.store.newest(permit, id_)
    if row is None:
        raise absent()
    composition = ctx.store.open(permit, row)
    if row.deleted:
        raise gone(row.version)
    most = ctx.services.limits.page_size_max
    found = followed(
        ctx, permits, [composition.body], {("Composition", id_)}, wanted=lambda _: True, depth=_DEPTH, most=most
    )
    if len(found) == most:
        raise Problem(Kind.TOO_COSTLY, f"The document would hold more than {most} records.")
    everything = [(row, composition), *found]
    touched: tuple[Entity, ...] = tuple(
        entity
        for one, version in everything
        for entity in entities(one.owners, one.type, version.id, version.version, "R")
    )
    reason = "; ".join(filter(None, (permit.reason, permits.reason)))
    bundle = _bundle(ctx, [json.decode(version.body) for _, version in everything])
    if not persist:
        await call.note(touched, reason)
        return Result.of(bundle)
    prepared = stage(ctx, "Bundle", bundle)
    event = ctx.event(
        EventType.RECORD_CREATE, reason=prepared.reason, entities=(*prepared.entities, *touched), query=call.asked
    )
    await ctx.commit(unit_of([prepared]), event)
    place = f"{ctx.base}/Bundle/{prepared.version.id}/_history/1"
    return Result(prepared.version.body, version=1, location=place)


def _bundle(ctx: Context, resources: list[dict[str, Any]]) -> dict[str, Any]:
    """The Bundle; bdl-9, bdl-10 and bdl-11 ask for what is set here (https://hl7.org/fhir/R4/documents.html)."""
    now = instant(ctx.services.clock.now_ms())
    meta: dict[str, Any] = {}
    for resource in resources:
        meta = added(meta, {"security": resource["meta"].get("security", ())})
    return {
        "resourceType": "Bundle",
        "meta": {"lastUpdated": now, **meta},
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid7()}"},
        "type": "document",
        "timestamp": now,
        "entry": [
            {"fullUrl": f"{ctx.base}/{resource['resourceType']}/{resource['id']}", "resource": resource}
            for resource in resources
        ],
    }


DOCUMENT = Operation(
    Definition(
        code="document",
        title="A Composition as a document",
        doc="Gives a document Bundle with the Composition first and every record that it refers to, directly or "
        "through others, as far as you may read them.",
        levels=("type", "instance"),
        types=("Composition",),
        inputs=(
            Parameter("id", "uri", "The Composition, for a call on the type: its id or its address on this server."),
            Parameter("persist", "boolean", "Keep the Bundle as a record, by POST only; Location says where."),
            Parameter("graph", "uri", "Not supported, and refused."),
        ),
        outputs=(Parameter("return", "Bundle", "The document.", min=1),),
        affects_state=False,
        standard="Composition-document",
    ),
    Permission.RECORD_READ,
    document,
)
