# SPDX-License-Identifier: Apache-2.0
"""Conditional update and delete (https://hl7.org/fhir/R4/http.html#cond-update, #3.1.0.7.1)."""

from __future__ import annotations

from tests.support.clinic import Clinic, patient


def _body(**more: object) -> dict[str, object]:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": "1"}], **more}


def test_none_makes_the_record_and_one_replaces_it(clinic: Clinic) -> None:
    service = clinic.as_("service")
    made = service.put("/fhir/Patient?identifier=urn:mrn|1", _body())
    assert made.status_code == 201
    id_ = made.json()["id"]
    replaced = service.put("/fhir/Patient?identifier=urn:mrn|1", _body(active=True))
    assert (replaced.status_code, replaced.json()["id"], replaced.headers["etag"]) == (200, id_, 'W/"2"')
    with_id = service.put("/fhir/Patient?identifier=urn:mrn|1", _body(id=id_))
    assert with_id.headers["etag"] == 'W/"3"'


def test_none_with_an_id_takes_that_id(clinic: Clinic) -> None:
    made = clinic.as_("service").put("/fhir/Patient?identifier=urn:mrn|1", _body(id="mine"))
    assert (made.status_code, made.json()["id"]) == (201, "mine")


def test_another_id_in_the_body_is_refused(clinic: Clinic) -> None:
    service = clinic.as_("service")
    service.put("/fhir/Patient?identifier=urn:mrn|1", _body())
    assert service.put("/fhir/Patient?identifier=urn:mrn|1", _body(id="anna")).status_code == 400


def test_several_are_refused_and_nothing_changes(clinic: Clinic) -> None:
    service = clinic.as_("service")
    assert service.put("/fhir/Patient?birthdate=gt1900", patient("anna", "X", "1980-02-29")).status_code == 412
    assert service.delete("/fhir/Patient?birthdate=gt1900").status_code == 412
    assert service.get("/fhir/Patient/anna").headers["etag"] == 'W/"1"'
    assert len(service.find("Patient")) == 2


def test_if_match_holds_for_conditional_updates_too(clinic: Clinic) -> None:
    service = clinic.as_("service")
    service.put("/fhir/Patient?identifier=urn:mrn|1", _body())
    stale = service.put("/fhir/Patient?identifier=urn:mrn|1", _body(), headers={"if-match": 'W/"4"'})
    assert stale.status_code == 412


def test_conditional_delete_takes_the_one_and_is_content_with_none(clinic: Clinic) -> None:
    service = clinic.as_("service")
    assert service.delete("/fhir/Condition?patient=anna").status_code == 204
    assert service.get("/fhir/Condition/asthma-anna").status_code == 410
    assert service.get("/fhir/Condition/asthma-bert").status_code == 200
    assert service.delete("/fhir/Condition?patient=anna").status_code == 204


def test_without_a_condition_nothing_is_deleted_or_replaced(clinic: Clinic) -> None:
    service = clinic.as_("service")
    for query in ("", "?", "?_count=1", "?nonsense=1"):
        assert service.delete(f"/fhir/Condition{query}").status_code == 400
        assert service.put(f"/fhir/Patient{query}", _body()).status_code == 400
    assert len(service.find("Condition")) == 2
