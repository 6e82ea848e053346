# SPDX-License-Identifier: Apache-2.0
"""`_include` and `_revinclude`: records beside the matches.  https://hl7.org/fhir/R4/search.html#include

What the matches point to is read, what points to them is searched, each under a permit of its own for its type; what
the actor may not see is left out without a word. With `:iterate` the same starts again from what was included.
"""

from __future__ import annotations

from collections.abc import Iterator

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.fhir.definitions import resource_types
from salus.fhir.references import local_reference
from salus.fhir.search.clauses import Clause, Include, ReferenceValue
from salus.fhir.search.includes import ALL, followed
from salus.fhir.search.parameters import Parameter
from salus.kernel.errors import Kind, Problem
from salus.records.candidates import Hit, hits, plan_alone, reads_masked, refuse_masked
from salus.records.canonicals import as_written, by_canonical, canonicals, named, names_any
from salus.records.context import Context

MAX_INCLUDED = 1_000
"""Records that may stand beside the matches of one page."""

_TOGETHER = 1_000  # reference tokens in one question

Place = tuple[str, str]
"""Type and id of a record."""


def included(ctx: Context, asked: tuple[Include, ...], page: list[Hit]) -> tuple[list[Hit], bool]:
    """Find what is to stand beside the matches of a page, each record once, none that is a match already.

    Returns:
        The records in the order in which they were found, and whether there would have been more than 1000.

    Raises:
        Problem: FORBIDDEN for an include that names a parameter over an element that is hidden from the actor.
    """
    work = _Includes(ctx, page)
    fresh = page
    asked = tuple(dict.fromkeys(asked))
    for include in asked:
        work.check(include)
    while fresh and not work.full:
        found = [hit for include in asked for hit in work.from_(include, fresh)]
        fresh = found
        asked = tuple(include for include in asked if include.iterate)
        if not asked:
            break
    return work.found, work.full


