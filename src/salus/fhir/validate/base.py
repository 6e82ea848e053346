# SPDX-License-Identifier: Apache-2.0
"""Whether a resource is valid R4, and if not, every reason why.

The usual resource is valid, so the question is asked quickly (compiled schema, one walk) and the reasons
are worked out only when the answer is no.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from salus.fhir.validate.constraints import breaches, breaching, breaks
from salus.fhir.validate.finding import Finding, Severity
from salus.fhir.validate.inspection import inspect, inspecting
from salus.fhir.validate.places import known
from salus.fhir.validate.report import schema_issues
from salus.fhir.validate.schema import validator
from salus.fhir.validate.surroundings import PLAIN, Surroundings
from salus.fhir.validate.walk import DEEPEST, suspicious, too_deep
from salus.kernel.errors import Issue, Kind, Problem

MOST_ISSUES: Final = 50
_PUBLIC: Final = "The resource is not valid FHIR R4."


def check(resource: dict[str, Any], expected_type: str | None = None, surroundings: Surroundings = PLAIN) -> None:
    """Let a valid resource pass.

    Args:
        resource: as `salus.fhir.json.decode` gives it.
        expected_type: resource type that the request's URL names, if it names one.
        surroundings: definitions and codes to judge by; R4's own without.

    Raises:
        Problem: INCORRECT when the type is missing, unknown, or not the expected one; INVALID, with up to
            50 issues that give FHIRPath places, when the content breaks R4. No words repeat a value of the resource.
    """
    expect(resource, expected_type)
    fits = _fits(resource)
    broken = not fits or breaks(resource)
    looked = broken or surroundings.markdown_without_html
    if not looked and not suspicious(resource, surroundings.codes, surroundings.watched):
        return
    every = _findings(resource, surroundings, breaches(resource, warnings=False) if broken else [], fits=fits)
    found = [finding for finding in every if finding.severity is Severity.ERROR]
    if found or not fits:
        raise refusal(found)


def examine(resource: dict[str, Any], surroundings: Surroundings = PLAIN) -> list[Finding]:
    """Everything there is to say about a resource, warnings included.

    Args:
        resource: of a known type (`expect`).
    """
    *_, found = examining(resource, surroundings)
    return found


def examining(resource: dict[str, Any], surroundings: Surroundings = PLAIN) -> Iterator[list[Finding]]:
    """As `examine`, in pieces: gives something after each entry of a Bundle; the last is what was found."""
    if too_deep(resource):
        yield _findings(resource, surroundings, [], fits=False)
        return
    whole = _fits(resource)
    unfit = [] if whole else _broken(resource)
    yield []
    found: list[Finding] = []
    constraints: list[Finding] = []
    for so_far in inspecting(resource, surroundings, fits=whole):
        found = so_far
        yield []
    for broken in breaching(resource):
        constraints = broken
        yield []
    yield [*unfit, *found, *constraints]


def expect(resource: dict[str, Any], expected_type: str | None = None) -> None:
    """Let a resource of a known, and of the expected, type pass. Raises Problem(INCORRECT)."""
    kind = resource.get("resourceType")
    if not known(kind):
        raise _wrong_type("resourceType must name a resource type of FHIR R4.")
    if expected_type is not None and kind != expected_type:
        raise _wrong_type(f"This address takes resources of type {expected_type} only.")


def refusal(found: list[Finding], public: str = _PUBLIC) -> Problem:
    """The Problem for a resource with errors."""
    return Problem(Kind.INVALID, public, issues=tuple(finding.issue() for finding in found[:MOST_ISSUES]))


def fits(resource: dict[str, Any]) -> bool:
    """Whether the structure is that of R4, so that what reads several places together can be asked."""
    return not too_deep(resource) and _fits(resource)


def _fits(resource: dict[str, Any]) -> bool:
    try:
        return validator().is_valid(resource)
    except (ArithmeticError, ValueError):  # an exponent that the schema cannot hold, or nesting beyond 255 levels
        return False


def _findings(
    resource: dict[str, Any], surroundings: Surroundings, broken: list[Finding], *, fits: bool
) -> list[Finding]:
    if too_deep(resource):
        words = f"Nesting goes deeper than {DEEPEST} levels."
        return [Finding(Severity.ERROR, "structure", words, resource["resourceType"])]
    found = inspect(resource, surroundings, fits=fits) + broken
    if fits:
        return found
    return _broken(resource) + found


def _broken(resource: dict[str, Any]) -> list[Finding]:
    try:
        unfit = schema_issues(resource, MOST_ISSUES)
    except ArithmeticError:  # `inspect` has named the number
        return []
    return [Finding(Severity.ERROR, issue.code, issue.text, issue.place) for issue in unfit]


def _wrong_type(text: str) -> Problem:
    issue = Issue("structure", text, "resourceType")
    return Problem(Kind.INCORRECT, "The resource is not of an acceptable type.", issues=(issue,))
