# SPDX-License-Identifier: Apache-2.0
"""FHIR search on a type, a compartment and the system.  https://hl7.org/fhir/R4/http.html#search

Newest first unless `_sort` says otherwise. A page link is opaque and sealed; the next page is decided, filtered and
audited like the first. Totals count only what the actor may see.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

from salus.access.permit import Permit
from salus.audit.event import Event, EventType
from salus.kernel.commit import Unit
from salus.records.candidates import count as count_of
from salus.records.contained import contained_parts
from salus.records.context import Context, audited
from salus.records.finding import plan_of
from salus.records.includes import included
from salus.records.pages import Page, link_of, page_of
from salus.records.paging import Cursor, open_cursor
from salus.records.placing import Planned
from salus.records.scope import Pairs, Scope, compartment_scope, parts_of, permits_of, system_scope, type_scope
from salus.records.searchset import Found, searchset
from salus.records.store.store import entities
from salus.records.unhurried import unhurried


@audited(EventType.RECORD_SEARCH)
async def search(ctx: Context, type_: str, asked: Pairs, *, lenient: bool = False) -> bytes:
    """Search the records of a type that the actor may see.

    Args:
        asked: parameters in the order of the request.
        lenient: pass over unknown parameters, and say so in the answer.

    Returns:
        A searchset Bundle as JSON.

    Raises:
        Problem: FORBIDDEN; INCORRECT for every parameter that is not understood; TOO_COSTLY.
    """
    scope = type_scope(type_)
    permits = permits_of(ctx, scope)
    return await _search(ctx, scope, permits, asked, _cursor(ctx, scope, asked), lenient=lenient)


@audited(EventType.RECORD_SEARCH)
async def search_compartment(
    ctx: Context, owner: tuple[str, str], type_: str, asked: Pairs, *, lenient: bool = False
) -> bytes:
    """Search the records of a type, or with `*` of every type, in the compartment of a record.

    Whether the owner exists or may be seen is not told: a compartment out of sight is empty.

    Args:
        owner: type and id of whose compartment it is.

    Raises:
        Problem: as `search`; NOT_FOUND when R4 has no such compartment.
    """
    scope = compartment_scope(*owner, type_)
    permits = permits_of(ctx, scope)
    return await _search(ctx, scope, permits, asked, _cursor(ctx, scope, asked), lenient=lenient)


@audited(EventType.RECORD_SEARCH)
async def search_system(ctx: Context, asked: Pairs, *, lenient: bool = False) -> bytes:
    """Search several types, those that `_type` names or all that the actor may search; raises as `search`."""
    permits_of(ctx, Scope(""))  # whoever may search nothing is told so before anything is read
    cursor = _cursor(ctx, Scope(""), asked)
    scope, rest = system_scope(asked if cursor is None else cursor.query)
    return await _search(ctx, scope, permits_of(ctx, scope), rest, cursor, lenient=lenient)


async def _search(
    ctx: Context, scope: Scope, permits: list[Permit], asked: Pairs, cursor: Cursor | None, *, lenient: bool
) -> bytes:
    if cursor is not None:
        asked, lenient = [pair for pair in cursor.query if pair[0] != "_type"], cursor.lenient
    found = await unhurried(ctx, lambda ctx: _found(ctx, scope, permits, asked, cursor, lenient=lenient))
    await ctx.commit(Unit(), found[0])
    return found[1]


def _found(
    ctx: Context, scope: Scope, permits: list[Permit], asked: Pairs, cursor: Cursor | None, *, lenient: bool
) -> tuple[Event, bytes]:
    """What the audit log will say, and the answer."""
    parts = parts_of(ctx, scope, permits, asked, lenient=lenient)
    query = parts[0].query
    limits = ctx.services.limits
    count = min(limits.page_size if query.count is None else query.count, limits.page_size_max)
    if query.count is not None:
        query = replace(query, count=count)  # as it is really applied
    types = () if scope.path else scope.types
    counting = query.summary == "count" or query.count == 0  # https://hl7.org/fhir/R4/search.html#count
    page = Page([], None, None, None)
    with ctx.store.reader.snapshot():
        if query.contained:
            planned, inside = contained_parts(ctx, parts)
        else:
            planned, inside = [Planned(part.permit, plan_of(ctx, part.permit, part.query)) for part in parts], {}
        asked_for = counting or query.total in {"accurate", "estimate"}
        total = (
            sum(count_of(ctx, each.permit, each.how, estimate=query.total == "estimate") for each in planned)
            if asked_for
            else None
        )
        if not counting:
            page = page_of(ctx, planned, query, count, cursor, link_of(scope.path, query, count, types))
        beside, cut = included(ctx, query.include, page.hits) if query.include else ([], False)
    touched = tuple(
        entity
        for hit in (*page.hits, *beside)
        for entity in entities(hit.row.owners, hit.row.type, hit.version.id, hit.row.version, "R")
    )
    reason = "; ".join(dict.fromkeys(each.permit.reason for each in planned))
    named = [("_type", ",".join(types))] if types else []
    words = f"{scope.path}?{urlencode([*named, *asked])}" if named or asked else scope.path
    event = ctx.event(EventType.RECORD_SEARCH, reason=reason, entities=touched, query=words)
    return event, searchset(ctx, scope.path, types, query, Found(page, beside, cut, total, inside))


def _cursor(ctx: Context, scope: Scope, asked: Pairs) -> Cursor | None:
    sealed = next((value for name, value in asked if name == "_page"), None)
    return None if sealed is None else open_cursor(ctx, sealed, f"search {scope.path}")
