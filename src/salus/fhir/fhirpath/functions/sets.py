# SPDX-License-Identifier: Apache-2.0
"""Two collections made one (https://hl7.org/fhirpath/N1/#combining and #intersectother-collection-collection)."""

from __future__ import annotations

from typing import Final

from salus.fhir.fhirpath import equality
from salus.fhir.fhirpath.context import Collection, Context
from salus.fhir.fhirpath.functions.calling import Function, eager


def _union(items: Collection, ctx: Context, other: Collection) -> Collection:
    return equality.distinct(items + other, ctx)


def _combine(items: Collection, ctx: Context, other: Collection) -> Collection:
    ctx.spend(len(items) + len(other))
    return items + other


def _intersect(items: Collection, ctx: Context, other: Collection) -> Collection:
    wanted = equality.keys(other, ctx)
    return [item for item in equality.distinct(items, ctx) if equality.key(item, ctx) in wanted]


def _exclude(items: Collection, ctx: Context, other: Collection) -> Collection:
    unwanted = equality.keys(other, ctx)
    return [item for item in items if equality.key(item, ctx) not in unwanted]


FUNCTIONS: Final[dict[str, Function]] = {
    "union": eager(_union, 1),
    "combine": eager(_combine, 1),
    "intersect": eager(_intersect, 1),
    "exclude": eager(_exclude, 1),
}
