# SPDX-License-Identifier: Apache-2.0
"""Candidates from the index, judged one by one where tokens cannot say it all: one search on one type."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from salus.access.permit import Permit
from salus.crypto.wrapped_keys import DESTROYED
from salus.fhir.search.clauses import Clause, Filter, Join
from salus.fhir.search.match import filter_matcher, matcher
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context
from salus.records.hierarchy import levelled
from salus.records.security_context import BINARY, readable
from salus.records.store.index import Plan, plan
from salus.records.store.schema import Row
from salus.records.store.store import Version


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that matches. `content` is decoded and unmasked, and there only if matching needed it."""

    row: Row
    version: Version
    content: dict[str, Any] | None


def refuse_masked(ctx: Context, permit: Permit, used: Iterable[str]) -> None:
    """Refuse to answer through elements that the permit hides, because the answer would tell the value.

    Args:
        used: codes of parameters by which records are found, sorted or followed.

    Raises:
        Problem: FORBIDDEN.
    """
    if permit.masked:
        hidden = sorted(name for name in set(used) if reads_masked(ctx, permit, name))
        if hidden:
            text = f"You may not search {permit.type} by {', '.join(hidden)}."
            raise Problem(Kind.FORBIDDEN, text, "parameter over a masked element")


def reads_masked(ctx: Context, permit: Permit, parameter: str) -> bool:
    """Whether a parameter reads an element that the permit hides."""
    known = ctx.lens.registry.parameters(permit.type).get(parameter)
    return known is not None and ("*" in known.elements or bool(known.elements & permit.masked))


def plan_alone(
    ctx: Context,
    permit: Permit,
    clauses: Iterable[Clause],
    *,
    filters: Iterable[Filter] = (),
    lasting: bool = False,
) -> Plan:
    """How clauses about the records themselves are answered from the index.

    Args:
        filters: conditions of `_filter`.
        lasting: the plan must also find what is written after it was made, as a guard's does.
    """
    index = ctx.store.index(ctx.actor.tenant)
    clauses = [levelled(ctx, clause) for clause in clauses]
    if ctx.store.registries.of(ctx.actor.tenant)[0].outdated:  # until all rows are indexed anew, all are opened
        clauses = [replace(clause, indexed=False) for clause in clauses]
        filters = [each.resolved(_unresolved, lambda clause: replace(clause, indexed=False)) for each in filters]
    if lasting:
        return plan(permit.type, clauses, index, filters=filters)
    return plan(permit.type, clauses, index, ctx.store.reader.held, filters=filters)


def _unresolved(join: Join) -> Clause:
    raise Problem(Kind.FAULT, "The search could not be read.", f"a chain in a filter: {join.name}")


def hits(
    ctx: Context,
    permit: Permit,
    how: Plan,
    *,
    before: int | None = None,
    expected: int = 64,
    content: bool = False,
    without: Container[bytes] = (),
) -> Iterator[Hit]:
    """Give matching records, newest first.

    Args:
        before: cursor: only rows older than this `seq`.
        expected: about how many hits the caller will take.
        content: decode every hit, for includes and sorting.
        without: surrogates (`rid`) of records that are not wanted again.

    Raises:
        Problem: TOO_COSTLY when more candidates had to be opened than the limit allows.
    """
    rows = _candidates(ctx, permit, how, before, expected)
    if without:
        rows = (row for row in rows if row.rid not in without)
    return judged(ctx, permit, how, rows, content=content)


def count(ctx: Context, permit: Permit, how: Plan, *, estimate: bool = False) -> int:
    """How many records match; as an estimate how many candidates there are, which costs no opening."""
    if (how.exact or estimate) and how.ids is None:
        return ctx.store.reader.count(permit, how.expression, updated=how.updated)
    return sum(1 for _ in hits(ctx, permit, how))


def judged(ctx: Context, permit: Permit, how: Plan, rows: Iterable[Row], *, content: bool) -> Iterator[Hit]:
    """Those of the candidates that match; raises as `hits`."""
    view = ctx.lens
    opened = 0
    tests = [*(matcher(clause) for clause in how.rest), *(filter_matcher(each) for each in how.filters)]
    asked = (*how.rest, *(clause for each in how.filters for clause in each.clauses()))
    within = permit.type == BINARY  # whose context must be readable too
    opening = content or within or bool(tests) or bool(how.checks)
    pace = ctx.store.reader.pace
    for row in rows:
        pace()
        if ctx.ration is not None:
            ctx.ration.take()
        if not opening:
            try:
                alone = ctx.store.open(permit, row)
            except Problem as problem:
                _only_if_erased(problem)
                continue
            yield Hit(row, alone, None)
            continue
        opened += 1
        if opened > ctx.services.limits.search_candidates:
            text = "The search would have to open too many records; add a parameter that narrows it."
            raise Problem(Kind.TOO_COSTLY, text)
        try:
            version, resource = ctx.store.open_with_content(permit, row)
        except Problem as problem:
            _only_if_erased(problem)
            continue
        if within and not readable(ctx, resource):
            continue
        if tests or how.checks:
            values = [*view.extractor.rows_for(resource, asked), *stored_rows(version)]
            if not all(test(values) for test in tests) or not all(check(resource, values) for check in how.checks):
                continue
        yield Hit(row, version, resource)


def _only_if_erased(problem: Problem) -> None:
    """Pass over a row whose patient was erased (a database from before, until the next start); raise anything else."""
    if problem.kind is not Kind.GONE or problem.detail != DESTROYED:
        raise problem


def _candidates(ctx: Context, permit: Permit, how: Plan, before: int | None, expected: int) -> Iterator[Row]:
    if how.ids is None:
        yield from ctx.store.reader.candidates(
            permit, how.expression, before=before, updated=how.updated, batch=min(max(expected, 2), 256)
        )
        return
    named = [ctx.store.rid(ctx.actor.tenant, permit.type, id_) for id_ in how.ids]
    live = ctx.store.reader.named(permit, named, before=before)
    if how.expression and live:
        wanted = ctx.store.reader.with_terms([row.seq for row in live], how.expression)
        live = [row for row in live if row.seq in wanted]
    yield from sorted(live, key=lambda row: -row.seq)


def stored_rows(version: Version) -> list[tuple[Any, ...]]:
    """Index rows of what the store itself knows: `_id` and `_lastUpdated`."""
    return [
        ("_id", "token", "", version.id),
        ("_lastUpdated", "date", version.updated, version.updated + 1),
    ]
