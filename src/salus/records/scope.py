# SPDX-License-Identifier: Apache-2.0
"""Where a search looks: at one type, at several, or at the compartment of a patient, encounter, practitioner and so on.

Each type is a part with a permit, a query and a plan of its own. https://hl7.org/fhir/R4/search.html#searchcontexts
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.fhir.definitions import resource_types
from salus.fhir.search.clauses import Query
from salus.fhir.search.shapes import compartments, membership
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.candidates import reads_masked
from salus.records.context import Context
from salus.records.finding import read_query

ALL_TYPES = "*"

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Scope:
    """An address that can be searched.

    Attributes:
        path: below the base: `Patient`, `Patient/9/Observation`, `Patient/9/*`, or "" for the system.
        types: resource types; empty for all that the actor may search.
        owner: type and id of whose compartment is searched; None without.
    """

    path: str
    types: tuple[str, ...] = ()
    owner: tuple[str, str] | None = None


def type_scope(type_: str) -> Scope:
    """All records of a type."""
    return Scope(type_, (type_,))


def compartment_scope(owner: str, id_: str, type_: str) -> Scope:
    """Records of a type, or `*`, in a compartment.

    Raises:
        Problem: NOT_FOUND when R4 has no such compartment, or the type is never in it.
    """
    members = compartments().get(owner)
    if members is None or (type_ != ALL_TYPES and type_ not in members):
        raise Problem(Kind.NOT_FOUND, "R4 has no compartment with this type.", "no such compartment")
    types = tuple(members) if type_ == ALL_TYPES else (type_,)
    return Scope(f"{owner}/{id_}/{type_}", types, (owner, id_))


def system_scope(asked: Pairs) -> tuple[Scope, list[tuple[str, str]]]:
    """The types that `_type` names, or all; and the other parameters.

    Raises:
        Problem: INCORRECT for a name that R4 does not have.
    """
    named = [name for key, text in asked if key == "_type" for name in text.split(",")]
    if not set(named) <= set(resource_types()):
        text = "`_type` names something that is not a resource type."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("value", text, "query._type"),))
    rest = [pair for pair in asked if pair[0] != "_type"]
    return Scope("", tuple(sorted(set(named)))), rest


@dataclass(frozen=True, slots=True)
class Part:
    """One type of a search: what the actor may, and what is asked."""

    permit: Permit
    query: Query


def permits_of(ctx: Context, scope: Scope) -> list[Permit]:
    """Decide for each type of a search.

    A search over everything leaves out the types that the actor may not search; one that is named is refused.

    Raises:
        Problem: FORBIDDEN.
    """
    open_ended = not scope.types or scope.path.endswith(ALL_TYPES)
    permits: list[Permit] = []
    refused: Problem | None = None
    for type_ in scope.types or resource_types():
        try:
            permits.append(ctx.decide(Permission.RECORD_SEARCH, type_))
        except Problem as problem:
            if not open_ended or problem.kind is not Kind.FORBIDDEN:
                raise
            refused = problem
    if not permits:
        raise refused or Problem(Kind.FORBIDDEN, "Your account may not do this.", "no grant")
    return permits


def parts_of(ctx: Context, scope: Scope, permits: list[Permit], asked: Pairs, *, lenient: bool) -> list[Part]:
    """Read a search for each of its types.

    Args:
        permits: from `permits_of`.

    Raises:
        Problem: FORBIDDEN over masked elements; INCORRECT for what is not understood of every type.
    """
    types = tuple(permit.type for permit in permits)
    parts = [Part(permit, _query(ctx, permit, scope, asked, types, lenient)) for permit in permits]
    if len(parts) > 1:
        _check_sort(ctx, parts)
    return parts


def _query(ctx: Context, permit: Permit, scope: Scope, asked: Pairs, types: tuple[str, ...], lenient: bool) -> Query:
    query = read_query(ctx, permit, list(asked), lenient=lenient, types=types)
    if scope.owner is None:
        return query
    owner, id_ = scope.owner
    known = ctx.lens.registry.parameters(permit.type)
    hidden = [code for code in known if permit.masked and reads_masked(ctx, permit, code)]
    clause = membership(owner, permit.type, id_, without=hidden)
    return replace(query, clauses=(*query.clauses, clause))


def _check_sort(ctx: Context, parts: list[Part]) -> None:
    """Keys of an order over several types must be comparable."""
    known = ctx.lens.registry.parameters
    for sort in parts[0].query.sort:
        if len({known(part.permit.type)[sort.parameter].kind for part in parts}) > 1:
            text = f"`_sort` by {sort.parameter} does not mean the same for all types that are searched."
            raise Problem(Kind.INCORRECT, text, issues=(Issue("not-supported", text, "query._sort"),))
