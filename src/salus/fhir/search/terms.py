# SPDX-License-Identifier: Apache-2.0
"""Read the values of search parameters: escapes, prefixes, precision.

Every function refuses with a `Problem` that says what is wrong and never repeats the value, which may be a
patient's name or number. https://hl7.org/fhir/R4/search.html#escaping, #prefix, #number, #date, #token,
#quantity, #reference
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Context, Decimal

from salus.fhir.references import parse as parse_reference
from salus.fhir.search.clauses import (
    Base,
    DateValue,
    NearValue,
    NumberValue,
    OfTypeValue,
    QuantityValue,
    ReferenceValue,
    SoundValue,
    StringValue,
    TokenValue,
    UriValue,
)
from salus.fhir.search.dates import interval
from salus.fhir.search.folding import fold
from salus.fhir.search.sounds import sounds
from salus.fhir.search.values import UCUM
from salus.fhir.ucum import canonical
from salus.kernel.errors import Issue, Kind, Problem

_PREFIX = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap|>=|<=|>|<)?(.*)", re.DOTALL)
_FORMER = {">": "gt", "<": "lt", ">=": "ge", "<=": "le"}  # as before R4; fhirclient for Python still sends them
_DATE = re.compile(
    r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
_NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{1,20})?([eE][+-]?\d{1,3})?", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_ESCAPED = re.compile(r"\\([\\,|$])")
_METRES = {"km": 1000.0, "m": 1.0, "[mi_us]": 1609.347, "[mi_i]": 1609.344, "mi": 1609.344, "[ft_i]": 0.3048}
_NEAR_KM = 50  # R4 leaves the distance to the server when none is named
_TENTH = Decimal("0.1")
_EXACT = Context(prec=60)  # more digits than a value may have, so that nothing is rounded


def split(text: str, sign: str) -> list[str]:
    r"""Cut at a sign that is not escaped; the parts keep their escapes.

    Args:
        text: a parameter value with `\,`, `\|`, `\$` and `\\` for the signs themselves.
        sign: one character.
    """
    if "\\" not in text:
        return text.split(sign)
    parts, start, at = [], 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if text[at] == sign:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    parts.append(text[start:])
    return parts


def unescape(text: str) -> str:
    """Replace the escapes by the signs they stand for."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def token(text: str) -> TokenValue:
    """`code`, `system|code`, `|code` or `system|`."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) == 1:
        return TokenValue(None, parts[0])
    if len(parts) > 2 or parts == ["", ""]:
        raise refuse("is not of the form code, system|code, |code or system|")
    return TokenValue(parts[0], parts[1] or None)


def string(text: str) -> StringValue:
    """Any text with at least one character that counts."""
    plain = unescape(text)
    folded = fold(plain)
    if not folded:
        raise refuse("holds nothing to compare")
    return StringValue(plain, folded)


def reference(text: str, targets: tuple[str, ...], bases: Sequence[str]) -> ReferenceValue:
    """`id`, `Type/id`, or a URL.

    Args:
        text: the value.
        targets: resource types that the parameter asks for; empty means any.
        bases: own base URLs; an absolute URL under one of them names a local record.
    """
    plain = unescape(text)
    if _ID.fullmatch(plain):
        return ReferenceValue(targets[0] if len(targets) == 1 else None, plain)
    found = parse_reference(plain, bases)
    if found.form == "local":
        if targets and found.type not in targets:
            raise refuse(f"names something other than {_listed(targets)}")
        return ReferenceValue(found.type, found.id)
    if found.form == "contained":
        raise refuse("points into a resource, which cannot be searched")
    return ReferenceValue(None, None, plain)


def day(text: str, now_ms: int) -> DateValue:
    """A date with an optional prefix; `ap` reaches further by a tenth of the distance to the present.

    Args:
        text: the value.
        now_ms: the present, in ms since the epoch.
    """
    prefix, rest = _prefixed(text)
    rest = rest.replace(" ", "+")  # in a query `+` means a space, and zones are often sent as they stand
    bounds = interval(rest) if _DATE.fullmatch(rest) else None
    if bounds is None:
        raise refuse("is not a date such as 2024, 2024-05, 2024-05-17 or 2024-05-17T10:30:00Z")
    low, high = bounds
    if prefix == "ap":
        reach = abs(now_ms - (low + high) // 2) // 10
        low, high = low - reach, high + reach
    return DateValue(prefix, low, high)


def number(text: str) -> NumberValue:
    """A number with an optional prefix.

    Without one it stands for all that round to it: 100 for [99.5, 100.5), 1e2 for [50, 150). With another
    prefix it is taken exactly, as R4 says.
    """
    prefix, rest = _prefixed(text)
    return NumberValue(prefix, *_precise(prefix, rest))


def quantity(text: str) -> QuantityValue:
    """`number`, `number|system|code` or `number||code`, with an optional prefix."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) not in (1, 3):
        raise refuse("is not of the form number, number|system|code or number||code")
    prefix, rest = _prefixed(parts[0])
    value, low, high = _precise(prefix, rest)
    if len(parts) == 1:
        return QuantityValue(prefix, value, low, high, None, None)
    system, code = parts[1] or None, parts[2] or None
    return QuantityValue(prefix, value, low, high, system, code, _base(value, low, high, system, code))


