# SPDX-License-Identifier: Apache-2.0
"""Whether a resource is valid R4, and if not, every reason why.

The usual resource is valid, so the question is asked quickly (compiled schema, one walk) and the reasons
are worked out only when the answer is no. Profiles, terminology beyond required bindings, and constraints
that need FHIRPath are not judged here.
"""

from __future__ import annotations

from typing import Any, Final

from salus.fhir.validate.findings import findings
from salus.fhir.validate.places import known
from salus.fhir.validate.report import schema_issues
from salus.fhir.validate.schema import validator
from salus.fhir.validate.walk import DEEPEST, suspicious, too_deep
from salus.kernel.errors import Issue, Kind, Problem

MOST_ISSUES: Final = 50
_PUBLIC: Final = "The resource is not valid FHIR R4."


def check(resource: dict[str, Any], expected_type: str | None = None) -> None:
    """Let a valid resource pass.

    Args:
        resource: as `salus.fhir.json.decode` gives it.
        expected_type: resource type that the request's URL names, if it names one.

    Raises:
        Problem: INCORRECT when the type is missing, unknown, or not the expected one; INVALID, with up to
        50 issues
            that give FHIRPath places, when the content breaks R4. No words repeat a value of the resource.
    """
    kind = resource.get("resourceType")
    if not known(kind):
        raise _wrong_type("resourceType must name a resource type of FHIR R4.")
    if expected_type is not None and kind != expected_type:
        raise _wrong_type(f"This address takes resources of type {expected_type} only.")
    fits = _fits(resource)
    if fits and not suspicious(resource):
        return
    issues = _issues(resource)
    if issues or not fits:
        raise Problem(Kind.INVALID, _PUBLIC, issues=tuple(issues[:MOST_ISSUES]))


def _fits(resource: dict[str, Any]) -> bool:
    try:
        return validator().is_valid(resource)
    except (ArithmeticError, ValueError):  # an exponent that the schema cannot hold, or nesting beyond 255 levels
        return False


def _issues(resource: dict[str, Any]) -> list[Issue]:
    if too_deep(resource):
        return [Issue("structure", f"Nesting goes deeper than {DEEPEST} levels.", resource["resourceType"])]
    found = findings(resource)
    try:
        return schema_issues(resource, MOST_ISSUES) + found
    except ArithmeticError:  # `findings` has named the number
        return found


def _wrong_type(text: str) -> Problem:
    issue = Issue("structure", text, "resourceType")
    return Problem(Kind.INCORRECT, "The resource is not of an acceptable type.", issues=(issue,))
