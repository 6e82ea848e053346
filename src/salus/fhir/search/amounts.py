# SPDX-License-Identifier: Apache-2.0
"""Numbers, quantities and Ranges against search values: prefixes, precision, units.

https://hl7.org/fhir/R4/search.html#number, #quantity
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from salus.fhir.search.clauses import NumberValue, QuantityValue
from salus.fhir.search.values import UCUM
from salus.fhir.ucum import canonical

Row = tuple[Any, ...]
Test = Callable[[Row], bool]


def number(value: NumberValue) -> Test:
    """A test for rows of numbers and Ranges."""
    test, spread = (
        _compare(value, value.value, value.low, value.high),
        _spread(value.prefix, value.value, value.low, value.high),
    )
    return lambda row: (row[1] == "number" and test(row[2])) or (row[1] == "range" and spread(row[2], row[3]))


def quantity(value: QuantityValue) -> Test:
    """A test for rows of quantities and Ranges, in base units where the search names a unit of UCUM."""
    system, code, base = value.system, value.code, value.base
    test, spread = (
        _compare(value, value.value, value.low, value.high),
        _spread(value.prefix, value.value, value.low, value.high),
    )

    def same_unit(unit: Row) -> bool:
        if system is not None:
            return unit[0] == system and code in (None, unit[1])
        return code is None or code in (unit[1], unit[2])

    def plain(row: Row) -> bool:
        if row[1] == "quantity":
            return test(row[2]) and same_unit(row[3:6])
        return row[1] == "range" and spread(row[2], row[3]) and same_unit(row[4:7])

    if base is None:
        return plain
    base_test, base_spread = (
        _compare(value, base.value, base.low, base.high),
        _spread(value.prefix, base.value, base.low, base.high),
    )

    def converted(number: Decimal | None, unit: str) -> Decimal | None:
        found = canonical(number, unit) if number is not None else None
        return found[0] if found is not None and found[1] == base.code else None

    def in_base(row: Row) -> bool:
        if row[1] == "quantity" and row[3] == UCUM:
            found = converted(row[2], row[4])
            return found is not None and base_test(found)
        if row[1] == "range" and row[4] == UCUM:
            low, high = converted(row[2], row[5]), converted(row[3], row[5])
            return (low is not None or high is not None) and base_spread(low, high)
        return False

    return in_base


def _spread(prefix: str, exact: Decimal, a: Decimal, b: Decimal) -> Callable[[Any, Any], bool]:
    """A Range [low, high], None for an open end, against the [a, b) that a search value stands for."""

    def within(low: Any, high: Any) -> bool:
        return low is not None and high is not None and a <= low and high < b

    tests: dict[str, Callable[[Any, Any], bool]] = {
        "eq": within,
        "ne": lambda low, high: not within(low, high),
        "gt": lambda _low, high: high is None or high > exact,
        "ge": lambda _low, high: high is None or high >= exact,
        "lt": lambda low, _high: low is None or low < exact,
        "le": lambda low, _high: low is None or low <= exact,
        "sa": lambda low, _high: low is not None and low > exact,
        "eb": lambda _low, high: high is not None and high < exact,
        "ap": lambda low, high: (low is None or low <= b) and (high is None or high >= a),
    }
    return tests[prefix]


def _compare(value: NumberValue | QuantityValue, exact: Decimal, low: Decimal, high: Decimal) -> Callable[[Any], bool]:
    """eq and ne go by the digits given, the others by the exact value, ap by 10 %."""
    match value.prefix:
        case "eq":
            return lambda found: bool(low <= found < high)
        case "ne":
            return lambda found: not low <= found < high
        case "gt" | "sa":
            return lambda found: bool(found > exact)
        case "lt" | "eb":
            return lambda found: bool(found < exact)
        case "ge":
            return lambda found: bool(found >= exact)
        case "le":
            return lambda found: bool(found <= exact)
    return lambda found: bool(low <= found <= high)
