# SPDX-License-Identifier: Apache-2.0
"""`_include`: records that the results point to.  https://hl7.org/fhir/R4/search.html#include

Each is read under a permit of its own for its type; what the actor may not read is left out without a word.
"""

from __future__ import annotations

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.fhir.references import local_reference
from salus.fhir.search.clauses import Include
from salus.kernel.errors import Kind, Problem
from salus.records.candidates import Hit
from salus.records.context import Context


def included(ctx: Context, asked: tuple[Include, ...], page: list[Hit]) -> list[Hit]:
    """Read what the hits refer to, each record once, none that is a match already."""
    seen = {(hit.row.type, hit.version.id) for hit in page}
    permits: dict[str, Permit | None] = {}
    found: list[Hit] = []
    for type_, id_ in _targets(ctx, asked, page):
        if (type_, id_) in seen:
            continue
        seen.add((type_, id_))
        if type_ not in permits:
            permits[type_] = _may_read(ctx, type_)
        permit = permits[type_]
        row = ctx.store.newest(permit, id_) if permit is not None else None
        if permit is not None and row is not None and not row.deleted:
            found.append(Hit(row, ctx.store.open(permit, row), None))
    return found


def _targets(ctx: Context, asked: tuple[Include, ...], page: list[Hit]) -> list[tuple[str, str]]:
    view = ctx.lens
    targets: dict[tuple[str, str], None] = {}
    for hit in page:
        rows = view.extractor.rows(hit.content) if hit.content is not None else []
        for include in asked:
            if include.source_type != hit.row.type:
                continue
            known = view.registry.parameters(hit.row.type)[include.parameter]
            for row in rows:
                if row[1] != "reference" or row[0] not in known.families:
                    continue
                local = local_reference(row[2], view.bases)
                if local is None or (known.targets and local[0] not in known.targets):
                    continue
                if include.target_type in {None, local[0]}:
                    targets[local] = None
    return list(targets)


def _may_read(ctx: Context, type_: str) -> Permit | None:
    try:
        return ctx.decide(Permission.RECORD_READ, type_)
    except Problem as problem:
        if problem.kind is not Kind.FORBIDDEN:
            raise
        return None
