# SPDX-License-Identifier: Apache-2.0
"""Does a resource match a clause? Exact R4 semantics over its index rows.

The encrypted index answers with candidates; this decides. It is also the plain reference for tests of the
index. Codes are compared exactly, case included; strings without case and accents, from the start of the
text or of a word. https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import asin, cos, radians, sin, sqrt
from typing import Any

from salus.fhir.search import amounts, words
from salus.fhir.search.clauses import (
    Clause,
    CompositeValue,
    DateValue,
    Filter,
    Join,
    MembersValue,
    NearValue,
    NumberValue,
    OfTypeValue,
    QuantityValue,
    ReferenceValue,
    SoundValue,
    StringValue,
    TargetsValue,
    TokenValue,
    UriValue,
    Value,
    WordsValue,
)
from salus.fhir.search.folding import fold

Row = tuple[Any, ...]
Test = Callable[[Row], bool]

_EARTH_METRES = 6_371_008.8


def matches(clause: Clause, rows: Iterable[Row]) -> bool:
    """Whether the rows of a resource satisfy a clause.

    Args:
        clause: from `query.parse`.
        rows: from `Extractor.rows_for`; for `_id` and `_lastUpdated` rows of a family of that name, made by the
            caller.
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
    tests = tuple(_of(clause, value) for value in clause.values)
    if clause.modifier == "unequal":
        there = _present(clause)
        return lambda rows: any(row[0] in families and there(row) and not any(t(row) for t in tests) for row in rows)
    wanted = clause.modifier not in ("not", "not-in")
    if len(tests) == 1:
        test = tests[0]
        return lambda rows: wanted is any(row[0] in families and test(row) for row in rows)
    return lambda rows: wanted is any(row[0] in families and any(t(row) for t in tests) for row in rows)


def filter_matcher(asked: Filter) -> Callable[[Sequence[Row]], bool]:
    """The same for a filter without chains."""
    parts = [
        filter_matcher(part) if isinstance(part, Filter) else matcher(part)
        for part in asked.parts
        if not isinstance(part, Join)
    ]
    match asked.op:
        case "not":
            return lambda rows: not parts[0](rows)
        case "or":
            return lambda rows: any(part(rows) for part in parts)
    return lambda rows: all(part(rows) for part in parts)


def _part(part: Clause | Filter | Join) -> Callable[[Sequence[Row]], bool]:
    if isinstance(part, Join):
        raise TypeError("a chain cannot be judged on one record")
    return filter_matcher(part) if isinstance(part, Filter) else matcher(part)


def _present(clause: Clause) -> Test:
    """Whether a row is a value of the parameter at all."""
    kind, targets = clause.kind, clause.targets
    if kind == "composite":
        parts = clause.components
        return lambda row: all(
            any(each[0] in part.families and each[1] != "text" for each in rows)
            for part, rows in zip(parts, row[2], strict=True)
        )
    if kind != "reference":
        kinds = KINDS.get(kind, (kind,))
        return lambda row: row[1] in kinds
    return lambda row: row[1] == "identifier" or (row[1] == kind and _points_to(row[2], targets))


def _points_to(target: str, targets: tuple[str, ...]) -> bool:
    # The type behind a URL or a contained resource is not known here.
    return not targets or target.partition("/")[0] in targets or ":" in target or target.startswith("#")


KINDS = {
    "number": ("number", "range"),
    "quantity": ("quantity", "range"),
    "string": ("string", "sound"),
    "special": ("position", "words"),
}
"""Which rows are values of a parameter, where it is not the one kind of its name."""


def _of(clause: Clause, value: Value) -> Test:
    if not isinstance(value, CompositeValue):
        modifier = "words" if (clause.kind, clause.modifier) == ("string", "text") else clause.modifier
        return _test(modifier, clause.targets, value)
    tests = [
        (frozenset(part.families), _test("", part.targets, each))
        for part, each in zip(clause.components, value.parts, strict=True)
    ]
    return lambda row: all(
        any(each[0] in families and test(each) for each in rows)
        for (families, test), rows in zip(tests, row[2], strict=True)
    )


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
            return amounts.number(value)
        case QuantityValue():
            return amounts.quantity(value)
        case UriValue(text):
            return _uri(modifier, text)
    return _special(value)


def _special(value: Value) -> Test:
    match value:
        case MembersValue(members):
            return lambda row: row[1] == "token" and (row[2], row[3]) in members
        case TargetsValue(names):
            return lambda row: row[1] == "reference" and row[2] in names
        case OfTypeValue(system, code, text):
            return lambda row: row[1:] == ("of-type", system, code, text)
        case SoundValue(keys):
            return lambda row: row[1] == "sound" and keys <= row[2]
        case NearValue():
            return lambda row: row[1] == "position" and _metres(value, row[2], row[3]) <= value.metres
        case WordsValue(asked):
            told = words.test(asked)
            return lambda row: row[1] == "words" and told(row[2])
    raise TypeError(type(value).__name__)


def _metres(value: NearValue, latitude: float, longitude: float) -> float:
    """Distance along the earth's surface (haversine formula over a sphere of 6,371.0088 km)."""
    here, there = radians(value.latitude), radians(latitude)
    half = sin((there - here) / 2) ** 2
    half += cos(here) * cos(there) * sin(radians(longitude - value.longitude) / 2) ** 2
    return 2 * _EARTH_METRES * asin(min(1.0, sqrt(half)))


def _uri(modifier: str, text: str) -> Test:
    if modifier == "below":
        under = f"{text}/"
        return lambda row: row[1] == "uri" and (row[2] == text or row[2].startswith(under))
    if modifier == "above":
        parents = frozenset(above(text))
        return lambda row: row[1] == "uri" and row[2] in parents
    return lambda row: row[1] == "uri" and row[2] == text


def above(url: str) -> list[str]:
    """A URL and those above it, by the parts of its path, each also with a slash at its end."""
    scheme, _, rest = url.partition("://")
    parts = rest.rstrip("/").split("/")
    found = [f"{scheme}://{'/'.join(parts[:length])}" for length in range(len(parts), 0, -1)]
    return [form for each in found for form in (each, f"{each}/")]


def _token(kind: str, value: TokenValue) -> Test:
    system, code = value.system, value.code
    if value.any_case and code is not None:
        folded = code.casefold()
        return lambda row: row[1] == kind and row[2] == system and row[3].casefold() == folded
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
            # On a string: its words, in any order and each from its beginning.
            some = folded.split()
            return lambda row: (
                (row[1] == "text" and _starts(fold(row[2]), folded))
                or (row[1] == "string" and all(_starts(fold(row[2]), word) for word in some))
            )
        case "whole":
            return lambda row: row[1] == "string" and fold(row[2]) == folded
        case "starts":
            return lambda row: row[1] == "string" and fold(row[2]).startswith(folded)
        case "ends":
            return lambda row: row[1] == "string" and fold(row[2]).endswith(folded)
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
