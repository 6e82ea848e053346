# SPDX-License-Identifier: Apache-2.0
"""Records that others refer to, each read under a permit of its own; what the actor may not read is left out.

References are taken from what is given out, after the mask: a hidden element leads nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.fhir import json
from salus.fhir.definitions import resource_types
from salus.fhir.references import local_reference
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context
from salus.records.store.schema import Row
from salus.records.store.store import Version

Target = tuple[str, str]
Wanted = Callable[[Row], bool]

_TYPES = frozenset(resource_types())


class Permits:
    """What one actor may do with each type, asked for once per request; None where it is refused."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._known: dict[tuple[Permission, str], Permit | None] = {}

    def get(self, permission: Permission, type_: str) -> Permit | None:
        """The permit, or None on a refusal."""
        key = (permission, type_)
        if key not in self._known:
            try:
                self._known[key] = self._ctx.decide(permission, type_)
            except Problem as problem:
                if problem.kind is not Kind.FORBIDDEN:
                    raise
                self._known[key] = None
        return self._known[key]

    @property
    def reason(self) -> str:
        """Policy and grants of all that was given, for the audit log."""
        return "; ".join(dict.fromkeys(permit.reason for permit in self._known.values() if permit is not None))


def followed(
    ctx: Context,
    permits: Permits,
    bodies: Iterable[bytes],
    seen: set[Target],
    *,
    wanted: Wanted,
    depth: int,
    most: int,
    further: Wanted | None = None,
) -> list[tuple[Row, Version]]:
    """Read what these resources refer to, and what that refers to.

    Args:
        bodies: resources as JSON, as they are given out.
        seen: records that are given already; grows by those found.
        wanted: which rows to give at the first step.
        further: which rows to give at later steps; the same when left out.
        depth: how many steps.
        most: the largest number of records to give.
    """
    found: list[tuple[Row, Version]] = []
    waiting = list(bodies)
    for _ in range(depth):
        targets = dict.fromkeys(target for body in waiting for target in targets_of(json.decode(body), ctx))
        waiting = []
        for type_, id_ in targets:
            if (type_, id_) in seen or type_ not in _TYPES or len(found) >= most:
                continue
            seen.add((type_, id_))
            permit = permits.get(Permission.RECORD_READ, type_)
            row = ctx.store.newest(permit, id_) if permit is not None else None
            if permit is None or row is None or row.deleted or not wanted(row):
                continue
            version = ctx.store.open(permit, row)
            found.append((row, version))
            waiting.append(version.body)
        wanted = further or wanted
    return found


def targets_of(resource: dict[str, Any], ctx: Context) -> Iterator[Target]:
    """Type and id of every record of this server that a resource refers to, in its order."""
    bases = ctx.lens.bases
    for text in references(resource):
        target = local_reference(text, bases)
        if target is not None:
            yield target


def references(node: Any) -> Iterator[str]:
    """Every `Reference.reference` in a resource, those of contained resources included."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "reference" and isinstance(value, str):
                yield value
            elif isinstance(value, dict | list):
                yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)
