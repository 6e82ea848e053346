# SPDX-License-Identifier: Apache-2.0
"""Problems as FHIR OperationOutcome resources (https://hl7.org/fhir/R4/operationoutcome.html).

Only what a `Problem` calls public is written: its `detail` is for the operator's log and never appears here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from salus.fhir.validate.finding import Finding
from salus.kernel.errors import Issue, Kind, Problem

Outcome = dict[str, Any]

# https://hl7.org/fhir/R4/valueset-issue-type.html
ISSUE_TYPES: Final[dict[Kind, str]] = {
    Kind.UNAUTHENTICATED: "login",
    Kind.FORBIDDEN: "forbidden",
    Kind.NOT_FOUND: "not-found",
    Kind.GONE: "deleted",
    Kind.INCORRECT: "invalid",
    Kind.INVALID: "invalid",
    Kind.CONFLICT: "conflict",
    Kind.PRECONDITION: "conflict",
    Kind.METHOD: "not-supported",
    Kind.FORMAT: "not-supported",
    Kind.TOO_LARGE: "too-long",
    Kind.TOO_COSTLY: "too-costly",
    Kind.THROTTLED: "throttled",
    Kind.UNAVAILABLE: "transient",
    Kind.FAULT: "exception",
}
# Our own failure, as opposed to a request that cannot be served as it stands.
_FATAL: Final = frozenset({Kind.UNAVAILABLE, Kind.FAULT})


def outcome(problem: Problem) -> Outcome:
    """OperationOutcome for a problem.

    Args:
        problem: whatever stopped the request.

    Returns:
        a resource with one issue per `Issue` of the problem, or a single one from its public words;
        `expression` holds the place where there is one: a FHIRPath, `http.<header>` or `query.<parameter>`.
    """
    severity = "fatal" if problem.kind in _FATAL else "error"
    if not problem.issues:
        return _resource([_entry(severity, Issue(ISSUE_TYPES[problem.kind], problem.public))])
    return _resource([_entry(severity, issue) for issue in problem.issues])


def information(text: str, *, code: str = "informational") -> Outcome:
    """OperationOutcome that reports success or gives notice.

    Args:
        text: words for a person; never patient data.
        code: an IssueType code, `informational` unless something more exact fits (such as `deleted`).
    """
    return _resource([_entry("information", Issue(code, text))])


def warnings(issues: tuple[Issue, ...]) -> Outcome:
    """OperationOutcome for things passed over, such as parameters ignored under lenient handling."""
    return _resource([_entry("warning", issue) for issue in issues])


def judgement(found: Sequence[Finding]) -> Outcome:
    """OperationOutcome for what a validation found; it says so when that is nothing."""
    if not found:
        return information("Nothing is wrong with this resource.")
    return _resource([_entry(each.severity.value, each.issue()) for each in found])


def _resource(entries: list[Outcome]) -> Outcome:
    return {"resourceType": "OperationOutcome", "issue": entries}


def _entry(severity: str, issue: Issue) -> Outcome:
    entry: Outcome = {"severity": severity, "code": issue.code, "diagnostics": issue.text}
    if issue.place:
        entry["expression"] = [issue.place]
    return entry
