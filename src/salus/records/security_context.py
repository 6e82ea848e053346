# SPDX-License-Identifier: Apache-2.0
"""Whose a Binary is: `Binary.securityContext` (https://hl7.org/fhir/R4/binary.html#security-context).

A Binary stands as its context does: it takes over the owners, labels, author and confidentiality of the record that the
context names, and lies under the same patient's key. So every filter of every permit holds it as it holds the context.
Labels are those of the moment when the Binary was written; whoever reads it must also be able to read the context now.
"""

from __future__ import annotations

from typing import Any

from salus.access.facts import Facts
from salus.access.permissions import Permission
from salus.fhir.references import local_reference
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.context import Context
from salus.records.store.schema import Row

BINARY = "Binary"


def facts_within(ctx: Context, resource: dict[str, Any], own: Facts) -> Facts:
    """The facts of a Binary: those of its context, together with labels of its own.

    Raises:
        Problem: INVALID when the context is not a record of this server that the actor may read.
    """
    if "securityContext" not in resource:
        return own
    row = _context(ctx, resource)
    if row is None:
        text = "securityContext must name a record of this server that you may read, such as Patient/x."
        raise Problem(Kind.INVALID, text, issues=(Issue("not-found", text, "Binary.securityContext"),))
    labelled = sorted(_split(own.sensitivity) | _split(row.sensitivity))
    return Facts(row.owners, row.author, row.labels, b"".join(labelled), max(own.rank, row.rank))


def readable(ctx: Context, resource: dict[str, Any]) -> bool:
    """Whether the actor may read the record that a Binary's context names; true without a context."""
    return "securityContext" not in resource or _context(ctx, resource) is not None


def _context(ctx: Context, resource: dict[str, Any]) -> Row | None:
    """The newest version of the context (a deletion too), None when absent or hidden."""
    named = resource["securityContext"].get("reference", "")
    target = local_reference(named, ctx.lens.bases)
    if target is None:
        return None
    type_, id_ = target
    try:
        permit = ctx.decide(Permission.RECORD_READ, type_)
    except Problem as problem:
        if problem.kind is not Kind.FORBIDDEN:
            raise
        return None
    return ctx.store.newest(permit, id_)


def _split(joined: bytes) -> set[bytes]:
    return {joined[at : at + 16] for at in range(0, len(joined), 16)}
