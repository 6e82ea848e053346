# SPDX-License-Identifier: Apache-2.0
"""The operators over collections (https://hl7.org/fhirpath/N1/#operations).

Every operator takes two collections and gives one. Arithmetic is exact to 40 digits; what leaves the range of its type
is empty, as the specification asks.
"""

from __future__ import annotations

import decimal
import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from salus.fhir.fhirpath import calendar, equality, quantity, temporal, uniqueness
from salus.fhir.fhirpath.context import Collection, Context, fault
from salus.fhir.fhirpath.convert import fits, single, system, text_of, truth
from salus.fhir.fhirpath.equality import NUMBERS
from salus.fhir.fhirpath.node import Node
from salus.fhir.fhirpath.quantity import Quantity
from salus.fhir.fhirpath.temporal import Temporal

Operator = Callable[[Collection, Collection, Context], Collection]

EXACT: Final = decimal.Context(
    prec=40,
    Emax=999,
    Emin=-999,
    traps=[decimal.Overflow, decimal.InvalidOperation, decimal.DivisionByZero],
)
TRUE: Final[Collection] = [True]
FALSE: Final[Collection] = [False]
EMPTY: Final[Collection] = []
_SIMPLE: Final = frozenset({str, int, Decimal})  # types that Python compares as FHIRPath does
_SHORT: Final = 256  # characters of a text that is not worth counting


def boolean(value: bool | None) -> Collection:
    """A collection of one Boolean, empty for None."""
    return EMPTY if value is None else TRUE if value else FALSE


# ── equality and order ───────────────────────────────────────────────────────────────────────────────────────────────


def _equal(left: Collection, right: Collection, ctx: Context) -> Collection:
    if len(left) == 1 == len(right) and type(left[0]) is type(right[0]) in _SIMPLE:
        return TRUE if left[0] == right[0] else FALSE
    return boolean(equality.equal(left, right, ctx))


def _unequal(left: Collection, right: Collection, ctx: Context) -> Collection:
    found = equality.equal(left, right, ctx)
    return EMPTY if found is None else FALSE if found else TRUE


def _equivalent(left: Collection, right: Collection, ctx: Context) -> Collection:
    return boolean(equality.equivalent(left, right, ctx))


def _not_equivalent(left: Collection, right: Collection, ctx: Context) -> Collection:
    return boolean(not equality.equivalent(left, right, ctx))


def order(one: Any, other: Any) -> int | None:
    """-1, 0 or 1 for two plain values; None when it cannot be told.

    Raises:
        Problem: INCORRECT when they are of types that have no common order.
    """
    kind, there = type(one), type(other)
    if kind is Temporal and there is Temporal and (one.kind == "Time") == (other.kind == "Time"):
        return temporal.compare(one, other)
    if (kind in NUMBERS and there in NUMBERS) or (kind is str and there is str):
        return int(one > other) - int(one < other)
    if Quantity in (kind, there) and {kind, there} <= {Quantity, int, Decimal}:
        first, second = (v if type(v) is Quantity else Quantity(Decimal(v), "1") for v in (one, other))
        return quantity.compare(first, second)
    return fault("values of these types have no order")


def _ordered(holds: Callable[[Any, Any], bool]) -> Operator:
    """A comparison, of values that Python orders or of what `order` says against nought."""

    def run(left: Collection, right: Collection, _: Context) -> Collection:
        one, other = left[0] if len(left) == 1 else single(left), right[0] if len(right) == 1 else single(right)
        if type(one) is type(other):
            if type(one) in _SIMPLE:
                return TRUE if holds(one, other) else FALSE
            if type(one) is Temporal and temporal.alike(one, other):
                return TRUE if holds(one.parts, other.parts) else FALSE
        one, other = system(one), system(other)
        if one is None or other is None:
            return EMPTY
        found = order(one, other)
        return EMPTY if found is None else TRUE if holds(found, 0) else FALSE

    return run


# ── arithmetic ───────────────────────────────────────────────────────────────────────────────────────────────────────


def number(value: Any) -> Collection:
    """A collection of one number; empty when it is out of range."""
    if type(value) is int:
        return [value] if fits(value) else EMPTY
    return [value] if value.is_finite() else EMPTY


def _arithmetic(
    integers: Callable[[int, int], Any],
    decimals: Callable[[Any, Any], Any],
    others: Callable[[Any, Any, bool], Any],
) -> Operator:
    """An operator on numbers that may mean something for other types too.

    Args:
        integers: of two whole numbers; None for a division by zero.
        decimals: of two numbers, in the context `EXACT`; None for a division by zero.
        others: of any two values, and whether the right one comes from FHIR; raises a Problem.
    """

    def run(left: Collection, right: Collection, ctx: Context) -> Collection:
        one, other = single(left), single(right)
        if one is None or other is None:
            return EMPTY
        kind, there = type(one), type(other)
        try:
            if kind in NUMBERS and there in NUMBERS:
                found = integers(one, other) if kind is int and there is int else decimals(one, other)
                return EMPTY if found is None or (type(found) is int and not fits(found)) else [found]
            with decimal.localcontext(EXACT):
                found = others(one, other, type(right[0]) is Node)
        except decimal.DecimalException:
            return EMPTY
        if type(found) is str:
            ctx.text(found)
        return EMPTY if found is None else [found]

    return run


