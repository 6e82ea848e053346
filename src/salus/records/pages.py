# SPDX-License-Identifier: Apache-2.0
"""One page of a search. Following `next` to the end gives every record once, whatever is written in between.

A record's place is the one it had when the search began: its row at that moment, and for `_sort` its content at that
moment. What is shown is always the record as it is now. Records made after the beginning are not given; what was
deleted or has stopped to match is left out.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import islice
from typing import Any

from salus.access.permit import Permit
from salus.fhir.search.clauses import Query
from salus.fhir.search.query import canonical
from salus.fhir.search.sort import sort_key
from salus.kernel.errors import Kind, Problem
from salus.records.candidates import Hit, hits, judged, stored_rows
from salus.records.context import Context
from salus.records.paging import Cursor
from salus.records.store.index import Plan
from salus.records.store.schema import Row

_NEWEST_FIRST = (("_lastUpdated", True),)


@dataclass(slots=True)
class _Placed:
    """A hit and where it stands.

    Attributes:
        at: `seq` of its row when the search began.
        rows: index rows of its content at that moment, for sorting.
    """

    hit: Hit | None
    at: int
    rows: list[tuple[Any, ...]]


def page_of(
    ctx: Context, permit: Permit, query: Query, how: Plan, count: int, cursor: Cursor | None
) -> tuple[list[Hit], Cursor | None]:
    """Find the hits of one page.

    Args:
        count: hits per page, at least 1.
        cursor: what the page before left; None for the first page.

    Returns:
        The hits in their order, and the cursor of the next page; None on the last.
    """
    start = cursor.start if cursor is not None and cursor.start is not None else ctx.store.reader.last_seq()
    before = cursor.before if cursor is not None else None
    key = tuple((sort.parameter, sort.descending) for sort in query.sort)
    if not key or key == _NEWEST_FIRST:
        found = _newest_first(ctx, permit, query, how, count + 1, start, before)
    else:
        found = _sorted(ctx, permit, query, how, start, before)
    page = [placed.hit for placed in found[:count] if placed.hit is not None]
    if len(found) <= count:
        return page, None
    applied = tuple(canonical(dataclasses.replace(query, count=count, page="")))
    scope, lenient = f"search {permit.type}", bool(query.ignored)
    return page, Cursor(scope, applied, before=found[count - 1].at, start=start, lenient=lenient)


def _newest_first(
    ctx: Context, permit: Permit, query: Query, how: Plan, wanted: int, start: int, before: int | None
) -> list[_Placed]:
    top = min(start + 1, before if before is not None else start + 1)
    content = bool(query.include)
    standing = list(islice(hits(ctx, permit, how, before=top, expected=wanted, content=content), wanted))
    found = [_Placed(hit, hit.row.seq, []) for hit in standing]
    if before is None:  # the first page: nothing can have moved since the beginning
        return found
    # Then those that were rewritten since: their place is where their row was.
    bottom = found[-1].at if len(found) == wanted else 0
    named = None if how.ids is None else {ctx.store.rid(permit.actor.tenant, permit.type, id_) for id_ in how.ids}
    moved = {
        row.rid: (row, at)
        for row, at in ctx.store.reader.moved(permit, how.expression, start, updated=how.updated)
        if bottom < at < top and (named is None or row.rid in named)
    }
    again = judged(ctx, permit, how, [row for row, _ in moved.values()], content=content)
    found += [_Placed(hit, moved[hit.row.rid][1], []) for hit in again]
    return sorted(found, key=lambda placed: -placed.at)[:wanted]


def _sorted(ctx: Context, permit: Permit, query: Query, how: Plan, start: int, before: int | None) -> list[_Placed]:
    """All hits in order, from the first after the row `before` on; records without a value come at the end."""
    found = [placed for hit in hits(ctx, permit, how, content=True) if (placed := _place(ctx, permit, hit, start))]
    if before is not None and all(placed.at != before for placed in found):
        mark = ctx.store.reader.at(permit, before)  # the last one given has gone: its old row still marks the place
        if mark is not None:
            found.append(_Placed(None, before, _rows_of(ctx, permit, mark)))
    found.sort(key=lambda placed: -placed.at)
    known = ctx.lens.registry.parameters(query.type)
    for sort in reversed(query.sort):  # the weightiest last, each pass stable
        parameter = known[sort.parameter]
        found.sort(
            key=lambda placed: sort_key(parameter, placed.rows, descending=sort.descending), reverse=sort.descending
        )
    position = next((number for number, placed in enumerate(found) if placed.at == before), -1)
    return found[position + 1 :]


def _place(ctx: Context, permit: Permit, hit: Hit, start: int) -> _Placed | None:
    if hit.row.seq <= start:
        rows = ctx.lens.extractor.rows(hit.content or {})
        return _Placed(hit, hit.row.seq, [*rows, *stored_rows(hit.version)])
    former = ctx.store.reader.former(permit, hit.row.rid, start)
    return None if former is None else _Placed(hit, former.seq, _rows_of(ctx, permit, former))


def _rows_of(ctx: Context, permit: Permit, row: Row) -> list[tuple[Any, ...]]:
    try:
        version, content = ctx.store.open_with_content(permit, row)
    except Problem as problem:
        if problem.kind is not Kind.GONE:
            raise
        return []
    return [*ctx.lens.extractor.rows(content), *stored_rows(version)]
