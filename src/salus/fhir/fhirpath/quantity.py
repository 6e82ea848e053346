# SPDX-License-Identifier: Apache-2.0
"""Quantities: a number with a unit of UCUM or of the calendar (https://hl7.org/fhirpath/N1/#quantity).

A calendar year or month has no fixed length, so it equals no UCUM duration, only equivalent ones (`~`). Quantities of
different dimensions are not comparable: the answer is empty, never wrong.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, NamedTuple

from salus.fhir.fhirpath.calendar import AVERAGE, DEFINITE, WORDS
from salus.fhir.ucum import scale
from salus.fhir.ucum.canonical import decimal

UCUM: Final = "http://unitsofmeasure.org"
_SINGULAR: Final = {**{word: word for word in WORDS}, **{word + "s": word for word in WORDS}}
_CODES: Final = {word: code for code, word in {**DEFINITE, **AVERAGE}.items()}

_SHORT: Final = 64  # characters of a unit whose magnitudes are remembered

Magnitude = tuple[Fraction, tuple[Any, ...]]


class Quantity(NamedTuple):
    """A number with its unit.

    Attributes:
        value: exact.
        unit: UCUM code, or a calendar word in the singular.
        calendar: whether the unit is a calendar word.
    """

    value: Decimal
    unit: str
    calendar: bool = False

    def __str__(self) -> str:
        if not self.calendar:
            return f"{self.value:f} '{self.unit}'"
        return f"{self.value:f} {self.unit}{'' if self.value == 1 else 's'}"


def quantity(value: Decimal, unit: str) -> Quantity:
    """A quantity whose unit is written as FHIRPath does: a calendar word in either number, or a UCUM code."""
    word = _SINGULAR.get(unit)
    return Quantity(value, word or unit, word is not None)


def of_fhir(content: Any) -> Quantity | None:
    """A FHIR Quantity as a FHIRPath one; None without a value or with a comparator, which no number expresses.

    https://hl7.org/fhir/R4/fhirpath.html#quantity. The unit is the code where the system is UCUM, else the unit as
    text, which is comparable only with the same text.
    """
    if type(content) is not dict or "comparator" in content:
        return None
    value, code, unit = content.get("value"), content.get("code"), content.get("unit")
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return None
    if content.get("system") == UCUM and type(code) is str:
        return Quantity(Decimal(value), code)
    said = unit if type(unit) is str else code
    return Quantity(Decimal(value), said if type(said) is str else "1")


def magnitude(amount: Quantity, *, loose: bool = False) -> Magnitude:
    """Number in base units, and the dimension within which it is comparable.

    Args:
        amount: finite.
        loose: count calendar years and months as UCUM's averages.
    """
    return (_magnitude if len(amount.unit) <= _SHORT else _magnitude.__wrapped__)(amount, loose)


@lru_cache(maxsize=1024)
def _magnitude(amount: Quantity, loose: bool) -> Magnitude:
    unit = amount.unit
    if amount.calendar:
        if not loose and unit in ("year", "month"):
            return Fraction(amount.value) * (12 if unit == "year" else 1), ("calendar",)
        unit = _CODES[unit]
    number = Fraction(*amount.value.as_integer_ratio())  # half the time of `Fraction(amount.value)`
    found = scale(unit)
    if found is None:
        return number, ("unit", unit)
    number *= found.multiplier
    return number + found.offset if found.offset else number, found.dimension


def compare(left: Quantity, right: Quantity) -> int | None:
    """-1, 0 or 1; None when the dimensions differ."""
    if left.unit == right.unit and left.calendar == right.calendar:
        return (left.value > right.value) - (left.value < right.value)
    (one, here), (other, there) = magnitude(left), magnitude(right)
    if here != there:
        return None
    return (one > other) - (one < other)


def equivalent(left: Quantity, right: Quantity) -> bool:
    """Whether two amounts agree in the coarser unit, at the lesser precision."""
    (one, here), (other, there) = magnitude(left, loose=True), magnitude(right, loose=True)
    if here != there:
        return False
    if one == other:
        return True
    coarse = max(left, right, key=_size)
    places = min(decimals(left.value), decimals(right.value))
    first, second = (_in(base, coarse) for base in (one, other))
    return round(first, places) == round(second, places)


def decimals(number: Decimal) -> int:
    """Digits after the point, trailing zeros left out."""
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def add(left: Quantity, right: Quantity, sign: int) -> Quantity | None:
    """Sum, or difference with -1, in the finer of the two units; None when the dimensions differ."""
    if left.unit == right.unit:
        return left._replace(value=left.value + sign * right.value)
    (one, here), (other, there) = magnitude(left), magnitude(right)
    if here != there:
        return None
    fine = min(left, right, key=_size)
    return fine._replace(value=decimal(_in(one, fine) + sign * _in(other, fine)))


def multiply(left: Quantity, right: Quantity) -> Quantity:
    """Product; its unit is the product of the units."""
    return Quantity(left.value * right.value, _joined(left, right, "."))


def divide(left: Quantity, right: Quantity) -> Quantity | None:
    """Quotient; None for a division by zero."""
    if not right.value:
        return None
    return Quantity(decimal(Fraction(left.value) / Fraction(right.value)), _joined(left, right, "/"))


def _joined(left: Quantity, right: Quantity, mark: str) -> str:
    first, second = (_CODES[amount.unit] if amount.calendar else amount.unit for amount in (left, right))
    if second == "1":
        return first
    if first == second and mark == "/":
        return "1"
    inner = f"({second})" if mark == "/" and any(c in second for c in "./") else second
    return inner if first == "1" and mark == "." else f"{first}{mark}{inner}"


def _size(amount: Quantity) -> Fraction:
    return magnitude(amount._replace(value=Decimal(1)), loose=True)[0]


def _in(base: Fraction, unit: Quantity) -> Fraction:
    """A number of base units in another unit of the same dimension."""
    zero = magnitude(unit._replace(value=Decimal(0)), loose=True)[0]
    one = magnitude(unit._replace(value=Decimal(1)), loose=True)[0]
    return (base - zero) / (one - zero)
