# SPDX-License-Identifier: Apache-2.0
"""What an operator does with its left side, its right side being compiled.

`and`, `or` and `implies` may answer without their right side; an operator whose right side is a constant need not ask
for it each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from salus.fhir.fhirpath.context import Collection, Context
from salus.fhir.fhirpath.convert import TEXTS, truth
from salus.fhir.fhirpath.functions.calling import Step
from salus.fhir.fhirpath.node import Node
from salus.fhir.fhirpath.operators import EMPTY, FALSE, OPERATORS, TRUE, Operator

Link = Callable[[Collection, Collection, Context], Collection]
"""Left side, focus and evaluation to the result."""


def linked(start: Step, links: Sequence[Link]) -> Step:
    """A chain of operators that group to the left, worked off in a loop: a long sum is not a deep one."""
    count = len(links)
    link = links[0]
    if count == 1:
        return lambda items, ctx: link(start(items, ctx), items, ctx)
    if count == 2:
        other = links[1]
        return lambda items, ctx: other(link(start(items, ctx), items, ctx), items, ctx)

    def run(items: Collection, ctx: Context) -> Collection:
        found = start(items, ctx)
        for each in links:
            found = each(found, items, ctx)
        ctx.left = left = ctx.left - count
        if left < 0:
            ctx.spend(0)
        return found

    return run


def operated(operator: Operator, right: Step) -> Link:
    """An operator that needs both sides."""
    return lambda left, items, ctx: operator(left, right(items, ctx), ctx)


def with_constant(name: str, values: Sequence[Any]) -> Link:
    """An operator whose right side is a constant."""
    right = list(values)
    operator = OPERATORS[name]
    if name == "=" and len(right) == 1 and type(right[0]) is str:
        return _equals(right[0], right)
    if name == "in" and all(type(value) is str for value in right):
        return _among(frozenset(right), right)
    return lambda left, _, ctx: operator(left, right, ctx)


def tested(step: Step) -> Link:
    """`is` or `as` with a type."""
    return lambda left, _, ctx: step(left, ctx)


def _equals(text: str, right: Collection) -> Link:
    """`=` with a text, the most frequent comparison."""
    general = OPERATORS["="]

    def run(left: Collection, _: Collection, ctx: Context) -> Collection:
        if len(left) == 1:
            item = left[0]
            value = item.value if type(item) is Node and item.type in TEXTS else item
            if type(value) is str:
                return TRUE if value == text else FALSE
        return general(left, right, ctx)

    return run


def _among(texts: frozenset[str], right: Collection) -> Link:
    """`in` with a list of texts."""
    general = OPERATORS["in"]

    def run(left: Collection, _: Collection, ctx: Context) -> Collection:
        if len(left) == 1 and type(left[0]) is str:
            return TRUE if left[0] in texts else FALSE
        return general(left, right, ctx)

    return run


def logic(operator: str, right: Step) -> Link:
    """`and`, `or`, `implies` with three values (https://hl7.org/fhirpath/N1/#boolean-logic)."""
    decisive, answer, settles = _LOGIC[operator]

    def run(left: Collection, items: Collection, ctx: Context) -> Collection:
        one = True if left is TRUE else False if left is FALSE else truth(left)
        if one is decisive:
            return answer
        found = right(items, ctx)
        other = True if found is TRUE else False if found is FALSE else truth(found)
        if other is settles:
            return answer
        if one is None or other is None:
            return EMPTY
        return TRUE if other else FALSE

    return run


# The value of the left side that settles the answer, the answer then, and the value of the right that does.
_LOGIC: Final = {"and": (False, FALSE, False), "or": (True, TRUE, True), "implies": (False, TRUE, True)}
LOGIC: Final = frozenset(_LOGIC)
"""Operators that may answer without their right side."""
