# SPDX-License-Identifier: Apache-2.0
"""Finding records: candidates from the index, judged one by one where tokens cannot say it all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.audit.event import Entity
from salus.fhir.search.clauses import Query
from salus.fhir.search.match import matcher
from salus.fhir.search.parameters import parameters
from salus.fhir.search.query import parse
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.conditions import pairs_of
from salus.records.context import Context
from salus.records.lens import lens
from salus.records.store.index import Plan, plan
from salus.records.store.schema import Row
from salus.records.store.store import Version, entities
from salus.records.store.write import Guard
from salus.records.wording import several


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that matches. `content` is decoded and unmasked, and there only if matching needed it."""

    row: Row
    version: Version
    content: dict[str, Any] | None


def read_query(ctx: Context, permit: Permit, asked: list[tuple[str, str]], *, lenient: bool = False) -> Query:
    """Parse a search and refuse to answer through elements that the permit hides.

    Raises:
        Problem: INCORRECT for what is not understood; FORBIDDEN for a parameter, sort key or include over a masked
            element, because the answer would tell the value.
    """
    query = parse(permit.type, asked, lenient=lenient, bases=lens(ctx.base).bases, now_ms=ctx.services.clock.now_ms())
    if permit.masked:
        used = {clause.parameter for clause in query.clauses}
        used |= {sort.parameter for sort in query.sort} | {include.parameter for include in query.include}
        hidden = sorted(name for name in used if _reads(permit, name))
        if hidden:
            text = f"You may not search {permit.type} by {', '.join(hidden)}."
            raise Problem(Kind.FORBIDDEN, text, "parameter over a masked element")
    return query


def _reads(permit: Permit, parameter: str) -> bool:
    known = parameters(permit.type).get(parameter)
    families = known.families if known is not None else ()
    return any(family.partition(".")[0].partition("[")[0] in permit.masked for family in families)


def plan_of(ctx: Context, permit: Permit, query: Query, *, lasting: bool = False) -> Plan:
    """How this query is answered from the index.

    Args:
        lasting: the plan must also find what is written after it was made, as a guard's does.
    """
    index = ctx.store.keys(ctx.actor.tenant).index()
    if lasting:
        return plan(permit.type, query.clauses, index)
    return plan(permit.type, query.clauses, index, ctx.store.reader.held)


def hits(
    ctx: Context,
    permit: Permit,
    how: Plan,
    *,
    before: int | None = None,
    expected: int = 64,
    content: bool = False,
) -> Iterator[Hit]:
    """Give matching records, newest first.

    Args:
        before: cursor: only rows older than this `seq`.
        expected: about how many hits the caller will take.
        content: decode every hit, for includes and sorting.

    Raises:
        Problem: TOO_COSTLY when more candidates had to be opened than the limit allows.
    """
    return judged(ctx, permit, how, _candidates(ctx, permit, how, before, expected), content=content)


def judged(ctx: Context, permit: Permit, how: Plan, rows: Iterable[Row], *, content: bool) -> Iterator[Hit]:
    """Those of the candidates that match; raises as `hits`."""
    view = lens(ctx.base)
    opened = 0
    tests = [matcher(clause) for clause in how.rest]
    texts = any(clause.modifier == "text" for clause in how.rest)
    for row in rows:
        if not how.rest and not content:
            yield Hit(row, ctx.store.open(permit, row), None)
            continue
        opened += 1
        if opened > ctx.services.limits.search_candidates:
            text = "The search would have to open too many records; add a parameter that narrows it."
            raise Problem(Kind.TOO_COSTLY, text)
        version, resource = ctx.store.open_with_content(permit, row)
        if tests:
            values = [*view.extractor.rows(resource, texts=texts), *stored_rows(version)]
            if not all(test(values) for test in tests):
                continue
        yield Hit(row, version, resource)


def _candidates(ctx: Context, permit: Permit, how: Plan, before: int | None, expected: int) -> Iterator[Row]:
    if how.ids is None:
        yield from ctx.store.reader.candidates(
            permit, how.expression, before=before, updated=how.updated, batch=min(max(expected, 2), 256)
        )
        return
    named = {ctx.store.rid(ctx.actor.tenant, permit.type, id_) for id_ in how.ids}
    rows = [row for rid in named if (row := ctx.store.reader.newest(permit, rid)) is not None]
    live = [row for row in rows if not row.deleted and (before is None or row.seq < before)]
    if how.expression:
        wanted = ctx.store.reader.with_terms([row.seq for row in live], how.expression)
        live = [row for row in live if row.seq in wanted]
    yield from sorted(live, key=lambda row: -row.seq)


def stored_rows(version: Version) -> list[tuple[Any, ...]]:
    """Index rows of what the store itself knows: `_id` and `_lastUpdated`."""
    return [
        ("_id", "token", "", version.id),
        ("_lastUpdated", "date", version.updated, version.updated + 1),
    ]


# ── conditions ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Found:
    """The one record that a condition matches, and what the audit log will say of it."""

    version: Version
    entities: tuple[Entity, ...]
    reason: str


def match_one(ctx: Context, type_: str, condition: str, place: str) -> tuple[Found | None, Guard]:
    """Find the record that a condition names, among those that the actor may search.

    Args:
        condition: search parameters as in an address.
        place: where the condition stands, for errors.

    Returns:
        The match if there is one, and a guard that keeps "there is none" true until the commit.

    Raises:
        Problem: PRECONDITION when several match; INCORRECT when the condition is empty or not understood.
    """
    permit = ctx.decide(Permission.RECORD_SEARCH, type_)
    query = read_query(ctx, permit, pairs_of(condition, place))
    if not query.clauses:
        text = "A condition needs at least one search parameter."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("required", text, place),))
    how = plan_of(ctx, permit, query, lasting=True)
    guard = Guard(ctx.actor.tenant, type_, how.expression, ctx.store.reader.last_seq())
    found: Found | None = None
    for hit in hits(ctx, permit, how, expected=2):
        if found is not None:
            raise several(place)
        version = hit.version
        touched = entities(hit.row.owners, type_, version.id, version.version, "R")
        found = Found(version, touched, permit.reason)
    return found, guard
