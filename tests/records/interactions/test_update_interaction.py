# SPDX-License-Identifier: Apache-2.0
"""Update (https://hl7.org/fhir/R4/http.html#update) and its version check (#concurrency)."""

from __future__ import annotations

import pytest
from tests.support.clinic import BASE, Clinic, heart_rate, patient


def test_update_replaces_the_whole_record(clinic: Clinic) -> None:
    service = clinic.as_("service")
    answer = service.put("/fhir/Patient/anna", {"resourceType": "Patient", "id": "anna", "active": True})
    assert answer.status_code == 200
    assert answer.headers["etag"] == 'W/"2"'
    assert answer.headers["location"] == f"{BASE}/fhir/Patient/anna/_history/2"
    body = service.get("/fhir/Patient/anna").json()
    assert body["active"] is True
    assert "birthDate" not in body


def test_the_client_may_choose_the_id_of_a_new_record(clinic: Clinic) -> None:
    made = clinic.as_("service").put("/fhir/Patient/chosen-1.a", {"resourceType": "Patient", "id": "chosen-1.a"})
    assert made.status_code == 201
    assert made.headers["etag"] == 'W/"1"'


@pytest.mark.parametrize("id_", ["under_score", "a" * 65, "sp%20ace", "ü"])
def test_an_id_that_fhir_does_not_allow_is_refused(clinic: Clinic, id_: str) -> None:
    assert clinic.as_("service").put(f"/fhir/Patient/{id_}", {"resourceType": "Patient", "id": id_}).status_code in {
        400,
        422,
    }


def test_the_id_of_the_body_must_be_that_of_the_address(clinic: Clinic) -> None:
    service = clinic.as_("service")
    for body in (patient("bert", "X", "1980-01-01"), {"resourceType": "Patient"}):
        answer = service.put("/fhir/Patient/anna", body)
        assert answer.status_code == 400
        assert answer.json()["issue"][0]["expression"] == ["Patient.id"]
    assert service.get("/fhir/Patient/anna").headers["etag"] == 'W/"1"'


@pytest.mark.parametrize("tag", ['W/"1"', '"1"'])
def test_if_match_of_the_newest_version_replaces_it(clinic: Clinic, tag: str) -> None:
    answer = clinic.as_("service").put(
        "/fhir/Patient/anna", patient("anna", "New", "1980-02-29"), headers={"if-match": tag}
    )
    assert answer.status_code == 200


def test_if_match_of_an_older_version_is_refused(clinic: Clinic) -> None:
    service = clinic.as_("service")
    service.put("/fhir/Patient/anna", patient("anna", "Second", "1980-02-29"))
    stale = service.put("/fhir/Patient/anna", patient("anna", "Third", "1980-02-29"), headers={"if-match": 'W/"1"'})
    assert stale.status_code == 412
    assert service.get("/fhir/Patient/anna").json()["name"][0]["family"] == "Second"


def test_if_match_on_a_record_that_is_not_there_is_refused(clinic: Clinic) -> None:
    answer = clinic.as_("service").put(
        "/fhir/Patient/new", {"resourceType": "Patient", "id": "new"}, headers={"if-match": 'W/"1"'}
    )
    assert answer.status_code == 412


def test_if_match_that_is_no_version_is_refused(clinic: Clinic) -> None:
    answer = clinic.as_("service").put(
        "/fhir/Patient/anna", patient("anna", "X", "1980-02-29"), headers={"if-match": "latest"}
    )
    assert answer.status_code == 400


def test_update_after_a_deletion_makes_the_record_again(clinic: Clinic) -> None:
    service = clinic.as_("service")
    service.delete("/fhir/Observation/pulse-anna")
    again = service.put("/fhir/Observation/pulse-anna", heart_rate("anna", 99))
    assert again.status_code == 201
    assert again.headers["etag"] == 'W/"3"'
    assert service.get("/fhir/Observation/pulse-anna").json()["valueQuantity"]["value"] == 99
    assert [r["id"] for r in service.find("Observation?patient=anna")] == ["pulse-anna"]


def test_search_finds_what_the_record_says_now_and_no_more_what_it_said(clinic: Clinic) -> None:
    service = clinic.as_("service")
    service.put("/fhir/Patient/anna", patient("anna", "Renamed", "1980-02-29"))
    assert [r["id"] for r in service.find("Patient?family=renamed")] == ["anna"]
    assert service.find("Patient?family=angstrom") == []
