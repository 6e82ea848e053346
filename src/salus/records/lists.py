# SPDX-License-Identifier: Apache-2.0
"""What stands in List resources, for `_list` of searches and histories.

https://hl7.org/fhir/R4/search.html#list  https://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

from collections.abc import Iterable

from salus.access.permissions import Permission
from salus.fhir.references import parse
from salus.records.candidates import refuse_masked
from salus.records.context import Context

Members = dict[tuple[str, str], frozenset[str]]
"""By type and id the versions that are named; none for the record whatever its version."""


def members(ctx: Context, ids: Iterable[str]) -> Members:
    """Local records in some lists, but those marked as deleted there; a list out of sight holds nothing.

    Raises:
        Problem: FORBIDDEN when the actor may not read List, or not what stands in one.
    """
    permit = ctx.decide(Permission.RECORD_READ, "List")
    refuse_masked(ctx, permit, {"item"})
    found: Members = {}
    for id_ in ids:
        row = ctx.store.newest(permit, id_)
        if row is None or row.deleted:
            continue
        _, content = ctx.store.open_with_content(permit, row)
        for entry in content.get("entry", ()):
            target = parse(entry.get("item", {}).get("reference", ""), ctx.lens.bases)
            if target.form != "local" or entry.get("deleted") is True:
                continue
            place = (target.type, target.id)
            if not target.version:
                found[place] = frozenset()
            elif found.get(place, True):
                found[place] = found.get(place, frozenset()) | {target.version}
    return found