def _base(value: Decimal, low: Decimal, high: Decimal, system: str | None, code: str | None) -> Base | None:
    if system != UCUM or code is None:
        return None
    found = [canonical(number, code) for number in (value, low, high)]
    if not (found[0] and found[1] and found[2]):
        return None
    return Base(found[0][0], found[1][0], found[2][0], found[0][1])


def of_type(text: str) -> OfTypeValue:
    """`system|code|value` of `:of-type`; the code and the value must be there."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise refuse("is not of the form system|code|value")
    return OfTypeValue(*parts)


def phonetic(text: str) -> SoundValue:
    """A name, of which every word counts."""
    keys = sounds(unescape(text))
    if not keys:
        raise refuse("holds nothing to compare")
    return SoundValue(keys)


def near(text: str) -> NearValue:
    """`latitude|longitude`, with `|distance` and `|units`; 50 km when no distance is given, km when no unit is."""
    parts = split(text, "|")
    if len(parts) not in (2, 3, 4) or not all(_NUMBER.fullmatch(part) for part in parts[:2]):
        raise refuse("is not of the form latitude|longitude|distance|units")
    latitude, longitude = float(parts[0]), float(parts[1])
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise refuse("lies outside of the earth")
    distance = parts[2] if len(parts) > 2 and parts[2] else str(_NEAR_KM)
    unit = _METRES.get(unescape(parts[3]) if len(parts) > 3 and parts[3] else "km")
    if unit is None:
        raise refuse(f"has a unit that is not one of {', '.join(_METRES)}")
    if not _NUMBER.fullmatch(distance) or float(distance) < 0:
        raise refuse("has a distance that is not a number from 0")
    return NearValue(latitude, longitude, float(distance) * unit)


def url(text: str) -> UriValue:
    """A URL for :above and :below, which go by the parts of its path (https://hl7.org/fhir/R4/search.html#uri)."""
    plain = unescape(text)
    if "://" not in plain:
        raise refuse("is not a URL: only URLs have parts above and below")
    return UriValue(plain.rstrip("/"))


def _precise(prefix: str, text: str) -> tuple[Decimal, Decimal, Decimal]:
    if not _NUMBER.fullmatch(text):
        raise refuse("is not a number")
    value = Decimal(text)
    if prefix == "ap":
        reach = _EXACT.multiply(value.copy_abs(), _TENTH)
    else:
        reach = Decimal((0, (5,), _last_place(value) - 1))
    return value, _EXACT.subtract(value, reach), _EXACT.add(value, reach)


def _last_place(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _prefixed(text: str) -> tuple[str, str]:
    found = _PREFIX.fullmatch(text)
    if found is None:
        return "eq", text
    prefix = found[1] or "eq"
    return _FORMER.get(prefix, prefix), found[2]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def refuse(what: str) -> Problem:
    """A refusal of one value; `query` adds the name of the parameter in front."""
    return Problem(Kind.INCORRECT, what)


def unanswered(what: str) -> Problem:
    """A refusal of something that FHIR has and Salus does not answer."""
    return Problem(Kind.INCORRECT, what, issues=(Issue("not-supported", what),))
