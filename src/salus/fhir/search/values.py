# SPDX-License-Identifier: Apache-2.0
"""How the generated extractors read data types that take more than one line.

Values come from validated resources; what carries no value of its own (an extension in its place) yields no
row. https://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from salus.fhir.search.dates import interval

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


def limits(value: dict[str, Any]) -> Iterator[tuple[Decimal, str, str, str]]:
    """Low and high of a Range: value, system, code and unit of each."""
    for name in ("low", "high"):
        end = value.get(name)
        if end is not None and end.get("value") is not None:
            yield decimal(end["value"]), end.get("system", ""), end.get("code", ""), end.get("unit", "")


def concept_texts(value: dict[str, Any]) -> Iterator[str]:
    """The words of a CodeableConcept: its text and the display of each coding."""
    if value.get("text") is not None:
        yield value["text"]
    for coding in value.get("coding", ()):
        if coding.get("display") is not None:
            yield coding["display"]
