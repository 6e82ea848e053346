# SPDX-License-Identifier: Apache-2.0
"""One page of a search. Following `next` to the end gives every record once, whatever is written in between.

A record's place is the one it had when the search began: its row at that moment, and for `_sort` its content at that
moment. What is shown is always the record as it is now. Records made after the beginning are not given; what was
deleted or has stopped to match is left out.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import msgspec

from salus.fhir.search.clauses import Query, Sort
from salus.fhir.search.query import canonical
from salus.records.candidates import Hit, hits, judged
from salus.records.context import Context
from salus.records.paging import Cursor
from salus.records.placing import Placed, Planned, Span
from salus.records.sorting import in_order

_NEWEST_FIRST = (Sort("_lastUpdated", descending=True),)
_REMEMBERED = 100  # pages back that a link knows the way to


@dataclass(frozen=True, slots=True)
class Page:
    """What one page holds, and the cursors of those beside it; None where there is none.

    Attributes:
        hits: in their order.
        first: the first page as it was when the search began.
    """

    hits: list[Hit]
    first: Cursor | None
    previous: Cursor | None
    next: Cursor | None


def link_of(path: str, query: Query, count: int, types: Sequence[str] = ()) -> Cursor:
    """What the cursors of a search have in common: its address and what was really applied.

    Args:
        path: address below the base.
        types: what `_type` named.
    """
    named = [("_type", ",".join(types))] if types else []
    applied = canonical(replace(query, count=count, page=""))
    return Cursor(f"search {path}", (*named, *applied), lenient=bool(query.ignored))


def page_of(
    ctx: Context, planned: Sequence[Planned], query: Query, count: int, cursor: Cursor | None, link: Cursor
) -> Page:
    """Find the hits of one page.

    Args:
        planned: the types that are searched.
        query: what is asked, the same for all types.
        count: hits per page, at least 1.
        cursor: what the page before left; None for the first page.
        link: from `link_of`.
    """
    newest = ctx.store.reader.last_seq()
    start = cursor.start if cursor is not None and cursor.start is not None else newest
    before = cursor.before if cursor is not None else None
    span = Span(start, before, count + 1, content=bool(query.include or query.contained), resumed=start < newest)
    first = msgspec.structs.replace(link, start=start)
    if not query.sort or query.sort == _NEWEST_FIRST:
        found = _newest_first(ctx, planned, span)
    else:
        found = in_order(ctx, planned, query.sort, span, first)
    page = [placed.hit for placed in found[:count] if placed.hit is not None]
    more = len(found) > count
    if not more and before is None:
        return Page(page, None, None, None)
    way = cursor.way if cursor is not None else ()
    previous = None
    if before is not None and way:
        previous = msgspec.structs.replace(first, before=way[-1] or None, way=way[:-1])
    following = None
    if more:
        following = msgspec.structs.replace(first, before=found[count - 1].at, way=(*way, before or 0)[-_REMEMBERED:])
    return Page(page, first if before is not None else None, previous, following)


def _newest_first(ctx: Context, planned: Sequence[Planned], span: Span) -> list[Placed]:
    top = min(span.start + 1, span.before if span.before is not None else span.start + 1)
    sources = [
        hits(ctx, part.permit, part.how, before=top, expected=span.wanted, content=span.content) for part in planned
    ]
    ordered = sources[0] if len(sources) == 1 else heapq.merge(*sources, key=lambda hit: -hit.row.seq)
    found = [Placed(hit, hit.row.seq, hit.row.type, []) for hit in islice(ordered, span.wanted)]
    if not span.resumed:  # nothing can have moved since the beginning
        return found
    # Then those that were rewritten since: their place is where their row was.
    bottom = found[-1].at if len(found) == span.wanted else 0
    for part in planned:
        found += _moved(ctx, part, span, bottom, top)
    return sorted(found, key=lambda placed: -placed.at)[: span.wanted]


def _moved(ctx: Context, part: Planned, span: Span, bottom: int, top: int) -> list[Placed]:
    permit, how = part.permit, part.how
    named = None if how.ids is None else {ctx.store.rid(permit.actor.tenant, permit.type, id_) for id_ in how.ids}
    moved = {
        row.rid: (row, at)
        for row, at in ctx.store.reader.moved(permit, how.expression, span.start, updated=how.updated)
        if bottom < at < top and (named is None or row.rid in named)
    }
    again = judged(ctx, permit, how, [row for row, _ in moved.values()], content=span.content)
    return [Placed(hit, moved[hit.row.rid][1], hit.row.type, []) for hit in again]
