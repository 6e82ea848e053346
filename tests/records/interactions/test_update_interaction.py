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


def test_if_none_match_overwrites_nothing(clinic: Clinic) -> None:
    service = clinic.as_("service")
    only_new = {"if-none-match": "*"}
    refused = service.put("/fhir/Patient/anna", patient("anna", "Other", "1980-01-01"), headers=only_new)
    assert refused.status_code == 412
    assert refused.json()["issue"][0]["expression"] == ["http.If-None-Match"]
    assert service.get("/fhir/Patient/anna").headers["etag"] == 'W/"1"'

    fresh = patient("nora", "Other", "1980-01-01")
    assert service.put("/fhir/Patient/nora", fresh, headers=only_new).status_code == 201
    assert service.put("/fhir/Patient?_id=nora", fresh, headers=only_new).status_code == 412
    service.delete("/fhir/Patient/nora")
    assert service.put("/fhir/Patient/nora", fresh, headers=only_new).status_code == 201

    entry = {"resource": fresh, "request": {"method": "PUT", "url": "Patient/nora", "ifNoneMatch": "*"}}
    for kind in ("batch", "transaction"):
        answer = service.post("/fhir", {"resourceType": "Bundle", "type": kind, "entry": [entry]}).json()
        issue = (answer["entry"][0]["response"]["outcome"] if kind == "batch" else answer)["issue"][0]
        assert issue["expression"] == ["Bundle.entry[0].request.ifNoneMatch"]


def test_if_none_match_does_not_tell_of_a_hidden_record(clinic: Clinic) -> None:
    nurse, only_new = clinic.as_("nurse"), {"if-none-match": "*"}
    taken = heart_rate("bert", 70) | {"id": "hidden"}
    assert clinic.as_("service").put("/fhir/Observation/hidden", taken).status_code == 201
    with_it, without = (nurse.put("/fhir/Observation/hidden", taken, headers=h) for h in (only_new, {}))
    assert (with_it.status_code, with_it.json()) == (without.status_code, without.json())


def test_if_match_of_any_version(clinic: Clinic) -> None:
    service, there = clinic.as_("service"), {"if-match": "*"}
    assert service.put("/fhir/Patient/anna", patient("anna", "Ang", "1980-01-01"), headers=there).status_code == 200
    assert service.put("/fhir/Patient/nora", patient("nora", "Ang", "1980-01-01"), headers=there).status_code == 412
    assert service.delete("/fhir/Patient/anna", headers=there).status_code == 204
    assert service.put("/fhir/Patient/anna", patient("anna", "Ang", "1980-01-01"), headers=there).status_code == 412


@pytest.mark.parametrize(
    "headers", [{"if-none-match": 'W/"1"'}, {"if-none-match": "*", "if-match": 'W/"1"'}, {"if-match": "x"}]
)
def test_a_precondition_that_says_nothing_is_refused(clinic: Clinic, headers: dict[str, str]) -> None:
    answer = clinic.as_("service").put("/fhir/Patient/anna", patient("anna", "Ang", "1980-01-01"), headers=headers)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"][0].startswith("http.If-")
