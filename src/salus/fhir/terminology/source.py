# SPDX-License-Identifier: Apache-2.0
"""A code system as the rules see it: concepts, hierarchy and filters, wherever they are kept.

Two kinds stand behind `CodeSource`: a CodeSystem resource in memory (`code_system`), and a large system in tables of a
database (`salus.knowledge.systems`). The rules do not know which they have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from salus.fhir.terminology.protocol import Canonicals
from salus.kernel.errors import Kind, Problem

Resource = dict[str, Any]


class Designation(NamedTuple):
    """Another name of a concept.

    Attributes:
        language: BCP 47, empty when none is stated.
        value: the words.
        use: a Coding as FHIR writes it, None when none is stated.
    """

    language: str
    value: str
    use: Resource | None = None


class Property(NamedTuple):
    """One property of a concept: its code, the FHIR type of the value (`code`, `string`, `boolean` …), the value."""

    code: str
    type: str
    value: Any


class Concept(NamedTuple):
    """One concept of a code system.

    Attributes:
        active: not marked inactive or retired.
        abstract: a grouping that may not be chosen by a user.
    """

    code: str
    display: str
    definition: str = ""
    active: bool = True
    abstract: bool = False
    designations: tuple[Designation, ...] = ()
    properties: tuple[Property, ...] = ()


class Filter(NamedTuple):
    """`property op value` (https://hl7.org/fhir/R4/valueset-filter-operator.html)."""

    property: str
    op: str
    value: str


class CodeSource(Protocol):
    """One version of one code system. Codes are as the system writes them; `find` tells how it writes one."""

    @property
    def url(self) -> str:
        """Canonical url."""
        ...

    @property
    def version(self) -> str:
        """Business version; empty when there is none."""
        ...

    @property
    def name(self) -> str:
        """Name for people."""
        ...

    @property
    def complete(self) -> bool:
        """Every code of the system is here, so that a missing one does not exist."""
        ...

    @property
    def is_a(self) -> bool:
        """The hierarchy means "is a kind of", so that subsumption can be told."""
        ...

    @property
    def effort(self) -> int:
        """Concepts that `select` looks at one by one; 0 where an index finds them."""
        ...

    def find(self, code: str) -> Concept | None:
        """The concept of a code."""
        ...

    def below(self, code: str, ancestor: str) -> bool:
        """Whether a code is strictly below another; both as the system writes them."""
        ...

    def ancestors(self, code: str) -> frozenset[str]:
        """Every code strictly above."""
        ...

    def descendants(self, code: str, limit: int) -> frozenset[str]:
        """Every code strictly below, at most `limit` of them plus one."""
        ...

    def neighbours(self, code: str) -> tuple[Sequence[str], Sequence[str]]:
        """Parents and children."""
        ...

    def fits(self, concept: Concept, condition: Filter) -> bool:
        """Whether a concept passes a filter; raises Problem(INVALID) for a filter that this system does not have."""
        ...

    def select(self, conditions: Sequence[Filter], text: str, offset: int = 0) -> Iterator[Concept]:
        """Concepts that pass every filter and hold every word of `text` in a name, in a fixed order.

        Args:
            offset: how many of them to leave out from the beginning.

        Raises:
            Problem: INVALID as `fits`.
        """
        ...

    def count(self, conditions: Sequence[Filter], text: str, limit: int) -> int:
        """How many `select` gives; counting stops beyond `limit`."""
        ...


class Definitions(Canonicals, Protocol):
    """Canonicals that also know code systems by the concept."""

    def source(self, url: str, version: str = "") -> CodeSource | None:
        """The code system with this url, ready to be asked; None when it is not here at all."""
        ...


def unknown_filter(condition: Filter) -> Problem:
    """The refusal of a filter that is not understood: passing over it would give a wrong set."""
    text = "A filter of the value set uses a property or an operator that its code system does not have."
    return Problem(Kind.INVALID, text, f"filter {condition.op}")


def words_of(text: str) -> list[str]:
    """The words that a text filter looks for, in lower case."""
    return text.lower().split()


def has_words(concept: Concept, words: Sequence[str]) -> bool:
    """Whether every word begins a word of the code, the display or one of the other names."""
    names = f"{concept.code} {concept.display} {' '.join(d.value for d in concept.designations)}".lower()
    return all(names.startswith(word) or f" {word}" in names or f"-{word}" in names for word in words)


def as_text(value: Any) -> str:
    """A property's value as filters compare it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return str(value.get("code", ""))
    return str(value)


def listed(value: str) -> list[str]:
    """The values of `in` and `not-in`, which stand between commas."""
    return [one.strip() for one in value.split(",") if one.strip()]


def urls(pairs: Iterable[tuple[str, str]]) -> set[str]:
    """The urls of url and version pairs."""
    return {url for url, _ in pairs}
