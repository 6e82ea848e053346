# SPDX-License-Identifier: Apache-2.0
"""Regular expressions of value set filters, matched in time that grows with the text and never explodes.

A filter comes from outside, and Python's own `re` can be made to work for hours by a short pattern. Here a pattern
becomes a finite automaton whose steps are remembered; one character costs one step. What an automaton cannot do (back
references, looking around) is refused when the pattern is read.

A pattern must fit the whole text (https://hl7.org/fhir/R4/valueset-filter-operator.html, `regex`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import lru_cache

from salus.kernel.errors import Kind, Problem

_MAX_PATTERN = 500
_MAX_STATES = 1_000
_MAX_TEXT = 1_024
_REMEMBERED = 2_000  # steps of one automaton

Test = Callable[[str], bool]
# A state is (test, next) for one character, (None, next, other) for a fork, ("^" or "$", next) for an edge of the text.
_State = tuple[Test | str | None, int, int]
_ACCEPT = 0

_SETS: dict[str, Test] = {
    "d": str.isdigit,
    "w": lambda c: c.isalnum() or c == "_",
    "s": str.isspace,
}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}


class Pattern:
    """A compiled pattern; `fits` tells whether it matches the whole of a text."""

    def __init__(self, text: str) -> None:
        """Raises Problem(INVALID) for what is no pattern, or none that is read here."""
        if len(text) > _MAX_PATTERN:
            raise _refused(f"is longer than {_MAX_PATTERN} characters")
        reader = _Reader(text)
        self._states, start = reader.automaton()
        self._steps: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        self._start = self._closed([start], first=True)
        self._accepts: dict[frozenset[int], bool] = {}

    def fits(self, text: str) -> bool:
        """Whether the whole text matches; text of more than 1,024 characters never does."""
        if len(text) > _MAX_TEXT:
            return False
        here = self._start
        for character in text:
            known = self._steps.get((here, character))
            if known is None:
                known = self._step(here, character)
            if not known:
                return False
            here = known
        accepted = self._accepts.get(here)
        if accepted is None:
            accepted = _ACCEPT in self._closed(here, first=not text, last=True)
            if text:
                self._accepts[here] = accepted
        return accepted

    def _step(self, here: frozenset[int], character: str) -> frozenset[int]:
        reached = []
        for index in here:
            test, following, _ = self._states[index]
            if callable(test) and test(character):
                reached.append(following)
        found = self._closed(reached)
        if len(self._steps) >= _REMEMBERED:
            self._steps.clear()
        self._steps[here, character] = found
        return found

    def _closed(self, states: list[int] | frozenset[int], *, first: bool = False, last: bool = False) -> frozenset[int]:
        """These states and all that are reached without reading a character."""
        found: set[int] = set()
        waiting = list(states)
        while waiting:
            index = waiting.pop()
            if index in found:
                continue
            found.add(index)
            if index == _ACCEPT:
                continue
            test, following, other = self._states[index]
            if test is None:
                waiting += [following, other]
            elif (test == "^" and first) or (test == "$" and last):
                waiting.append(following)
        return frozenset(found)


@lru_cache(maxsize=256)
def pattern(text: str) -> Pattern:
    """The compiled pattern, remembered; raises Problem as `Pattern` does."""
    return Pattern(text)


def _refused(why: str) -> Problem:
    return Problem(Kind.INVALID, f"A regular expression in the value set {why}.")


class _Reader:
    """Reads a pattern by recursive descent into a small tree, and builds the automaton from behind."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._states: list[_State] = [(None, _ACCEPT, _ACCEPT)]

    def automaton(self) -> tuple[list[_State], int]:
        tree = self._choice()
        if self._at < len(self._text):
            raise _refused("closes a bracket that was not opened")
        return self._states, tree(_ACCEPT)

    # Each reading gives a builder: from the state that follows to the state where this part begins.

    def _choice(self) -> Callable[[int], int]:
        self._depth += 1
        if self._depth > 50:
            raise _refused("is nested too deeply")
        parts = [self._sequence()]
        while self._take("|"):
            parts.append(self._sequence())
        self._depth -= 1

        def build(after: int) -> int:
            start = parts[-1](after)
            for part in reversed(parts[:-1]):
                start = self._add(None, part(after), start)
            return start

        return build

    def _sequence(self) -> Callable[[int], int]:
        parts = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._repeated(self._atom()))

        def build(after: int) -> int:
            for part in reversed(parts):
                after = part(after)
            return after

        return build

    def _repeated(self, part: Callable[[int], int]) -> Callable[[int], int]:
        while (bounds := self._bounds()) is not None:
            part = self._times(part, *bounds)
            self._take("?")  # lazy: the same texts fit
        return part

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return bounds
        if not self._text.startswith("{", self._at):
            return None
        end = self._text.find("}", self._at)
        low, comma, high = self._text[self._at + 1 : max(end, self._at)].partition(",")
        if end < 0 or not low.isdecimal() or (high and not high.isdecimal()):
            raise _refused("has a repetition that cannot be read")
        self._at = end + 1
        least = int(low)
        most = least if not comma else (int(high) if high else None)
        if least > 1_000 or (most is not None and not least <= most <= 1_000):
            raise _refused("repeats too often")
        return least, most

    def _times(self, part: Callable[[int], int], least: int, most: int | None) -> Callable[[int], int]:
        def build(after: int) -> int:
            if most is None:
                loop = self._add(None, after, after)
                self._states[loop] = (None, part(loop), after)
                after = loop
            else:
                skip = after
                for _ in range(most - least):
                    after = self._add(None, part(after), skip)
            for _ in range(least):
                after = part(after)
            return after

        return build

    def _atom(self) -> Callable[[int], int]:
        sign = self._next()
        if sign == "(":
            if self._take("?") and not self._take(":"):
                raise _refused("looks around or sets options, which is not read here")
            inner = self._choice()
            if not self._take(")"):
                raise _refused("opens a bracket and does not close it")
            return inner
        if sign in "^$":
            return lambda after: self._add(sign, after, after)
        if sign in "*+?{":
            raise _refused("repeats nothing")
        test = self._test(sign)
        return lambda after: self._add(test, after, after)

    def _test(self, sign: str) -> Test:
        if sign == ".":
            return lambda c: c not in "\r\n"
        if sign == "[":
            return self._set()
        if sign == "\\":
            return self._escape()
        return sign.__eq__

    def _escape(self) -> Test:
        sign = self._next()
        if sign.lower() in _SETS:
            test = _SETS[sign.lower()]
            return test if sign.islower() else lambda c: not test(c)
        if sign in "pP":
            end = self._text.find("}", self._at)
            if not self._text.startswith("{", self._at) or end < 0:
                raise _refused("has an escape that is not read here")
            category, self._at = self._text[self._at + 1 : end], end + 1
            wanted = sign == "p"
            return lambda c: unicodedata.category(c).startswith(category) is wanted
        if sign.isalnum():
            if sign in _CONTROLS:
                return _CONTROLS[sign].__eq__
            raise _refused("has an escape that is not read here")
        return sign.__eq__

    def _set(self) -> Test:
        wanted = not self._take("^")
        tests: list[Test] = []
        first = True
        while first or not self._text.startswith("]", self._at):
            first = False
            low = self._next()
            if low == "\\":
                tests.append(self._escape())
                continue
            if self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1
                high = self._next()
                if high == "\\":
                    high = self._next()
                tests.append(_between(low, high))
            else:
                tests.append(low.__eq__)
        self._at += 1
        return lambda c: any(test(c) for test in tests) is wanted

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise _refused("ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _take(self, sign: str) -> bool:
        if self._text.startswith(sign, self._at):
            self._at += 1
            return True
        return False

    def _add(self, test: Test | str | None, following: int, other: int) -> int:
        if len(self._states) >= _MAX_STATES:
            raise _refused("is too large")
        self._states.append((test, following, other))
        return len(self._states) - 1


def _between(low: str, high: str) -> Test:
    return lambda c: low <= c <= high
