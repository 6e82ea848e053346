# SPDX-License-Identifier: Apache-2.0
"""Conditional update and delete (https://hl7.org/fhir/R4/http.html#cond-update, #3.1.0.7.1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.clinic import Clinic, heart_rate, patient, put_all

from salus.kernel.settings import Limits


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


# ── several ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def sweeping(tmp_path: Path) -> Iterator[Clinic]:
    """A clinic where one conditional delete may delete three records."""
    made = Clinic(tmp_path / "data", limits=Limits(requests_per_second=100_000, burst=100_000, conditional_deletes=3))
    yield made
    made.close()
    made.loop.close()


def test_several_are_deleted_in_one_commit_with_one_entry(sweeping: Clinic) -> None:
    service = sweeping.as_("service")
    put_all(service, heart_rate("anna", 61, "a"), heart_rate("anna", 62, "b"))
    answer = service.delete("/fhir/Observation?patient=anna", headers={"prefer": "return=OperationOutcome"})
    assert answer.status_code == 200, answer.text
    assert "3 records" in answer.json()["issue"][0]["diagnostics"]
    assert service.find("Observation?patient=anna") == []
    assert [service.get(f"/fhir/Observation/{id_}").status_code for id_ in ("a", "b", "pulse-anna")] == [410] * 3
    event = sweeping.as_("auditor").get("/fhir/AuditEvent?_count=20").json()["entry"]
    deleted = [one["resource"] for one in event if one["resource"]["subtype"][0]["code"] == "delete"]
    assert len(deleted) == 1
    named = {one.get("what", {}).get("reference") for one in deleted[0]["entity"]}
    assert {"Observation/a/_history/2", "Observation/b/_history/2", "Observation/pulse-anna/_history/2"} <= named
    assert sweeping.stranger.get("/fhir/metadata").json()["rest"][0]["resource"][0]["conditionalDelete"] == "multiple"


def test_more_than_the_limit_deletes_none(sweeping: Clinic) -> None:
    service = sweeping.as_("service")
    put_all(service, *(heart_rate("anna", 60 + number, f"o{number}") for number in range(3)))
    assert service.delete("/fhir/Observation?patient=anna").status_code == 412
    assert len(service.find("Observation?patient=anna")) == 4


def test_several_in_a_transaction(sweeping: Clinic) -> None:
    service = sweeping.as_("service")
    put_all(service, heart_rate("anna", 61, "a"))
    request = {"method": "DELETE", "url": "Observation?patient=anna"}
    answer = service.post("/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": [{"request": request}]})
    assert answer.json()["entry"][0]["response"]["status"] == "204 No Content"
    assert service.find("Observation?patient=anna") == []


def test_one_is_the_limit_unless_it_is_set(clinic: Clinic) -> None:
    put_all(clinic.as_("service"), heart_rate("anna", 61, "a"))
    assert clinic.as_("service").delete("/fhir/Observation?patient=anna").status_code == 412
    assert clinic.stranger.get("/fhir/metadata").json()["rest"][0]["resource"][0]["conditionalDelete"] == "single"


def test_hidden_records_are_neither_deleted_nor_counted(sweeping: Clinic) -> None:
    """The nurse cares for Anna: whatever of Bert's would match is left, and does not fill the limit."""
    nurse, service = sweeping.as_("nurse"), sweeping.as_("service")
    put_all(service, *(heart_rate("bert", 60 + number, f"o{number}") for number in range(5)))
    answer = nurse.delete("/fhir/Observation?code=8867-4")
    assert answer.status_code in {204, 403}
    assert len(service.find("Observation?patient=bert")) == 6
