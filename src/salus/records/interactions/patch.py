# SPDX-License-Identifier: Apache-2.0
"""FHIR patch, and conditional patch.  https://hl7.org/fhir/R4/http.html#patch

A patch tells about what it changes: a `test` that fails, or a path that leads nowhere, is an answer about content. So
whoever patches a record must be allowed to read all of it as well as to update it, and the result is validated and
judged like that of an update.
"""

from __future__ import annotations

from collections.abc import Mapping

from salus.access.permissions import Permission
from salus.audit.event import EventType
from salus.fhir.patch import Patch
from salus.fhir.patch.result import settle
from salus.fhir.references import rewrite
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context, audited
from salus.records.draft import Draft, Prepared, prepare, unit_of
from salus.records.finding import match_one
from salus.records.persevere import persevering
from salus.records.preconditions import check
from salus.records.store.read import facts_of
from salus.records.store.store import Version
from salus.records.wording import absent, attempted, gone

_NOWHERE: Mapping[str, str] = {}


def stage(
    ctx: Context,
    type_: str,
    id_: str,
    patch: Patch,
    if_match: int | None = None,
    targets: Mapping[str, str] = _NOWHERE,
) -> Prepared:
    """Decide, patch what is there, validate and seal the next version.

    Args:
        targets: what references to other entries of a transaction come to mean.

    Raises:
        Problem: as `patch` does.
    """
    read = ctx.decide(Permission.RECORD_READ, type_)
    permit = ctx.decide(Permission.RECORD_UPDATE, type_)
    if permit.masked or read.masked:
        raise Problem(Kind.FORBIDDEN, f"You see only a part of {type_} records and may not patch one.", "masked")
    row = ctx.store.newest(read, id_)
    if row is None:
        raise absent()
    if not permit.allows(facts_of(row)):
        raise _outside(type_)
    check(if_match, row)
    if row.deleted:
        ctx.store.open(read, row)  # a row that only claims to be a deletion does not open
        raise gone(row.version)
    _, before = ctx.store.open_with_content(read, row)
    if not ctx.store.covers(permit, facts_of(row), before):
        raise _outside(type_)
    after = settle(before, patch(before))
    rewrite(after, targets)
    ctx.services.validator.check(after, type_)
    return prepare(ctx, Draft(permit, after, id_, row.version + 1, row.version, "PATCH"))


def _outside(type_: str) -> Problem:
    return Problem(Kind.FORBIDDEN, f"You may not write this {type_}.", "the record is outside the grant")


@audited(EventType.RECORD_UPDATE)
@persevering
async def patch(ctx: Context, type_: str, id_: str, change: Patch, if_match: int | None = None) -> Version:
    """Change a part of a record.

    Args:
        change: as `salus.fhir.patch` reads it.
        if_match: the version that the client read last; None to patch whatever is there.

    Raises:
        Problem: FORBIDDEN; NOT_FOUND when absent or hidden; GONE; PRECONDITION when `if_match` is not the newest;
            INCORRECT when the patch cannot be read; INVALID when it does not fit, or its result is not valid.
    """
    ctx.entities = attempted(type_, id_, "U")
    return await _keep(ctx, stage(ctx, type_, id_, change, if_match))


@audited(EventType.RECORD_UPDATE)
@persevering
async def conditional_patch(
    ctx: Context, type_: str, query: str, change: Patch, if_match: int | None = None
) -> Version:
    """Change a part of the one record that matches a search.

    Raises:
        Problem: as `patch`; NOT_FOUND when none matches, PRECONDITION when several do.
    """
    found, _ = match_one(ctx, type_, query, "http.url")
    if found is None:
        raise absent()
    ctx.entities = attempted(type_, found.version.id, "U")
    return await _keep(ctx, stage(ctx, type_, found.version.id, change, if_match), query)


async def _keep(ctx: Context, prepared: Prepared, query: str = "") -> Version:
    event = ctx.event(EventType.RECORD_UPDATE, reason=prepared.reason, entities=prepared.entities, query=query)
    await ctx.commit(unit_of([prepared]), event)
    return prepared.shown
