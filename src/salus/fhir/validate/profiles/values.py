# SPDX-License-Identifier: Apache-2.0
"""Fixed values, patterns and bounds (https://hl7.org/fhir/R4/elementdefinition.html)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any


def equal(value: Any, fixed: Any) -> bool:
    """Whether a value is exactly the fixed one, but for ids of elements that the definition does not name."""
    if type(fixed) is dict:
        return (
            type(value) is dict
            and value.keys() - {"id"} == fixed.keys() - {"id"}
            and all(equal(value[name], one) for name, one in fixed.items() if name != "id")
        )
    if type(fixed) is list:
        return type(value) is list and len(value) == len(fixed) and all(map(equal, value, fixed))
    return bool(value == fixed) and (type(value) is bool) == (type(fixed) is bool)


def fits(value: Any, pattern: Any) -> bool:
    """Whether a value has everything that the pattern has."""
    if type(pattern) is dict:
        return type(value) is dict and all(name in value and fits(value[name], one) for name, one in pattern.items())
    if type(pattern) is list:
        return type(value) is list and all(any(fits(item, one) for item in value) for one in pattern)
    return equal(value, pattern)


def below(value: Any, least: Any) -> bool:
    """Whether a value is less than another for certain; quantities are compared in the same unit only."""
    if type(least) is dict and type(value) is dict:
        same = all(value.get(name) == least.get(name) for name in ("system", "code"))
        return same and below(value.get("value"), least.get("value"))
    if _number(value) and _number(least):
        return bool(value < least)
    if type(value) is str and type(least) is str:
        width = min(len(value), len(least))
        return value[:width] < least[:width]
    return False


def _number(value: Any) -> bool:
    return isinstance(value, (int, Decimal)) and type(value) is not bool
