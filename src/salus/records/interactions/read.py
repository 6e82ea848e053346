# SPDX-License-Identifier: Apache-2.0
"""FHIR read and vread.  https://hl7.org/fhir/R4/http.html#read  https://hl7.org/fhir/R4/http.html#vread"""

from __future__ import annotations

import re

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.audit.event import EventType
from salus.kernel.commit import Unit
from salus.records.context import Context, audited
from salus.records.security_context import BINARY, readable
from salus.records.store.schema import Row
from salus.records.store.store import Version, entities
from salus.records.wording import absent, attempted, gone

_VERSION = re.compile(r"[1-9][0-9]{0,8}")  # as we write them; an id of a version is text, so `01` is another one


@audited(EventType.RECORD_READ)
async def read(ctx: Context, type_: str, id_: str) -> Version:
    """Give the newest version of a record.

    Raises:
        Problem: FORBIDDEN without a grant for the type; NOT_FOUND when absent or hidden (the same words); GONE when
            deleted; UNAVAILABLE when the access cannot be written to the audit log.
    """
    ctx.entities = attempted(type_, id_)
    permit = ctx.decide(Permission.RECORD_READ, type_)
    row = await ctx.store.newest_soon(permit, id_)
    if row is None:
        raise absent()
    version = _opened(ctx, permit, row)  # a deletion too: a row that only claims to be one does not open
    if row.deleted:
        raise gone(row.version)
    return await _release(ctx, EventType.RECORD_READ, version, row, permit.reason)


@audited(EventType.RECORD_VREAD)
async def vread(ctx: Context, type_: str, id_: str, version: str) -> Version:
    """Give one version of a record; raises as `read` does."""
    ctx.entities = attempted(type_, id_)
    permit = ctx.decide(Permission.RECORD_VREAD, type_)
    if _VERSION.fullmatch(version) is None:
        raise absent()
    row = ctx.store.version(permit, id_, int(version))
    if row is None:
        raise absent()
    found = _opened(ctx, permit, row)
    if row.deleted:
        raise gone(row.version)
    return await _release(ctx, EventType.RECORD_VREAD, found, row, permit.reason)


def _opened(ctx: Context, permit: Permit, row: Row) -> Version:
    if permit.type != BINARY or row.deleted:
        return ctx.store.open(permit, row)
    version, content = ctx.store.open_with_content(permit, row)
    if not readable(ctx, content):
        raise absent()
    return version


async def _release(ctx: Context, event: EventType, version: Version, row: Row, reason: str) -> Version:
    touched = entities(row.owners, version.type, version.id, version.version, "R")
    await ctx.commit(Unit(), ctx.event(event, reason=reason, entities=touched))
    return version
