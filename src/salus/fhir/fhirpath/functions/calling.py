# SPDX-License-Identifier: Apache-2.0
"""How a function gets what it works on: the collection before the point, the evaluation, and its arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from salus.fhir.fhirpath.context import Collection, Context

Step = Callable[[Collection, Context], Collection]
"""A compiled part of an expression: from one collection to the next."""


@dataclass(frozen=True, slots=True)
class SortKey:
    """A key of `sort`, itself a step.

    Attributes:
        step: gives the key of an item.
        turned: whether the order is turned round.
    """

    step: Step
    turned: bool

    def __call__(self, items: Collection, ctx: Context) -> Collection:
        """The key."""
        return self.step(items, ctx)


class Input(Enum):
    """What a function needs of its input."""

    ELEMENTS = "the elements"
    VALUES = "what they say, and so of its arguments"
    AS_ASKED = "what is needed of its result, which is a part of its input"


class Function(NamedTuple):
    """A function.

    Attributes:
        least: number of arguments it needs.
        most: number of arguments it takes.
        build: makes the step from the compiled arguments.
        asks: what it needs of its input.
    """

    least: int
    most: int
    build: Callable[[list[Step]], Step]
    asks: Input = Input.ELEMENTS


def plain(run: Step, asks: Input = Input.ELEMENTS) -> Function:
    """A function without arguments."""
    return Function(0, 0, lambda _: run, asks)


def eager(
    run: Callable[..., Collection], least: int, most: int | None = None, asks: Input = Input.ELEMENTS
) -> Function:
    """A function whose arguments are values. They are evaluated against `$this`, not against its input.

    Args:
        run: takes the input, the evaluation, and a collection for each argument.
        least: number of arguments it needs.
        most: number it takes, if more than it needs.
        asks: what it needs of its input.
    """

    def build(arguments: list[Step]) -> Step:
        if not arguments:
            return run
        if len(arguments) == 1:
            only = arguments[0]
            return lambda items, ctx: run(items, ctx, only(ctx.focus, ctx))
        if len(arguments) == 2:
            first, second = arguments
            return lambda items, ctx: run(items, ctx, first(ctx.focus, ctx), second(ctx.focus, ctx))

        def step(items: Collection, ctx: Context) -> Collection:
            return run(items, ctx, *[argument(ctx.focus, ctx) for argument in arguments])

        return step

    return Function(least, most if most is not None else least, build, asks)


def lazy(run: Callable[..., Collection], least: int, most: int | None = None) -> Function:
    """A function that evaluates its arguments itself, once for each item or perhaps never.

    Args:
        run: takes the input, the evaluation, and a step for each argument.
        least: number of arguments it needs.
        most: number it takes, if more than it needs.
    """

    def build(arguments: list[Step]) -> Step:
        if len(arguments) == 1:
            only = arguments[0]
            return lambda items, ctx: run(items, ctx, only)
        return lambda items, ctx: run(items, ctx, *arguments)

    return Function(least, most if most is not None else least, build)


def for_each(items: Collection, ctx: Context, argument: Step, found: Callable[[Any, Collection], bool]) -> None:
    """Evaluate an argument for each item, with `$this` and `$index` set.

    Args:
        items: what to go through.
        ctx: its focus and index are put back at the end.
        argument: gets each item.
        found: told of item and result; True ends the round.
    """
    focus, index = ctx.focus, ctx.index
    for at, item in enumerate(items):
        one = [item]
        ctx.focus, ctx.index = one, at
        if found(item, argument(one, ctx)):
            break
    ctx.focus, ctx.index = focus, index
    ctx.spend(len(items))
