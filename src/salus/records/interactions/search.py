# SPDX-License-Identifier: Apache-2.0
"""FHIR search on a type.  https://hl7.org/fhir/R4/search.html

Newest first unless `_sort` says otherwise. A page link is opaque and sealed; the next page is decided, filtered and
audited like the first. Totals count only what the actor may see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlencode

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.audit.event import EventType
from salus.fhir import bundle, json
from salus.fhir.bundle import Link
from salus.fhir.definitions import fields
from salus.fhir.outcome import warnings
from salus.fhir.search.clauses import Query
from salus.fhir.search.query import canonical
from salus.kernel.commit import Unit
from salus.kernel.errors import Issue
from salus.records.candidates import Hit, hits
from salus.records.context import Context, audited
from salus.records.finding import plan_of, read_query
from salus.records.includes import included
from salus.records.pages import page_of
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
    limits = ctx.services.limits
    count = min(limits.page_size if query.count is None else query.count, limits.page_size_max)
    counting = query.summary == "count" or query.count == 0  # https://hl7.org/fhir/R4/search.html#count
    page: list[Hit] = []
    rest: Cursor | None = None
    with ctx.store.reader.snapshot():
        how = plan_of(ctx, permit, query)
        total = _total(ctx, permit, how) if counting or query.total in {"accurate", "estimate"} else None
        if not counting:
            page, rest = page_of(ctx, permit, query, how, count, cursor)
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


def _total(ctx: Context, permit: Permit, how: Plan) -> int:
    if how.exact and how.ids is None:
        return ctx.store.reader.count(permit, how.expression, updated=how.updated)
    return sum(1 for _ in hits(ctx, permit, how))


# ── the answer ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _bundle(
    ctx: Context, query: Query, page: list[Hit], extra: list[Hit], total: int | None, rest: Cursor | None
) -> bytes:
    address = f"{ctx.base}/{query.type}"
    applied = urlencode(canonical(replace(query, page="")))
    links = [Link("self", f"{address}?{applied}" if applied else address)]
    if rest is not None:
        links.append(Link("next", f"{address}?_page={seal_cursor(ctx, rest)}{ctx.carried}"))
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
    """Leave only the elements asked for and the mandatory ones (https://hl7.org/fhir/R4/search.html#elements)."""
    if not elements:
        return hit.version.body
    kept = _names(hit.row.type, elements)
    resource = json.decode(hit.version.body)
    part = {name: value for name, value in resource.items() if name.lstrip("_") in kept}
    tags = part["meta"].get("tag", [])
    part["meta"] = {**part["meta"], "tag": tags if SUBSETTED in tags else [*tags, SUBSETTED]}
    return json.encode(part)


def _names(type_: str, elements: tuple[str, ...]) -> set[str]:
    """JSON names of elements; a choice element such as `value` has one for each of its types."""
    kept = set(_ALWAYS)
    for name, found in fields(type_).items():
        base = name.removesuffix("[x]")
        if base not in elements and not found.min:
            continue
        kept.update({base} if base == name else {f"{base}{kind[0].upper()}{kind[1:]}" for kind in found.types})
    return kept
