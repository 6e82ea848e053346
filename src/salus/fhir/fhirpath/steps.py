# SPDX-License-Identifier: Apache-2.0
"""Steps made of other steps, and those that need none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from salus.fhir.fhirpath.context import Collection, Context
from salus.fhir.fhirpath.convert import integer_of
from salus.fhir.fhirpath.functions.calling import Step
from salus.fhir.fhirpath.functions.subsetting import at
from salus.fhir.fhirpath.operators import EMPTY


def constant(values: Sequence[Any]) -> Step:
    """Always the same."""
    said = list(values)
    return lambda _, __: said


def in_turn(steps: Sequence[Step]) -> Step:
    """Each step from what the one before found. Draws on the budget: an expression may be long."""
    count = len(steps)
    if count == 1:
        return steps[0]
    if count == 2:
        first, second = steps
        return lambda items, ctx: second(first(items, ctx), ctx)
    if count == 3:
        one, two, three = steps
        return lambda items, ctx: three(two(one(items, ctx), ctx), ctx)

    def run(items: Collection, ctx: Context) -> Collection:
        for step in steps:
            items = step(items, ctx)
        ctx.left = left = ctx.left - count
        if left < 0:
            ctx.spend(0)
        return items

    return run


def indexed(index: Step) -> Step:
    """`[…]`."""
    return lambda items, ctx: at(items, integer_of(index(ctx.focus, ctx)))


def indexed_by(number: int) -> Step:
    """`[3]`."""
    return lambda items, _: items[number : number + 1]


def _this(_: Collection, ctx: Context) -> Collection:
    return ctx.focus


def _index(_: Collection, ctx: Context) -> Collection:
    return EMPTY if ctx.index is None else [ctx.index]


def _total(_: Collection, ctx: Context) -> Collection:
    return EMPTY if ctx.total is None else ctx.total


VARIABLES: Final[dict[str, Step]] = {"this": _this, "index": _index, "total": _total}
"""`$this`, `$index` and `$total`."""
