# SPDX-License-Identifier: Apache-2.0
"""Chains, `_has` and `_list`: each step is a search of its own, inner-most first.

Every step is decided for its own type and finds under that permit only: a record that the actor may not read leads
nowhere, exactly like one that is not there. What a step found becomes reference tokens (or ids) of the step outside
it, so that the index answers a chain as it answers a plain search. https://hl7.org/fhir/R4/search.html#chaining
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.fhir.definitions import fields
from salus.fhir.references import local_reference
from salus.fhir.search.clauses import Chain, Clause, Has, Join, Listed, ReferenceValue, Step, TargetsValue
from salus.fhir.search.match import matcher
from salus.kernel.errors import Kind, Problem
from salus.records.candidates import Hit, hits, plan_alone, reads_masked, refuse_masked
from salus.records.canonicals import as_written, by_canonical, canonicals, named, names_any
from salus.records.context import Context
from salus.records.lists import members
from salus.records.store.index import Plan
from salus.records.terms import CONTAINED

_FEW = 50
"""Candidates that are asked one by one whether something points to them."""

_MAX_NAMED = 2_000
"""Reference tokens in one question; beyond them the candidates are opened and compared."""


class Joins:
    """Works out the steps of one search; what it has found once it keeps until the search is answered.

    Args:
        ctx: who asks.
        lasting: plans must also find what is written after they were made (`finding.plan_of`).

    Attributes:
        relied: (type, expression) of every step: what a guard has to watch.
    """

    def __init__(self, ctx: Context, *, lasting: bool) -> None:
        self._ctx = ctx
        self._view = ctx.lens
        self._lasting = lasting
        self._opened = 0
        self._ids: dict[tuple[str, int], tuple[Step, frozenset[str]]] = {}  # by the step itself: not all can be hashed
        self.relied: dict[tuple[str, str], None] = {}

    def narrowed(self, permit: Permit, how: Plan, joins: Iterable[Join]) -> Plan:
        """Add to a plan what must hold of other records.

        Raises:
            Problem: FORBIDDEN when a step leads through a type that the actor may not search, or over a masked
                element; TOO_COSTLY when the steps would have to open too many records.
        """
        for join in joins:
            how = self._narrowed(permit, how, join.step)
        return how

    def _narrowed(self, permit: Permit, how: Plan, step: Step) -> Plan:
        match step:
            case Chain():
                return self._chained(permit, how, step)
            case Has():
                return self._had(permit, how, step)
            case Listed():
                return how.among(self._listed(permit.type, step))
        raise Problem(Kind.FAULT, "The search could not be read.", "a plain clause among the joins")

    def as_clause(self, permit: Permit, join: Join) -> Clause:
        """A chain within a filter: a reference to any of the records that it leads to. What is contained is left out.

        Raises:
            Problem: as `narrowed`; INCORRECT for `_has` and `_list`, which are no parameters of a filter.
        """
        chain = join.step
        if not isinstance(chain, Chain):
            raise Problem(Kind.INCORRECT, "A filter may follow references, but has no `_has` and no `_list`.")
        names: set[str] = set()
        refused: list[Problem] = []
        for type_, step in chain.branches:
            try:
                names.update(f"{type_}/{id_}" for id_ in self._found(type_, step))
            except Problem as problem:  # of several types those remain that the actor may search
                if problem.kind is not Kind.FORBIDDEN:
                    raise
                refused.append(problem)
        if len(refused) == len(chain.branches):
            raise refused[0]
        targets = TargetsValue(frozenset(names))
        return Clause(chain.parameter, "reference", chain.families, "", (targets,), (), indexed=True, text=join.text)

    def _had(self, permit: Permit, how: Plan, has: Has) -> Plan:
        """Either look up all that is pointed to, or, where few records are left, ask of each whether it is."""
        if not self._few(permit, how):
            return how.among(self._pointed_to(permit.type, has))
        ctx = self._ctx
        source = ctx.decide(Permission.RECORD_SEARCH, has.type)
        refuse_masked(ctx, source, {has.parameter})
        _, inner = self._planned(has.type, has.step)
        self.relied[has.type, inner.expression] = None
        canonical = self._by_canonical(permit, has)

        def pointed_to(resource: dict[str, Any], _rows: list[tuple[Any, ...]]) -> bool:
            names = canonicals(resource) if canonical else []
            ends = (ReferenceValue(permit.type, resource["id"]), *(ReferenceValue(None, None, name) for name in names))
            clause = Clause("", "reference", has.families, "", ends, (permit.type,), indexed=True, text="")
            also = plan_alone(ctx, source, (clause,), lasting=self._lasting)
            expression = " AND ".join(part for part in (inner.expression, also.expression) if part)
            narrowed = replace(inner, expression=expression, rest=(*inner.rest, *also.rest))
            found = self._counted(hits(ctx, source, narrowed, expected=2, content=bool(names)))
            if not names:
                return any(found)
            names.append(f"{permit.type}/{resource['id']}")
            return any(names_any(names, self._targets(has.families, hit.content or {})) for hit in found)

        return replace(how, checks=(*how.checks, pointed_to))

    def _by_canonical(self, permit: Permit, has: Has) -> bool:
        """Whether what is searched may be named by its URL, which is not hidden from the actor."""
        hidden = permit.masked and reads_masked(self._ctx, permit, "url")
        return not hidden and by_canonical(self._ctx, has.type, has.families)

    def _few(self, permit: Permit, how: Plan) -> bool:
        if how.ids is not None:
            return len(how.ids) <= _FEW
        if not how.expression or self._lasting:
            return False
        candidates = self._ctx.store.reader.candidates(permit, how.expression, updated=how.updated, batch=_FEW + 1)
        return sum(1 for _ in islice(candidates, _FEW + 1)) <= _FEW

    # ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _hits(self, type_: str, step: Step, *, content: bool = False) -> Iterator[Hit]:
        """Records of a type that fulfil a step and that the actor may search."""
        permit, how = self._planned(type_, step)
        self.relied[type_, how.expression] = None
        yield from self._counted(hits(self._ctx, permit, how, expected=256, content=content))

    def _planned(self, type_: str, step: Step) -> tuple[Permit, Plan]:
        ctx = self._ctx
        permit = ctx.decide(Permission.RECORD_SEARCH, type_)
        refuse_masked(ctx, permit, {step.parameter} if isinstance(step, Clause | Chain) else ())
        if isinstance(step, Clause):
            return permit, plan_alone(ctx, permit, (step,), lasting=self._lasting)
        return permit, self._narrowed(permit, plan_alone(ctx, permit, (), lasting=self._lasting), step)

    def _counted(self, found: Iterator[Hit]) -> Iterator[Hit]:
        """The same, until all steps together have looked at too many records."""
        for hit in found:
            self._opened += 1
            if self._opened > self._ctx.services.limits.search_candidates:
                text = "The search would have to look at too many other records; narrow what it chains to."
                raise Problem(Kind.TOO_COSTLY, text)
            yield hit

    def _found(self, type_: str, step: Step) -> frozenset[str]:
        """Ids of those."""
        known = self._ids.get((type_, id(step)))
        if known is None:
            known = step, frozenset(hit.version.id for hit in self._hits(type_, step))
            self._ids[type_, id(step)] = known
        return known[1]

    def _urls(self, type_: str, step: Step) -> Iterator[str]:
        """Canonicals by which those are named, unless their URLs are hidden from the actor."""
        permit = self._ctx.decide(Permission.RECORD_SEARCH, type_)
        if permit.masked and reads_masked(self._ctx, permit, "url"):
            return
        for hit in self._hits(type_, step, content=True):
            yield from canonicals(hit.content or {})

    def _pointed_to(self, type_: str, has: Has) -> frozenset[str]:
        """Ids of the records of a type that some record fulfilling the step points to."""
        permit = self._ctx.decide(Permission.RECORD_SEARCH, has.type)
        refuse_masked(self._ctx, permit, {has.parameter})
        targets: dict[str, None] = {}
        for hit in self._hits(has.type, has.step, content=True):
            targets |= dict.fromkeys(as_written(self._targets(has.families, hit.content or {})))
        local = {target: local_reference(target, self._view.bases) for target in targets}
        found = {place[1] for place in local.values() if place is not None and place[0] == type_}
        pointed = self._ctx.decide(Permission.RECORD_SEARCH, type_)
        if self._by_canonical(pointed, has):
            for target in (target for target, place in local.items() if place is None and target[:1] != CONTAINED):
                found.update(hit.version.id for hit in self._counted(named(self._ctx, pointed, target)))
        return frozenset(found)

    def _listed(self, type_: str, listed: Listed) -> frozenset[str]:
        """Ids of the records of a type in some List resources."""
        self.relied["List", ""] = None
        return frozenset(id_ for member, id_ in members(self._ctx, listed.ids) if member == type_)

    def _targets(self, families: tuple[str, ...], resource: dict[str, Any]) -> Iterator[str]:
        for row in self._view.extractor.rows(resource):
            if row[1] == "reference" and row[0] in families:
                yield row[2]

    # ── chains ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _chained(self, permit: Permit, how: Plan, chain: Chain) -> Plan:
        names: set[str] = set()
        open_to: list[tuple[str, Step]] = []
        refused: Problem | None = None
        canonical = by_canonical(self._ctx, permit.type, chain.families)
        for type_, step in chain.branches:
            try:
                names.update(f"{type_}/{id_}" for id_ in self._found(type_, step))
                if canonical and "url" in fields(type_):
                    names.update(self._urls(type_, step))
            except Problem as problem:  # of several types those remain that the actor may search
                if problem.kind is not Kind.FORBIDDEN:
                    raise
                refused = refused or problem
                continue
            open_to.append((type_, step))
        if refused is not None and not open_to:
            raise refused
        inside = [] if permit.masked else self._inside(permit.type, open_to)  # a mask hides what is contained
        index = self._ctx.store.index(permit.actor.tenant)
        terms = list(inside)
        outdated = self._ctx.store.registries.of(permit.actor.tenant)[0].outdated  # then no token can be relied on
        few = len(names) * len(chain.families) <= _MAX_NAMED and not outdated
        if few:
            for family in chain.families:
                for name in names:
                    terms += index.reference_terms(permit.type, family, name)
        if not terms and not names and not outdated:
            return how.among(frozenset())
        expression = (terms[0] if len(terms) == 1 else f"({' OR '.join(terms)})") if few else ""
        how = replace(how, expression=" AND ".join(part for part in (how.expression, expression) if part))
        if few and not inside and not canonical:
            return how  # tokens of references say it all
        branches = {} if permit.masked else dict(open_to)

        def leads(resource: dict[str, Any], rows: list[tuple[Any, ...]]) -> bool:
            ends = as_written(row[2] for row in rows if row[1] == "reference" and row[0] in chain.families)
            return any(
                end in names or (end[:1] == CONTAINED and self._holds_inside(resource, end[1:], branches))
                for end in ends
            )

        return replace(how, checks=(*how.checks, leads))

    # ── contained resources: a chain is followed into them (https://hl7.org/fhir/R4/search.html#contained) ───────

    def _inside(self, type_: str, branches: Iterable[tuple[str, Step]]) -> list[str]:
        """Tokens of records of a type that contain what one of the branches leads to."""
        index = self._ctx.store.index(self._ctx.actor.tenant)
        terms = []
        for target, _ in branches:
            term = index.type_term(CONTAINED + target)
            if self._lasting or self._ctx.store.reader.held(f"{term} AND {index.type_term(type_)}"):
                terms.append(term)
        return terms

    def _holds_inside(self, resource: dict[str, Any], id_: str, branches: dict[str, Step]) -> bool:
        for contained in resource.get("contained", ()):
            step = branches.get(contained["resourceType"])
            if step is not None and contained.get("id") == id_:
                return self.holds(resource, contained, step)
        return False

    def holds(self, container: dict[str, Any], resource: dict[str, Any], step: Step) -> bool:
        """Whether a resource contained in another fulfils a step; chains must have been looked up before."""
        if isinstance(step, Clause):
            rows = self._view.extractor.rows_for(resource, (step,))
            return matcher(step)([*rows, ("_id", "token", "", resource.get("id", ""))])
        if not isinstance(step, Chain):
            return False  # nothing points to a contained resource from outside, and no list holds it
        branches = dict(step.branches)
        for target in self._targets(step.families, resource):
            if target[:1] == CONTAINED:
                if target[1:] != resource.get("id") and self._holds_inside(container, target[1:], branches):
                    return True
            else:
                local = local_reference(target, self._view.bases)
                if local is not None and local[0] in branches and local[1] in self._known(local[0], branches):
                    return True
        return False

    def _known(self, type_: str, branches: dict[str, Step]) -> frozenset[str]:
        try:
            return self._found(type_, branches[type_])
        except Problem as problem:
            if problem.kind is not Kind.FORBIDDEN:
                raise
            return frozenset()
