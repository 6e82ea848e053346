# SPDX-License-Identifier: Apache-2.0
"""FHIR history on instance, type and system.  https://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.audit.event import Entity, EventType
from salus.fhir.definitions import resource_types
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context, audited
from salus.records.store.schema import Row
from salus.records.store.store import Version, entities
from salus.records.wording import absent, attempted


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Versions, newest first, and where the next page starts (None on the last)."""

    versions: list[Version]
    next_before: int | None


@audited(EventType.RECORD_HISTORY)
async def history(
    ctx: Context,
    type_: str,
    id_: str,
    *,
    count: int,
    before: int | None = None,
    since: int | None = None,
) -> HistoryPage:
    """List versions of one record (`type_` and `id_`), of a type (`id_` empty) or of everything (both empty).

    Args:
        count: versions per page.
        before: cursor of the page before.
        since: only versions from this moment on, in milliseconds (`_since`).

    Raises:
        Problem: FORBIDDEN; NOT_FOUND when the one record is absent or hidden.
    """
    if id_:
        ctx.entities = attempted(type_, id_)
        permit = ctx.decide(Permission.RECORD_HISTORY, type_)
        if ctx.store.newest(permit, id_) is None:
            raise absent()
        found: Iterator[tuple[Permit, Row]] = _of_type(ctx, permit, id_, before, since)
    elif type_:
        found = _of_type(ctx, ctx.decide(Permission.RECORD_HISTORY, type_), None, before, since)
    else:
        found = _of_all(ctx, before, since)
    page = list(islice(found, count + 1))
    more = len(page) > count
    page = page[:count]
    versions: list[Version] = []
    touched: list[Entity] = []
    reasons: dict[str, None] = {}
    for permit, row in page:
        version = ctx.store.open(permit, row)
        versions.append(version)
        touched += entities(row.owners, row.type, version.id, row.version, "R")
        reasons[permit.reason] = None
    event = ctx.event(EventType.RECORD_HISTORY, reason="; ".join(reasons), entities=tuple(touched))
    await ctx.commit(Unit(), event)
    return HistoryPage(versions, page[-1][1].seq if more else None)


def _of_type(
    ctx: Context, permit: Permit, id_: str | None, before: int | None, since: int | None
) -> Iterator[tuple[Permit, Row]]:
    for row in ctx.store.history(permit, id_, before=before, since=since):
        yield permit, row


def _of_all(ctx: Context, before: int | None, since: int | None) -> Iterator[tuple[Permit, Row]]:
    """Merge the histories of every type that the actor has a grant for."""
    sources = []
    for type_ in resource_types():
        try:
            permit = ctx.decide(Permission.RECORD_HISTORY, type_)
        except Problem as problem:
            if problem.kind is not Kind.FORBIDDEN:
                raise
            continue
        sources.append(_of_type(ctx, permit, None, before, since))
    if not sources:
        raise Problem(Kind.FORBIDDEN, "You may not read the history of any type.", "no grant")
    return heapq.merge(*sources, key=lambda pair: -pair[1].seq)
