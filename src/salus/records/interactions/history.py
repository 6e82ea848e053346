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
from salus.crypto.wrapped_keys import DESTROYED
from salus.fhir.definitions import resource_types
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context, audited
from salus.records.lists import members
from salus.records.security_context import BINARY, readable
from salus.records.store.read import OPEN_SPAN, Span
from salus.records.store.schema import Row
from salus.records.store.store import Version, entities
from salus.records.wording import absent, attempted


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Versions, newest first, and where the next page starts (None on the last)."""

    versions: list[Version]
    next_before: int | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which versions are asked for.

    Attributes:
        since: only versions from this moment on, in milliseconds (`_since`).
        at: only versions that were the newest some time within [from, to), in milliseconds (`_at`).
        lists: ids of List resources in which the version must stand (`_list`); empty for any version.
    """

    since: int | None = None
    at: Span = OPEN_SPAN
    lists: tuple[str, ...] = ()


_ALL = Wanted()
_LISTING = "s"  # SMART: the history of a type or of everything is asked for like a search, that of a record like a read
_MAX_LISTED = 1_000  # records of lists whose histories are merged


@audited(EventType.RECORD_HISTORY)
async def history(
    ctx: Context, type_: str, id_: str, *, count: int, before: int | None = None, wanted: Wanted = _ALL
) -> HistoryPage:
    """List versions of one record (`type_` and `id_`), of a type (`id_` empty) or of everything (both empty).

    Args:
        count: versions per page.
        before: cursor of the page before.
        wanted: which of the versions.

    Raises:
        Problem: FORBIDDEN; NOT_FOUND when the one record is absent or hidden.
    """
    if id_:
        ctx.entities = attempted(type_, id_)
        permit = ctx.decide(Permission.RECORD_HISTORY, type_)
        newest = ctx.store.newest(permit, id_)
        if newest is None:
            raise absent()
        if not newest.body:  # erased: it says so, and not that there were no versions
            ctx.store.open(permit, newest)
        permits = [permit]
    elif type_:
        permits = [ctx.decide(Permission.RECORD_HISTORY, type_, letters=_LISTING)]
    else:
        permits = _of_every_type(ctx)
    if wanted.lists:
        found = _listed(ctx, permits, id_, before, wanted)
    else:
        found = [_of_type(ctx, each, id_ or None, before, wanted) for each in permits]
    merged = found[0] if len(found) == 1 else heapq.merge(*found, key=lambda pair: -pair[1].seq)
    page = list(islice(merged, count + 1))
    more = len(page) > count
    page = page[:count]
    versions: list[Version] = []
    touched: list[Entity] = []
    reasons: dict[str, None] = {}
    for permit, row in page:
        try:
            version, content = ctx.store.open(permit, row), None
            if row.type == BINARY and not row.deleted:
                version, content = ctx.store.open_with_content(permit, row)
        except Problem as problem:
            if id_ or problem.detail != DESTROYED:
                raise
            continue  # its patient was erased
        if content is not None and not readable(ctx, content):
            continue
        versions.append(version)
        touched += entities(row.owners, row.type, version.id, row.version, "R")
        reasons[permit.reason] = None
    event = ctx.event(EventType.RECORD_HISTORY, reason="; ".join(reasons), entities=tuple(touched))
    await ctx.commit(Unit(), event)
    return HistoryPage(versions, page[-1][1].seq if more else None)


def _of_type(
    ctx: Context, permit: Permit, id_: str | None, before: int | None, wanted: Wanted
) -> Iterator[tuple[Permit, Row]]:
    for row in ctx.store.history(permit, id_, before=before, since=wanted.since, at=wanted.at):
        yield permit, row


def _listed(
    ctx: Context, permits: list[Permit], id_: str, before: int | None, wanted: Wanted
) -> list[Iterator[tuple[Permit, Row]]]:
    """Histories of the records that stand in the lists, each only in the versions that are named, if any are."""
    by_type = {permit.type: permit for permit in permits}
    named = {
        place: versions
        for place, versions in members(ctx, wanted.lists).items()
        if place[0] in by_type and id_ in {"", place[1]}
    }
    if len(named) > _MAX_LISTED:
        raise Problem(Kind.TOO_COSTLY, f"The lists name more than {_MAX_LISTED} records.")
    return [
        _in_versions(_of_type(ctx, by_type[type_], listed, before, wanted), versions)
        for (type_, listed), versions in named.items()
    ]


def _in_versions(found: Iterator[tuple[Permit, Row]], versions: frozenset[str]) -> Iterator[tuple[Permit, Row]]:
    return (pair for pair in found if not versions or str(pair[1].version) in versions)


def _of_every_type(ctx: Context) -> list[Permit]:
    """Permits for every type that the actor has a grant for."""
    permits = []
    for type_ in resource_types():
        try:
            permits.append(ctx.decide(Permission.RECORD_HISTORY, type_, letters=_LISTING))
        except Problem as problem:
            if problem.kind is not Kind.FORBIDDEN:
                raise
    if not permits:
        raise Problem(Kind.FORBIDDEN, "You may not read the history of any type.", "no grant")
    return permits
