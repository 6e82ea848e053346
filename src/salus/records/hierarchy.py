# SPDX-License-Identifier: Apache-2.0
"""`:above` and `:below` on references: the records above or below the named ones take their place.

Each step up or down is a search or read under the actor's permit for that type: what they may not see leads nowhere.
https://hl7.org/fhir/R4/search.html#recursive
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.fhir.references import local_reference
from salus.fhir.search.clauses import Clause, TargetsValue
from salus.fhir.search.hierarchy import starts, upward
from salus.fhir.search.parameters import Parameter
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context


def levelled(ctx: Context, clause: Clause) -> Clause:
    """The clause with every record of its hierarchy in it; other clauses come back as they are.

    Raises:
        Problem: FORBIDDEN when the actor may not search the type; TOO_COSTLY when the hierarchy is too large.
    """
    if clause.kind != "reference" or clause.modifier not in ("above", "below"):
        return clause
    names: set[str] = set()
    for type_, ids in starts(clause).items():
        permit = ctx.decide(Permission.RECORD_SEARCH, type_)
        known = upward(type_)
        if known is None:
            continue
        if known.elements & permit.masked:
            raise Problem(Kind.FORBIDDEN, f"You may not search {type_} by {known.code}.", "hierarchy over a mask")
        names |= {f"{type_}/{id_}" for id_ in _reached(ctx, permit, known, ids, below=clause.modifier == "below")}
    return replace(clause, modifier="", values=(TargetsValue(frozenset(names)),))


def _reached(ctx: Context, permit: Permit, known: Parameter, ids: set[str], *, below: bool) -> set[str]:
    found = set(ids)
    edge = set(ids)
    while edge:
        step = _below(ctx, permit, known, edge) if below else _above(ctx, permit, known, edge)
        edge = set(step) - found
        found |= edge
        if len(found) > ctx.services.limits.search_candidates:
            raise Problem(Kind.TOO_COSTLY, "The hierarchy holds too many records; start further down.")
    return found


def _below(ctx: Context, permit: Permit, known: Parameter, ids: Iterable[str]) -> Iterator[str]:
    index = ctx.store.index(ctx.actor.tenant)
    parents = {f"{permit.type}/{id_}" for id_ in ids}
    terms = [
        term
        for name in parents
        for family in known.families
        for term in index.reference_terms(permit.type, family, name)
    ]
    for row in ctx.store.reader.candidates(permit, f"({' OR '.join(terms)})"):
        version, resource = ctx.store.open_with_content(permit, row)
        if parents & set(_targets(ctx, known, resource)):
            yield version.id


def _above(ctx: Context, permit: Permit, known: Parameter, ids: Iterable[str]) -> Iterator[str]:
    for id_ in ids:
        row = ctx.store.newest(permit, id_)
        if row is None or row.deleted:
            continue
        _, resource = ctx.store.open_with_content(permit, row)
        for name in _targets(ctx, known, resource):
            target = local_reference(name, ctx.lens.bases)
            if target is not None and target[0] == permit.type:
                yield target[1]


def _targets(ctx: Context, known: Parameter, resource: dict[str, Any]) -> list[str]:
    rows = ctx.lens.extractor.rows(resource)
    return [row[2] for row in rows if row[1] == "reference" and row[0] in known.families]
