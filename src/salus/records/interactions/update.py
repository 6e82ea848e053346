# SPDX-License-Identifier: Apache-2.0
"""FHIR update, create with the client's id, and conditional update.  https://hl7.org/fhir/R4/http.html#update"""

from __future__ import annotations

import re
from typing import Any

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.audit.event import EventType
from salus.kernel.errors import Issue, Kind, Problem
from salus.kernel.ids import uuid7
from salus.records.context import Context, audited
from salus.records.draft import Draft, Prepared, prepare, unit_of
from salus.records.finding import match_one
from salus.records.persevere import persevering
from salus.records.preconditions import check
from salus.records.store.store import Version
from salus.records.store.write import Guard
from salus.records.wording import attempted, wrong_id

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")  # https://hl7.org/fhir/R4/datatypes.html#id


def stage(
    ctx: Context,
    type_: str,
    id_: str,
    resource: dict[str, Any],
    if_match: int | None = None,
    *,
    content: bytes = b"",
) -> tuple[Prepared, bool]:
    """Decide, validate and seal the next version of a record, or its first under the client's id.

    The actor must be allowed to update what is there now as well as what it becomes; a record that they may not see
    reads as absent, and its id cannot be taken.

    Args:
        content: name of a content in chunks that is committed with it.

    Returns:
        The staged version, and whether it makes the record.
    """
    permit = permitted(ctx, type_, id_)
    ctx.services.validator.check(resource, type_)
    draft, made = following(ctx, permit, id_, resource, if_match, content=content)
    return prepare(ctx, draft), made


def permitted(ctx: Context, type_: str, id_: str) -> Permit:
    """Ask whether records of a type may be replaced; raises Problem(INCORRECT) for an unfit id, FORBIDDEN."""
    if not _ID.fullmatch(id_):
        text = "An id has 1 to 64 letters, digits, hyphens and dots."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("value", text, f"{type_}.id"),))
    permit = ctx.decide(Permission.RECORD_UPDATE, type_)
    if permit.masked:
        raise Problem(Kind.FORBIDDEN, f"You see only a part of {type_} records and may not replace one.", "masked")
    return permit


def following(
    ctx: Context,
    permit: Permit,
    id_: str,
    resource: dict[str, Any],
    if_match: int | None = None,
    *,
    content: bytes = b"",
) -> tuple[Draft, bool]:
    """The version that follows what is there, or the first one; not judged yet.

    Args:
        permit: from `permitted`.
        resource: validated.

    Returns:
        The draft, and whether it makes the record.

    Raises:
        Problem: INCORRECT when the ids differ, PRECONDITION when `if_match` is not the newest, FORBIDDEN without a
            grant to make what is not there.
    """
    type_ = permit.type
    if resource.get("id") != id_:
        raise wrong_id(f"{type_}.id")
    row = ctx.store.newest(permit, id_)
    check(if_match, row)
    if row is None:
        # SMART: to create by update takes the letter of an update.
        making = ctx.decide(Permission.RECORD_CREATE, type_, letters="u")
        return Draft(making, resource, id_, 1, 0, "PUT", content, claiming=permit), True
    return Draft(permit, resource, id_, row.version + 1, row.version, "PUT", content), bool(row.deleted)


@audited(EventType.RECORD_UPDATE)
@persevering
async def update(
    ctx: Context, type_: str, id_: str, resource: dict[str, Any], if_match: int | None = None
) -> tuple[Version, bool]:
    """Replace a record, or make it under the client's id.

    Args:
        resource: as decoded; must carry `id_`.
        if_match: the version that the client read last, or what else `preconditions` knows; None to replace whatever
            is there.

    Returns:
        The version, and whether the record was made (or made again after a deletion) by this call.

    Raises:
        Problem: FORBIDDEN, INVALID; INCORRECT when the ids differ; PRECONDITION when `if_match` is not the newest.
    """
    ctx.entities = attempted(type_, id_, "U")
    prepared, made = stage(ctx, type_, id_, resource, if_match)
    return await _keep(ctx, prepared, made)


@audited(EventType.RECORD_UPDATE)
@persevering
async def conditional_update(
    ctx: Context, type_: str, query: str, resource: dict[str, Any], if_match: int | None = None
) -> tuple[Version, bool]:
    """Replace the one record that matches a search, or make it when none does.

    https://hl7.org/fhir/R4/http.html#cond-update

    Raises:
        Problem: as `update`; PRECONDITION when several match; INCORRECT when the body names another record's id.
    """
    found, guard = match_one(ctx, type_, query, "http.url")
    if found is None:
        id_ = resource.get("id", "")
        if not isinstance(id_, str):
            raise wrong_id(f"{type_}.id")
        id_ = id_ or uuid7()
        prepared, made = stage(ctx, type_, id_, {**resource, "id": id_}, if_match)
        return await _keep(ctx, prepared, made, query, [guard])
    id_ = found.version.id
    ctx.entities = attempted(type_, id_, "U")
    if resource.get("id", id_) != id_:
        raise wrong_id(f"{type_}.id")
    prepared, made = stage(ctx, type_, id_, {**resource, "id": id_}, if_match)
    return await _keep(ctx, prepared, made, query)


async def _keep(
    ctx: Context, prepared: Prepared, made: bool, query: str = "", guards: list[Guard] | None = None
) -> tuple[Version, bool]:
    event = ctx.event(EventType.RECORD_UPDATE, reason=prepared.reason, entities=prepared.entities, query=query)
    await ctx.commit(unit_of([prepared], guards), event)
    return prepared.shown, made
