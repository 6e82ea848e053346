# SPDX-License-Identifier: Apache-2.0
"""FHIR delete, and conditional delete of one record or of several.  https://hl7.org/fhir/R4/http.html#delete"""

from __future__ import annotations

from salus.access.permissions import Permission
from salus.audit.event import EventType
from salus.kernel.commit import Unit
from salus.records.context import Context, audited
from salus.records.draft import Prepared, prepare_deletion, unit_of
from salus.records.finding import match_some
from salus.records.persevere import persevering
from salus.records.preconditions import check
from salus.records.store.read import facts_of
from salus.records.store.store import Version
from salus.records.wording import absent, attempted


def stage(ctx: Context, type_: str, id_: str, if_match: int | None = None) -> Prepared | None:
    """Decide and seal the deletion; None when the record is deleted already."""
    permit = ctx.decide(Permission.RECORD_DELETE, type_)
    row = ctx.store.newest(permit, id_)
    if row is None:
        raise absent()
    check(if_match, row)
    if row.deleted:
        return None
    return prepare_deletion(ctx, permit, id_=id_, facts=facts_of(row), base=row.version)


def stage_matching(
    ctx: Context, type_: str, query: str, if_match: int | None = None, place: str = "http.url"
) -> list[Prepared]:
    """Decide and seal the deletion of whatever matches a search; all of it or, with one that may not go, nothing.

    Raises:
        Problem: PRECONDITION when more records match than one request may delete (`limits.conditional_deletes`).
    """
    found, _ = match_some(ctx, type_, query, place, ctx.services.limits.conditional_deletes)
    ids = [one.version.id for one in found]
    ctx.entities = tuple(entity for id_ in ids for entity in attempted(type_, id_, "D"))
    staged = (stage(ctx, type_, id_, if_match) for id_ in ids)
    return [prepared for prepared in staged if prepared is not None]


@audited(EventType.RECORD_DELETE)
@persevering
async def delete(ctx: Context, type_: str, id_: str, if_match: int | None = None) -> Version | None:
    """Delete a record: reads answer `gone`, history keeps what was.

    Returns:
        The version that says so; None when it was deleted before (which is no error).

    Raises:
        Problem: FORBIDDEN; NOT_FOUND when absent or hidden; PRECONDITION when `if_match` is not the newest version.
    """
    ctx.entities = attempted(type_, id_, "D")
    prepared = stage(ctx, type_, id_, if_match)
    if prepared is None:
        event = ctx.event(EventType.RECORD_DELETE, reason="deleted before", entities=ctx.entities)
        await ctx.commit(Unit(), event)
        return None
    event = ctx.event(EventType.RECORD_DELETE, reason=prepared.reason, entities=prepared.entities)
    await ctx.commit(unit_of([prepared]), event)
    return prepared.version


@audited(EventType.RECORD_DELETE)
@persevering
async def conditional_delete(ctx: Context, type_: str, query: str, if_match: int | None = None) -> list[Version]:
    """Delete the records that match a search, in one commit with one audit entry.

    https://hl7.org/fhir/R4/http.html#3.1.0.7.1

    Returns:
        The versions that say so; none when nothing matches.

    Raises:
        Problem: as `stage_matching`.
    """
    staged = stage_matching(ctx, type_, query, if_match)
    if not staged:
        await ctx.commit(Unit(), ctx.event(EventType.RECORD_DELETE, reason="nothing matched", query=query))
        return []
    touched = tuple(entity for one in staged for entity in one.entities)
    event = ctx.event(EventType.RECORD_DELETE, reason=staged[0].reason, entities=touched, query=query)
    await ctx.commit(unit_of(staged), event)
    return [one.version for one in staged]
