# SPDX-License-Identifier: Apache-2.0
"""FHIR search on a type.  https://hl7.org/fhir/R4/search.html

Newest first unless `_sort` says otherwise. A page link is opaque and sealed; the next page is decided, filtered and
audited like the first. Totals count only what the actor may see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.audit.event import EventType
from salus.fhir import bundle, json
from salus.fhir.bundle import Link
from salus.fhir.outcome import warnings
from salus.fhir.search.clauses import Query
from salus.fhir.search.parameters import parameters
from salus.fhir.search.query import canonical
from salus.fhir.search.sort import sort_key
from salus.kernel.commit import Unit
from salus.kernel.errors import Issue
from salus.records.context import Context, audited
from salus.records.finding import Hit, hits, plan_of, read_query, stored_rows
from salus.records.includes import included
from salus.records.lens import Lens, lens
from salus.records.paging import Cursor, open_cursor, seal_cursor
from salus.records.store.index import Plan
from salus.records.store.store import SUBSETTED, entities

_ALWAYS = ("resourceType", "id", "meta")


@audited(EventType.RECORD_SEARCH)
async def search(ctx: Context, type_: str, asked: Sequence[tuple[str, str]], *, lenient: bool = False) -> bytes:
    """Search the records of a type that the actor may see.

    Args:
        asked: parameters in the order of the request.
        lenient: pass over unknown parameters, and say so in the answer.

    Returns:
        A searchset Bundle as JSON.

    Raises:
        Problem: FORBIDDEN; INCORRECT for every parameter that is not understood; TOO_COSTLY.
    """
    permit = ctx.decide(Permission.RECORD_SEARCH, type_)
    cursor = _cursor(ctx, type_, asked)
    if cursor is not None:
        asked, lenient = list(cursor.query), cursor.lenient
    query = read_query(ctx, permit, list(asked), lenient=lenient)
    how = plan_of(ctx, permit, query)
    limits = ctx.services.limits
    count = min(limits.page_size if query.count is None else query.count, limits.page_size_max)
    total = _total(ctx, permit, query, how)
    page: list[Hit] = []
    rest: Cursor | None = None
    if count and query.summary != "count":
        page, rest = _page(ctx, permit, query, how, count, cursor)
    extra = included(ctx, query.include, page) if query.include else []
    touched = tuple(
        entity
        for hit in (*page, *extra)
        for entity in entities(hit.row.owners, hit.row.type, hit.version.id, hit.row.version, "R")
    )
    event = ctx.event(EventType.RECORD_SEARCH, reason=permit.reason, entities=touched, query=_asked(type_, asked))
    await ctx.commit(Unit(), event)
    return _bundle(ctx, query, page, extra, total, rest)


def _cursor(ctx: Context, type_: str, asked: Sequence[tuple[str, str]]) -> Cursor | None:
    sealed = next((value for name, value in asked if name == "_page"), None)
    return None if sealed is None else open_cursor(ctx, sealed, f"search {type_}")


def _asked(type_: str, asked: Sequence[tuple[str, str]]) -> str:
    return f"{type_}?{urlencode(asked)}" if asked else type_


def _total(ctx: Context, permit: Permit, query: Query, how: Plan) -> int | None:
    if query.total not in {"accurate", "estimate"} and query.summary != "count":
        return None
    if not how.rest and how.ids is None:
        return ctx.store.reader.count(permit, how.expression, updated=how.updated)
    return sum(1 for _ in hits(ctx, permit, how))


def _page(
    ctx: Context, permit: Permit, query: Query, how: Plan, count: int, cursor: Cursor | None
) -> tuple[list[Hit], Cursor | None]:
    key = tuple((sort.parameter, sort.descending) for sort in query.sort)
    content = bool(query.include)
    following = Cursor(scope=f"search {permit.type}", query=tuple(_applied(query, count)), lenient=bool(query.ignored))
    if not key or key == (("_lastUpdated", True),):
        before = cursor.before if cursor else None
        found = hits(ctx, permit, how, before=before, expected=count + 1, content=content)
        page = list(islice(found, count + 1))
        if len(page) <= count:
            return page, None
        page = page[:count]
        return page, replace_before(following, page[-1].row.seq)
    ordered = _sorted(ctx, list(hits(ctx, permit, how, content=True)), query)
    start = _resume(ordered, cursor)
    page = ordered[start : start + count]
    if start + count >= len(ordered):
        return page, None
    last = page[-1].row.seq
    return page, Cursor(following.scope, following.query, before=last, offset=start + count, lenient=following.lenient)


def replace_before(cursor: Cursor, before: int) -> Cursor:
    """The same cursor, continuing below another row."""
    return Cursor(cursor.scope, cursor.query, before=before, lenient=cursor.lenient)


def _resume(ordered: list[Hit], cursor: Cursor | None) -> int:
    """Go on after the last record that was given; if it has changed since, after as many as were given."""
    if cursor is None:
        return 0
    for position, hit in enumerate(ordered):
        if hit.row.seq == cursor.before:
            return position + 1
    return cursor.offset


def _sorted(ctx: Context, found: list[Hit], query: Query) -> list[Hit]:
    """Sort by the keys, the weightiest last, each pass stable; records without a value come at the end."""
    view = lens(ctx.base)
    known = parameters(query.type)
    keyed = [(_rows(view, hit), hit) for hit in found]
    for sort in reversed(query.sort):
        parameter = known[sort.parameter]
        keyed.sort(
            key=lambda pair: sort_key(parameter, pair[0], descending=sort.descending),
            reverse=sort.descending,
        )
    return [hit for _, hit in keyed]


def _rows(view: Lens, hit: Hit) -> list[tuple[Any, ...]]:
    rows = view.extractor.rows(hit.content or {})
    return [*rows, *stored_rows(hit.version)]


# ── the answer ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _applied(query: Query, count: int) -> list[tuple[str, str]]:
    return canonical(replace(query, count=count, page=""))


def _bundle(
    ctx: Context, query: Query, page: list[Hit], extra: list[Hit], total: int | None, rest: Cursor | None
) -> bytes:
    address = f"{ctx.base}/{query.type}"
    applied = urlencode(canonical(replace(query, page="")))
    links = [Link("self", f"{address}?{applied}" if applied else address)]
    if rest is not None:
        links.append(Link("next", f"{address}?_page={seal_cursor(ctx, rest)}"))
    entries = [(_url(ctx, hit), _shown(hit, query.elements), "match") for hit in page]
    entries += [(_url(ctx, hit), hit.version.body, "include") for hit in extra]
    issues = tuple(
        Issue("not-supported", f"The parameter {name} is not known and was ignored.", f"query.{name}")
        for name in query.ignored
    )
    return bundle.searchset(entries, links, total, warnings(issues) if issues else None)


def _url(ctx: Context, hit: Hit) -> str:
    return f"{ctx.base}/{hit.row.type}/{hit.version.id}"


def _shown(hit: Hit, elements: tuple[str, ...]) -> bytes:
    """Leave only the elements asked for (https://hl7.org/fhir/R4/search.html#elements)."""
    if not elements:
        return hit.version.body
    kept = {*elements, *_ALWAYS}
    resource = json.decode(hit.version.body)
    part = {name: value for name, value in resource.items() if name.lstrip("_") in kept}
    tags = [*part["meta"].get("tag", ()), SUBSETTED]
    part["meta"] = {**part["meta"], "tag": tags}
    return json.encode(part)
