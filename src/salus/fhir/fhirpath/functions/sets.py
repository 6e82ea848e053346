# SPDX-License-Identifier: Apache-2.0
"""Two collections made one (https://hl7.org/fhirpath/N1/#combining and #intersectother-collection-collection)."""

from __future__ import annotations

from typing import Final

from salus.fhir.fhirpath import uniqueness
from salus.fhir.fhirpath.context import Collection, Context
from salus.fhir.fhirpath.functions.calling import Function, eager


def _union(items: Collection, ctx: Context, other: Collection) -> Collection:
    return uniqueness.distinct(items + other, ctx)


def _combine(items: Collection, ctx: Context, other: Collection) -> Collection:
    ctx.spend(len(items) + len(other))
    return items + other


def _intersect(items: Collection, ctx: Context, other: Collection) -> Collection:
    wanted = uniqueness.keys(other, ctx)
    return [item for item in uniqueness.distinct(items, ctx) if uniqueness.key(item, ctx) in wanted]


def _exclude(items: Collection, ctx: Context, other: Collection) -> Collection:
    unwanted = uniqueness.keys(other, ctx)
    return [item for item in items if uniqueness.key(item, ctx) not in unwanted]


FUNCTIONS: Final[dict[str, Function]] = {
    "union": eager(_union, 1),
    "combine": eager(_combine, 1),
    "intersect": eager(_intersect, 1),
    "exclude": eager(_exclude, 1),
}
