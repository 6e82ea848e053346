# SPDX-License-Identifier: Apache-2.0
"""A quantity in base units, so that equal amounts get equal numbers: 1 `g/L` and 100 `mg/dL` are both 1000 `g.m-3`."""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction
from typing import Final

from salus.fhir.ucum.units import scale

# More digits than any measurement has; where a unit divides by three, the 40th digit is rounded.
_EXACT: Final = Context(prec=40)
_LARGEST: Final = 400


def canonical(value: Decimal, code: str) -> tuple[Decimal, str] | None:
    """A quantity in base units.

    Args:
        value: a finite number whose exponent is at most 400.
        code: a case-sensitive UCUM code.

    Returns:
        the number, without trailing zeros and rounded to 40 significant digits (exact wherever a shorter decimal
        exists), and the UCUM code of the base units, sorted by name; None when the code is no UCUM code, cannot be
        converted, or the number is out of range.
    """
    found = scale(code)
    if found is None or not value.is_finite() or (value and abs(value.adjusted()) > _LARGEST):
        return None
    exact = Fraction(value) * found.multiplier + found.offset
    return decimal(exact), found.code


def decimal(number: Fraction) -> Decimal:
    """A fraction as a decimal of up to 40 significant digits, without trailing zeros."""
    return _EXACT.divide(Decimal(number.numerator), Decimal(number.denominator)).normalize(_EXACT)
