# SPDX-License-Identifier: Apache-2.0
"""How exact a value is, and between which it lies (https://hl7.org/fhirpath/#lowboundaryprecision-integer-decimal--date--datetime--time).

1.587 stands for everything from 1.5865 to 1.5875, and 2014 for everything from its first to its last moment. At a
coarser precision than the value's own, the boundary is taken outwards, so that it still bounds.
"""

from __future__ import annotations

import decimal
from calendar import monthrange
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final

from salus.fhir.fhirpath.context import Collection, Context
from salus.fhir.fhirpath.convert import integer_of, single
from salus.fhir.fhirpath.equality import NUMBERS
from salus.fhir.fhirpath.functions.calling import Function, eager, plain
from salus.fhir.fhirpath.operators import EMPTY, EXACT, boolean
from salus.fhir.fhirpath.quantity import Quantity, magnitude
from salus.fhir.fhirpath.temporal import EARLIEST_ZONE, LATEST_ZONE, Temporal

_MOST_PLACES: Final = 28
_PLACES: Final = 8
# Number of digits that a precision has, and how many components that is; the last has milliseconds.
_DATE: Final = {4: 1, 6: 2, 8: 3}
_DATE_TIME: Final = {**_DATE, 10: 4, 12: 5, 14: 6, 17: 6}
_TIME: Final = {2: 1, 4: 2, 6: 3, 9: 3}
_LOWEST: Final = (1, 1, 1, 0, 0, 0)
_HIGHEST: Final = (9999, 12, 31, 23, 59, 59)
_THOUSANDTHS: Final = Decimal("0.001")


def _boundary(*, high: bool) -> Function:
    def run(items: Collection, _: Context, precision: Collection | None = None) -> Collection:
        value = single(items)
        digits = integer_of(precision) if precision is not None else None
        if isinstance(value, Temporal):
            found: Any = _moment(value, digits, high=high)
        elif type(value) is Quantity:
            inner = _number(value.value, digits, high=high)
            found = None if inner is None else value._replace(value=inner)
        else:
            found = _number(Decimal(value), digits, high=high) if type(value) in NUMBERS else None
        return EMPTY if found is None else [found]

    return eager(run, 0, 1)


def _number(value: Decimal, digits: int | None, *, high: bool) -> Decimal | None:
    places = _PLACES if digits is None else digits
    exponent = value.as_tuple().exponent
    if not 0 <= places <= _MOST_PLACES or not isinstance(exponent, int):
        return None
    half = Decimal(5).scaleb(min(exponent, 0) - 1)
    try:
        bound = EXACT.add(value, half if high else -half)
        return bound.quantize(Decimal(1).scaleb(-places), ROUND_CEILING if high else ROUND_FLOOR, EXACT)
    except decimal.DecimalException:
        return None


def _moment(value: Temporal, digits: int | None, *, high: bool) -> Temporal | None:
    known = {"Date": _DATE, "DateTime": _DATE_TIME, "Time": _TIME}[value.kind]
    wanted = max(known) if digits is None else digits
    count = known.get(wanted)
    if count is None:
        return None
    parts = list(value.parts[:count])
    start = 3 if value.kind == "Time" else 0
    for at in range(len(parts) + start, count + start):
        part = _HIGHEST[at] if high else _LOWEST[at]
        if high and at == 2:
            part = monthrange(int(parts[0]), int(parts[1]))[1]
        parts.append(part)
    if wanted in (6, 14) and count + start == 6:
        parts[-1] = Decimal(int(parts[-1]))
    elif count + start == 6:
        parts[-1] = _to_millisecond(parts[-1], value, high=high)
    zone = value.zone
    if value.kind == "DateTime" and count > 3 and zone is None:
        zone = LATEST_ZONE if high else EARLIEST_ZONE
    return Temporal(value.kind, tuple(parts), zone if count > 3 else None)


def _to_millisecond(second: int | Decimal, value: Temporal, *, high: bool) -> Decimal:
    exponent = Decimal(second).as_tuple().exponent
    stated = isinstance(second, Decimal) and value.parts[-1] is second and isinstance(exponent, int)
    places = -exponent if stated and isinstance(exponent, int) else 0
    bound = Decimal(second)
    if high and places < 3:
        bound += Decimal(1).scaleb(-places) - _THOUSANDTHS
    return bound.quantize(_THOUSANDTHS, ROUND_FLOOR)


def _precision(items: Collection, _: Context) -> Collection:
    value = single(items)
    if type(value) in NUMBERS:
        exponent = Decimal(value).as_tuple().exponent
        return [max(0, -exponent)] if isinstance(exponent, int) else EMPTY
    if not isinstance(value, Temporal):
        return EMPTY
    last = value.parts[-1]
    digits = {"Time": (2, 4, 6)}.get(value.kind, (4, 6, 8, 10, 12, 14))[len(value.parts) - 1]
    exponent = last.as_tuple().exponent if isinstance(last, Decimal) else 0
    return [digits - exponent] if isinstance(exponent, int) else EMPTY


def _comparable(items: Collection, _: Context, other: Collection) -> Collection:
    one, two = single(items), single(other)
    if type(one) is not Quantity or type(two) is not Quantity:
        return EMPTY
    return boolean(magnitude(one)[1] == magnitude(two)[1])


FUNCTIONS: Final[dict[str, Function]] = {
    "lowBoundary": _boundary(high=False),
    "highBoundary": _boundary(high=True),
    "precision": plain(_precision),
    "comparable": eager(_comparable, 1),
}
