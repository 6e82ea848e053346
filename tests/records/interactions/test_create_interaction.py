# SPDX-License-Identifier: Apache-2.0
"""Create (https://hl7.org/fhir/R4/http.html#create) and what Prefer asks back (#ops)."""

from __future__ import annotations

from tests.support.clinic import BASE, Clinic, heart_rate


def test_create_answers_where_the_record_is_and_which_version(clinic: Clinic) -> None:
    service = clinic.as_("service")
    made = service.post("/fhir/Observation", heart_rate("anna", 88))
    assert made.status_code == 201
    body = made.json()
    assert made.headers["location"] == f"{BASE}/fhir/Observation/{body['id']}/_history/1"
    assert made.headers["etag"] == 'W/"1"'
    assert made.headers["last-modified"]
    assert service.get(made.headers["location"].removeprefix(BASE)).json() == body


def test_the_id_and_meta_of_the_client_are_replaced(clinic: Clinic) -> None:
    sent = heart_rate("anna", 88, id_="mine")
    sent["meta"] = {"versionId": "77", "lastUpdated": "1999-01-01T00:00:00Z", "tag": [{"code": "kept"}]}
    body = clinic.as_("service").post("/fhir/Observation", sent).json()
    assert body["id"] != "mine"
    assert body["meta"]["versionId"] == "1"
    assert not body["meta"]["lastUpdated"].startswith("1999")
    assert body["meta"]["tag"] == [{"code": "kept"}]


def test_prefer_minimal_sends_headers_only(clinic: Clinic) -> None:
    made = clinic.as_("service").post(
        "/fhir/Patient", {"resourceType": "Patient"}, headers={"prefer": "return=minimal"}
    )
    assert (made.status_code, made.content) == (201, b"")
    assert made.headers["location"]
    assert made.headers["etag"]


def test_prefer_representation_sends_the_record(clinic: Clinic) -> None:
    made = clinic.as_("service").post(
        "/fhir/Patient", {"resourceType": "Patient"}, headers={"prefer": "handling=strict, return=representation"}
    )
    assert made.json()["resourceType"] == "Patient"


def test_two_creates_of_the_same_content_are_two_records(clinic: Clinic) -> None:
    service = clinic.as_("service")
    ids = {service.post("/fhir/Observation", heart_rate("anna", 60)).json()["id"] for _ in range(2)}
    assert len(ids) == 2


def test_content_that_breaks_a_rule_is_refused_with_its_place_and_keeps_nothing(clinic: Clinic) -> None:
    service = clinic.as_("service")
    before = len(service.find("Observation"))
    sent = heart_rate("anna", 88)
    del sent["status"]
    sent["effectiveDateTime"] = "yesterday"
    answer = service.post("/fhir/Observation", sent)
    assert answer.status_code == 422
    places = {place for issue in answer.json()["issue"] for place in issue.get("expression", ())}
    assert {"Observation.effectiveDateTime"} <= {place.replace(".ofType(dateTime)", "DateTime") for place in places}
    assert any("status" in place or place == "Observation" for place in places)
    assert len(service.find("Observation")) == before


def test_another_type_than_the_address_says_is_refused(clinic: Clinic) -> None:
    assert clinic.as_("service").post("/fhir/Patient", heart_rate("anna", 1)).status_code == 400
