# SPDX-License-Identifier: Apache-2.0
"""Pages in the order of `_sort`.

The index cannot tell an order, so the first page opens all matches. What it found out, the numbers of the rows in their
order, is kept for the pages that follow, in this process and for a while; each of those opens what it shows. Nothing is
shown because it was kept: every row is found again under the permit, and judged again. Where the order is not at hand
(another process, too long ago), all matches are opened as for the first page, with the same result.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from salus.access.permit import Permit
from salus.fhir.search.clauses import Sort
from salus.fhir.search.sort import sort_key
from salus.kernel.errors import Kind, Problem
from salus.records.candidates import Hit, hits, judged, stored_rows
from salus.records.context import Context
from salus.records.paging import Cursor
from salus.records.placing import Placed, Planned, Span
from salus.records.store.schema import Row


def in_order(
    ctx: Context, planned: Sequence[Planned], sort: tuple[Sort, ...], span: Span, first: Cursor
) -> list[Placed]:
    """Hits in order, from the first behind the row `before` on; records without a value come at the end.

    Args:
        first: cursor of the first page: what tells this search from others of the same person.
    """
    actor = ctx.actor  # with what an application may see for them: another one finds other records
    session = (actor.tenant, actor.id, actor.purpose, actor.scopes, actor.patient)
    key = (session, msgspec.msgpack.encode(first))
    known = ctx.services.orders.get(key) if span.before is not None and len(planned) == 1 else None
    if known is not None and _whole(ctx, planned[0], span, known):
        return _following(ctx, planned[0], span, known)
    found = _all(ctx, planned, sort, span)
    ctx.services.orders.keep(key, [placed.at for placed in found])
    position = next((number for number, placed in enumerate(found) if placed.at == span.before), -1)
    return found[position + 1 :]


# ── from an order that is known ──────────────────────────────────────────────────────────────────────────────────────


def _whole(ctx: Context, part: Planned, span: Span, known: array[int]) -> bool:
    """Whether the order holds the mark, and every record that was rewritten since and matches now."""
    if span.before not in known:
        return False
    moved = ctx.store.reader.moved(part.permit, part.how.expression, span.start, updated=part.how.updated)
    return not moved or {at for _, at in moved} <= set(known)


def _following(ctx: Context, part: Planned, span: Span, known: array[int]) -> list[Placed]:
    found: list[Placed] = []
    position = known.index(span.before or 0) + 1
    while position < len(known) and len(found) < span.wanted:
        places = known[position : position + span.wanted]
        position += span.wanted
        now = {row.rid: (at, row) for at in places if (row := _now(ctx, part, at)) is not None}
        rows = [row for _, row in now.values()]
        again = judged(ctx, part.permit, part.how, _narrowed(ctx, part, rows), content=span.content)
        found += [Placed(hit, now[hit.row.rid][0], hit.row.type, []) for hit in again]
    return found[: span.wanted]


def _now(ctx: Context, part: Planned, at: int) -> Row | None:
    """The record that had this place, as it is now; None when it is gone or out of sight, or was at that time."""
    row = ctx.store.reader.at(part.permit, at)
    if row is None or row.current:
        return row if row is not None and not row.deleted else None
    newest = ctx.store.reader.newest(part.permit, row.rid)
    return None if newest is None or newest.deleted else newest


def _narrowed(ctx: Context, part: Planned, rows: list[Row]) -> Iterator[Row]:
    """Those of the rows that the plan makes candidates."""
    how, permit = part.how, part.permit
    low, high = how.updated
    wanted = ctx.store.reader.with_terms([row.seq for row in rows], how.expression) if how.expression else None
    named = None if how.ids is None else {ctx.store.rid(permit.actor.tenant, permit.type, id_) for id_ in how.ids}
    for row in rows:
        if wanted is not None and row.seq not in wanted:
            continue
        if named is not None and row.rid not in named:
            continue
        if (low is None or row.updated >= low) and (high is None or row.updated < high):
            yield row


# ── from all matches ─────────────────────────────────────────────────────────────────────────────────────────────────


def _all(ctx: Context, planned: Sequence[Planned], sort: tuple[Sort, ...], span: Span) -> list[Placed]:
    found = [
        placed
        for part in planned
        for hit in hits(ctx, part.permit, part.how, content=True)
        if (placed := _place(ctx, part.permit, hit, span.start))
    ]
    before = span.before
    if before is not None and all(placed.at != before for placed in found):
        found += _mark(ctx, planned, before)  # the last one given has gone: its old row still marks the place
    found.sort(key=lambda placed: -placed.at)
    for each in reversed(sort):  # the weightiest last, each pass stable
        found.sort(key=_key(ctx, planned, each), reverse=each.descending)
    return found


def _key(ctx: Context, planned: Sequence[Planned], sort: Sort) -> Callable[[Placed], Any]:
    registry, pace = ctx.lens.registry, ctx.store.reader.pace
    known = {part.permit.type: registry.parameters(part.permit.type)[sort.parameter] for part in planned}

    def key(placed: Placed) -> Any:
        pace()
        return sort_key(known[placed.type], placed.rows, descending=sort.descending)

    return key


def _mark(ctx: Context, planned: Sequence[Planned], before: int) -> list[Placed]:
    for part in planned:
        row = ctx.store.reader.at(part.permit, before)
        if row is not None:
            return [Placed(None, before, row.type, _rows_of(ctx, part.permit, row))]
    return []


def _place(ctx: Context, permit: Permit, hit: Hit, start: int) -> Placed | None:
    if hit.row.seq <= start:
        rows = ctx.lens.extractor.rows(hit.content or {})
        return Placed(hit, hit.row.seq, hit.row.type, [*rows, *stored_rows(hit.version)])
    former = ctx.store.reader.former(permit, hit.row.rid, start)
    if former is None:
        return None
    return Placed(hit, former.seq, hit.row.type, _rows_of(ctx, permit, former))


def _rows_of(ctx: Context, permit: Permit, row: Row) -> list[tuple[Any, ...]]:
    try:
        version, content = ctx.store.open_with_content(permit, row)
    except Problem as problem:
        if problem.kind is not Kind.GONE:
            raise
        return []
    return [*ctx.lens.extractor.rows(content), *stored_rows(version)]
