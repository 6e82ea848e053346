# SPDX-License-Identifier: Apache-2.0
"""Read `_filter`: conditions on search parameters, combined with `and`, `or`, `not` and brackets.

    name co "pet" and (birthdate ge 2014-10-10 or not (gender eq male))

A condition is `parameter operator value`; the parameter may be a chain (`subject.name`). Values are text in quotes
(with the escapes of JSON), or run to the next space or bracket. `not` binds strongest, then `and`, then `or`.
https://hl7.org/fhir/R4/search_filter.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

from salus.fhir.search.clauses import Clause, DateValue, Filter, Join, TokenValue
from salus.fhir.search.joins import is_join, join
from salus.fhir.search.parameters import Parameter
from salus.fhir.search.reading import Setting, clause, parameter
from salus.fhir.search.spots import WORDY
from salus.fhir.search.terms import refuse, unanswered

MAX_CONDITIONS = 50
_DEEPEST = 20

_SIGN = re.compile(r'\s*(?:([()\[\]])|("(?:[^"\\]|\\.)*")|([^\s()\[\]"]+))')
_ORDERED = ("date", "number", "quantity")
_NEVER = ("composite", "special")

OPERATORS = {
    "eq": "has this value",
    "ne": "has another value than this one",
    "co": "a text that contains this one",
    "sw": "a text that begins with this one",
    "ew": "a text that ends with this one",
    "gt": "greater, or later",
    "lt": "less, or earlier",
    "ge": "greater or equal",
    "le": "less or equal",
    "ap": "about the same",
    "sa": "begins after this one",
    "eb": "ends before this one",
    "pr": "`true`: there is a value; `false`: there is none",
    "po": "a period that overlaps this one",
    "ss": "a code that this one subsumes: this one or one below it",
    "sb": "a code that subsumes this one: this one or one above it",
    "in": "a code in this value set",
    "ni": "no code in this value set",
    "re": "a reference to this record",
}


def read(type_: str, text: str, setting: Setting) -> Filter:
    """Read a filter on a type.

    Raises:
        Problem: INCORRECT for what is not understood; TOO_COSTLY for too many values.
    """
    reader = _Reader(type_, text, setting)
    found = reader.either(0)
    reader.end()
    return found if isinstance(found, Filter) else Filter("and", (found,))


_Part = Clause | Filter | Join


class _Reader:
    """Recursive descent over the signs of one filter."""

    def __init__(self, type_: str, text: str, setting: Setting) -> None:
        self._type = type_
        self._setting = setting
        self._conditions = 0
        self._signs: list[tuple[str, bool]] = []
        self._at = 0
        at, text = 0, text.rstrip()
        while at < len(text):
            found = _SIGN.match(text, at)
            if found is None:
                raise refuse("holds quotes that do not end")
            self._signs.append((found[found.lastindex or 1], found.lastindex == 2))
            at = found.end()

    def either(self, depth: int) -> _Part:
        if depth > _DEEPEST:
            raise refuse("is nested too deeply")
        parts = [self._all(depth)]
        while self._eat("or"):
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else Filter("or", tuple(parts))

    def end(self) -> None:
        if self._at < len(self._signs):
            raise refuse("has something else where and, or, or the end is expected")

    def _all(self, depth: int) -> _Part:
        parts = [self._one(depth)]
        while self._eat("and"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else Filter("and", tuple(parts))

    def _one(self, depth: int) -> _Part:
        if self._eat("not"):
            if depth > _DEEPEST:
                raise refuse("is nested too deeply")
            return Filter("not", (self._one(depth + 1),))
        if not self._eat("("):
            return self._condition()
        found = self.either(depth + 1)
        if not self._eat(")"):
            raise refuse("has brackets that do not fit")
        return found

    def _condition(self) -> _Part:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise refuse(f"holds more than {MAX_CONDITIONS} conditions")
        name = self._word("a parameter")
        if self._at < len(self._signs) and self._signs[self._at][0] == "[":
            raise unanswered("is not supported with brackets in a path")
        operator = self._word("an operator")
        if operator not in OPERATORS:
            raise refuse("has an operator that is none of R4's")
        if self._at >= len(self._signs) or self._signs[self._at][0] in "()[]":
            raise refuse("ends where a value is expected")
        text, quoted = self._signs[self._at]
        self._at += 1
        value = _unquoted(text) if quoted else text
        if is_join(self._type, name):
            return join(self._type, name, value, self._setting, read=lambda *last: _leaf(operator, *last))
        if ":" in name:
            raise refuse("has a modifier in a path: operators take their place")
        return _leaf(operator, parameter(self._type, name, self._setting.registry), None, value, self._setting)

    def _word(self, what: str) -> str:
        if self._at >= len(self._signs) or self._signs[self._at][1] or self._signs[self._at][0] in "()[]":
            raise refuse(f"has something else where {what} is expected")
        self._at += 1
        return self._signs[self._at - 1][0]

    def _eat(self, sign: str) -> bool:
        if self._at < len(self._signs) and self._signs[self._at] == (sign, False):
            self._at += 1
            return True
        return False


def _unquoted(text: str) -> str:
    try:
        value = json.loads(text, strict=False)
    except ValueError:
        raise refuse("holds a text with an escape that JSON does not have") from None
    return str(value)


def _leaf(operator: str, found: Parameter, modifier: str | None, text: str, setting: Setting) -> Clause:
    """One condition as a clause."""
    if modifier is not None:
        raise refuse("has a modifier in a path: operators take their place")
    if not text:
        raise refuse("has an empty value")
    if found.kind in _NEVER or found.code in WORDY:
        raise unanswered("names a parameter that a filter cannot compare")
    make = _MAKERS.get(operator)
    return make(found, text, setting) if make else _compared(operator, found, text, setting)


def _one_value(text: str) -> str:
    """With the signs escaped that would cut it: what a comma separates in a search is one value here."""
    return text.replace("\\", "\\\\").replace(",", "\\,").replace("$", "\\$")


def _compared(operator: str, found: Parameter, text: str, setting: Setting) -> Clause:
    """eq, ne and the operators that R4 has as prefixes."""
    ordered = found.kind in _ORDERED
    if operator not in ("eq", "ne") and not ordered:
        raise refuse(f"asks {operator} of something that has no order")
    made = clause(found, None, f"{operator if ordered else ''}{_one_value(text)}", setting)
    if operator == "ne" and not ordered:
        return replace(made, modifier="unequal", indexed=False)
    if found.kind == "string" and found.code != "phonetic":
        return replace(made, modifier="whole")
    return made


def _text(modifier: str) -> Callable[[Parameter, str, Setting], Clause]:
    def make(found: Parameter, text: str, setting: Setting) -> Clause:
        if found.kind != "string" or found.code == "phonetic":
            raise refuse("compares the text of something that is no string")
        made = clause(found, None, _one_value(text), setting)
        return replace(made, modifier=modifier, indexed=made.indexed and modifier == "starts")

    return make


def _coded(modifier: str) -> Callable[[Parameter, str, Setting], Clause]:
    def make(found: Parameter, text: str, setting: Setting) -> Clause:
        if found.kind != "token":
            raise refuse("asks for codes of something that has none")
        return clause(found, modifier, text, setting)

    return make


def _present(found: Parameter, text: str, setting: Setting) -> Clause:
    if text not in ("true", "false"):
        raise refuse("asks pr with something other than true or false")
    made = clause(found, "missing", text, setting)
    return replace(made, values=(TokenValue(None, "false" if text == "true" else "true"),))


def _overlap(found: Parameter, text: str, setting: Setting) -> Clause:
    if found.kind != "date":
        raise refuse("asks po of something that is no date")
    made = clause(found, None, text, setting)
    (value,) = made.values
    if not isinstance(value, DateValue) or value.prefix != "eq":
        raise refuse("asks po with a value that is no date")
    return replace(made, values=(DateValue("ap", value.low_ms, value.high_ms),))


def _points(found: Parameter, text: str, setting: Setting) -> Clause:
    if found.kind != "reference":
        raise refuse("asks re of something that is no reference")
    return clause(found, None, _one_value(text), setting)


_MAKERS: dict[str, Callable[[Parameter, str, Setting], Clause]] = {
    "co": _text("contains"),
    "sw": _text("starts"),
    "ew": _text("ends"),
    "pr": _present,
    "po": _overlap,
    "ss": _coded("below"),
    "sb": _coded("above"),
    "in": _coded("in"),
    "ni": _coded("not-in"),
    "re": _points,
}
