# SPDX-License-Identifier: Apache-2.0
"""Whether there is something (https://hl7.org/fhirpath/N1/#existence)."""

from __future__ import annotations

from typing import Final

from salus.fhir.fhirpath import uniqueness
from salus.fhir.fhirpath.context import Collection, Context, fault
from salus.fhir.fhirpath.convert import system, truth
from salus.fhir.fhirpath.functions.calling import Function, Input, Step, eager, lazy, plain
from salus.fhir.fhirpath.operators import EMPTY, FALSE, TRUE, boolean


def _empty(items: Collection, _: Context) -> Collection:
    return FALSE if items else TRUE


def _exists(items: Collection, ctx: Context, criteria: Step | None = None) -> Collection:
    if criteria is None:
        return TRUE if items else FALSE
    return TRUE if items and _some(items, ctx, criteria, wanted=True) else FALSE


def _all(items: Collection, ctx: Context, criteria: Step) -> Collection:
    return FALSE if items and _some(items, ctx, criteria, wanted=False) else TRUE


def _some(items: Collection, ctx: Context, criteria: Step, *, wanted: bool) -> bool:
    """Whether an item meets the criteria, or with `wanted` False, whether one does not."""
    focus, index = ctx.focus, ctx.index
    at, met = 0, False
    for item in items:
        ctx.focus = one = [item]
        ctx.index = at
        found = criteria(one, ctx)
        if (found is TRUE or (found is not FALSE and truth(found) is True)) is wanted:
            met = True
            break
        at += 1
    ctx.focus, ctx.index = focus, index
    ctx.spend(at)
    return met


def _not(items: Collection, _: Context) -> Collection:
    value = truth(items)
    return EMPTY if value is None else FALSE if value else TRUE


def _truths(items: Collection) -> list[bool]:
    values = [system(item) for item in items]
    if any(type(value) is not bool for value in values):
        return fault("only true and false are expected here")
    return values


def _all_true(items: Collection, _: Context) -> Collection:
    return boolean(all(_truths(items)))


def _any_true(items: Collection, _: Context) -> Collection:
    return boolean(any(_truths(items)))


def _all_false(items: Collection, _: Context) -> Collection:
    return boolean(not any(_truths(items)))


def _any_false(items: Collection, _: Context) -> Collection:
    return boolean(not all(_truths(items)))


def _subset(items: Collection, ctx: Context, other: Collection) -> Collection:
    return boolean(uniqueness.keys(items, ctx) <= uniqueness.keys(other, ctx))


def _superset(items: Collection, ctx: Context, other: Collection) -> Collection:
    return boolean(uniqueness.keys(items, ctx) >= uniqueness.keys(other, ctx))


def _count(items: Collection, _: Context) -> Collection:
    return [len(items)]


def _distinct(items: Collection, ctx: Context) -> Collection:
    return uniqueness.distinct(items, ctx)


def _is_distinct(items: Collection, ctx: Context) -> Collection:
    return boolean(uniqueness.is_distinct(items, ctx))


FUNCTIONS: Final[dict[str, Function]] = {
    "empty": plain(_empty),
    "exists": lazy(_exists, 0, 1),
    "all": lazy(_all, 1),
    "not": plain(_not, Input.VALUES),
    "allTrue": plain(_all_true, Input.VALUES),
    "anyTrue": plain(_any_true, Input.VALUES),
    "allFalse": plain(_all_false, Input.VALUES),
    "anyFalse": plain(_any_false, Input.VALUES),
    "subsetOf": eager(_subset, 1, asks=Input.VALUES),
    "supersetOf": eager(_superset, 1, asks=Input.VALUES),
    "count": plain(_count, Input.VALUES),
    "distinct": plain(_distinct, Input.AS_ASKED),
    "isDistinct": plain(_is_distinct, Input.VALUES),
}
