# SPDX-License-Identifier: Apache-2.0
"""The answers: a `Terminology` over whatever definitions there are. Pure; caches live as long as the engine.

An engine belongs to one generation of its definitions. What it has worked out it remembers: a code that was asked for
once is answered from a dictionary.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from salus.fhir.terminology import verdicts
from salus.fhir.terminology.compose import ValueSet
from salus.fhir.terminology.expansion import Walk
from salus.fhir.terminology.membership import Answer, Membership
from salus.fhir.terminology.protocol import Cause, Coding, Subsumption, Verdict
from salus.fhir.terminology.source import CodeSource, Definitions
from salus.kernel.errors import Kind, Problem

_REMEMBERED = 50_000
_LONGEST = 500  # characters of a question that is remembered: what is asked comes from outside


class Engine:
    """A `Terminology`.

    Args:
        definitions: value sets and code systems.
        membership: with pinned versions, when an operation asks for some.
    """

    def __init__(self, definitions: Definitions, membership: Membership | None = None) -> None:
        self.definitions = definitions
        self.membership = membership or Membership(definitions)
        self._answers: dict[tuple[str, str, str], Answer] = {}
        self._verdicts: dict[Coding, Verdict] = {}

    # ── one code ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def validate_in_system(self, coding: Coding) -> Verdict:
        """Is this a code of its system? See `Terminology`."""
        known = self._verdicts.get(coding)
        if known is None:
            known = self._in_system(coding)
            if sum(map(len, coding)) > _LONGEST:
                return known
            if len(self._verdicts) >= _REMEMBERED:
                self._verdicts.clear()
            self._verdicts[coding] = known
        return known

    def validate_in_value_set(self, value_set: str, coding: Coding, *, infer_system: bool = False) -> Verdict:
        """Is this code a member of the value set? See `Terminology`."""
        found = self.membership.value_set(value_set)
        if found is None:
            return verdicts.without(Cause.UNKNOWN_VALUE_SET, None)
        return self.validate_in(found, coding, infer_system=infer_system)

    def validate_in(self, value_set: ValueSet, coding: Coding, *, infer_system: bool = False) -> Verdict:
        """The same for a value set that is at hand."""
        if not coding.system:
            if not infer_system:
                return verdicts.without(Cause.NO_SYSTEM, False)
            return self._inferred(value_set, coding)
        try:
            answer = self._answer(value_set, coding.system, coding.code)
        except Problem as problem:
            return verdicts.without(_cause(problem), None, words=problem.public)
        if answer.result is not True:
            told = answer.cause in {Cause.UNKNOWN_CODE, Cause.INCOMPLETE}
            source = self.membership.source(coding.system) if told else None
            return verdicts.without(answer.cause, answer.result, source)
        return self._named(value_set, coding)

    def validate_any(self, value_set: str, codings: Sequence[Coding]) -> Verdict:
        """Is at least one coding a member? See `Terminology`."""
        best: Verdict | None = None
        for coding in codings:
            verdict = self.validate_in_value_set(value_set, coding)
            if verdict.result is True:
                return verdict
            if best is None or _weight(verdict) > _weight(best):
                best = verdict
        return best or verdicts.without(Cause.NOT_MEMBER, False)

    def member_of(self, value_set: str, system: str, code: str) -> bool | None:
        """Membership alone. See `Terminology`."""
        known = self._answers.get((value_set, system, code))
        if known is not None:
            return known.result
        found = self.membership.value_set(value_set)
        if found is None:
            return None
        try:
            if not system:
                return self._inferred(found, Coding("", code)).result
            answer = self._answer(found, system, code)  # makes room first when the memory is full
        except Problem:
            return None
        if len(value_set) + len(system) + len(code) <= _LONGEST:
            self._answers[value_set, system, code] = answer
        return answer.result

    # ── hierarchy ────────────────────────────────────────────────────────────────────────────────────────────────────

    def subsumes(self, system: str, a: str, b: str) -> Subsumption:
        """How `a` relates to `b`. See `Terminology`."""
        source = self._source(system)
        first = source.find(a) if source is not None else None
        second = source.find(b) if source is not None else None
        if source is None or first is None or second is None:
            return Subsumption.UNKNOWN
        if first.code == second.code:
            return Subsumption.EQUIVALENT
        if not source.is_a:
            return Subsumption.UNKNOWN
        if source.below(second.code, first.code):
            return Subsumption.SUBSUMES
        return Subsumption.SUBSUMED_BY if source.below(first.code, second.code) else Subsumption.NOT_SUBSUMED

    def descendants(self, system: str, code: str, limit: int = 10_000) -> frozenset[str] | None:
        """The code and everything below it. See `Terminology`."""
        source = self._source(system)
        concept = source.find(code) if source is not None and source.is_a else None
        if source is None or concept is None:
            return None
        found = source.descendants(concept.code, limit)
        if len(found) >= limit:
            raise Problem(Kind.TOO_COSTLY, f"There are more than {limit} codes below this one.")
        return found | {concept.code}

    def ancestors(self, system: str, code: str) -> frozenset[str] | None:
        """The code and everything above it. See `Terminology`."""
        source = self._source(system)
        concept = source.find(code) if source is not None and source.is_a else None
        if source is None or concept is None:
            return None
        return source.ancestors(concept.code) | {concept.code}

    def members(self, value_set: str, limit: int = 10_000) -> frozenset[tuple[str, str]] | None:
        """Every member as (system, code). See `Terminology`."""
        found = self.membership.value_set(value_set)
        if found is None:
            return None
        try:
            walk = Walk(self.membership, found)
            listed = [(member.system, member.concept.code) for member in islice(walk.members(), limit + 1)]
        except Problem as problem:
            if problem.kind is Kind.TOO_COSTLY:
                raise
            return None
        if walk.unknown or walk.unclosed:
            return None
        if len(listed) > limit:
            raise Problem(Kind.TOO_COSTLY, f"The value set has more than {limit} members.")
        return frozenset(listed)

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _source(self, system: str) -> CodeSource | None:
        url, _, version = system.partition("|")
        return self.membership.source(url, version)

    def _in_system(self, coding: Coding) -> Verdict:
        if not coding.system:
            return verdicts.without(Cause.NO_SYSTEM, None, words="A code alone, without its system, says nothing.")
        source = self.membership.source(coding.system, coding.version)
        if source is None:
            return verdicts.without(self.membership.why_unknown(coding.system), None)
        concept = source.find(coding.code)
        if concept is None:
            return verdicts.without(*_missing(source), source)
        return verdicts.found(source, concept, coding.display)

    def _answer(self, value_set: ValueSet, system: str, code: str) -> Answer:
        key = (value_set.key, system, code)
        known = self._answers.get(key)
        if known is None:
            known = self.membership.contains(value_set, system, code)
            if len(system) + len(code) > _LONGEST:
                return known
            if len(self._answers) >= _REMEMBERED:
                self._answers.clear()
            self._answers[key] = known
        return known

    def _inferred(self, value_set: ValueSet, coding: Coding) -> Verdict:
        """A bare code: the value set's systems are tried in turn."""
        try:
            systems = self.membership.systems(value_set)
        except Problem as problem:
            return verdicts.without(_cause(problem), None, words=problem.public)
        if not systems:
            return verdicts.without(Cause.NO_SYSTEM, None)
        tried = [self.validate_in(value_set, coding._replace(system=system)) for system in systems]
        return max(tried, key=_weight)

    def _named(self, value_set: ValueSet, coding: Coding) -> Verdict:
        """A member: its display, and whether the stated one is right."""
        source = self.membership.source(coding.system, coding.version)
        concept = source.find(coding.code) if source is not None else None
        given = named_by(value_set, coding)
        if source is None and coding.version and self.membership.why_unknown(coding.system) is Cause.UNKNOWN_VERSION:
            return verdicts.without(Cause.UNKNOWN_VERSION, None)
        if source is not None and concept is not None:
            if coding.display and given and coding.display.casefold() == given.casefold():
                coding = coding._replace(display="")  # the set may give a concept a name of its own
            return verdicts.found(source, concept, coding.display)
        if coding.display and given and coding.display.casefold() != given.casefold():
            message = "The value set has another display for this code."
            return Verdict(False, Cause.WRONG_DISPLAY, message, given, coding.system)
        return Verdict(True, display=given, system=coding.system)


def named_by(value_set: ValueSet, coding: Coding) -> str:
    """The display that the value set itself gives a code; empty when it gives none."""
    for include in value_set.includes:
        if include.system == coding.system and include.concepts is not None and coding.code in include.concepts:
            return include.concepts[coding.code].display
    stored = value_set.stored.get((coding.system, coding.code))
    return stored.named.display if stored is not None else ""


def _missing(source: CodeSource) -> tuple[Cause, bool | None]:
    return (Cause.UNKNOWN_CODE, False) if source.complete else (Cause.INCOMPLETE, None)


def _weight(verdict: Verdict) -> int:
    """Yes before "wrong display" before unknown before no."""
    if verdict.result is True:
        return 3
    if verdict.cause is Cause.WRONG_DISPLAY:
        return 2
    return 1 if verdict.result is None else 0


def _cause(problem: Problem) -> Cause:
    return Cause.TOO_COSTLY if problem.kind is Kind.TOO_COSTLY else Cause.BROKEN
