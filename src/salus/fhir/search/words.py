# SPDX-License-Identifier: Apache-2.0
"""Words of a resource, and what `_text` and `_content` ask of them.

`_text` looks at the narrative, `_content` at the narrative and every element of free text: names, displays, notes,
descriptions. Words are runs of letters and digits, without case and accents, compared in full. A question combines
them: words beside each other must all be there, `OR` and `NOT` and brackets mean what they say, "words in quotes"
follow each other. https://hl7.org/fhir/R4/search.html#content
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

from salus.fhir.definitions import PRIMITIVES, fields
from salus.fhir.search.clauses import Words
from salus.fhir.search.few import FEW_WORDS
from salus.fhir.search.folding import fold
from salus.fhir.search.terms import refuse

_WORD = re.compile(r"[^\W_]+")
_TAG = re.compile(r"<[^>]*>")
_NO_WORDS = frozenset({"value", "reference", "unit", "version", "id"})  # strings in R4, but no words of anybody
_WORDLESS = frozenset(
    {"Quantity", "SimpleQuantity", "Age", "Duration", "Count", "Distance", "Money", "Range", "Ratio"}
    | {"Period", "Timing", "SampledData", "Meta"}
)
_SIGNS = re.compile(r'"([^"]*)"|([()])|([^\s()"]+)')
_DEEPEST = 20


def split(text: str) -> list[str]:
    """Words of a text, folded, in their order."""
    return _WORD.findall(fold(text))


def telling(text: str) -> list[str]:
    """Words of a text that may stand in the index: all but those that would be told from their frequency."""
    return [word for word in split(text) if word not in FEW_WORDS]


def narrative(resource: dict[str, object]) -> str:
    """The text of the narrative without its tags; "" when there is none."""
    text = resource.get("text")
    div = text.get("div") if isinstance(text, dict) else None
    return _plain(div) if isinstance(div, str) else ""


def content(resource: dict[str, Any]) -> tuple[list[str], list[str]]:
    """All free text of a resource, piece by piece: that of codes, which comes again and again, and the rest."""
    coded: list[str] = []
    others: list[str] = []
    _walk(resource, _plan(resource["resourceType"]), coded, others)
    return coded, others


def _plain(div: str) -> str:
    return html.unescape(_TAG.sub(" ", div))


# ── walking ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_TEXT, _CODED, _DIV, _ANY = "text", "text of a code", "div", "any resource"
_CONCEPTS = ("Coding", "CodeableConcept")
_Plan = dict[str, Any]


def _walk(node: dict[str, Any], plan: _Plan, coded: list[str], others: list[str]) -> None:
    for key, value in node.items():
        what = plan.get(key)
        if what is None or value is None:
            continue
        if what is _CODED:
            coded.append(value)
        elif what is _TEXT:
            if type(value) is str:
                others.append(value)
            else:
                others.extend(each for each in value if each is not None)
        elif what is _DIV:
            others.append(_plain(value))
        elif type(value) is dict:
            _walk(value, _plan(value["resourceType"]) if what is _ANY else what, coded, others)
        elif type(value) is list:
            for each in value:
                if type(each) is dict:
                    _walk(each, _plan(each["resourceType"]) if what is _ANY else what, coded, others)


def _plan(path: str) -> _Plan:
    """JSON keys of a type under which there is free text, with what stands there: text, or the plan of a type."""
    known = _plans.get(path)
    if known is not None:
        return known
    plan: _Plan = {}
    _plans[path] = plan  # before it is complete, because types hold each other: an Extension has extensions
    for name, field in fields(path).items():
        base = name.removesuffix("[x]")
        for kind in field.types:
            key = base if base == name else base + kind.removeprefix("#")[0].upper() + kind.removeprefix("#")[1:]
            what = _what(path, key, kind.removeprefix("#"))
            if what is not None:
                plan[key] = what
    return plan


_plans: dict[str, _Plan] = {}
"""Made on first use."""


def _what(path: str, key: str, kind: str) -> Any:
    if kind in ("string", "markdown"):
        return None if key in _NO_WORDS else _CODED if path in _CONCEPTS else _TEXT
    if kind == "xhtml":
        return _DIV
    if kind == "Resource":
        return _ANY
    if kind in PRIMITIVES or kind in _WORDLESS:
        return None
    return _plan(kind)


def rows(resource: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Rows ("_text" or "_content", "words", text) of a resource, for looking at opened candidates."""
    coded, others = content(resource)
    return [
        ("_text", "words", joined(narrative(resource))),
        # Words of two elements do not follow each other.
        ("_content", "words", " | ".join(joined(text) for text in coded + others)),
    ]


def joined(text: str) -> str:
    """Words in their order, each surrounded by single spaces."""
    return f" {' '.join(split(text))} "


# ── questions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def read(text: str) -> Words:
    """Read a question.

    Raises:
        Problem: INCORRECT when it holds no word or its brackets do not fit.
    """
    signs = [(found[0] or found[2], bool(found[0]), found[1]) for found in _SIGNS.findall(text)]
    reader = _Reader([sign for sign in signs if sign[0] or sign[2]])
    asked = reader.either(0)
    reader.end()
    return asked


class _Reader:
    """Recursive descent: `or` binds weakest, then `and` (said or not), then `not`."""

    def __init__(self, signs: list[tuple[str, bool, str]]) -> None:
        self._signs = signs
        self._at = 0

    def either(self, depth: int) -> Words:
        if depth > _DEEPEST:
            raise refuse("is nested too deeply")
        parts = [self._all(depth)]
        while self._word("or"):
            parts.append(self._all(depth))
        return _joined("or", parts)

    def end(self) -> None:
        if self._at < len(self._signs):
            raise refuse("has brackets that do not fit")

    def _all(self, depth: int) -> Words:
        parts = [self._one(depth)]
        while self._at < len(self._signs) and self._signs[self._at][2] != ")" and not self._next_is("or"):
            self._word("and")
            parts.append(self._one(depth))
        return _joined("and", parts)

    def _one(self, depth: int) -> Words:
        if self._word("not"):
            if depth > _DEEPEST:
                raise refuse("is nested too deeply")
            return Words("not", parts=(self._one(depth + 1),))
        if self._at >= len(self._signs):
            raise refuse("ends where a word is expected")
        text, _, bracket = self._signs[self._at]
        self._at += 1
        if bracket == "(":
            found = self.either(depth + 1)
            if self._at >= len(self._signs) or self._signs[self._at][2] != ")":
                raise refuse("has brackets that do not fit")
            self._at += 1
            return found
        words = tuple(split(text))
        if bracket or not words:
            raise refuse("has something else where a word is expected")
        return Words("phrase", words)

    def _next_is(self, word: str) -> bool:
        if self._at >= len(self._signs):
            return False
        text, quoted, _ = self._signs[self._at]
        return not quoted and text.lower() == word

    def _word(self, word: str) -> bool:
        if self._next_is(word):
            self._at += 1
            return True
        return False


def _joined(op: str, parts: list[Words]) -> Words:
    return parts[0] if len(parts) == 1 else Words(op, parts=tuple(parts))


def test(asked: Words) -> Callable[[str], bool]:
    """The question as a function of words in their order, joined and surrounded by single spaces."""
    if asked.op == "phrase":
        wanted = f" {' '.join(asked.words)} "
        return lambda text: wanted in text
    parts = [test(part) for part in asked.parts]
    if asked.op == "not":
        return lambda text: not parts[0](text)
    every = all if asked.op == "and" else any
    return lambda text: every(part(text) for part in parts)
