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
    Words,
    WordsValue,
)
from salus.fhir.search.few import FEW_WORDS
from salus.fhir.search.match import above
from salus.kernel.errors import Kind, Problem
from salus.records.store.read import OPEN_SPAN, Span

_MAX_TERMS = 4_000
_UNTYPED = ("missing", "not", "not-in", "unequal", "text", "contains", "ends")  # modifiers that tokens cannot answer
_MOST_MEMBERS = 1_500  # of a value set; a larger one is left to opening
_MOST_TARGETS = 1_000


Check = Callable[[dict[str, Any], list[tuple[Any, ...]]], bool]
"""(resource, its index rows) -> whether something holds that no clause can say."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a search is answered.

    Attributes:
        expression: over tokens; empty when the index cannot narrow.
        rest: clauses to check on the opened candidates.
        filters: filters to check on them too.
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
    filters: tuple[Filter, ...] = ()

    def among(self, ids: frozenset[str]) -> Plan:
        """The same, only for records with one of these ids."""
        return replace(self, ids=ids if self.ids is None else self.ids & ids)

    @property
    def exact(self) -> bool:
        """Whether the index alone says it all."""
        return not self.rest and not self.checks and not self.filters


Held = Callable[[str], bool]
"""Tells whether any record carries a token."""


def _maybe(_term: str) -> bool:
    return True


def plan(
    type_: str,
    clauses: Iterable[Clause],
    index: BlindIndex,
    held: Held = _maybe,
    *,
    filters: Iterable[Filter] = (),
) -> Plan:
    """Lower the clauses of one type.

    Args:
        filters: conditions of `_filter`.
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
    asked = tuple(filters)
    parts += [part for each in asked if (part := _filter(type_, each, index, held))]
    expression = " AND ".join(parts)
    if expression.count(" OR ") > _MAX_TERMS:
        raise Problem(Kind.TOO_COSTLY, "The search asks for too many values at once.")
    return Plan(expression, tuple(rest), ids, updated, filters=asked)


def _filter(type_: str, asked: Filter | Clause | Join, index: BlindIndex, held: Held) -> str:
    """What the index can say of a filter; "" when nothing. Filters are checked on the opened record in any case."""
    if isinstance(asked, Clause):
        return "" if asked.parameter in ("_id", "_lastUpdated") else _lower(type_, asked, index, held)[0]
    if isinstance(asked, Join) or asked.op == "not":
        return ""
    parts = [_filter(type_, part, index, held) for part in asked.parts]
    if asked.op == "or":
        return _any(parts) if all(parts) else ""
    return _every([part for part in parts if part])


def _lower(type_: str, clause: Clause, index: BlindIndex, held: Held) -> tuple[str, bool]:
    """The expression of one clause ("" when the index cannot help), and whether it says everything."""
    if not clause.indexed or clause.modifier in _UNTYPED:
        return "", False
    alternatives: list[str] = []
    exact = True
    for value in clause.values:
        for family in clause.families:
            lowered = _value(type_, family, clause, value, index, held)
            if lowered is None:  # one alternative that cannot be narrowed opens the whole clause
                return "", False
            terms, sure = lowered
            alternatives.append(terms)
            exact = exact and sure
    return _any(alternatives), exact


def _value(type_: str, family: str, clause: Clause, value: Value, index: BlindIndex, held: Held) -> _Lowered:
    match value:
        case DateValue():
            return _date(type_, family, value, index, held)
        case NumberValue() | QuantityValue():
            return _number(type_, family, value, index, held)
        case CompositeValue():
            return _composite(type_, clause, value, index, held)
        case NearValue():
            return None
    return _LOWER[type(value)](type_, family, clause, value, index)


def _every(parts: list[str]) -> str:
    unique = list(dict.fromkeys(parts))
    return unique[0] if len(unique) == 1 else f"({' AND '.join(unique)})" if unique else ""


def _any(terms: Iterable[str]) -> str:
    unique = list(dict.fromkeys(terms))
    return unique[0] if len(unique) == 1 else f"({' OR '.join(unique)})"


_Lowered = tuple[str, bool] | None


def _token(type_: str, family: str, clause: Clause, value: TokenValue, index: BlindIndex) -> _Lowered:
    if value.code is None or value.any_case:
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


def _members(type_: str, family: str, clause: Clause, value: MembersValue, index: BlindIndex) -> _Lowered:
    if not value.members:
        return _nothing(index), True
    if len(value.members) > _MOST_MEMBERS:
        return None
    terms = [term for member in sorted(value.members) for term in index.token_terms(type_, family, *member)]
    return _any(terms), all(system for system, _ in value.members)


