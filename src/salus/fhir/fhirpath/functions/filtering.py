# SPDX-License-Identifier: Apache-2.0
"""Filtering, projection, aggregation and order (https://hl7.org/fhirpath/N1/#filtering-and-projection)."""

from __future__ import annotations

from functools import cmp_to_key
from typing import Any, Final

from salus.fhir.fhirpath.context import Collection, Context, fault
from salus.fhir.fhirpath.convert import single, truth
from salus.fhir.fhirpath.functions.calling import Function, SortKey, Step, for_each, lazy
from salus.fhir.fhirpath.operators import EMPTY, FALSE, TRUE, order
from salus.fhir.fhirpath.uniqueness import Seen


def _where(items: Collection, ctx: Context, criteria: Step) -> Collection:
    if not items:
        return items
    kept: Collection = []
    focus, index = ctx.focus, ctx.index
    at = 0
    for item in items:
        ctx.focus = one = [item]
        ctx.index = at
        found = criteria(one, ctx)
        if found is TRUE or (found is not FALSE and truth(found)):
            kept.append(item)
        at += 1
    ctx.focus, ctx.index = focus, index
    ctx.spend(at)
    return kept


def _select(items: Collection, ctx: Context, projection: Step) -> Collection:
    if not items:
        return items
    made: Collection = []
    focus, index = ctx.focus, ctx.index
    at = 0
    for item in items:
        ctx.focus = one = [item]
        ctx.index = at
        made += projection(one, ctx)
        at += 1
    ctx.focus, ctx.index = focus, index
    ctx.spend(at + len(made))
    return made


def _repeat(items: Collection, ctx: Context, projection: Step) -> Collection:
    """Everything that the projection reaches, each once; ends because nothing is visited twice."""
    made: Collection = []
    seen = Seen(ctx)
    waiting = items
    while waiting:
        waiting = [item for item in _select(waiting, ctx, projection) if seen.add(item)]
        made.extend(waiting)
        ctx.spend(len(waiting) + 1)
    return made


def _repeat_all(items: Collection, ctx: Context, projection: Step) -> Collection:
    """As `repeat`, but equal items stay; ends because the budget does."""
    made: Collection = []
    waiting = items
    while waiting:
        waiting = _select(waiting, ctx, projection)
        made.extend(waiting)
        ctx.spend(len(waiting) + 1)
    return made


def _aggregate(items: Collection, ctx: Context, aggregator: Step, start: Step | None = None) -> Collection:
    focus, index, before = ctx.focus, ctx.index, ctx.total
    made = start(focus, ctx) if start else EMPTY
    for at, item in enumerate(items):
        ctx.focus = one = [item]
        ctx.index, ctx.total = at, made
        made = aggregator(one, ctx)
    ctx.focus, ctx.index, ctx.total = focus, index, before
    ctx.spend(len(items))
    return made


def _sort(items: Collection, ctx: Context, *wanted: SortKey) -> Collection:
    """In order of the keys; items without a key come last. A sign before a key, `-name`, turns all that round."""
    keys: list[list[Any]] = [[] for _ in items]
    for key in wanted:
        position = iter(keys)

        def found(_: Any, result: Collection, position: Any = position) -> bool:
            next(position).append(single(result))
            return False

        for_each(items, ctx, key, found)
    if not wanted:
        keys = [[single([item])] for item in items]
    turned = [key.turned for key in wanted] or [False]

    def compare(one: int, other: int) -> int:
        for first, second, back in zip(keys[one], keys[other], turned, strict=True):
            if first is None or second is None:
                way = (first is None) - (second is None)
            else:
                way = order(first, second) or 0
            if way:
                return -way if back else way
        return 0

    if items and type(keys[0][0]) is bool:
        fault("true and false have no order")
    ctx.spend(len(items) * len(items).bit_length())
    return [items[at] for at in sorted(range(len(items)), key=cmp_to_key(compare))]


FUNCTIONS: Final[dict[str, Function]] = {
    "where": lazy(_where, 1),
    "select": lazy(_select, 1),
    "repeat": lazy(_repeat, 1),
    "repeatAll": lazy(_repeat_all, 1),
    "aggregate": lazy(_aggregate, 1, 2),
    "sort": lazy(_sort, 0, 8),
}
