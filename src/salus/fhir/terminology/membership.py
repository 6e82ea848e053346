# SPDX-License-Identifier: Apache-2.0
"""Whether a code is in a value set: yes, no, or not to be told here (https://hl7.org/fhir/R4/valueset.html#logical).

Includes are a union, what one include says is an intersection, excludes are taken away at the end. Where a part cannot
be told, the whole is told only if that part cannot change it: a code that another include has is in; a code that nobody
has is out only if every include is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from salus.fhir.terminology.compose import Include, ValueSet, read
from salus.fhir.terminology.implicit import implicit
from salus.fhir.terminology.protocol import Cause
from salus.fhir.terminology.source import CodeSource, Concept, Definitions
from salus.kernel.errors import Kind, Problem

_REMEMBERED = 5_000
_TOLD = 50_000
_LONGEST = 500  # characters of a canonical that is remembered

MAX_DEPTH = 30
"""Value sets within value sets."""


class Answer(NamedTuple):
    """True, False or None, and why it is not True."""

    result: bool | None
    cause: Cause = Cause.NONE


_YES = Answer(True)
_NO = Answer(False, Cause.NOT_MEMBER)


class Membership:
    """Asks about members of value sets.

    Args:
        definitions: where value sets and code systems are found.
        pinned: version by system for includes that name none.
        forced: version by system whatever includes say.
    """

    def __init__(
        self,
        definitions: Definitions,
        pinned: Mapping[str, str] | None = None,
        forced: Mapping[str, str] | None = None,
    ) -> None:
        self._definitions = definitions
        self._pinned = pinned or {}
        self._forced = forced or {}
        self._sets: dict[str, ValueSet | None] = {}
        self._told: dict[tuple[str, str, str], Answer] = {}

    def value_set(self, canonical: str) -> ValueSet | None:
        """The value set with this canonical; None when it is not here."""
        if canonical in self._sets:
            return self._sets[canonical]
        resource = self._definitions.find("ValueSet", canonical) or implicit(canonical)
        found = read(resource) if resource is not None else None
        if len(canonical) <= _LONGEST:
            if len(self._sets) >= _REMEMBERED:
                self._sets.clear()
            self._sets[canonical] = found
        return found

    def source(self, system: str, version: str = "") -> CodeSource | None:
        """The code system, in the version that is asked for, pinned or forced."""
        version = self._forced.get(system) or version or self._pinned.get(system, "")
        return self._definitions.source(system, version)

    def contains(self, value_set: ValueSet, system: str, code: str, trail: tuple[str, ...] = ()) -> Answer:
        """Whether a code of a system is a member.

        Args:
            trail: the value sets that led here.

        Raises:
            Problem: INVALID when value sets refer to each other in a circle, or a filter is not understood.
        """
        if not trail:
            self.begin()
        trail = self.deeper(value_set, trail)
        asked = value_set.key, system, code
        known = self._told.get(asked)
        if known is None:
            if len(self._told) >= _TOLD:
                self._told.clear()
            known = self._told[asked] = self._answer(value_set, system, code, trail)
        return known

    def begin(self) -> None:
        """A new question. Within one, each set is asked once about a code, however many sets import it."""
        self._told.clear()

    def _answer(self, value_set: ValueSet, system: str, code: str, trail: tuple[str, ...]) -> Answer:
        included = self._composed(value_set, system, code, trail)
        if included.result is None and value_set.stored:
            # What cannot be worked out here was worked out by whoever published the set.
            if (system, code) in value_set.stored:
                return _YES
            if value_set.whole:
                return _NO
        return included

    def deeper(self, value_set: ValueSet, trail: tuple[str, ...]) -> tuple[str, ...]:
        """The trail with this set on it; raises Problem(INVALID) for a circle."""
        if value_set.key in trail:
            raise Problem(Kind.INVALID, "The value set refers to itself by way of the value sets that it imports.")
        if len(trail) >= MAX_DEPTH:
            raise Problem(Kind.TOO_COSTLY, f"Value sets are nested more than {MAX_DEPTH} deep.")
        return (*trail, value_set.key)

    def systems(
        self, value_set: ValueSet, trail: tuple[str, ...] = (), known: dict[str, list[str]] | None = None
    ) -> list[str]:
        """The systems that a value set draws from, in order, imported sets included.

        Args:
            trail: the value sets that led here.
            known: those of sets that were looked at already.
        """
        trail = self.deeper(value_set, trail)
        known = {} if known is None else known
        if value_set.key in known:
            return known[value_set.key]
        found: dict[str, None] = dict.fromkeys(system for system, _ in value_set.stored if system)
        for include in value_set.includes:
            if include.system:
                found[include.system] = None
            for canonical in include.sets:
                inner = self.value_set(canonical)
                if inner is not None:
                    found |= dict.fromkeys(self.systems(inner, trail, known))
        known[value_set.key] = list(found)
        return known[value_set.key]

    def in_any(self, parts: Iterable[Include], system: str, code: str, trail: tuple[str, ...]) -> Answer:
        """Whether a code is in one of several parts; raises as `contains`."""
        return _any(self._in_part(part, system, code, trail, None) for part in parts)

    def _composed(self, value_set: ValueSet, system: str, code: str, trail: tuple[str, ...]) -> Answer:
        if not value_set.includes:
            return Answer(None, Cause.INCOMPLETE) if value_set.stored else Answer(None, Cause.BROKEN)
        included = _any(self._in_part(part, system, code, trail, value_set.inactive) for part in value_set.includes)
        if included.result is False:
            return included
        if not value_set.excludes:
            return included
        excluded = self.in_any(value_set.excludes, system, code, trail)
        if excluded.result is True:
            return _NO
        return included if excluded.result is False else excluded

    def _in_part(self, part: Include, system: str, code: str, trail: tuple[str, ...], inactive: bool | None) -> Answer:
        if part.system != system if part.system else not part.sets:  # a part that names nothing holds nothing (vsd-1)
            return _NO
        answer = _YES if not part.system else self._in_system(part, code, inactive)
        if answer.result is False:
            return answer
        for canonical in part.sets:
            inner = self.value_set(canonical)
            if inner is None:
                found = Answer(None, Cause.UNKNOWN_VALUE_SET)
            else:
                found = self.contains(inner, system, code, trail)
            if found.result is False:
                return found
            if found.result is None:
                answer = found
        return answer

    def _in_system(self, part: Include, code: str, inactive: bool | None) -> Answer:
        source = self.source(part.system, part.version)
        concept = source.find(code) if source is not None else None
        if part.concepts is not None:
            listed = code in part.concepts or (concept is not None and concept.code in part.concepts)
            if not listed or (inactive is False and concept is not None and not concept.active):
                return _NO
            if not part.filters:
                return _YES  # the set lists it: its system need not be here
        if source is None:
            return Answer(None, self.why_unknown(part.system))
        if concept is None:
            return Answer(False, Cause.UNKNOWN_CODE) if source.complete else Answer(None, Cause.INCOMPLETE)
        if inactive is False and not concept.active:
            return _NO
        return self._passes(source, concept, part)

    def _passes(self, source: CodeSource, concept: Concept, part: Include) -> Answer:
        return _YES if all(source.fits(concept, condition) for condition in part.filters) else _NO

    def why_unknown(self, system: str) -> Cause:
        """Why a system was not found: it is not here, or only in another version."""
        return Cause.UNKNOWN_SYSTEM if self._definitions.source(system) is None else Cause.UNKNOWN_VERSION


def _any(answers: Iterable[Answer]) -> Answer:
    """True when one is, None when one cannot be told, else the most telling No."""
    least = _NO
    for answer in answers:
        if answer.result is True:
            return answer
        if answer.result is None or (least.result is False and answer.cause is Cause.UNKNOWN_CODE):
            least = answer if least.result is not None else least
    return least
