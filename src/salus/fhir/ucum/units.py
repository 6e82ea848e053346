# SPDX-License-Identifier: Apache-2.0
"""From a UCUM code to its scale: by how much it is multiplied to arrive at which base units.

`mg/dL` is a hundredth of `g.m-3` times a thousand: multiplier 10. Multipliers are fractions, so nothing is lost on
the way. Arbitrary units such as `[iU]` are no multiple of anything and stand as base units of their own, which is
what UCUM asks (https://ucum.org/ucum#section-Arbitrary-Units). Annotations in braces mean nothing and are passed
over, so `{beats}/min` is `/min`.

Special units have no ratio scale (https://ucum.org/ucum#section-Special-Units-on-non-ratio-scales): temperatures
have an offset; the others (pH, decibel, slopes) are comparable only with themselves here. None of them may stand in
a product.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache, lru_cache
from typing import Final, NamedTuple

from salus.fhir.ucum.table import Entry, table

LONGEST: Final = 200
_DEEPEST: Final = 10
_LARGEST_EXPONENT: Final = 99
_TOKEN: Final = re.compile(
    r"(?P<note>\{[^{}]*\})|(?P<unit>10[*^]|(?:\[[!-Z^-~]*\]|[!-'*,:;<>?@A-Z\\^_`a-z|~])+)"
    r"|(?P<number>[0-9]+)|(?P<sign>[+-])|(?P<mark>[./()])",
    re.ASCII,
)
# Kelvin at zero of the scale (https://ucum.org/ucum#section-Other-Units).
_ZEROS: Final = {"Cel": Fraction("273.15"), "[degF]": Fraction("459.67") * 5 / 9, "[degRe]": Fraction("273.15")}

Dimension = tuple[tuple[str, int], ...]


class Scale(NamedTuple):
    """What a code means: a value in it is `value * multiplier + offset` in base units.

    Attributes:
        multiplier: exact.
        offset: zero but for temperatures on other scales than Kelvin.
        dimension: base units with their exponents, sorted; empty for a pure number.
    """

    multiplier: Fraction
    offset: Fraction
    dimension: Dimension

    @property
    def code(self) -> str:
        """UCUM code of the base units: `m.g-1`, and `1` for a pure number."""
        return ".".join(name + (str(power) if power != 1 else "") for name, power in self.dimension) or "1"


class _UnknownUnitError(ValueError):
    """The text is no UCUM code, or one that has no scale."""


def scale(code: str) -> Scale | None:
    """What a case-sensitive UCUM code means.

    Args:
        code: at most 200 characters.

    Returns:
        its scale, or None when it is no UCUM code or uses a special unit within a product.
    """
    return _scale(code) if 0 < len(code) <= LONGEST else None


@lru_cache(maxsize=4096)
def _scale(code: str) -> Scale | None:
    try:
        return _special(code) or _Reader(code).whole()
    except _UnknownUnitError:
        return None


def _special(code: str) -> Scale | None:
    """A special unit that stands alone, perhaps with a prefix."""
    found = _atom(code)
    if found is None or found[1].kind != "special":
        return None
    prefix, _, name = found
    if name in _ZEROS:
        inner = _defined(name)
        return Scale(prefix * inner.multiplier, _ZEROS[name], inner.dimension)
    return Scale(prefix, Fraction(0), ((name, 1),))


def _atom(symbol: str) -> tuple[Fraction, Entry, str] | None:
    """Prefix, unit and its code; a unit's own code goes before a prefix with another unit."""
    prefixes, units = table()
    if symbol in units:
        return Fraction(1), units[symbol], symbol
    for length in (1, 2):
        prefix, rest = prefixes.get(symbol[:length]), symbol[length:]
        if prefix is not None and rest in units and units[rest].metric:
            return prefix, units[rest], rest
    return None


@cache
def _defined(name: str) -> Scale:
    """Scale of a unit of the table, without prefix."""
    entry = table().units[name]
    if entry.kind == "base" or (entry.kind == "arbitrary" and entry.definition == "1"):
        return Scale(Fraction(1), Fraction(0), ((name, 1),))
    inner = _Reader(entry.definition).whole()
    return inner._replace(multiplier=inner.multiplier * entry.factor)


class _Reader:
    """Recursive descent over the grammar of UCUM (https://ucum.org/ucum#section-Grammar-of-Units-and-Unit-Terms)."""

    def __init__(self, code: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(code):
            match = _TOKEN.match(code, at)
            if match is None:
                raise _UnknownUnitError
            self.tokens.append((str(match.lastgroup), match[0]))
            at = match.end()
        self.at = 0

    def whole(self) -> Scale:
        multiplier, powers = self.term(0)
        if self.at != len(self.tokens):
            raise _UnknownUnitError
        return Scale(multiplier, Fraction(0), tuple(sorted((n, p) for n, p in powers.items() if p)))

    def kind(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place][0] if place < len(self.tokens) else ""

    def take(self, mark: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at] == ("mark", mark):
            self.at += 1
            return True
        return False

    def term(self, depth: int) -> tuple[Fraction, dict[str, int]]:
        if depth > _DEEPEST:
            raise _UnknownUnitError
        multiplier, powers = Fraction(1), dict[str, int]()
        sign = -1 if self.take("/") else 1
        while True:
            factor, inner = self.component(depth)
            multiplier *= factor**sign
            for name, power in inner.items():
                powers[name] = powers.get(name, 0) + sign * power
            if self.take("."):
                sign = 1
            elif self.take("/"):
                sign = -1
            else:
                return multiplier, powers

    def component(self, depth: int) -> tuple[Fraction, dict[str, int]]:
        kind = self.kind()
        if kind == "note":
            self.at += 1
            return Fraction(1), {}
        if kind == "number":
            self.at += 1
            number = int(self.tokens[self.at - 1][1])
            if not number:
                raise _UnknownUnitError
            found: tuple[Fraction, dict[str, int]] = Fraction(number), {}
        elif kind == "unit":
            self.at += 1
            found = self.unit(self.tokens[self.at - 1][1])
        elif self.take("("):
            found = self.term(depth + 1)
            if not self.take(")"):
                raise _UnknownUnitError
        else:
            raise _UnknownUnitError
        if self.kind() == "note":
            self.at += 1
        return found

    def unit(self, symbol: str) -> tuple[Fraction, dict[str, int]]:
        found = _atom(symbol)
        if found is None or found[1].kind == "special":
            raise _UnknownUnitError
        prefix, _, name = found
        inner, power = _defined(name), self.exponent()
        return (prefix * inner.multiplier) ** power, {base: held * power for base, held in inner.dimension}

    def exponent(self) -> int:
        sign = 1
        if self.kind() == "sign":
            if self.kind(1) != "number":
                raise _UnknownUnitError
            sign = -1 if self.tokens[self.at][1] == "-" else 1
            self.at += 1
        if self.kind() != "number":
            return 1
        power = int(self.tokens[self.at][1])
        self.at += 1
        if power > _LARGEST_EXPONENT:
            raise _UnknownUnitError
        return sign * power
