# SPDX-License-Identifier: Apache-2.0
"""Children and descendants (https://hl7.org/fhirpath/N1/#tree-navigation)."""

from __future__ import annotations

from typing import Final

from salus.fhir.fhirpath.context import Collection, Context
from salus.fhir.fhirpath.functions.calling import Function, plain
from salus.fhir.fhirpath.node import Node


def _children(items: Collection, ctx: Context) -> Collection:
    found: Collection = []
    for item in items:
        if type(item) is Node and (type(item.value) is dict or item.sibling):
            found.extend(item.children())
    ctx.spend(len(found))
    return found


def _descendants(items: Collection, ctx: Context) -> Collection:
    """All below, level by level."""
    found: Collection = []
    level = _children(items, ctx)
    while level:
        found.extend(level)
        level = _children(level, ctx)
    return found


FUNCTIONS: Final[dict[str, Function]] = {"children": plain(_children), "descendants": plain(_descendants)}
