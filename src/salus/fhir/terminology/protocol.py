# SPDX-License-Identifier: Apache-2.0
"""What other rules ask of terminology, and what they get: protocols and plain values, no rules.

Three answers are possible to most questions: yes, no, and "this server does not know", because the code system is not
loaded, is only a fragment, or the value set is not there. Whoever asks decides what not knowing means: a required
binding warns, `memberOf` is empty, a search by `:in` is refused.

A value set or system may be named with its version: `http://hl7.org/fhir/ValueSet/observation-status|4.0.1`.
Nothing here raises for an unknown code, system or value set; `Problem` is raised only where the docstring says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

Resource = dict[str, Any]


class Canonicals(Protocol):
    """Finds conformance resources (StructureDefinition, ValueSet, CodeSystem, ConceptMap, SearchParameter …) by url."""

    @property
    def generation(self) -> int:
        """Changes whenever something was installed, replaced or removed.

        Whoever compiled something from what was found here compiles it anew when the number is another.
        """
        ...

    def find(self, type_: str, url: str, version: str = "") -> Resource | None:
        """The resource of this type with this canonical url; the newest when no version is named.

        Args:
            type_: FHIR type, e.g. `StructureDefinition`.
            url: canonical; `url|version` is understood too, and wins over `version`.

        Returns:
            A shared value: never change it. Narrative and what only editors need may be left out.
        """
        ...

    def all(self, type_: str) -> Iterable[tuple[str, str]]:
        """Url and version of every resource of this type, in no particular order."""
        ...


class Coding(NamedTuple):
    """A code as somebody states it. Empty text where nothing is stated."""

    system: str
    code: str
    display: str = ""
    version: str = ""


class Cause(StrEnum):
    """Why an answer is no, or unknown. The first group comes with `False`, the second with `None`."""

    NONE = ""
    UNKNOWN_CODE = "unknown-code"  # the system is complete here and has no such code
    NOT_MEMBER = "not-in-value-set"
    WRONG_DISPLAY = "wrong-display"
    NO_SYSTEM = "no-system"  # a bare code where the system cannot be told
    ABSTRACT = "abstract"  # a grouping concept that may not be chosen
    UNKNOWN_SYSTEM = "unknown-system"
    UNKNOWN_VERSION = "unknown-version"
    UNKNOWN_VALUE_SET = "unknown-value-set"
    INCOMPLETE = "incomplete"  # fragment, example or not-present: that the code is missing here says nothing
    BROKEN = "broken-definition"  # the value set refers to itself, or its filter is not understood
    TOO_COSTLY = "too-costly"


class Verdict(NamedTuple):
    """The answer to "is this code valid".

    Attributes:
        result: True, False, or None when this server cannot tell.
        cause: why not; empty with True.
        message: words for a person. They name systems and value sets, never the code or display that was sent.
        display: what the code system calls the concept; empty when the code was not found.
        system, version: of the code system that answered; empty when none did.
    """

    result: bool | None
    cause: Cause = Cause.NONE
    message: str = ""
    display: str = ""
    system: str = ""
    version: str = ""


class Subsumption(StrEnum):
    """How two concepts relate (https://hl7.org/fhir/R4/valueset-concept-subsumption-outcome.html), or UNKNOWN."""

    EQUIVALENT = "equivalent"
    SUBSUMES = "subsumes"
    SUBSUMED_BY = "subsumed-by"
    NOT_SUBSUMED = "not-subsumed"
    UNKNOWN = "unknown"


class Terminology(Protocol):
    """Questions about codes. One object serves one request; it is cheap to get and must not be kept for another."""

    def validate_in_system(self, coding: Coding) -> Verdict:
        """Is this a code of its system? The display is checked when one is stated."""
        ...

    def validate_in_value_set(self, value_set: str, coding: Coding, *, infer_system: bool = False) -> Verdict:
        """Is this code a member of the value set? The display is checked when one is stated.

        Args:
            value_set: canonical, with or without `|version`.
            infer_system: the element is a `code`: `coding.system` is empty and the value set tells it.
        """
        ...

    def validate_any(self, value_set: str, codings: Sequence[Coding]) -> Verdict:
        """Is at least one coding of a CodeableConcept a member? None when none is and one of them cannot be told."""
        ...

    def member_of(self, value_set: str, system: str, code: str) -> bool | None:
        """Membership alone, without words and display: the quick form. An empty system means "the value set's"."""
        ...

    def subsumes(self, system: str, a: str, b: str) -> Subsumption:
        """How concept `a` relates to `b`: SUBSUMES when `b` is a kind of `a`. `system` may carry `|version`."""
        ...

    def descendants(self, system: str, code: str, limit: int = 10_000) -> frozenset[str] | None:
        """The code and everything below it; None when system, hierarchy or code is not known here.

        Raises:
            Problem: TOO_COSTLY when there are more than `limit`.
        """
        ...

    def ancestors(self, system: str, code: str) -> frozenset[str] | None:
        """The code and everything above it; None when system, hierarchy or code is not known here."""
        ...

    def members(self, value_set: str, limit: int = 10_000) -> frozenset[tuple[str, str]] | None:
        """Every member as (system, code), inactive ones included; None when they cannot be listed here.

        Raises:
            Problem: TOO_COSTLY when there are more than `limit`.
        """
        ...


class Nothing:
    """A terminology that knows nothing, for where none is installed and for tests: every answer is "unknown"."""

    def validate_in_system(self, coding: Coding) -> Verdict:
        """Unknown."""
        return Verdict(None, Cause.UNKNOWN_SYSTEM, "No terminology is installed.")

    def validate_in_value_set(self, value_set: str, coding: Coding, *, infer_system: bool = False) -> Verdict:
        """Unknown."""
        return Verdict(None, Cause.UNKNOWN_VALUE_SET, "No terminology is installed.")

    def validate_any(self, value_set: str, codings: Sequence[Coding]) -> Verdict:
        """Unknown."""
        return Verdict(None, Cause.UNKNOWN_VALUE_SET, "No terminology is installed.")

    def member_of(self, value_set: str, system: str, code: str) -> bool | None:
        """Unknown."""
        return None

    def subsumes(self, system: str, a: str, b: str) -> Subsumption:
        """Unknown."""
        return Subsumption.UNKNOWN

    def descendants(self, system: str, code: str, limit: int = 10_000) -> frozenset[str] | None:
        """Unknown."""
        return None

    def ancestors(self, system: str, code: str) -> frozenset[str] | None:
        """Unknown."""
        return None

    def members(self, value_set: str, limit: int = 10_000) -> frozenset[tuple[str, str]] | None:
        """Unknown."""
        return None


class NoCanonicals:
    """Canonicals that hold nothing."""

    generation: int = 0

    def find(self, type_: str, url: str, version: str = "") -> Resource | None:
        """None."""
        return None

    def all(self, type_: str) -> Iterable[tuple[str, str]]:
        """Nothing."""
        return ()
