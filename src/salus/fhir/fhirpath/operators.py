# SPDX-License-Identifier: Apache-2.0
"""The operators over collections (https://hl7.org/fhirpath/N1/#operations).

Every operator takes two collections and gives one. Arithmetic is exact to 40 digits; what leaves the range of its type
is empty, as the specification asks.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from salus.fhir.fhirpath import calendar, equality, quantity, temporal
from salus.fhir.fhirpath.context import Collection, Context, fault
from salus.fhir.fhirpath.convert import TEXTS, fits, single, text_of, truth
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
_SHORT: Final = 256  # characters of a text that is not worth counting


def boolean(value: bool | None) -> Collection:
    """A collection of one Boolean, empty for None."""
    return EMPTY if value is None else TRUE if value else FALSE


# ── equality and order ───────────────────────────────────────────────────────────────────────────────────────────────


def _equal(left: Collection, right: Collection, ctx: Context) -> Collection:
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
    if (kind in NUMBERS and there in NUMBERS) or (kind is str and there is str):
        return int(one > other) - int(one < other)
    if kind is Temporal and there is Temporal and (one.kind == "Time") == (other.kind == "Time"):
        return temporal.compare(one, other)
    if Quantity in (kind, there) and {kind, there} <= {Quantity, int, Decimal}:
        first, second = (v if type(v) is Quantity else Quantity(Decimal(v), "1") for v in (one, other))
        return quantity.compare(first, second)
    return fault("values of these types have no order")


def _ordered(holds: Callable[[int], bool]) -> Operator:
    def run(left: Collection, right: Collection, _: Context) -> Collection:
        one, other = single(left), single(right)
        if one is None or other is None:
            return EMPTY
        found = order(one, other)
        return EMPTY if found is None else boolean(holds(found))

    return run


# ── arithmetic ───────────────────────────────────────────────────────────────────────────────────────────────────────


def number(value: Any) -> Collection:
    """A collection of one number; empty when it is out of range."""
    if type(value) is int:
        return [value] if fits(value) else EMPTY
    return [value] if value.is_finite() else EMPTY


def _arithmetic(numbers: Callable[[Any, Any], Any], others: Callable[[Any, Any, bool], Any]) -> Operator:
    """An operator on numbers that may mean something for other types too.

    Args:
        numbers: of two int or two Decimal; None for a division by zero.
        others: of any two values, and whether the right one comes from FHIR; raises a Problem.
    """

    def run(left: Collection, right: Collection, ctx: Context) -> Collection:
        one, other = single(left), single(right)
        if one is None or other is None:
            return EMPTY
        kind, there = type(one), type(other)
        try:
            with decimal.localcontext(EXACT):
                if kind in NUMBERS and there in NUMBERS:
                    if kind is not there:
                        one, other = Decimal(one), Decimal(other)
                    found = numbers(one, other)
                    return EMPTY if found is None else number(found)
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


def _divided(one: Any, other: Any) -> Any:
    return Decimal(one) / Decimal(other) if other else None


def _whole(one: Any, other: Any) -> Any:
    if not other:
        return None
    return (
        int(one // other) if type(one) is Decimal else abs(one) // abs(other) * (1 if (one < 0) == (other < 0) else -1)
    )


def _remainder(one: Any, other: Any) -> Any:
    if not other:
        return None
    return one % other if type(one) is Decimal else abs(one) % abs(other) * (-1 if one < 0 else 1)


def _joined(left: Collection, right: Collection, ctx: Context) -> Collection:
    made = _text(left) + _text(right)
    return [made if len(made) < _SHORT else ctx.text(made)]


def _text(items: Collection) -> str:
    if len(items) == 1:
        item = items[0]
        value = item.value if type(item) is Node and item.type in TEXTS else item
        if type(value) is str:
            return value
    return text_of(items) or ""


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
    return equality.distinct(left + right, ctx)


def _within(left: Collection, right: Collection, ctx: Context) -> Collection:
    if not left:
        return EMPTY
    if len(left) > 1:
        return fault("`in` takes a single value on its left")
    return boolean(equality.key(left[0], ctx) in equality.keys(right, ctx))


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
    "<": _ordered(lambda found: found < 0),
    "<=": _ordered(lambda found: found <= 0),
    ">": _ordered(lambda found: found > 0),
    ">=": _ordered(lambda found: found >= 0),
    "+": _arithmetic(lambda a, b: a + b, _sum),
    "-": _arithmetic(lambda a, b: a - b, _difference),
    "*": _arithmetic(lambda a, b: a * b, _product),
    "/": _arithmetic(_divided, _quotient),
    "div": _arithmetic(_whole, _only_numbers),
    "mod": _arithmetic(_remainder, _only_numbers),
    "&": _joined,
    "|": _united,
    "in": _within,
    "contains": _containing,
    "xor": exclusive,
}
"""Operators that always need both sides. `and`, `or` and `implies` may answer from one: the compiler has them."""
