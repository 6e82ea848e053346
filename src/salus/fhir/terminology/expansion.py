# SPDX-License-Identifier: Apache-2.0
"""The members of a value set, one by one (https://hl7.org/fhir/R4/valueset.html#expansion).

`written` makes FHIR of them.

Order: the includes as they stand, each in the order of its list or code system. A code that comes twice is given once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from salus.fhir.terminology.compose import Include, Named, Stored, ValueSet
from salus.fhir.terminology.membership import Membership
from salus.fhir.terminology.protocol import Cause
from salus.fhir.terminology.source import CodeSource, Concept, Filter, has_words, words_of
from salus.kernel.errors import Kind, Problem

MAX_EFFORT = 500_000
"""Looks at concepts that one way through a value set may take; a pattern counts as ten."""

_ASKING = 10  # to ask another set about a concept takes as long as to give out so many

_ACTIVE = Filter("inactive", "=", "false")


class Member(NamedTuple):
    """One code of an expansion.

    Attributes:
        concept: as the code system has it; with the bare code when the system is not here.
        named: the names that the value set gives it, if it lists the code.
    """

    system: str
    version: str
    concept: Concept
    named: Named | None = None

    @property
    def display(self) -> str:
        """The name to show: the value set's own before the code system's."""
        return (self.named.display if self.named is not None else "") or self.concept.display


class Unknown(NamedTuple):
    """A part of a value set that cannot be listed here: where it stands, and why."""

    place: str
    cause: Cause


class Walk:
    """One way through a value set.

    Attributes:
        unknown: parts that could not be listed; filled while walking.
        unclosed: a code system took part that is here in part only.
        sources: the code systems that took part.
    """

    def __init__(
        self,
        membership: Membership,
        value_set: ValueSet,
        *,
        text: str = "",
        active_only: bool = False,
        left_out: frozenset[str] = frozenset(),
    ) -> None:
        """Args: `text`: words that a name must hold; `left_out`: systems whose codes are passed over."""
        self._membership = membership
        self._set = value_set
        self._text = text
        self._words = words_of(text)
        self._active_only = active_only or value_set.inactive is False
        self._left_out = left_out
        self.unknown: list[Unknown] = []
        self.unclosed = False
        self.sources: dict[str, CodeSource] = {}
        self._effort = [0]  # shared with the walks through imported sets, as is the next
        self._walked: dict[str, tuple[list[Member], Walk]] = {}

    def members(self, trail: tuple[str, ...] = ()) -> Iterator[Member]:
        """Every member once; raises Problem as `Membership.contains`, and TOO_COSTLY for a system without a list."""
        if not trail:
            self._membership.begin()
        trail = self._membership.deeper(self._set, trail)
        if not self._listable() and self._set.stored:
            if not self._set.whole:
                self.unclosed = True
            yield from filter(self._wanted, (_from_stored(one) for one in self._set.stored.values()))
            return
        if not self._set.includes:
            self._note("ValueSet.compose", Cause.BROKEN)  # neither composed nor expanded: nobody can say what is in it
        seen: set[tuple[str, str]] = set()
        for index, part in enumerate(self._set.includes):
            for member in self._part(part, f"ValueSet.compose.include[{index}]", trail):
                self._spend(1 + _ASKING * (len(self._set.excludes) + len(part.sets)))
                key = member.system, member.concept.code
                if key not in seen and not self._excluded(*key, trail):
                    seen.add(key)
                    yield member

    def single(self) -> tuple[CodeSource, tuple[Filter, ...]] | None:
        """The one code system and the filters that make the whole set, so that it can page and count by itself."""
        if self._set.excludes or len(self._set.includes) != 1:
            return None
        part = self._set.includes[0]
        if part.sets or part.concepts is not None or part.system in self._left_out:
            return None
        source = self._membership.source(part.system, part.version)
        if source is None or not source.complete:
            return None
        self.sources[source.url] = source
        return source, (*part.filters, _ACTIVE) if self._active_only else part.filters

    def _listable(self) -> bool:
        return bool(self._set.includes) and all(
            part.concepts is not None or not part.system or self._membership.source(part.system, part.version)
            for part in self._set.includes
        )

    def _part(self, part: Include, place: str, trail: tuple[str, ...]) -> Iterator[Member]:
        if part.system:
            if part.system in self._left_out:
                return
            found = self._listed(part, place) if part.concepts is not None else self._selected(part, place)
            sets = part.sets
        elif part.sets:
            found, sets = self._imported(part.sets[0], place, trail), part.sets[1:]
        else:
            return
        for member in found:
            if self._wanted(member) and all(self._also_in(one, member, place, trail) for one in sets):
                yield member

    def _listed(self, part: Include, place: str) -> Iterator[Member]:
        source = self._membership.source(part.system, part.version)
        if source is not None:
            self.sources[source.url] = source
        elif part.filters:
            self._note(place, self._membership.why_unknown(part.system))
            return
        version = source.version if source is not None else part.version
        for named in (part.concepts or {}).values():
            concept = source.find(named.code) if source is not None else None
            if concept is not None and source is not None:
                if all(source.fits(concept, condition) for condition in part.filters):
                    yield Member(part.system, version, concept, named)
            elif not part.filters:
                yield Member(part.system, version, Concept(named.code, named.display), named)

    def _selected(self, part: Include, place: str) -> Iterator[Member]:
        source = self._membership.source(part.system, part.version)
        if source is None:
            self._note(place, self._membership.why_unknown(part.system))
            return
        self.sources[source.url] = source
        if not source.complete:
            self.unclosed = True
            if next(source.select((), ""), None) is None:
                self._note(place, Cause.INCOMPLETE)
                return
        conditions = (*part.filters, _ACTIVE) if self._active_only else part.filters
        if source.effort:
            self._spend(source.effort * (1 + sum(10 if one.op == "regex" else 1 for one in conditions)))
        for concept in source.select(conditions, self._text):
            yield Member(part.system, source.version, concept)

    def _spend(self, effort: int) -> None:
        """A value set may name the same large system a thousand times over; then it is too much to walk through."""
        self._effort[0] += effort
        if self._effort[0] > MAX_EFFORT:
            raise Problem(Kind.TOO_COSTLY, "The value set would have to look at too many concepts.")

    def _imported(self, canonical: str, place: str, trail: tuple[str, ...]) -> Iterator[Member]:
        inner = self._membership.value_set(canonical)
        if inner is None:
            self._note(place, Cause.UNKNOWN_VALUE_SET)
            return
        if inner.key in self._walked:  # two sets may import the same third one
            members, walk = self._walked[inner.key]
            self._membership.deeper(inner, trail)
            yield from members
        else:
            walk = Walk(
                self._membership, inner, text=self._text, active_only=self._active_only, left_out=self._left_out
            )
            walk._effort, walk._walked = self._effort, self._walked
            members = []
            for member in walk.members(trail):
                members.append(member)
                yield member
            self._walked[inner.key] = members, walk
        self.unknown += [Unknown(place, one.cause) for one in walk.unknown]
        self.unclosed = self.unclosed or walk.unclosed
        self.sources |= walk.sources

    def _also_in(self, canonical: str, member: Member, place: str, trail: tuple[str, ...]) -> bool:
        inner = self._membership.value_set(canonical)
        if inner is None:
            self._note(place, Cause.UNKNOWN_VALUE_SET)
            return False
        answer = self._membership.contains(inner, member.system, member.concept.code, trail)
        if answer.result is None:
            self._note(place, answer.cause)
        return answer.result is True

    def _excluded(self, system: str, code: str, trail: tuple[str, ...]) -> bool:
        if not self._set.excludes:
            return False
        answer = self._membership.in_any(self._set.excludes, system, code, trail)
        if answer.result is None:
            self._note("ValueSet.compose.exclude", answer.cause)
        return answer.result is True

    def _wanted(self, member: Member) -> bool:
        if self._active_only and not member.concept.active:
            return False
        if not self._words:
            return True
        concept = member.concept
        return has_words(concept._replace(display=f"{concept.display} {member.display}"), self._words)

    def _note(self, place: str, cause: Cause) -> None:
        if Unknown(place, cause) not in self.unknown:
            self.unknown.append(Unknown(place, cause))


def _from_stored(one: Stored) -> Member:
    named = one.named
    concept = Concept(named.code, named.display, "", one.active, one.abstract, named.designations)
    return Member(one.system, one.version, concept, named)
