# SPDX-License-Identifier: Apache-2.0
"""Conversion between types, and `iif` (https://hl7.org/fhirpath/N1/#conversion)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any, Final

from salus.fhir.fhirpath.context import Collection, Context, fault
from salus.fhir.fhirpath.convert import (
    single,
    text_of,
    to_boolean,
    to_decimal,
    to_integer,
    to_quantity,
    to_string,
    to_temporal,
    truth,
)
from salus.fhir.fhirpath.functions.calling import Function, Input, Step, lazy, plain
from salus.fhir.fhirpath.operators import EMPTY, FALSE, TRUE
from salus.fhir.fhirpath.quantity import Quantity, magnitude, quantity
from salus.fhir.ucum.canonical import decimal

Converter = Callable[[Any], Any]

_SHIFTED: Final = frozenset({"Cel", "[degF]", "[degRe]"})  # units whose zero is not the zero of the base unit
_CONVERTERS: Final[dict[str, Converter]] = {
    "Boolean": to_boolean,
    "Integer": to_integer,
    "Decimal": to_decimal,
    "String": to_string,
    "Date": partial(to_temporal, "Date"),
    "DateTime": partial(to_temporal, "DateTime"),
    "Time": partial(to_temporal, "Time"),
}


def _to(converter: Converter) -> Function:
    def run(items: Collection, _: Context) -> Collection:
        value = single(items)
        found = None if value is None else converter(value)
        return EMPTY if found is None else [found]

    return plain(run, Input.VALUES)


def _converts(converter: Converter) -> Function:
    def run(items: Collection, _: Context) -> Collection:
        value = single(items)
        if value is None:
            return EMPTY
        return FALSE if converter(value) is None else TRUE

    return plain(run, Input.VALUES)


def _in_unit(items: Collection, ctx: Context, unit: Step | None) -> Quantity | None:
    value = single(items)
    found = None if value is None else to_quantity(value)
    wanted = text_of(unit(ctx.focus, ctx)) if unit else None
    if found is None or wanted is None:
        return found
    one = quantity(Decimal(1), wanted)
    (here, dimension), (there, other) = magnitude(found), magnitude(one)
    if dimension != other or one.unit in _SHIFTED:
        return None
    return one._replace(value=decimal(here / there))


def _to_quantity(items: Collection, ctx: Context, unit: Step | None = None) -> Collection:
    found = _in_unit(items, ctx, unit)
    return EMPTY if found is None else [found]


def _converts_to_quantity(items: Collection, ctx: Context, unit: Step | None = None) -> Collection:
    if single(items) is None:
        return EMPTY
    return FALSE if _in_unit(items, ctx, unit) is None else TRUE


def _iif(items: Collection, ctx: Context, criterion: Step, then: Step, otherwise: Step | None = None) -> Collection:
    """Only the branch that is taken is evaluated; `$this` is the input."""
    if len(items) > 1:
        fault("`iif` takes a single item")
    focus, ctx.focus = ctx.focus, items
    met = truth(criterion(items, ctx))
    branch = then if met else otherwise
    made = branch(items, ctx) if branch else EMPTY
    ctx.focus = focus
    return made


FUNCTIONS: Final[dict[str, Function]] = {
    "iif": lazy(_iif, 2, 3),
    **{f"to{name}": _to(converter) for name, converter in _CONVERTERS.items()},
    **{f"convertsTo{name}": _converts(converter) for name, converter in _CONVERTERS.items()},
    "toQuantity": lazy(_to_quantity, 0, 1),
    "convertsToQuantity": lazy(_converts_to_quantity, 0, 1),
}
