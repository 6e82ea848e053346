# SPDX-License-Identifier: Apache-2.0
"""Does a resource match a clause? Exact R4 semantics over its index rows.

The encrypted index answers with candidates; this decides. It is also the plain reference for tests of the
index. Codes are compared exactly, case included; strings without case and accents, from the start of the
text or of a word. https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from salus.fhir.search.clauses import (
    Clause,
    DateValue,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    StringValue,
    TokenValue,
    UriValue,
    Value,
)
from salus.fhir.search.folding import fold

Row = tuple[Any, ...]
Test = Callable[[Row], bool]


def matches(clause: Clause, rows: Iterable[Row]) -> bool:
    """Whether the rows of a resource satisfy a clause.

    Args:
        clause: from `query.parse`.
        rows: from `Extractor.rows`, with `texts=True` when the modifier is `text`; for `_id` and
            `_lastUpdated` rows of a family of that name, made by the caller.
    """
    return matcher(clause)(rows)


def matcher(clause: Clause) -> Callable[[Iterable[Row]], bool]:
    """The same as a function of the rows, for a clause that is put to many resources."""
    families = frozenset(clause.families)
    if clause.modifier == "missing":
        there = _present(clause)
        value = clause.values[0]
        missing = isinstance(value, TokenValue) and value.code == "true"
        return lambda rows: missing is not any(row[0] in families and there(row) for row in rows)
    tests = tuple(_test(clause.modifier, clause.targets, value) for value in clause.values)
    wanted = clause.modifier != "not"
    if len(tests) == 1:
        test = tests[0]
        return lambda rows: wanted is any(row[0] in families and test(row) for row in rows)
    return lambda rows: wanted is any(row[0] in families and any(t(row) for t in tests) for row in rows)


def _present(clause: Clause) -> Test:
    """Whether a row is a value of the parameter at all."""
    kind, targets = clause.kind, clause.targets
    if kind != "reference":
        return lambda row: row[1] == kind
    return lambda row: row[1] == "identifier" or (row[1] == kind and _points_to(row[2], targets))


def _points_to(target: str, targets: tuple[str, ...]) -> bool:
    # The type behind a URL or a contained resource is not known here.
    return not targets or target.partition("/")[0] in targets or ":" in target or target.startswith("#")


def _test(modifier: str, targets: tuple[str, ...], value: Value) -> Test:
    match value:
        case TokenValue():
            return _token("identifier" if modifier == "identifier" else "token", value)
        case StringValue():
            return _string(modifier, value)
        case ReferenceValue():
            return _reference(targets, value)
        case DateValue():
            return _date(value)
        case NumberValue():
            return _number(value)
        case QuantityValue():
            return _quantity(value)
        case UriValue(text):
            return lambda row: row[1] == "uri" and row[2] == text


def _token(kind: str, value: TokenValue) -> Test:
    system, code = value.system, value.code
    if system is None:
        return lambda row: row[1] == kind and row[3] == code
    if code is None:
        return lambda row: row[1] == kind and row[2] == system
    return lambda row: row[1] == kind and row[3] == code and row[2] == system


def _string(modifier: str, value: StringValue) -> Test:
    text, folded = value.text, value.folded
    match modifier:
        case "exact":
            return lambda row: row[1] == "string" and row[2] == text
        case "contains":
            return lambda row: row[1] == "string" and folded in fold(row[2])
        case "text":
            return lambda row: row[1] == "text" and _starts(fold(row[2]), folded)
    return lambda row: row[1] == "string" and _starts(fold(row[2]), folded)


def _starts(field: str, asked: str) -> bool:
    return field.startswith(asked) or f" {asked}" in field


def _reference(targets: tuple[str, ...], value: ReferenceValue) -> Test:
    if value.url is not None:
        url = value.url
        return lambda row: row[1] == "reference" and row[2] == url
    if value.type is not None:
        target = f"{value.type}/{value.id}"
        return lambda row: row[1] == "reference" and row[2] == target
    identity = value.id

    def same_id(row: Row) -> bool:
        if row[1] != "reference":
            return False
        type_, _, found = row[2].partition("/")
        return found == identity and (not targets or type_ in targets)

    return same_id


def _date(value: DateValue) -> Test:
    """Compare [low, high) of the resource with [a, b) of the search; https://hl7.org/fhir/R4/search.html#prefix."""
    a, b = value.low_ms, value.high_ms

    def within(low: int | None, high: int | None) -> bool:
        return low is not None and high is not None and a <= low and high <= b

    def after(_low: int | None, high: int | None) -> bool:
        return high is None or high > b

    def before(low: int | None, _high: int | None) -> bool:
        return low is None or low < a

    tests: dict[str, Callable[[int | None, int | None], bool]] = {
        "eq": within,
        "ne": lambda low, high: not within(low, high),
        "gt": after,
        "lt": before,
        "ge": lambda low, high: after(low, high) or within(low, high),
        "le": lambda low, high: before(low, high) or within(low, high),
        "sa": lambda low, _high: low is not None and low >= b,
        "eb": lambda _low, high: high is not None and high <= a,
        "ap": lambda low, high: (low is None or low < b) and (high is None or high > a),
    }
    test = tests[value.prefix]
    return lambda row: row[1] == "date" and test(row[2], row[3])


def _number(value: NumberValue) -> Test:
    test = _compare(value)
    return lambda row: row[1] == "number" and test(row[2])


def _quantity(value: QuantityValue) -> Test:
    test, system, code = _compare(value), value.system, value.code

    def same_unit(row: Row) -> bool:
        if system is not None:
            return row[3] == system and code in (None, row[4])
        return code is None or code in (row[4], row[5])

    return lambda row: row[1] == "quantity" and test(row[2]) and same_unit(row)


def _compare(value: NumberValue | QuantityValue) -> Callable[[Any], bool]:
    """eq and ne go by the digits given, the others by the exact value, ap by 10 %."""
    exact, low, high = value.value, value.low, value.high
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
