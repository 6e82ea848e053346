# SPDX-License-Identifier: Apache-2.0
"""Conditional create (https://hl7.org/fhir/R4/http.html#ccreate)."""

from __future__ import annotations

import pytest
from tests.support.clinic import BASE, Clinic

_MRN = {"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": "1"}]}


def test_none_makes_one_then_one_is_given_back(clinic: Clinic) -> None:
    service = clinic.as_("service")
    condition = {"if-none-exist": "identifier=urn:mrn|1"}
    made = service.post("/fhir/Patient", _MRN, headers=condition)
    assert made.status_code == 201
    again = service.post("/fhir/Patient", {**_MRN, "active": True}, headers=condition)
    assert again.status_code == 200
    assert (
        again.headers["location"] == made.headers["location"] == (f"{BASE}/fhir/Patient/{made.json()['id']}/_history/1")
    )
    assert "active" not in again.json()
    assert len(service.find("Patient?identifier=urn:mrn|1")) == 1


def test_several_are_refused(clinic: Clinic) -> None:
    service = clinic.as_("service")
    for _ in range(2):
        service.post("/fhir/Patient", _MRN)
    answer = service.post("/fhir/Patient", _MRN, headers={"if-none-exist": "?identifier=urn:mrn|1"})
    assert answer.status_code == 412
    assert answer.json()["issue"][0]["code"] == "multiple-matches"
    assert len(service.find("Patient?identifier=urn:mrn|1")) == 2


def test_a_deleted_match_does_not_count(clinic: Clinic) -> None:
    service = clinic.as_("service")
    first = service.post("/fhir/Patient", _MRN).json()["id"]
    service.delete(f"/fhir/Patient/{first}")
    assert service.post("/fhir/Patient", _MRN, headers={"if-none-exist": "identifier=urn:mrn|1"}).status_code == 201


@pytest.mark.parametrize("condition", ["nonsense=1", "_count=1", "birthdate=soon", "%FF=1"])
def test_a_condition_that_says_nothing_or_is_not_understood_is_refused(clinic: Clinic, condition: str) -> None:
    service = clinic.as_("service")
    before = len(service.find("Patient"))
    assert service.post("/fhir/Patient", _MRN, headers={"if-none-exist": condition}).status_code == 400
    assert len(service.find("Patient")) == before


def test_parameters_in_the_address_mean_the_same(clinic: Clinic) -> None:
    service = clinic.as_("service")
    made = service.post("/fhir/Patient?identifier=urn:mrn|1", _MRN)
    assert made.status_code == 201
    again = service.post("/fhir/Patient?identifier=urn:mrn|1&_format=json", _MRN)
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    assert service.post("/fhir/Patient?_format=json&_pretty=true", _MRN).status_code == 201
    both = service.post("/fhir/Patient?identifier=urn:mrn|1", _MRN, headers={"if-none-exist": "identifier=urn:mrn|2"})
    assert both.status_code == 400
    assert service.post("/fhir/Patient?nonsense=1", _MRN).status_code == 400
    assert len(service.find("Patient?identifier=urn:mrn|1")) == 2
