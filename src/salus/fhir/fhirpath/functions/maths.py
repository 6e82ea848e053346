# SPDX-License-Identifier: Apache-2.0
"""Numbers (https://hl7.org/fhirpath/N1/#math)."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any, Final

from salus.fhir.fhirpath.context import Collection, Context, fault
from salus.fhir.fhirpath.convert import integer_of, single
from salus.fhir.fhirpath.equality import NUMBERS
from salus.fhir.fhirpath.functions.calling import Function, Input, eager
from salus.fhir.fhirpath.operators import EMPTY, EXACT, number
from salus.fhir.fhirpath.quantity import Quantity

_MOST_PLACES: Final = 28
_SERIES: Final = 40  # what a function costs that is summed up digit by digit


def _on_number(work: Callable[..., Any], least: int = 0, *, quantities: bool = False, cost: int = 0) -> Function:
    """A function of numbers: empty when one is, or when there is no result.

    Args:
        work: gets the numbers.
        least: number of arguments.
        quantities: whether it works on quantities too.
        cost: what it draws on the budget.
    """

    def run(items: Collection, ctx: Context, *arguments: Collection) -> Collection:
        ctx.left -= cost
        values = [single(items), *(single(argument) for argument in arguments)]
        if None in values:
            return EMPTY
        value = values[0]
        inner = value.value if quantities and type(value) is Quantity else value
        if type(inner) not in NUMBERS or any(type(other) not in NUMBERS for other in values[1:]):
            fault("a number is needed")
        try:
            made = work(inner, *values[1:])
        except decimal.DecimalException:
            return EMPTY
        if made is None:
            return EMPTY
        return [value._replace(value=Decimal(made))] if inner is not value else number(made)

    return eager(run, least, asks=Input.VALUES)


def _whole(rounding: str) -> Callable[[Any], int]:
    return lambda value: int(Decimal(value).to_integral_value(rounding))


def _round(items: Collection, _: Context, places: Collection | None = None) -> Collection:
    value = single(items)
    digits = integer_of(places) if places is not None else 0
    if value is None or digits is None:
        return EMPTY
    inner = value.value if type(value) is Quantity else value
    if type(inner) not in NUMBERS:
        fault("a number is needed")
    if not 0 <= digits <= _MOST_PLACES:
        fault("the number of places must be from 0 to 28")
    try:
        made = Decimal(inner).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, EXACT)
    except decimal.DecimalException:
        return EMPTY
    return [value._replace(value=made)] if type(value) is Quantity else [made]


def _log(value: Any, base: Any) -> Any:
    if value <= 0 or base <= 0 or base == 1:
        return None
    return _tidy(EXACT.divide(EXACT.ln(value), EXACT.ln(base)))


def _power(value: Any, exponent: Any) -> Any:
    if abs(exponent) > 10_000:
        return None
    if type(value) is int and type(exponent) is int and exponent >= 0:
        return int(EXACT.power(value, exponent))
    if (value < 0 and exponent != int(exponent)) or (not value and exponent <= 0):
        return None
    return EXACT.power(value, exponent)


def _tidy(value: Decimal) -> Decimal:
    """Without the last digits, which a quotient of logarithms gets wrong: the logarithm of 16 to base 2 is 4."""
    places = Decimal(1).scaleb(max(value.adjusted(), 0) - 30)
    return value.quantize(places, context=EXACT).normalize(EXACT) if value else value


FUNCTIONS: Final[dict[str, Function]] = {
    "abs": _on_number(lambda value: abs(value) if type(value) is int else EXACT.abs(value), quantities=True),
    "ceiling": _on_number(_whole(ROUND_CEILING)),
    "floor": _on_number(_whole(ROUND_FLOOR)),
    "truncate": _on_number(int),
    "round": eager(_round, 0, 1, asks=Input.VALUES),
    "exp": _on_number(lambda value: EXACT.exp(value) if value < 2000 else None, cost=_SERIES),
    "ln": _on_number(lambda value: EXACT.ln(value) if value > 0 else None, cost=_SERIES),
    "log": _on_number(_log, 1, cost=_SERIES),
    "power": _on_number(_power, 1, cost=_SERIES),
    "sqrt": _on_number(lambda value: EXACT.sqrt(value) if value >= 0 else None, cost=_SERIES),
}
