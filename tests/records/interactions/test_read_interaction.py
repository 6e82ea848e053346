# SPDX-License-Identifier: Apache-2.0
"""Read and vread (https://hl7.org/fhir/R4/http.html#read, #vread)."""

from __future__ import annotations

import pytest
from tests.support.clinic import Clinic, heart_rate, patient


def test_read_gives_the_newest_version_with_its_headers(clinic: Clinic) -> None:
    service = clinic.as_("service")
    service.put("/fhir/Patient/anna", patient("anna", "Second", "1980-02-29"))
    answer = service.get("/fhir/Patient/anna")
    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/fhir+json")
    assert answer.headers["etag"] == 'W/"2"'
    assert answer.headers["last-modified"].endswith("GMT")
    assert (body["id"], body["meta"]["versionId"], body["name"][0]["family"]) == ("anna", "2", "Second")
    assert body["meta"]["lastUpdated"].endswith("Z")


def test_what_was_written_is_read_back_digit_by_digit(clinic: Clinic) -> None:
    service = clinic.as_("service")
    raw = (
        '{"resourceType":"Observation","id":"exact","status":"final",'
        '"code":{"text":"Größe \\u00e9 \\ud83d\\ude00 \\"q\\""},'
        '"subject":{"reference":"Patient/anna"},"valueQuantity":{"value":1.10},'
        '"component":[{"code":{"text":"a"},"valueQuantity":{"value":0.0000001000}},'
        '{"code":{"text":"b"},"valueQuantity":{"value":-12345678901234567.8900}}]}'
    )
    made = service.request(
        "PUT", "/fhir/Observation/exact", content=raw, headers={"content-type": "application/fhir+json"}
    )
    assert made.status_code == 201, made.text
    text = service.get("/fhir/Observation/exact").text
    for digits in ('"value":1.10}', "-12345678901234567.8900", "Größe é 😀"):
        assert digits in text, text
    assert "1.000E-7" in text or "0.0000001000" in text


def test_vread_gives_each_version_as_it_was(clinic: Clinic) -> None:
    service = clinic.as_("service")
    for value in (71, 72, 73):
        service.put("/fhir/Observation/pulse-anna", heart_rate("anna", value))
    values = []
    for version in range(1, 5):
        answer = service.get(f"/fhir/Observation/pulse-anna/_history/{version}")
        assert answer.headers["etag"] == f'W/"{version}"'
        assert answer.json()["meta"]["versionId"] == str(version)
        values.append(answer.json()["valueQuantity"]["value"])
    assert values == [70, 71, 72, 73]


@pytest.mark.parametrize("version", ["0", "01", "٢", "5", "999999999", "x", "-1", "1.0", "99999999999999999999"])
def test_a_version_that_never_was_is_not_found(clinic: Clinic, version: str) -> None:
    assert clinic.as_("service").get(f"/fhir/Patient/anna/_history/{version}").status_code == 404


def test_a_deleted_record_is_gone_but_its_versions_stay(clinic: Clinic) -> None:
    service = clinic.as_("service")
    service.delete("/fhir/Condition/asthma-anna")
    assert service.get("/fhir/Condition/asthma-anna").status_code == 410
    assert service.get("/fhir/Condition/asthma-anna/_history/1").status_code == 200
    assert service.get("/fhir/Condition/asthma-anna/_history/2").status_code == 410


def test_a_record_that_never_was_is_not_found(clinic: Clinic) -> None:
    service = clinic.as_("service")
    assert service.get("/fhir/Patient/nobody").status_code == 404
    assert service.get("/fhir/Nonsense/1").status_code == 404


@pytest.mark.parametrize("known", ['W/"1"', '"1"', '"7", W/"1"', "*"])
def test_if_none_match_saves_the_body(clinic: Clinic, known: str) -> None:
    answer = clinic.as_("service").get("/fhir/Patient/anna", headers={"if-none-match": known})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == 'W/"1"'


def test_if_none_match_of_an_older_version_gives_the_body(clinic: Clinic) -> None:
    service = clinic.as_("service")
    service.put("/fhir/Patient/anna", patient("anna", "Second", "1980-02-29"))
    assert service.get("/fhir/Patient/anna", headers={"if-none-match": 'W/"1"'}).status_code == 200


def test_a_part_of_a_record_is_read(clinic: Clinic) -> None:
    service = clinic.as_("service")
    whole = service.get("/fhir/Patient/anna").json()
    for address in ("/fhir/Patient/anna", "/fhir/Patient/anna/_history/1"):
        part = service.get(f"{address}?_elements=birthDate")
        assert part.headers["etag"] == 'W/"1"'
        assert part.json()["birthDate"] == whole["birthDate"]
        assert "name" not in part.json()
        assert part.json()["meta"]["tag"][-1]["code"] == "SUBSETTED"
    found = service.get("/fhir/Patient?_id=anna&_summary=true").json()["entry"][0]["resource"]
    assert service.get("/fhir/Patient/anna?_summary=true").json() == found
    assert service.get("/fhir/Patient/anna?_summary=false").json() == whole
    entry = {"request": {"method": "GET", "url": "Patient/anna?_elements=birthDate"}}
    batch = service.post("/fhir", {"resourceType": "Bundle", "type": "batch", "entry": [entry]}).json()
    assert "name" not in batch["entry"][0]["resource"]


@pytest.mark.parametrize("asked", ["_elements=colour", "_elements=", "_summary=some", "_summary=count", "_summary"])
def test_a_part_that_there_is_not(clinic: Clinic, asked: str) -> None:
    answer = clinic.as_("service").get(f"/fhir/Patient/anna?{asked}")
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == [f"query.{asked.partition('=')[0]}"]
