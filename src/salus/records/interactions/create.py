# SPDX-License-Identifier: Apache-2.0
"""FHIR create, and conditional create.  https://hl7.org/fhir/R4/http.html#create"""

from __future__ import annotations

from typing import Any

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.audit.event import EventType
from salus.kernel.commit import Unit
from salus.kernel.ids import uuid7
from salus.records.context import Context, audited
from salus.records.draft import Draft, Prepared, prepare, unit_of
from salus.records.finding import match_one
from salus.records.judging import MANY, judge_many
from salus.records.persevere import persevering
from salus.records.store.store import Version


def stage(
    ctx: Context,
    type_: str,
    resource: dict[str, Any],
    id_: str | None = None,
    *,
    judged: bool = False,
    content: bytes = b"",
) -> Prepared:
    """Decide, validate (if it was not) and seal a new record under `id_` or a new id; raises Problem as `create`."""
    permit = permitted(ctx, type_)
    if not judged:
        ctx.services.validator.check(resource, type_)
    return prepare(ctx, first(permit, resource, id_, content))


def permitted(ctx: Context, type_: str) -> Permit:
    """Ask whether records of a type may be made; raises Problem(FORBIDDEN)."""
    return ctx.decide(Permission.RECORD_CREATE, type_)


def first(permit: Permit, resource: dict[str, Any], id_: str | None = None, content: bytes = b"") -> Draft:
    """The first version of a record, under `id_` or a new id."""
    return Draft(permit, resource, id_ or uuid7(), version=1, base=None, method="POST", content=content)


@audited(EventType.RECORD_CREATE)
@persevering
async def create(ctx: Context, type_: str, resource: dict[str, Any], if_none_exist: str = "") -> tuple[Version, bool]:
    """Keep a new record.

    Args:
        resource: as decoded; an `id` in it is ignored.
        if_none_exist: search parameters of `If-None-Exist`; with one match that record is given and nothing is made.

    Returns:
        The version, and whether it was made by this call.

    Raises:
        Problem: FORBIDDEN without a grant or when the content is outside it; INVALID with every place that is wrong;
            PRECONDITION when the condition matches several records.
    """
    guards = []
    if if_none_exist:
        ctx.decide(Permission.RECORD_CREATE, type_)  # also when nothing comes to be made
        found, guard = match_one(ctx, type_, if_none_exist, "http.If-None-Exist")
        if found is not None:
            event = ctx.event(EventType.RECORD_READ, reason=found.reason, entities=found.entities, query=if_none_exist)
            await ctx.commit(Unit(), event)
            return found.version, False
        guards.append(guard)
    if type_ == MANY:
        await judge_many(ctx, Permission.RECORD_CREATE, resource)
    prepared = stage(ctx, type_, resource, judged=type_ == MANY)
    event = ctx.event(EventType.RECORD_CREATE, reason=prepared.reason, entities=prepared.entities, query=if_none_exist)
    await ctx.commit(unit_of([prepared], guards), event)
    return prepared.shown, True
