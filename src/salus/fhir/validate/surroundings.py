# SPDX-License-Identifier: Apache-2.0
"""What a validation is given besides the resource: definitions, codes, and how strict to be."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

from salus.fhir.validate.codes import Codes
from salus.fhir.validate.knowledge import NOTHING, Canonicals, Knowledge
from salus.fhir.validate.profiles.book import Book
from salus.fhir.validate.terms import Terms


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The means of one validator.

    Attributes:
        knowledge: definitions by url.
        book: profiles, made from those definitions.
        codes: which codes there are.
        terms: answers about value sets.
        strict_extensions: whether an extension that nobody here has heard of is an error.
        strict_examples: whether, with that, one of a domain for examples is an error too.
        markdown_without_html: whether HTML within markdown is an error.
        thorough: whether faults that records from elsewhere often have, and that harm nobody, are errors too.
    """

    knowledge: Knowledge
    book: Book
    codes: Codes = field(default_factory=Codes)
    terms: Terms = field(default_factory=Terms)
    strict_extensions: bool = False
    strict_examples: bool = False
    markdown_without_html: bool = False
    thorough: bool = False

    @property
    def watched(self) -> Container[str]:
        """Urls of extensions whose use has to be looked at."""
        return _ALL if self.strict_extensions else self.knowledge.extensions


class _All(Container[str]):
    """Holds every text."""

    def __contains__(self, _: object) -> bool:
        return True


_ALL = _All()


def surroundings(
    canonicals: Canonicals = NOTHING,
    terms: Terms | None = None,
    *,
    strict_codes: bool = False,
) -> Surroundings:
    """Surroundings out of what is installed.

    Args:
        canonicals: definitions.
        terms: answers about codes.
        strict_codes: whether a code that its system does not have is an error, where no binding asks for it.
    """
    knowledge, terms = Knowledge(canonicals), terms or Terms()
    codes = Codes(terms.wrong, refuse=strict_codes)
    return Surroundings(knowledge, Book(knowledge), codes, terms)


PLAIN = surroundings()
"""R4 itself, nothing installed."""
