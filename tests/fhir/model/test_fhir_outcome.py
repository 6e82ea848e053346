# SPDX-License-Identifier: Apache-2.0
"""Problems become OperationOutcomes that are valid themselves and hold nothing but public words."""

from __future__ import annotations

import pytest

from salus.fhir.outcome import information, outcome, warnings
from salus.fhir.validate import check
from salus.kernel.errors import Issue, Kind, Problem


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_of_problem_gives_a_valid_outcome(kind: Kind) -> None:
    resource = outcome(Problem(kind, "It did not work.", "row 7 of Patient/secret"))
    check(resource, "OperationOutcome")
    assert resource["issue"][0]["diagnostics"] == "It did not work."
    assert "secret" not in str(resource)


@pytest.mark.parametrize("place", ["Patient.contact[0].gender", "http.If-Match", "query.birthdate"])
def test_places_stand_in_expression(place: str) -> None:
    problem = Problem(Kind.INVALID, "No.", issues=(Issue("value", "Wrong.", place), Issue("required", "Missing.")))
    first, second = outcome(problem)["issue"]
    assert first == {"severity": "error", "code": "value", "diagnostics": "Wrong.", "expression": [place]}
    assert "expression" not in second


def test_our_own_failure_is_fatal() -> None:
    assert outcome(Problem(Kind.FAULT, "Our mistake."))["issue"][0]["severity"] == "fatal"
    assert outcome(Problem(Kind.NOT_FOUND, "Not here."))["issue"][0]["severity"] == "error"


def test_notices_are_valid_outcomes() -> None:
    for resource in (
        information("Deleted.", code="deleted"),
        warnings((Issue("not-supported", "Ignored.", "query.x"),)),
    ):
        check(resource, "OperationOutcome")
