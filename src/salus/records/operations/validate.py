# SPDX-License-Identifier: Apache-2.0
"""`$validate`: whether a resource is valid here, by R4, by profiles, and for what somebody means to do with it.

https://hl7.org/fhir/R4/resource-operation-validate.html

The answer is always an OperationOutcome with status 200; what is wrong stands in it. Nothing is changed. A stored
record is looked at only under a permit that covers it, and one that the actor may not see reads as absent.
"""

from __future__ import annotations

from typing import Any, Final

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.audit.event import Entity
from salus.fhir import outcome
from salus.fhir.operations.definition import ANY, Definition, Parameter
from salus.fhir.references import local_reference
from salus.fhir.validate.bundles import entries_of
from salus.fhir.validate.finding import Finding, Severity
from salus.fhir.validate.inspection import references
from salus.fhir.validate.places import known
from salus.kernel.breath import Breath
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context
from salus.records.facts import facts as facts_of_resource
from salus.records.lens import lens
from salus.records.operations.operation import Invocation, Operation, Result
from salus.records.store.store import entities
from salus.records.wording import absent, gone

Resource = dict[str, Any]

_MOST_REFERENCES: Final = 2_000
_MOST_FINDINGS: Final = 200
_MODES: Final = {
    "create": Permission.RECORD_CREATE,
    "update": Permission.RECORD_UPDATE,
    "delete": Permission.RECORD_DELETE,
}
_WRITING: Final = (Permission.RECORD_CREATE, Permission.RECORD_UPDATE, Permission.RECORD_READ)


async def validate(call: Invocation) -> Result:
    """Judge what was sent, or the record of the address when nothing was sent.

    Raises:
        Problem: FORBIDDEN without a grant for what is asked; NOT_FOUND or GONE for the record of the address; INCORRECT
            for parameters that do not go together.
    """
    ctx, arguments = call.ctx, call.arguments
    mode = arguments.text("mode")
    if mode and mode not in (*_MODES, "profile"):
        raise arguments.wrong("mode", "mode must be create, update, delete or profile.", "code-invalid")
    if mode == "profile" and not arguments.all("profile"):
        raise arguments.wrong("profile", "The mode profile needs a profile.", "required")
    permit = _permit(ctx, call.type, mode, stored=bool(call.id))
    touched: tuple[Entity, ...] = ()
    stored: Resource | None = None
    if call.id:
        stored, touched = _stored(ctx, permit, call.id)
    resource = arguments.one("resource")
    if resource is None and mode != "delete":
        if stored is None or mode in ("create", "update"):
            raise arguments.wrong("resource", "A resource is needed, unless the mode is delete.", "required")
        resource = stored
    found: list[Finding] = []
    if resource is not None:
        found = await _judged(call, permit, resource, mode)
    await call.note(touched, permit.reason)
    return Result.of(outcome.judgement(found[:_MOST_FINDINGS]))


def _permit(ctx: Context, type_: str, mode: str, *, stored: bool) -> Permit:
    """For what somebody means to do; without a mode, for reading a stored record, or for anything with one's own."""
    if mode in _MODES:
        return ctx.decide(_MODES[mode], type_)
    if stored:
        return ctx.decide(Permission.RECORD_READ, type_)
    for permission in _WRITING[:-1]:
        try:
            return ctx.decide(permission, type_)
        except Problem as problem:
            if problem.kind is not Kind.FORBIDDEN:
                raise
    return ctx.decide(_WRITING[-1], type_)


def _stored(ctx: Context, permit: Permit, id_: str) -> tuple[Resource, tuple[Entity, ...]]:
    """The record of the address as the actor sees it."""
    row = ctx.store.newest(permit, id_)
    if row is None:
        raise absent()
    if row.deleted:
        raise gone(row.version)
    if permit.masked:
        raise Problem(
            Kind.FORBIDDEN, f"You see only a part of {permit.type} records and cannot judge a whole.", "masked"
        )
    version, resource = ctx.store.open_with_content(permit, row)
    return resource, entities(row.owners, permit.type, id_, version.version, "R")


