# SPDX-License-Identifier: Apache-2.0
"""From the clauses of a search to a full-text expression over blind tokens.

The index narrows, it does not decide: whatever a token cannot say exactly is checked afterwards on the opened record.
`Plan.expression` may therefore admit too much, never too little; `Plan.rest` are the clauses still to be checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from salus.crypto.blind_index import BlindIndex
from salus.crypto.calendar_tree import exact as exact_dates
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
from salus.kernel.errors import Kind, Problem
from salus.records.store.read import OPEN_SPAN, Span

_MAX_TERMS = 4_000
_UNTYPED = ("missing", "not", "text", "contains")  # modifiers that tokens cannot answer


Check = Callable[[dict[str, Any], list[tuple[Any, ...]]], bool]
"""(resource, its index rows) -> whether something holds that no clause can say."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a search is answered.

    Attributes:
        expression: over tokens; empty when the index cannot narrow.
        rest: clauses to check on the opened candidates.
        ids: logical ids when `_id` names them; None without.
        updated: [from, to) of `_lastUpdated` in milliseconds.
        checks: to be put to the opened candidates too, for chains.
        relied: (type, expression) of the searches over other records that this plan rests on.
    """

    expression: str
    rest: tuple[Clause, ...]
    ids: frozenset[str] | None = None
    updated: Span = OPEN_SPAN
    checks: tuple[Check, ...] = ()
    relied: tuple[tuple[str, str], ...] = ()

    def among(self, ids: frozenset[str]) -> Plan:
        """The same, only for records with one of these ids."""
        return replace(self, ids=ids if self.ids is None else self.ids & ids)

    @property
    def exact(self) -> bool:
        """Whether the index alone says it all."""
        return not self.rest and not self.checks


Held = Callable[[str], bool]
"""Tells whether any record carries a token."""


def _maybe(_term: str) -> bool:
    return True


def plan(type_: str, clauses: Iterable[Clause], index: BlindIndex, held: Held = _maybe) -> Plan:
    """Lower the clauses of one type.

    Args:
        held: asked which kinds of dates there are, so that questions stay short. Without it all kinds are expected, as
            a plan must that is to hold for records yet to be written.

    Raises:
        Problem: TOO_COSTLY when the expression would name thousands of tokens.
    """
    parts: list[str] = []
    rest: list[Clause] = []
    ids: frozenset[str] | None = None
    updated: Span = OPEN_SPAN
    for clause in clauses:
        if clause.parameter == "_id" and not clause.modifier:
            named = frozenset(
                value.code or "" for value in clause.values if isinstance(value, TokenValue) and not value.system
            )
            ids = named if ids is None else ids & named
            continue
        if clause.parameter == "_lastUpdated":
            updated = _both(updated, _span(clause))
            rest.append(clause)
            continue
        part, exact = _lower(type_, clause, index, held)
        if part:
            parts.append(part)
        if not exact:
            rest.append(clause)
    expression = " AND ".join(parts)
    if expression.count(" OR ") > _MAX_TERMS:
        raise Problem(Kind.TOO_COSTLY, "The search asks for too many values at once.")
    return Plan(expression, tuple(rest), ids, updated)


def _lower(type_: str, clause: Clause, index: BlindIndex, held: Held) -> tuple[str, bool]:
    """The expression of one clause ("" when the index cannot help), and whether it says everything."""
    if not clause.indexed or clause.modifier in _UNTYPED:
        return "", False
    alternatives: list[str] = []
    exact = True
    for value in clause.values:
        for family in clause.families:
            if isinstance(value, DateValue):
                lowered = _date(type_, family, value, index, held)
            else:
                lowered = _LOWER[type(value)](type_, family, clause, value, index)
            if lowered is None:  # one alternative that cannot be narrowed opens the whole clause
                return "", False
            terms, sure = lowered
            alternatives.append(terms)
            exact = exact and sure
    return _any(alternatives), exact


def _any(terms: Iterable[str]) -> str:
    unique = list(dict.fromkeys(terms))
    return unique[0] if len(unique) == 1 else f"({' OR '.join(unique)})"


_Lowered = tuple[str, bool] | None


def _token(type_: str, family: str, clause: Clause, value: TokenValue, index: BlindIndex) -> _Lowered:
    if value.code is None:
        return None
    if clause.modifier == "identifier":
        return _any(index.identifier_terms(type_, family, value.system, value.code)), value.system != ""
    return _any(index.token_terms(type_, family, value.system, value.code)), value.system != ""


def _reference(type_: str, family: str, clause: Clause, value: ReferenceValue, index: BlindIndex) -> _Lowered:
    if value.url is not None:
        return _any(index.reference_terms(type_, family, value.url)), False
    if value.type is not None:
        targets = [f"{value.type}/{value.id}"]
    elif clause.targets:
        targets = [f"{target}/{value.id}" for target in clause.targets]
    else:
        return None
    return _any(term for target in targets for term in index.reference_terms(type_, family, target)), True


def _string(type_: str, family: str, clause: Clause, value: StringValue, index: BlindIndex) -> _Lowered:
    terms = index.string_terms(type_, family, value.text, whole=clause.modifier == "exact")
    return None if terms is None else (_any(terms), False)


def _uri(type_: str, family: str, clause: Clause, value: UriValue, index: BlindIndex) -> _Lowered:
    return _any(index.uri_terms(type_, family, value.text)), True


def _date(type_: str, family: str, value: DateValue, index: BlindIndex, held: Held) -> _Lowered:
    intervals = held(index.interval_term(type_, family))
    asked = (value.prefix, value.low_ms, value.high_ms)
    terms = index.date_terms(type_, family, *asked, intervals=intervals)
    if terms is None:
        return None
    expression = "(" + " AND ".join(_any(alternatives) for alternatives in terms) + ")"
    return expression, not intervals and exact_dates(*asked)


def _number(type_: str, family: str, clause: Clause, value: NumberValue | QuantityValue, index: BlindIndex) -> _Lowered:
    prefix = value.prefix
    if prefix == "ne":
        return None
    low = None if prefix in {"lt", "le", "eb"} else value.low
    high = None if prefix in {"gt", "ge", "sa"} else value.high
    return _any(index.number_terms(type_, family, low, high)), False


_LOWER: dict[type[Value], Callable[..., _Lowered]] = {
    TokenValue: _token,
    ReferenceValue: _reference,
    StringValue: _string,
    UriValue: _uri,
    NumberValue: _number,
    QuantityValue: _number,
}


def _span(clause: Clause) -> Span:
    """The narrowest [from, to) that holds every alternative; open where a prefix or modifier leaves it open."""
    if clause.modifier:
        return OPEN_SPAN
    low: int | None = None
    high: int | None = None
    for number, value in enumerate(clause.values):
        if not isinstance(value, DateValue):
            return OPEN_SPAN
        start = value.low_ms if value.prefix in {"eq", "ge", "gt", "sa", "ap"} else None
        end = value.high_ms if value.prefix in {"eq", "le", "lt", "eb", "ap"} else None
        if number == 0:
            low, high = start, end
        else:
            low = None if low is None or start is None else min(low, start)
            high = None if high is None or end is None else max(high, end)
    return low, high


def _both(one: Span, other: Span) -> Span:
    lows = [low for low in (one[0], other[0]) if low is not None]
    highs = [high for high in (one[1], other[1]) if high is not None]
    return max(lows, default=None), min(highs, default=None)