def _nothing(index: BlindIndex) -> str:
    """An expression that no record fulfils: the token of a type that there is not."""
    return index.type_term("no type")


def _targets(type_: str, family: str, clause: Clause, value: TargetsValue, index: BlindIndex) -> _Lowered:
    if not value.names:
        return _nothing(index), True
    if len(value.names) > _MOST_TARGETS:
        return None
    return _any(term for name in sorted(value.names) for term in index.reference_terms(type_, family, name)), True


def _of_type(type_: str, family: str, clause: Clause, value: OfTypeValue, index: BlindIndex) -> _Lowered:
    return _any(index.token_terms(type_, family, None, value.value)), False


def _sound(type_: str, family: str, clause: Clause, value: SoundValue, index: BlindIndex) -> _Lowered:
    return _every(index.sound_terms(type_, family, sorted(value.keys))), False


def _words(type_: str, _family: str, clause: Clause, value: WordsValue, index: BlindIndex) -> _Lowered:
    """Words of the narrative are words of the content: one family answers `_text` and `_content`."""
    expression = _asked_words(type_, value.asked, index)
    return (expression, False) if expression else None


def _asked_words(type_: str, asked: Words, index: BlindIndex) -> str:
    if asked.op == "phrase":
        telling = (word for word in asked.words if word not in FEW_WORDS)
        known = [terms for word in telling if (terms := index.word_terms(type_, "_content", word)) is not None]
        return _every([_any(terms) for terms in known])
    if asked.op == "not":
        return ""
    parts = [_asked_words(type_, part, index) for part in asked.parts]
    if asked.op == "or":
        return _any(parts) if all(parts) else ""
    return _every([part for part in parts if part])


def _composite(type_: str, clause: Clause, value: CompositeValue, index: BlindIndex, held: Held) -> _Lowered:
    """Candidates have every component somewhere; whether in one element is seen on the opened record."""
    found = []
    for component, part in zip(clause.components, value.parts, strict=True):
        families = component.narrowing
        as_asked = replace(clause, kind=component.kind, families=families, targets=component.targets, values=(part,))
        if families and (expression := _lower(type_, as_asked, index, held)[0]):
            found.append(expression)
    return (_every(found), False) if found else None


def _string(type_: str, family: str, clause: Clause, value: StringValue, index: BlindIndex) -> _Lowered:
    terms = index.string_terms(type_, family, value.text, whole=clause.modifier in ("exact", "whole"))
    return None if terms is None else (_any(terms), False)


def _uri(type_: str, family: str, clause: Clause, value: UriValue, index: BlindIndex) -> _Lowered:
    if clause.modifier == "below":
        return None
    if clause.modifier == "above":
        return _any(term for url in above(value.text) for term in index.uri_terms(type_, family, url)), True
    return _any(index.uri_terms(type_, family, value.text)), True


def _date(type_: str, family: str, value: DateValue, index: BlindIndex, held: Held) -> _Lowered:
    intervals = held(index.interval_term(type_, family))
    asked = (value.prefix, value.low_ms, value.high_ms)
    terms = index.date_terms(type_, family, *asked, intervals=intervals)
    if terms is None:
        return None
    expression = "(" + " AND ".join(_any(alternatives) for alternatives in terms) + ")"
    return expression, not intervals and exact_dates(*asked)


def _number(type_: str, family: str, value: NumberValue | QuantityValue, index: BlindIndex, held: Held) -> _Lowered:
    prefix = value.prefix
    if prefix == "ne":
        return None
    base = value.base if isinstance(value, QuantityValue) else None
    low = None if prefix in {"lt", "le", "eb"} else (base or value).low
    high = None if prefix in {"gt", "ge", "sa"} else (base or value).high
    if base is not None:
        terms = index.base_terms(type_, family, base.code, low, high)
    else:
        terms = index.number_terms(type_, family, low, high)
    spread = index.range_term(type_, family)
    return _any([*terms, spread] if held(spread) else terms), False


_LOWER: dict[type[Value], Callable[..., _Lowered]] = {
    TokenValue: _token,
    ReferenceValue: _reference,
    StringValue: _string,
    UriValue: _uri,
    MembersValue: _members,
    TargetsValue: _targets,
    OfTypeValue: _of_type,
    SoundValue: _sound,
    WordsValue: _words,
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
