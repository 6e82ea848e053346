# SPDX-License-Identifier: Apache-2.0
"""The validator of a server: R4, profiles and codes, by what is installed there.

`check` is for writing: it lets pass or raises. `examine` is for `$validate`: it says everything, warnings included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from salus.fhir.validate import base
from salus.fhir.validate.codes import Codes
from salus.fhir.validate.declared import Profiling
from salus.fhir.validate.finding import Finding, Severity
from salus.fhir.validate.implied import vital_sign
from salus.fhir.validate.knowledge import NOTHING, Canonicals
from salus.fhir.validate.surroundings import surroundings
from salus.fhir.validate.terms import Terms

Json = dict[str, Any]
_PUBLIC = "The resource does not fulfil its profiles."


class Validator:
    """Judges resources.

    Args:
        canonicals: definitions that are installed.
        terms: answers about codes.
        demanded: canonicals of profiles that every resource of a type must fulfil, by type.
        strict_extensions: whether an extension that nobody here has heard of is an error.
        strict_examples: whether, with that, one of a domain for examples (`example.org`) is an error too.
        markdown_without_html: whether HTML within markdown is an error; `examine` always says so.
        strict_codes: whether `check` refuses a code that its system does not have; `examine` always says so.
        known_profiles_only: whether a profile in `meta.profile` that is not known here is an error.
    """

    def __init__(
        self,
        canonicals: Canonicals | None = None,
        terms: Terms | None = None,
        demanded: Mapping[str, tuple[str, ...]] | None = None,
        *,
        strict_extensions: bool = False,
        strict_examples: bool = False,
        markdown_without_html: bool = False,
        strict_codes: bool = False,
        known_profiles_only: bool = False,
    ) -> None:
        given = surroundings(canonicals or NOTHING, terms, strict_codes=strict_codes)
        given = replace(
            given,
            strict_extensions=strict_extensions,
            strict_examples=strict_examples,
            markdown_without_html=markdown_without_html,
        )
        self._surroundings = given
        self._examining = replace(given, codes=Codes(given.terms.wrong, refuse=True), thorough=True)
        self._profiling = Profiling(given.book, given.terms.member)
        self._demanded = dict(demanded or {})
        self._known_only = known_profiles_only
        self._generation = given.knowledge.generation

    def check(self, resource: Json, expected_type: str | None = None) -> None:
        """Let a valid resource pass.

        Args:
            resource: as `salus.fhir.json.decode` gives it.
            expected_type: resource type that the request's URL names, if it names one.

        Raises:
            Problem: as `salus.fhir.validate.base.check`; INVALID as well for what breaks a profile that the resource
                declares or that is demanded of its type.
        """
        self._renew()
        base.check(resource, expected_type, self._surroundings)
        kind = resource["resourceType"]
        more = self._demanded.get(kind, ())
        if not more and "meta" not in resource and kind not in _HOLDERS and "contained" not in resource:
            return
        found = self._profiling.findings(resource, more, demanded=more, strict=self._known_only)
        wrong = [one for one in found if one.severity is Severity.ERROR]
        if wrong:
            raise base.refusal(wrong, _PUBLIC)

    def checking(self, resource: Json, expected_type: str | None = None) -> Iterator[None]:
        """As `check`, in pieces: for a Bundle of many entries, between which others may have their turn.

        Raises:
            Problem: as `check`, at the end.
        """
        self._renew()
        base.expect(resource, expected_type)
        found: list[Finding] = []
        for so_far in base.examining(resource, self._surroundings):
            found = so_far
            yield
        errors = [one for one in found if one.severity is Severity.ERROR]
        if errors:
            raise base.refusal(errors)
        more = self._demanded.get(resource["resourceType"], ())
        by_profile: list[Finding] = []
        for piece in self._profiling.finding(resource, more, demanded=more, strict=self._known_only):
            by_profile += piece
            yield
        errors = [one for one in by_profile if one.severity is Severity.ERROR]
        if errors:
            raise base.refusal(errors, _PUBLIC)

    def examine(self, resource: Json, profiles: tuple[str, ...] = ()) -> list[Finding]:
        """Everything there is to say about a resource.

        Args:
            resource: as decoded.
            profiles: canonicals that it must fulfil, beside those that it declares and those demanded of its type.

        Raises:
            Problem: INCORRECT when it is of no type that R4 knows.
        """
        *_, found = self.examining(resource, profiles)
        return found

    def examining(self, resource: Json, profiles: tuple[str, ...] = ()) -> Iterator[list[Finding]]:
        """As `examine`, in pieces: gives an empty list after each entry of a Bundle, and at last what was found.

        So whoever has other things to do between the entries of a large Bundle can do them.
        """
        self._renew()
        base.expect(resource)
        found: list[Finding] = []
        for so_far in base.examining(resource, self._examining):
            found = so_far
            yield []
        if not base.fits(resource):
            words = "Profiles were not asked: the structure has to be right first."
            found = [*found, Finding(Severity.INFORMATION, "informational", words, resource["resourceType"])]
            yield list(dict.fromkeys(found))
            return
        more = (*self._demanded.get(resource["resourceType"], ()), *profiles)
        for by_profile in self._profiling.finding(resource, more, demanded=more, warn=True, implied=self._implied):
            found = [*found, *by_profile]
            yield []
        yield list(dict.fromkeys(found))

    def _implied(self, resource: Json) -> tuple[str, ...]:
        """What a resource has to fulfil without declaring it: by installed guides, and as a vital sign."""
        kind, sign = resource.get("resourceType"), vital_sign(resource)
        asked = self._surroundings.knowledge.globals.get(kind, ()) if type(kind) is str else ()
        return (*asked, sign) if sign else asked

    def knows(self, canonical: str) -> bool:
        """Whether a profile can be held against resources here."""
        self._renew()
        book = self._surroundings.book
        return book.is_type(canonical) or book.checker(canonical) is not None

    def _renew(self) -> None:
        given = self._surroundings
        if self._generation != given.knowledge.generation:
            self._generation = given.knowledge.generation
            given.codes.forget()
            given.book.fresh()


_HOLDERS = frozenset({"Bundle", "Parameters"})
