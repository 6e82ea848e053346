# SPDX-License-Identifier: Apache-2.0
"""Finding records: a search read, planned with all that it asks of other records, and conditions that name one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.audit.event import Entity
from salus.fhir.search.clauses import Chain, Query
from salus.fhir.search.query import parse
from salus.fhir.search.reading import Setting
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.candidates import hits, plan_alone, refuse_masked
from salus.records.conditions import pairs_of
from salus.records.context import Context
from salus.records.hierarchy import levelled
from salus.records.joins import Joins
from salus.records.store.index import Plan
from salus.records.store.store import Version, entities
from salus.records.store.write import Guard
from salus.records.wording import several


def read_query(
    ctx: Context,
    permit: Permit,
    asked: list[tuple[str, str]],
    *,
    lenient: bool = False,
    types: tuple[str, ...] = (),
) -> Query:
    """Parse a search and refuse to answer through elements that the permit hides.

    Args:
        types: the types that are searched together with the permit's.

    Raises:
        Problem: INCORRECT for what is not understood; FORBIDDEN for a parameter, sort key, chain or include over a
            masked element, because the answer would tell the value.
    """
    query = parse(permit.type, asked, lenient=lenient, setting=_setting(ctx), types=types)
    if permit.masked:
        used = {clause.parameter for clause in query.clauses}
        used |= {clause.parameter for _, each in query.filters for clause in each.clauses()}
        inside = (join.step for _, each in query.filters for join in each.joins())
        used |= {step.parameter for step in inside if isinstance(step, Chain)}
        used |= {join.step.parameter for join in query.joins if isinstance(join.step, Chain)}
        used |= {sort.parameter for sort in query.sort}
        refuse_masked(ctx, permit, used)
    return query


def _setting(ctx: Context) -> Setting:
    """What the meaning of a search depends on: own addresses, the time, the tenant's parameters and code systems."""

    def any_case(system: str) -> bool:
        known = ctx.knowledge.find("CodeSystem", system)
        return known is not None and known.get("caseSensitive") is False

    return Setting(
        bases=ctx.lens.bases,
        now_ms=ctx.services.clock.now_ms(),
        registry=ctx.lens.registry,
        terminology=lambda: ctx.services.terminology(ctx),
        any_case=any_case,
    )


def plan_of(ctx: Context, permit: Permit, query: Query, *, lasting: bool = False) -> Plan:
    """How this query is answered from the index; what it asks of other records is looked up at once.

    Args:
        lasting: the plan must also find what is written after it was made, as a guard's does.

    Raises:
        Problem: FORBIDDEN when a chain leads where the actor may not search; TOO_COSTLY.
    """
    if query.contained:  # only searches look into what is contained
        text = "`_contained` is not supported here."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("not-supported", text, "query._contained"),))
    if not query.joins and not query.filters:
        return plan_alone(ctx, permit, query.clauses, lasting=lasting)
    joins = Joins(ctx, lasting=lasting)
    filters = [
        each.resolved(lambda join: joins.as_clause(permit, join), lambda clause: levelled(ctx, clause))
        for _, each in query.filters
    ]
    how = plan_alone(ctx, permit, query.clauses, filters=filters, lasting=lasting)
    how = joins.narrowed(permit, how, query.joins)
    return replace(how, relied=tuple(joins.relied))


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
    found, guard = match_some(ctx, type_, condition, place, 1)
    return (found[0] if found else None), guard


def match_some(ctx: Context, type_: str, condition: str, place: str, most: int) -> tuple[list[Found], Guard]:
    """Find the records that a condition names, among those that the actor may search; raises as `match_one`.

    Args:
        most: with more matches than this nothing is given.
    """
    permit = ctx.decide(Permission.RECORD_SEARCH, type_)
    query = read_query(ctx, permit, pairs_of(condition, place))
    if not query.clauses and not query.joins and not query.filters:
        text = "A condition needs at least one search parameter."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("required", text, place),))
    since, stamp = ctx.store.reader.last_seq(), ctx.store.registries.of(ctx.actor.tenant)[0].stamp
    how = plan_of(ctx, permit, query, lasting=True)
    tenant = ctx.actor.tenant
    steps = tuple(Guard(tenant, other, expression, since, stamp=stamp) for other, expression in how.relied)
    guard = Guard(tenant, type_, how.expression, since, steps, stamp)
    found: list[Found] = []
    for hit in hits(ctx, permit, how, expected=most + 1):
        if len(found) == most:
            raise several(place, most)
        version = hit.version
        touched = entities(hit.row.owners, type_, version.id, version.version, "R")
        found.append(Found(version, touched, permit.reason))
    return found, guard