def _sum(one: Any, other: Any, from_fhir: bool) -> Any:
    if type(one) is str and type(other) is str:
        return one + other
    return _moved(one, other, 1, from_fhir)


def _difference(one: Any, other: Any, from_fhir: bool) -> Any:
    return _moved(one, other, -1, from_fhir)


def _moved(one: Any, other: Any, sign: int, from_fhir: bool) -> Any:
    if type(one) is Quantity and type(other) is Quantity:
        return quantity.add(one, other, sign)
    if type(one) is not Temporal or type(other) is not Quantity:
        return fault("values of these types cannot be added or subtracted")
    word = other.unit if other.calendar else calendar.DEFINITE.get(other.unit)
    if (
        word is None and from_fhir
    ):  # https://hl7.org/fhir/R4/fhirpath.html#quantity: there, `a` and `mo` are calendar units
        word = calendar.AVERAGE.get(other.unit)
    if word is None:
        return fault("a date or time moves by calendar units, or by exact units of time, only")
    try:
        return calendar.add(one, other.value * sign, word)
    except ValueError:
        return fault("a time of day moves by hours and smaller units only")


def _product(one: Any, other: Any, _: bool) -> Any:
    return quantity.multiply(*_quantities(one, other))


def _quotient(one: Any, other: Any, _: bool) -> Any:
    return quantity.divide(*_quantities(one, other))


def _quantities(one: Any, other: Any) -> tuple[Quantity, Quantity]:
    found = [v if type(v) is Quantity else Quantity(Decimal(v), "1") for v in (one, other) if _countable(v)]
    return (found[0], found[1]) if len(found) == 2 else fault("numbers or quantities are needed")


def _countable(value: Any) -> bool:
    return type(value) is Quantity or type(value) in NUMBERS


def _only_numbers(_: Any, __: Any, ___: bool) -> Any:
    return fault("numbers are needed")


def _divided(one: int | Decimal, other: int | Decimal) -> Decimal | None:
    return EXACT.divide(one, other) if other else None


def _whole(one: int, other: int) -> int | None:
    return abs(one) // abs(other) * (1 if (one < 0) == (other < 0) else -1) if other else None


def _whole_part(one: int | Decimal, other: int | Decimal) -> int | None:
    return int(EXACT.divide_int(one, other)) if other else None


def _remainder(one: int, other: int) -> int | None:
    return abs(one) % abs(other) * (-1 if one < 0 else 1) if other else None


def _rest(one: int | Decimal, other: int | Decimal) -> Decimal | None:
    return EXACT.remainder(one, other) if other else None


def _joined(left: Collection, right: Collection, ctx: Context) -> Collection:
    one = left[0] if len(left) == 1 and type(left[0]) is str else text_of(left) or ""
    other = right[0] if len(right) == 1 and type(right[0]) is str else text_of(right) or ""
    made = one + other
    return [made if len(made) < _SHORT else ctx.text(made)]


def negative(items: Collection, _: Context) -> Collection:
    """Unary minus."""
    value = single(items)
    if value is None:
        return EMPTY
    if type(value) is Quantity:
        return [value._replace(value=-value.value)]
    if type(value) not in NUMBERS:
        return fault("a number is needed after the sign")
    return [value.copy_negate() if type(value) is Decimal else -value]


def positive(items: Collection, _: Context) -> Collection:
    """Unary plus."""
    value = single(items)
    if value is not None and not _countable(value):
        return fault("a number is needed after the sign")
    return items


# ── collections ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _united(left: Collection, right: Collection, ctx: Context) -> Collection:
    return uniqueness.distinct(left + right, ctx)


def _within(left: Collection, right: Collection, ctx: Context) -> Collection:
    if not left:
        return EMPTY
    if len(left) > 1:
        return fault("`in` takes a single value on its left")
    return boolean(uniqueness.key(left[0], ctx) in uniqueness.keys(right, ctx))


def _containing(left: Collection, right: Collection, ctx: Context) -> Collection:
    if len(right) > 1:
        return fault("`contains` takes a single value on its right")
    return _within(right, left, ctx)


# ── truth ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def exclusive(left: Collection, right: Collection, _: Context) -> Collection:
    """`xor`."""
    one, other = truth(left), truth(right)
    return EMPTY if one is None or other is None else boolean(one is not other)


OPERATORS: Final[dict[str, Operator]] = {
    "=": _equal,
    "!=": _unequal,
    "~": _equivalent,
    "!~": _not_equivalent,
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
    "+": _arithmetic(operator.add, EXACT.add, _sum),
    "-": _arithmetic(operator.sub, EXACT.subtract, _difference),
    "*": _arithmetic(operator.mul, EXACT.multiply, _product),
    "/": _arithmetic(_divided, _divided, _quotient),
    "div": _arithmetic(_whole, _whole_part, _only_numbers),
    "mod": _arithmetic(_remainder, _rest, _only_numbers),
    "&": _joined,
    "|": _united,
    "in": _within,
    "contains": _containing,
    "xor": exclusive,
}
"""Operators that always need both sides. `and`, `or` and `implies` may answer from one: the compiler has them."""
