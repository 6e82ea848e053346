# SPDX-License-Identifier: Apache-2.0
"""`$lastn` gives the newest observations of each code."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.clinic import Clinic, heart_rate, put_all
from tests.support.outcomes import assert_outcome

LOINC = "http://loinc.org"


def observed(id_: str, when: str, *codes: str, text: str = "", **more: Any) -> dict[str, Any]:
    made = heart_rate("anna", 60, id_, when)
    made["code"] = {"coding": [{"system": LOINC, "code": code} for code in codes]} if codes else {"text": text}
    made["category"] = [{"coding": [{"code": "vital-signs"}]}]
    return made | more


def furnish(clinic: Clinic) -> None:
    put_all(
        clinic.as_("service"),
        observed("p1", "2026-01-01T08:00:00Z", "8867-4"),
        observed("p2", "2026-01-02T08:00:00Z", "8867-4", "alias"),
        observed("p3", "2026-01-03T08:00:00Z", "alias"),
        observed("t1", "2026-01-02T09:00:00Z", "8310-5"),
        observed("t2", "2026-01-04T09:00:00Z", "8310-5", status="entered-in-error"),
        observed("x1", "2025-01-01T08:00:00Z", text="Mood"),
        observed("x2", "2025-01-02T08:00:00Z", text="Mood"),
        {**observed("bert", "2026-02-01T08:00:00Z", "8867-4"), "subject": {"reference": "Patient/bert"}},
    )


def ids(clinic: Clinic, query: str, who: str = "physician") -> list[str]:
    answer = clinic.as_(who).get(f"/fhir/Observation/$lastn?{query}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] == len(answer.json().get("entry", ()))
    return [entry["resource"]["id"] for entry in answer.json().get("entry", ())]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("patient=anna&category=vital-signs", ["p3", "t1", "x2"]),
        ("patient=Patient/anna&category=vital-signs&max=2", ["p3", "p2", "t1", "x2", "x1"]),
        ("subject=Patient/anna&code=http://loinc.org|8867-4", ["pulse-anna"]),
        ("patient=anna&category=vital-signs&code=alias&max=9", ["p3", "p2"]),
        ("patient=anna&category=vital-signs&date=lt2026-01-03", ["t1", "p2", "x2"]),
        ("patient=anna&category=vital-signs&status=entered-in-error", ["t2"]),
        ("patient=anna&code=nothing", []),
    ],
)
def test_the_newest_of_each_code(clinic: Clinic, query: str, expected: list[str]) -> None:
    furnish(clinic)
    assert ids(clinic, query) == expected


def test_only_what_one_may_see_counts(clinic: Clinic) -> None:
    furnish(clinic)
    assert ids(clinic, "patient=bert&category=vital-signs", "anna") == []
    assert ids(clinic, "patient=anna&category=vital-signs", "nurse") == ["p3", "t1", "x2"]
    assert clinic.as_("front-desk").get("/fhir/Observation/$lastn?patient=anna&code=x").status_code == 403


@pytest.mark.parametrize(
    "query",
    ["", "patient=anna", "code=8867-4", "patient=anna&code=x&max=0", "patient=anna&code=x&_sort=date", "what=1",
     "patient=anna&code=x&_count=2", "patient=anna&code=x&_contained=true",
     "patient=anna&code=x&_include=Observation:subject"],
)  # fmt: skip
def test_what_is_not_understood_is_refused(clinic: Clinic, query: str) -> None:
    assert_outcome(clinic.as_("physician").get(f"/fhir/Observation/$lastn?{query}"))


def test_it_takes_parameters_by_post(clinic: Clinic) -> None:
    furnish(clinic)
    sent = {"patient": "anna", "category": "vital-signs"}
    body = {
        "resourceType": "Parameters",
        "parameter": [
            *({"name": name, "valueString": value} for name, value in sent.items()),
            {"name": "max", "valuePositiveInt": 2},
        ],
    }
    answer = clinic.as_("physician").post("/fhir/Observation/$lastn", body)
    assert [e["resource"]["id"] for e in answer.json()["entry"]] == ["p3", "p2", "t1", "x2", "x1"]
