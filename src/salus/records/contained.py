# SPDX-License-Identifier: Apache-2.0
"""`_contained`: searches for resources that live inside others.  https://hl7.org/fhir/R4/search.html#contained

What is contained has tokens of its own in its container's row (`terms`). A search asks every type for records that
carry them, under the permit for the container's type, and judges what is inside on the opened record. A container of
which the actor sees only a part shows nothing of what is in it, and is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.fhir.definitions import resource_types
from salus.fhir.search.clauses import Chain, Clause, Query, Step
from salus.fhir.search.match import matcher
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.candidates import plan_alone
from salus.records.context import Context
from salus.records.hierarchy import levelled
from salus.records.joins import Joins
from salus.records.placing import Planned
from salus.records.scope import Part
from salus.records.store.index import Plan, plan
from salus.records.terms import CONTAINED

_TOKENS = {"token", "string", "reference", "date", "number", "quantity", "uri"}

_STORED = {"_id", "_lastUpdated"}

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Inside:
    """What a hit stands for: itself, resources in it, or both.

    Attributes:
        itself: whether the record itself matches.
        matching: those of its contained resources that match.
    """

    itself: Callable[[Resource, list[tuple[Any, ...]]], bool]
    matching: Callable[[Resource], list[Resource]]


def contained_parts(ctx: Context, parts: list[Part]) -> tuple[list[Planned], dict[str, Inside]]:
    """Plans for the containers of what is asked for, and with `both` for the records themselves too.

    Returns:
        A plan for each type of container, and what its hits stand for.

    Raises:
        Problem: INCORRECT for what cannot be asked of contained resources; FORBIDDEN; TOO_COSTLY.
    """
    query = parts[0].query
    _check(query)
    joins = Joins(ctx, lasting=False)
    for part in parts:  # refused before anything is looked up, and looked up once
        joins.narrowed(part.permit, Plan("", ()), part.query.joins)
    asked = {part.permit.type: _steps(ctx, part.query) for part in parts}
    own = {part.permit.type: part for part in parts} if query.contained == "both" else {}
    planned: list[Planned] = []
    stands: dict[str, Inside] = {}
    for type_ in resource_types():
        permit = own[type_].permit if type_ in own else _permit(ctx, type_)
        if permit is None:
            continue
        expressions = [] if permit.masked else _expressions(ctx, type_, asked)
        if type_ in own:
            expressions.append("" if query.joins else plan_alone(ctx, permit, own[type_].query.clauses).expression)
        if not expressions:
            continue
        stand = _inside(ctx, joins, permit, asked, own.get(type_))
        whole = "" if "" in expressions else " OR ".join(f"({each})" for each in expressions)
        stands[type_] = stand
        planned.append(Planned(permit, Plan(f"({whole})" if whole else "", (), checks=(_either(stand),))))
    if not planned:  # nothing is contained anywhere: a plan that finds nothing
        planned.append(Planned(parts[0].permit, Plan("", (), ids=frozenset())))
    return planned, stands


def _check(query: Query) -> None:
    wrong = [
        name
        for name, there in (
            ("_sort", bool(query.sort)),
            ("_filter", bool(query.filters)),
            *((join.name, not isinstance(join.step, Chain)) for join in query.joins),
        )
        if there
    ]
    if wrong:
        text = f"`{wrong[0]}` does not go together with `_contained`."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("not-supported", text, f"query.{wrong[0]}"),))


def _permit(ctx: Context, type_: str) -> Permit | None:
    try:
        return ctx.decide(Permission.RECORD_SEARCH, type_)
    except Problem as problem:
        if problem.kind is not Kind.FORBIDDEN:
            raise
        return None


def _steps(ctx: Context, query: Query) -> list[Step]:
    return [*(levelled(ctx, clause) for clause in query.clauses), *(join.step for join in query.joins)]


def _expressions(ctx: Context, container: str, asked: dict[str, list[Step]]) -> list[str]:
    """For each type asked for, what the index can say of records of a type that contain one."""
    index, reader = ctx.store.index(ctx.actor.tenant), ctx.store.reader
    if ctx.store.registries.of(ctx.actor.tenant)[0].outdated:
        return [""]
    found = []
    for type_, steps in asked.items():
        term = index.type_term(CONTAINED + type_)
        if not reader.held(f"{term} AND {index.type_term(container)}"):
            continue
        clauses = [step for step in steps if isinstance(step, Clause) and _has_tokens(step)]
        narrowed = plan(CONTAINED + type_, clauses, index, reader.held).expression
        found.append(f"{term} AND {narrowed}" if narrowed else term)
    return found


def _has_tokens(clause: Clause) -> bool:
    return clause.kind in _TOKENS and not clause.parameter.startswith("_") and clause.parameter != "phonetic"


def _inside(ctx: Context, joins: Joins, permit: Permit, asked: dict[str, list[Step]], own: Part | None) -> Inside:
    mine = asked[permit.type] if own is not None else []
    clauses = [step for step in mine if isinstance(step, Clause)]
    chains = [step for step in mine if not isinstance(step, Clause)]
    tests = [matcher(clause) for clause in clauses]

    def itself(resource: Resource, rows: list[tuple[Any, ...]]) -> bool:
        if own is None:
            return False
        every = [*ctx.lens.extractor.rows_for(resource, clauses), *(row for row in rows if row[0] in _STORED)]
        return all(test(every) for test in tests) and all(joins.holds(resource, resource, step) for step in chains)

    def matching(resource: Resource) -> list[Resource]:
        if permit.masked:
            return []
        return [
            inner
            for inner in resource.get("contained", ())
            if inner["resourceType"] in asked
            and all(joins.holds(resource, inner, step) for step in asked[inner["resourceType"]])
        ]

    return Inside(itself, matching)


def _either(stand: Inside) -> Callable[[Resource, list[tuple[Any, ...]]], bool]:
    return lambda resource, rows: stand.itself(resource, rows) or bool(stand.matching(resource))
