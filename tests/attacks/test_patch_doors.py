# SPDX-License-Identifier: Apache-2.0
"""A patch reads before it writes: neither may go past the permit, and its failures must not tell what is there."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.attacks.ward import HIDDEN, furnish, nobody, told
from tests.support.clinic import Client, Clinic, heart_rate, put_all
from tests.support.outcomes import assert_outcome

JSON = dict[str, Any]


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = furnish(Clinic(tmp_path_factory.mktemp("ward") / "data"))
    yield made
    made.close()
    made.loop.close()


def patch(client: Client, path: str, *operations: JSON) -> httpx.Response:
    headers = {"content-type": "application/json-patch+json"}
    return client.request("PATCH", f"/fhir/{path}", json=list(operations), headers=headers)


def merge(client: Client, path: str, changes: JSON) -> httpx.Response:
    return client.request(
        "PATCH", f"/fhir/{path}", json=changes, headers={"content-type": "application/merge-patch+json"}
    )


def probe(path: str, value: Any) -> JSON:
    return {"op": "test", "path": path, "value": value}


DOORS = [(name, record) for name, records in HIDDEN.items() for record in records]


@pytest.mark.parametrize(("name", "record"), DOORS)
def test_patching_a_hidden_record_reads_like_patching_none(ward: Clinic, name: str, record: str) -> None:
    type_, _, id_ = record.partition("/")
    person = ward.as_(name)
    for operations in ([probe("/status", "final")], [{"op": "replace", "path": "/status", "value": "amended"}], []):
        there = patch(person, record, *operations)
        absent = patch(person, f"{type_}/{nobody(id_)}", *operations)
        assert there.status_code in {403, 404}
        assert told(there, id_) == told(absent, nobody(id_))


@pytest.mark.parametrize(("name", "record"), DOORS)
def test_merging_into_a_hidden_record_reads_like_merging_into_none(ward: Clinic, name: str, record: str) -> None:
    type_, _, id_ = record.partition("/")
    person = ward.as_(name)
    for changes in ({"status": "amended"}, {"id": "x"}, {}):
        there = merge(person, record, changes)
        absent = merge(person, f"{type_}/{nobody(id_)}", changes)
        assert there.status_code in {403, 404}
        assert told(there, id_) == told(absent, nobody(id_))


@pytest.mark.parametrize("name", ["anna", "bert"])
def test_a_patient_does_not_patch_records_of_others(ward: Clinic, name: str) -> None:
    other = "bert" if name == "anna" else "anna"
    service = ward.as_("service")
    for record in (f"Patient/{other}", f"Observation/pulse-{other}", f"Condition/asthma-{other}"):
        before = service.get(f"/fhir/{record}").content
        for change in ([{"op": "remove", "path": "/meta"}], [probe("/id", record.partition("/")[2])]):
            assert patch(ward.as_(name), record, *change).status_code in {403, 404}
        assert service.get(f"/fhir/{record}").content == before


def test_a_record_is_not_patched_into_somebody_elses_chart(ward: Clinic) -> None:
    """The result is judged as well: the nurse cares for Anna and not for Bert."""
    put_all(ward.as_("service"), heart_rate("anna", 60, "mine"))
    nurse = ward.as_("nurse")
    change = {"op": "replace", "path": "/subject/reference", "value": "Patient/bert"}
    for answer in (
        patch(nurse, "Observation/mine", change),
        merge(nurse, "Observation/mine", {"subject": {"reference": "Patient/bert"}}),
    ):
        assert answer.status_code == 403
    assert "Patient/bert" not in ward.as_("service").get("/fhir/Observation/mine").text


def test_a_condition_does_not_reach_hidden_records(ward: Clinic) -> None:
    there = patch(ward.as_("nurse"), "Observation?_id=pulse-bert", probe("/status", "final"))
    absent = patch(ward.as_("nurse"), "Observation?_id=pulse-zert", probe("/status", "final"))
    assert there.status_code in {403, 404}
    assert told(there, "pulse-bert") == told(absent, "pulse-zert")


def test_a_failed_test_repeats_neither_value(ward: Clinic) -> None:
    answer = patch(ward.as_("service"), "Patient/anna", probe("/name/0/family", "Mandragora"))
    assert answer.status_code == 422
    assert_outcome(answer)
    assert "Mandragora" not in answer.text
    assert "ngstr" not in answer.text


def test_fhirpath_does_not_lead_out_of_the_record(ward: Clinic) -> None:
    for path in ("Observation.subject.resolve().gender", "%context.subject.resolve()", "'x'", "today()"):
        sent = {
            "resourceType": "Parameters",
            "parameter": [
                {
                    "name": "operation",
                    "part": [
                        {"name": "type", "valueCode": "replace"},
                        {"name": "path", "valueString": path},
                        {"name": "value", "valueCode": "male"},
                    ],
                }
            ],
        }
        answer = ward.as_("service").request("PATCH", "/fhir/Observation/pulse-anna", json=sent)
        assert answer.status_code in {400, 422}, answer.text
        assert_outcome(answer)


def test_a_refused_patch_is_in_the_log(ward: Clinic) -> None:
    patch(ward.as_("anna"), "Patient/bert", probe("/gender", "male"))
    log = ward.as_("auditor").get("/fhir/AuditEvent?altid=anna&_count=1").json()
    event = log["entry"][0]["resource"]
    assert event["outcome"] != "0"
    assert event["subtype"][0]["code"] == "update"


@pytest.mark.parametrize(("name", "record"), DOORS)
def test_in_xml_a_hidden_record_reads_like_none_as_well(ward: Clinic, name: str, record: str) -> None:
    type_, _, id_ = record.partition("/")
    for path in ("", "/_history", "/_history/1"):
        there, absent = (
            ward.as_(name).get(f"/fhir/{type_}/{each}{path}", headers={"accept": "application/fhir+xml"})
            for each in (id_, nobody(id_))
        )
        assert there.headers["content-type"].startswith("application/fhir+xml")
        assert told(there, id_) == told(absent, nobody(id_))
