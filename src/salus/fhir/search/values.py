# SPDX-License-Identifier: Apache-2.0
"""How the generated extractors read data types that take more than one line.

Values come from validated resources; what carries no value of its own (an extension in its place) yields no
row. https://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from salus.fhir.search.dates import interval
from salus.fhir.ucum import canonical, scale

UCUM: Final = "http://unitsofmeasure.org"

Bounds = tuple[int | None, int | None]


def decimal(value: Decimal | float) -> Decimal:
    """A JSON number as an exact decimal."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


def period(value: dict[str, Any]) -> Bounds | None:
    """The half-open range of a Period in milliseconds since the epoch; None stands for an open end."""
    start, end = value.get("start"), value.get("end")
    first = interval(start) if start is not None else None
    last = interval(end) if end is not None else None
    if first is None and last is None:
        return None
    return first[0] if first else None, last[1] if last else None


def timing(value: dict[str, Any]) -> Bounds | None:
    """The outer limits of a Timing, from its events and its bounds.

    https://hl7.org/fhir/R4/search.html#date: the scheduling details are ignored, only the outer limits
    matter.
    """
    found: list[Bounds] = [known for event in value.get("event", ()) if event and (known := interval(event))]
    bounds = period(value.get("repeat", {}).get("boundsPeriod", {}))
    if bounds is not None:
        found.append(bounds)
    if not found:
        return None
    lows = [low for low, _ in found if low is not None]
    highs = [high for _, high in found if high is not None]
    return (
        min(lows) if len(lows) == len(found) else None,
        max(highs) if len(highs) == len(found) else None,
    )


def quantity(value: Decimal | float, holder: dict[str, Any]) -> tuple[Decimal, str, str, str, float | None, str]:
    """Value, system, code and unit of a Quantity, and about the same in base units of UCUM (None, "" without).

    The float serves for finding candidates only; they are compared with exact decimals.
    """
    exact = value if isinstance(value, Decimal) else Decimal(str(value))
    system, code = holder.get("system", ""), holder.get("code", "")
    found = _factors(code) if system == UCUM else None
    if found is None:
        return exact, system, code, holder.get("unit", ""), None, ""
    multiplier, moved, base = found
    if moved:  # a difference of floats could lose every digit
        whole = canonical(exact, code)
        return exact, system, code, holder.get("unit", ""), float(whole[0]) if whole else None, base
    return exact, system, code, holder.get("unit", ""), float(exact) * multiplier, base


@lru_cache(maxsize=4096)
def _factors(code: str) -> tuple[float, bool, str] | None:
    """Multiplier to base units, whether the zero is moved, and the code of the base units."""
    found = scale(code)
    if found is None:
        return None
    try:
        return float(found.multiplier), bool(found.offset), found.code
    except OverflowError:
        return None


def spread(value: dict[str, Any]) -> tuple[Decimal | None, Decimal | None, str, str, str] | None:
    """Low and high of a Range with system, code and unit; None when it has neither."""
    low, high = value.get("low", {}), value.get("high", {})
    ends = [end for end in (low, high) if end.get("value") is not None]
    if not ends:
        return None
    first, last = (decimal(end["value"]) if end.get("value") is not None else None for end in (low, high))
    return first, last, ends[0].get("system", ""), ends[0].get("code", ""), ends[0].get("unit", "")


def concept_texts(value: dict[str, Any]) -> Iterator[str]:
    """The words of a CodeableConcept: its text and the display of each coding."""
    if value.get("text") is not None:
        yield value["text"]
    for coding in value.get("coding", ()):
        if coding.get("display") is not None:
            yield coding["display"]
