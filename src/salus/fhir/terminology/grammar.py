# SPDX-License-Identifier: Apache-2.0
"""Code systems without a list: units, media types, languages and identifiers, whose codes follow a grammar.

https://hl7.org/fhir/R4/terminologies-systems.html  Whether a code is well formed can be told; whether somebody
registered a language or media type of this name cannot, and is not claimed. Their codes cannot be listed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from salus.fhir.terminology import filters
from salus.fhir.terminology.source import Concept, Filter, Property
from salus.fhir.ucum import scale
from salus.kernel.errors import Kind, Problem

# RFC 5646 section 2.1: language, extended language, script, region, variants, extensions, private use.
_LANGUAGE = re.compile(
    r"(?P<language>[a-z]{2,8})(?:-(?P<extlang>[a-z]{3}(?:-[a-z]{3}){0,2}))?(?:-(?P<script>[a-z]{4}))?"
    r"(?:-(?P<region>[a-z]{2}|\d{3}))?(?P<variant>(?:-(?:[a-z0-9]{5,8}|\d[a-z0-9]{3}))*)"
    r"(?P<extension>(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*)(?P<private>(?:-x(?:-[a-z0-9]{1,8})+)?)",
    re.IGNORECASE,
)
_PRIVATE = re.compile(r"x(?:-[a-z0-9]{1,8})+", re.IGNORECASE)
# RFC 6838 section 4.2, with parameters.
_MEDIA = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
    r"(?:\s*;\s*[A-Za-z0-9_-]+=(?:[^\s;\"]+|\"[^\"]*\"))*"
)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+")
_MAX = 255
_PARTS = {
    "language": "language",
    "ext-lang": "extlang",
    "script": "script",
    "region": "region",
    "variant": "variant",
    "extension": "extension",
    "private-use": "private",
}


def _unit(code: str) -> Concept | None:
    try:
        return Concept(code, code) if scale(code) is not None else None
    except (ValueError, ArithmeticError):
        return None


def _language(code: str) -> Concept | None:
    found = _LANGUAGE.fullmatch(code)
    if found is None:
        return Concept(code, code) if _PRIVATE.fullmatch(code) else None
    stated = ((name, found[group]) for name, group in _PARTS.items())
    return Concept(code, code, properties=tuple(Property(name, "string", value) for name, value in stated if value))


def _media(code: str) -> Concept | None:
    return Concept(code, code) if _MEDIA.fullmatch(code) else None


def _uri(code: str) -> Concept | None:
    return Concept(code, code) if _URI.fullmatch(code) else None


class GrammarSystem:
    """A system whose codes are recognised, not listed; a `CodeSource`."""

    version = ""
    complete = True
    is_a = False
    effort = 0

    def __init__(self, url: str, name: str, reads: Callable[[str], Concept | None]) -> None:
        self.url = url
        self.name = name
        self._reads = reads

    def find(self, code: str) -> Concept | None:
        """The concept of a well-formed code."""
        return self._reads(code) if 0 < len(code) <= _MAX else None

    def below(self, code: str, ancestor: str) -> bool:
        """There is no hierarchy."""
        return False

    def ancestors(self, code: str) -> frozenset[str]:
        """None."""
        return frozenset()

    def descendants(self, code: str, limit: int) -> frozenset[str]:
        """None."""
        return frozenset()

    def neighbours(self, code: str) -> tuple[Sequence[str], Sequence[str]]:
        """None."""
        return (), ()

    def fits(self, concept: Concept, condition: Filter) -> bool:
        """Filters over the code and, for languages, over the parts of a tag."""
        return filters.fits(self, concept, condition, _PARTS)

    def select(self, conditions: Sequence[Filter], text: str, offset: int = 0) -> Iterator[Concept]:
        """Raises Problem(TOO_COSTLY): there is no end to such codes."""
        raise Problem(Kind.TOO_COSTLY, f"The codes of {self.name} follow a grammar and cannot be listed.")

    def count(self, conditions: Sequence[Filter], text: str, limit: int) -> int:
        """Raises Problem(TOO_COSTLY)."""
        raise Problem(Kind.TOO_COSTLY, f"The codes of {self.name} follow a grammar and cannot be listed.")


GRAMMARS: dict[str, GrammarSystem] = {
    system.url: system
    for system in (
        GrammarSystem("http://unitsofmeasure.org", "UCUM", _unit),
        GrammarSystem("urn:ietf:bcp:47", "BCP 47 (languages)", _language),
        GrammarSystem("urn:ietf:bcp:13", "BCP 13 (media types)", _media),
        GrammarSystem("urn:ietf:rfc:3986", "RFC 3986 (URIs)", _uri),
    )
}
