# SPDX-License-Identifier: Apache-2.0
"""`$match` through the index: who is found, with which grade, for whom."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.clinic import Clinic, put_all
from tests.support.outcomes import assert_outcome

from salus.fhir.validate import check

JSON = dict[str, Any]
GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
ANNA = {"name": [{"family": "Ångström", "given": ["Anna"]}], "birthDate": "1980-02-29", "gender": "female"}
RESTRICTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}


def ask(clinic: Clinic, who: str = "front-desk", certain: bool = False, count: int = 0, **patient: Any) -> Any:
    parameters: list[JSON] = [{"name": "resource", "resource": {"resourceType": "Patient", **patient}}]
    if certain:
        parameters.append({"name": "onlyCertainMatches", "valueBoolean": True})
    if count:
        parameters.append({"name": "count", "valueInteger": count})
    return clinic.as_(who).post("/fhir/Patient/$match", {"resourceType": "Parameters", "parameter": parameters})


def graded(answer: Any) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    check(bundle, "Bundle")
    found = {}
    for entry in bundle.get("entry", ()):
        if entry["search"]["mode"] == "match":
            (extension,) = entry["search"]["extension"]
            assert extension["url"] == GRADE
            assert 0 <= entry["search"]["score"] <= 1
            found[entry["resource"]["id"]] = extension["valueCode"]
    assert bundle["total"] == len(found)
    return found


def furnish(clinic: Clinic) -> None:
    put_all(
        clinic.as_("service"),
        {
            "resourceType": "Patient",
            "id": "anna",
            **ANNA,
            "identifier": [{"system": "urn:mrn", "value": "A-1"}],
            "telecom": [{"system": "email", "value": "anna@example.org"}],
        },
    )


@pytest.mark.parametrize(
    ("changed", "grade"),
    [
        ({}, "probable"),
        ({"telecom": [{"system": "email", "value": "anna@example.org"}]}, "certain"),
        ({"identifier": [{"system": "urn:mrn", "value": "A-1"}]}, "certain"),
        ({"name": [{"family": "Angstroem", "given": ["Ana"]}]}, "probable"),
        ({"name": [{"family": "Newname", "given": ["Anna"]}]}, "probable"),
        ({"birthDate": "1980-02-28"}, "probable"),
        ({"birthDate": "1980"}, "possible"),
    ],
)
def test_a_known_person_is_found_in_spite_of_mistakes(clinic: Clinic, changed: JSON, grade: str) -> None:
    furnish(clinic)
    assert graded(ask(clinic, **{**ANNA, **changed})) == {"anna": grade}


def test_reasons_are_given_without_values(clinic: Clinic) -> None:
    furnish(clinic)
    (outcome,) = [
        entry["resource"] for entry in ask(clinic, **ANNA).json()["entry"] if entry["search"]["mode"] == "outcome"
    ]
    (issue,) = outcome["issue"]
    assert issue["severity"] == "information"
    assert issue["expression"] == ["Bundle.entry[0]"]
    assert "birthDate same" in issue["diagnostics"]
    assert "1980" not in issue["diagnostics"]


def test_only_certain_ones_and_no_more_than_asked_for(clinic: Clinic) -> None:
    furnish(clinic)
    put_all(clinic.as_("service"), {"resourceType": "Patient", "id": "double", **ANNA})
    assert graded(ask(clinic, certain=True, **ANNA)) == {}
    known = {**ANNA, "identifier": [{"system": "urn:mrn", "value": "A-1"}]}
    assert graded(ask(clinic, certain=True, **known)) == {"anna": "certain"}
    assert graded(ask(clinic, **known)) == {"anna": "certain", "double": "probable"}
    assert graded(ask(clinic, count=1, **known)) == {"anna": "certain"}
    stranger = {"name": [{"family": "Zzyzx", "given": ["Quentin"]}], "birthDate": "2001-01-01"}
    assert graded(ask(clinic, **stranger)) == {}


def test_a_bare_patient_may_be_sent(clinic: Clinic) -> None:
    answer = clinic.as_("physician").post(
        "/fhir/Patient/$match?onlyCertainMatches=false", {"resourceType": "Patient", **ANNA}
    )
    assert graded(answer) == {"anna": "probable"}


@pytest.mark.parametrize(
    "patient",
    [
        {},
        {"gender": "female"},
        {"birthDate": "1980-02-29"},
        {"name": [{"family": "A"}]},
        {"identifier": [{"value": "A-1"}]},
        {"name": [{"text": "Anna"}], "birthDate": "1980-02-29"},
    ],
)
def test_a_description_of_nobody_in_particular_is_refused(clinic: Clinic, patient: JSON) -> None:
    assert_outcome(ask(clinic, **patient))


@pytest.mark.parametrize(
    "who", ["anna", "bert", "nurse", "billing", "laboratory", "researcher", "administrator", "auditor"]
)
def test_it_is_no_oracle_for_those_who_do_not_register(clinic: Clinic, who: str) -> None:
    known, unknown = ask(clinic, who, **ANNA), ask(clinic, who, **{**ANNA, "birthDate": "2001-01-01"})
    assert known.status_code == unknown.status_code == 403
    assert known.json() == unknown.json()


def test_a_hidden_patient_changes_no_answer(clinic: Clinic) -> None:
    before = ask(clinic, **ANNA).json()
    secret = {"resourceType": "Patient", "id": "secret", "meta": {"security": [RESTRICTED]}, **ANNA}
    put_all(clinic.as_("service"), secret)
    assert ask(clinic, **ANNA).json() == before
    assert graded(ask(clinic, "service", **ANNA)).keys() == {"anna", "secret"}
