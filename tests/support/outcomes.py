# SPDX-License-Identifier: Apache-2.0
"""What every refusal must look like."""

from __future__ import annotations

from typing import Any

import httpx

from salus.fhir.definitions import structure
from salus.fhir.validate import check

_CODES = frozenset(structure().value_sets["http://hl7.org/fhir/ValueSet/issue-type"])


def assert_outcome(answer: httpx.Response) -> list[dict[str, Any]]:
    """The answer is a refusal with a valid OperationOutcome that says something; gives its issues."""
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    if answer.request.method == "HEAD":
        return []
    outcome = answer.json()
    check(outcome, "OperationOutcome")
    issues: list[dict[str, Any]] = outcome["issue"]
    for issue in issues:
        assert issue["severity"] in {"error", "fatal"}
        assert issue["code"] in _CODES
        assert issue["diagnostics"]
        assert all(issue.get("expression", ["x"]))
    return issues