async def _judged(call: Invocation, permit: Permit, resource: Resource, mode: str) -> list[Finding]:
    """Everything that is wrong with a resource, and with the intention."""
    kind = resource.get("resourceType")
    if type(kind) is not str or not known(kind):
        words = "resourceType must name a resource type of FHIR R4."
        return [Finding(Severity.ERROR, "structure", words, "resourceType")]
    found: list[Finding] = []
    steps = call.ctx.services.validator.examining(resource, tuple(call.arguments.all("profile")))
    breath = Breath()
    for so_far in steps:
        found = so_far
        await breath.pause()
    if kind != call.type:
        words = f"This address takes resources of type {call.type} only."
        found = [Finding(Severity.ERROR, "structure", words, "resourceType"), *found]
    elif not any(one.severity is Severity.ERROR for one in found):
        found = [*found, *_intended(call, permit, resource, mode)]
    if call.arguments.flag("references"):
        found = [*found, *await _dangling(call.ctx, resource)]
    return found


def _intended(call: Invocation, permit: Permit, resource: Resource, mode: str) -> list[Finding]:
    """Whether a valid resource could be written as intended."""
    if mode not in ("create", "update"):
        return []
    if mode == "update" and call.id and resource.get("id") != call.id:
        return [Finding(Severity.ERROR, "value", "The resource must carry the id of the address.", f"{call.type}.id")]
    if mode == "update" and permit.masked:
        words = f"You see only a part of {call.type} records and may not replace one."
        return [Finding(Severity.ERROR, "forbidden", words, call.type)]
    view, keys = lens(call.ctx.base), call.ctx.store.keys(call.ctx.actor.tenant)
    named = resource if "id" in resource else {**resource, "id": "new"}
    facts = facts_of_resource(named, keys.surrogate, view.compartment, view.bases)
    if not call.ctx.store.covers(permit, facts, named):
        return [Finding(Severity.ERROR, "forbidden", f"You may not write this {call.type}.", call.type)]
    return []


async def _dangling(ctx: Context, resource: Resource) -> list[Finding]:
    """References to records of this server that lead nowhere, as far as the actor may see."""
    uses = references(resource)
    if len(uses) > _MOST_REFERENCES:
        raise Problem(Kind.TOO_COSTLY, f"At most {_MOST_REFERENCES} references are followed.")
    inside = entries_of(resource) if resource["resourceType"] == "Bundle" else None
    answers: dict[tuple[str, str], bool] = {}
    found = []
    breath = Breath()
    for use in uses:
        await breath.pause()
        target = local_reference(use.literal, (ctx.base,))
        if target is None or (inside is not None and inside.resolve(use)):
            continue
        if target not in answers:
            answers[target] = _exists(ctx, *target)
        if not answers[target]:
            found.append(Finding(Severity.ERROR, "not-found", f"`{use.place}` points to no record.", use.place))
    return found


def _exists(ctx: Context, type_: str, id_: str) -> bool:
    if not known(type_):
        return False
    try:
        permit = ctx.decide(Permission.RECORD_READ, type_)
    except Problem as problem:
        if problem.kind is not Kind.FORBIDDEN:
            raise
        return False
    row = ctx.store.newest(permit, id_)
    return row is not None and not row.deleted


VALIDATE = Operation(
    Definition(
        code="validate",
        title="Is this resource valid",
        doc="Judges a resource by FHIR R4, by the profiles that it declares, that the policy demands and that are "
        "named here, and by what is meant to be done with it. On an instance, without a resource, the record itself "
        "is judged. The answer is an OperationOutcome with status 200, whatever was found.",
        levels=("type", "instance"),
        inputs=(
            Parameter("resource", ANY, "What to judge; not needed for delete, nor on an instance.", checked=False),
            Parameter(
                "mode", "code", "create, update, delete: may it be so written; profile: does it fulfil the profile."
            ),
            Parameter("profile", "canonical", "A profile that it must fulfil.", max="*"),
            Parameter("references", "boolean", "Whether references to records here must lead to one that you may see."),
        ),
        outputs=(Parameter("return", "OperationOutcome", "What was found.", min=1),),
        standard="Resource-validate",
    ),
    None,
    validate,
)
