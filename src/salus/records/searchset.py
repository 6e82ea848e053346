# SPDX-License-Identifier: Apache-2.0
"""The answer to a search: entries, links and what there is to say about the search itself.

https://hl7.org/fhir/R4/bundle.html#searchset
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from salus.fhir import bundle, json
from salus.fhir.bundle import Link
from salus.fhir.outcome import warnings
from salus.fhir.search.clauses import Query
from salus.fhir.search.portions import elements_for, portion
from salus.fhir.search.query import canonical
from salus.kernel.errors import Issue
from salus.records.candidates import Hit, stored_rows
from salus.records.contained import Inside
from salus.records.context import Context
from salus.records.includes import MAX_INCLUDED
from salus.records.pages import Page
from salus.records.paging import Cursor, seal_cursor
from salus.records.store.store import SUBSETTED


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        total: matches over all pages, when it was asked for.
        included: what stands beside the matches.
        cut: more would have been included than an answer takes.
        inside: with `_contained`, by type what a hit stands for.
    """

    page: Page
    included: list[Hit]
    cut: bool
    total: int | None
    inside: Mapping[str, Inside]


def searchset(ctx: Context, path: str, types: tuple[str, ...], query: Query, found: Found) -> bytes:
    """Write a page of results as JSON.

    Args:
        path: address below the base.
        types: what `_type` named, for the self link.
        query: as it was applied.
    """
    address = f"{ctx.base}/{quote(path, safe='/*')}" if path else ctx.base
    named = [("_type", ",".join(types))] if types else []
    applied = urlencode([*named, *canonical(replace(query, page=""))])
    links = [Link("self", f"{address}?{applied}" if applied else address)]
    page = found.page
    beside: list[tuple[str, Cursor | None]] = [("first", page.first), ("previous", page.previous), ("next", page.next)]
    links += [
        Link(name, f"{address}?_page={seal_cursor(ctx, cursor)}{ctx.carried}")
        for name, cursor in beside
        if cursor is not None
    ]
    if query.contained_type:
        entries = [entry for hit in page.hits for entry in _contained(ctx, query, hit, found.inside[hit.row.type])]
    else:
        entries = [(_url(ctx, hit), _shown(ctx, query, hit, matched=True), "match") for hit in page.hits]
    entries += [(_url(ctx, hit), _shown(ctx, query, hit, matched=False), "include") for hit in found.included]
    issues = _issues(query, found)
    return bundle.searchset(entries, links, found.total, warnings(issues) if issues else None)


def _issues(query: Query, found: Found) -> tuple[Issue, ...]:
    issues = [
        Issue("not-supported", f"The parameter {name} is not known and was ignored.", f"query.{name}")
        for name in query.ignored
    ]
    if found.cut:
        text = f"Only {MAX_INCLUDED} records stand beside the matches, there are more; ask for them by themselves."
        issues.append(Issue("too-costly", text, "query._include"))
    return tuple(issues)


def _url(ctx: Context, hit: Hit) -> str:
    return f"{ctx.base}/{hit.row.type}/{hit.version.id}"


def _contained(ctx: Context, query: Query, hit: Hit, inside: Inside) -> Iterator[tuple[str, bytes, str]]:
    """What matches in a record, by itself: its address is that of the container, and the id within."""
    content = hit.content or {}
    if inside.itself(content, stored_rows(hit.version)):
        yield _url(ctx, hit), _shown(ctx, query, hit, matched=True), "match"
    for resource in inside.matching(content):
        shown = part(query, resource, matched=True) or json.encode(resource)
        yield f"{_url(ctx, hit)}#{resource.get('id', '')}", shown, "match"


def _shown(ctx: Context, query: Query, hit: Hit, *, matched: bool) -> bytes:
    if not query.elements and not query.summary:
        return hit.version.body
    ctx.store.reader.pace()
    return part(query, json.decode(hit.version.body), matched=matched) or hit.version.body


def part(query: Query, resource: dict[str, Any], *, matched: bool) -> bytes:
    """The part of a resource that was asked for, tagged as one; nothing when all was asked for.

    https://hl7.org/fhir/R4/search.html#summary
    """
    elements = elements_for(resource["resourceType"], query.elements, matched=matched) if query.elements else ()
    if not elements and not query.summary:
        return b""
    part = portion(resource, query.summary, elements)
    meta = part.get("meta", {})
    tags = meta.get("tag", [])
    part["meta"] = {**meta, "tag": tags if SUBSETTED in tags else [*tags, SUBSETTED]}
    return json.encode(part)