class _Includes:
    """What one answer includes, while it grows."""

    def __init__(self, ctx: Context, page: list[Hit]) -> None:
        self._ctx = ctx
        self._view = ctx.lens
        self._seen = {(hit.row.type, hit.version.id) for hit in page}
        self._rids = {hit.row.rid for hit in page}
        self._permits: dict[tuple[Permission, str], Permit | None] = {}
        self.found: list[Hit] = []
        self.full = False

    def check(self, include: Include) -> None:
        """Refuse an include by name over a masked element; `*` leaves such elements out."""
        if ALL in (include.source_type, include.parameter):
            return
        permit = self._permit(Permission.RECORD_SEARCH, include.source_type)
        if permit is not None:
            refuse_masked(self._ctx, permit, {include.parameter})

    def from_(self, include: Include, hits_: list[Hit]) -> Iterator[Hit]:
        """What one include adds to some records, new records only."""
        for hit in self._backward(include, hits_) if include.reverse else self._forward(include, hits_):
            place = (hit.row.type, hit.version.id)
            if place in self._seen:
                continue
            if len(self.found) >= MAX_INCLUDED:
                self.full = True
                return
            self._seen.add(place)
            self._rids.add(hit.row.rid)
            self.found.append(hit)
            yield hit

    def _permit(self, permission: Permission, type_: str) -> Permit | None:
        if (permission, type_) not in self._permits:
            try:
                self._permits[permission, type_] = self._ctx.decide(permission, type_)
            except Problem as problem:
                if problem.kind is not Kind.FORBIDDEN:
                    raise
                self._permits[permission, type_] = None
        return self._permits[permission, type_]

    def _followed(self, include: Include, type_: str) -> list[Parameter]:
        """Parameters of a type that an include follows, but those over elements hidden from the actor."""
        permits = [self._permit(each, type_) for each in (Permission.RECORD_READ, Permission.RECORD_SEARCH)]
        return [
            known
            for known in followed(include, type_, self._view.registry.parameters(type_))
            if not any(reads_masked(self._ctx, permit, known.code) for permit in permits if permit is not None)
        ]

    # ── what the records point to ────────────────────────────────────────────────────────────────────────────────

    def _forward(self, include: Include, hits_: list[Hit]) -> Iterator[Hit]:
        for target, types in self._targets(include, hits_):
            local = local_reference(target, self._view.bases)
            if local is None:
                yield from self._by_canonical(include, target, types)
                continue
            permit = self._permit(Permission.RECORD_READ, local[0])
            if permit is None or local in self._seen:
                continue
            row = self._ctx.store.newest(permit, local[1])
            if row is not None and not row.deleted:
                version, content = self._ctx.store.open_with_content(permit, row)
                yield Hit(row, version, content)

    def _targets(self, include: Include, hits_: list[Hit]) -> list[tuple[str, frozenset[str]]]:
        """What the hits refer to, each once, with the types that it may be of (none for any)."""
        targets: dict[str, frozenset[str]] = {}
        for hit in hits_:
            wanted = [
                (frozenset(each.families), frozenset(each.targets)) for each in self._followed(include, hit.row.type)
            ]
            rows = (
                [row for row in self._view.extractor.rows(hit.content or {}) if row[1] == "reference"] if wanted else []
            )
            written = set(as_written(row[2] for row in rows))
            for row in rows:
                if row[2] not in written or row[2] in targets:
                    continue
                local = local_reference(row[2], self._view.bases)
                if local is not None and include.target_type not in {None, local[0]}:
                    continue
                for families, ends in wanted:
                    if row[0] in families and (not ends or local is None or local[0] in ends):
                        targets[row[2]] = ends
                        break
        return list(targets.items())

    def _by_canonical(self, include: Include, canonical: str, types: frozenset[str]) -> Iterator[Hit]:
        if canonical[:1] == "#":
            return
        for type_ in (include.target_type,) if include.target_type else sorted(types) or resource_types():
            permit = self._permit(Permission.RECORD_SEARCH, type_)
            if permit is not None:
                yield from named(self._ctx, permit, canonical)

    # ── what points to the records ───────────────────────────────────────────────────────────────────────────────

    def _backward(self, include: Include, hits_: list[Hit]) -> Iterator[Hit]:
        ends = {
            hit.row.type: [other.version.id for other in hits_ if other.row.type == hit.row.type]
            for hit in hits_
            if include.target_type in {None, hit.row.type}
        }
        sources = resource_types() if include.source_type == ALL else (include.source_type,)
        for type_ in sources:
            permit = self._permit(Permission.RECORD_SEARCH, type_)
            if permit is None:
                continue
            for target, ids in ends.items():
                known = [each for each in self._followed(include, type_) if not each.targets or target in each.targets]
                families = tuple(dict.fromkeys(family for each in known for family in each.families))
                yield from self._pointing(permit, families, target, ids)
                if by_canonical(self._ctx, type_, families):
                    yield from self._naming(permit, families, self._canonicals(target, hits_))

    def _canonicals(self, type_: str, hits_: list[Hit]) -> list[str]:
        """How others name the records of a type, unless their URLs are hidden from the actor."""
        permit = self._permit(Permission.RECORD_READ, type_)
        if permit is None or (permit.masked and reads_masked(self._ctx, permit, "url")):
            return []
        found = (name for hit in hits_ if hit.row.type == type_ for name in canonicals(hit.content or {}))
        return list(dict.fromkeys(found))

    def _naming(self, permit: Permit, families: tuple[str, ...], names: list[str]) -> Iterator[Hit]:
        """What refers to records by their canonical URLs, and to no other version."""
        size = max(1, _TOGETHER // len(families))
        for start in range(0, len(names), size):
            values = tuple(ReferenceValue(None, None, name) for name in names[start : start + size])
            clause = Clause("", "reference", families, "", values, (), indexed=True, text="")
            for hit in hits(
                self._ctx, permit, plan_alone(self._ctx, permit, (clause,)), content=True, without=self._rids
            ):
                rows = self._view.extractor.rows(hit.content or {})
                if names_any(names, (row[2] for row in rows if row[1] == "reference" and row[0] in families)):
                    yield hit

    def _pointing(self, permit: Permit, families: tuple[str, ...], target: str, ids: list[str]) -> Iterator[Hit]:
        if not families:
            return
        size = max(1, _TOGETHER // len(families))
        for start in range(0, len(ids), size):
            values = tuple(ReferenceValue(target, id_) for id_ in ids[start : start + size])
            clause = Clause("", "reference", families, "", values, (target,), indexed=True, text="")
            how = plan_alone(self._ctx, permit, (clause,))
            if self.full:
                return
            yield from hits(self._ctx, permit, how, content=True, without=self._rids)
