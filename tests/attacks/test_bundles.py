# SPDX-License-Identifier: Apache-2.0
"""Bundles as a way in: each entry is judged as if it had come alone, and a failure tells no more."""

from __future__ import annotations

from typing import Any

import pytest

from tests.attacks.ward import nobody, told
from tests.support.clinic import BASE, Clinic, heart_rate

JSON = dict[str, Any]


def bundle(kind: str, *entries: JSON) -> JSON:
    """A Bundle."""
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def get(url: str) -> JSON:
    """A GET entry."""
    return {"request": {"method": "GET", "url": url}}


def post(resource: JSON, **request: str) -> JSON:
    """A POST entry."""
    return {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"], **request}}


def pulse(patient: str) -> JSON:
    """A heart rate without an id."""
    made = heart_rate(patient, 70)
    del made["id"]
    return made


def test_one_forbidden_entry_rolls_a_transaction_back(ward: Clinic) -> None:
    nurse = ward.as_("nurse")
    before = len(nurse.find("Observation"))
    for bad in (
        post(pulse("bert")),
        get("Claim?patient=bert"),
        {"request": {"method": "DELETE", "url": "Patient/anna"}},
    ):
        refused = nurse.post("/fhir", bundle("transaction", post(pulse("anna")), bad))
        assert refused.status_code == 403
        assert refused.json()["issue"][0]["expression"][0].startswith("Bundle.entry[1]")
        assert len(nurse.find("Observation")) == before


def test_one_forbidden_entry_of_a_batch_stands_alone(ward: Clinic) -> None:
    answer = ward.as_("nurse").post(
        "/fhir", bundle("batch", post(pulse("bert")), post(pulse("anna")), get("Observation/pulse-bert"))
    )
    statuses = [entry["response"]["status"][:3] for entry in answer.json()["entry"]]
    assert statuses == ["403", "201", "404"]


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_a_patient_reads_another_record_by_entries(quiet_ward: Clinic, kind: str) -> None:
    urls = (
        "Patient/bert",
        "Patient/bert/_history/1",
        "Observation/pulse-bert",
        "Observation/moved",
        "Observation?patient=bert",
        f"Observation?patient={BASE}/fhir/Patient/bert",
        "Observation?_id=pulse-bert&_summary=count",
        "Appointment?_total=accurate",
    )
    answer = quiet_ward.as_("anna").post("/fhir", bundle(kind, *map(get, urls)))
    assert answer.status_code == 200
    for entry in answer.json()["entry"]:
        resource = entry.get("resource", {})
        assert resource.get("total", 0) == 0
        assert "entry" not in resource
        assert entry["response"]["status"][:3] == ("200" if resource else "404")


@pytest.mark.parametrize(
    "url", [f"{BASE}/fhir/Patient/bert", "/t/default/fhir/Patient/bert", "//Patient/bert/x", "../Patient"]
)
@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_an_entry_with_a_strange_address(quiet_ward: Clinic, kind: str, url: str) -> None:
    answer = quiet_ward.as_("anna").post("/fhir", bundle(kind, get(url)))
    assert "Brown" not in answer.text
    assert answer.status_code in {200, 400}
    if answer.status_code == 200:
        assert answer.json()["entry"][0]["response"]["status"][:3] in {"400", "404"}


@pytest.mark.parametrize("door", ["ifNoneExist", "put", "delete", "reference"])
def test_conditions_in_a_transaction_do_not_see_hidden_records(ward: Clinic, door: str) -> None:
    """`identifier=` of a hidden patient and of nobody: the same answer."""
    service = ward.as_("service")
    bert = service.get("/fhir/Patient/bert").json() | {"identifier": [{"system": "urn:mrn", "value": "B-1"}]}
    assert service.put("/fhir/Patient/bert", bert).status_code == 200

    def entry(value: str) -> JSON:
        condition = f"identifier=urn:mrn|{value}"
        if door == "ifNoneExist":
            return post(pulse("anna"), ifNoneExist=f"patient:identifier=urn:mrn|{value}&patient=bert")
        if door == "put":
            url = "Observation?patient=bert" if value == "B-1" else "Observation?patient=none"
            return {"resource": pulse("anna"), "request": {"method": "PUT", "url": url}}
        if door == "delete":
            return {"request": {"method": "DELETE", "url": f"Patient?{condition}"}}
        resource = pulse("anna") | {"focus": [{"reference": f"Patient?{condition}"}]}
        return post(resource)

    nurse = ward.as_("nurse")
    hidden = nurse.post("/fhir", bundle("transaction", entry("B-1")))
    absent = nurse.post("/fhir", bundle("transaction", entry("B-2")))
    assert told(hidden, "B-1") == told(absent, "B-2")
    assert service.get("/fhir/Patient/bert").status_code == 200
    assert service.get("/fhir/Observation/pulse-bert").json()["meta"]["versionId"] == "1"


def test_a_conditional_reference_resolves_for_those_who_may(ward: Clinic) -> None:
    """Without this the test above could pass because it never resolves."""
    resource = pulse("anna") | {"focus": [{"reference": "Patient?_id=bert"}]}
    made = ward.as_("physician").post("/fhir", bundle("transaction", post(resource)))
    assert made.status_code == 200
    assert ward.as_("physician").find("Observation?focus=Patient/bert") != []


def test_a_patient_writes_by_bundle(ward: Clinic) -> None:
    anna = ward.as_("anna")
    writes: tuple[JSON, ...] = (
        post(pulse("anna")),
        {"resource": heart_rate("anna", 1), "request": {"method": "PUT", "url": "Observation/pulse-anna"}},
        {"request": {"method": "DELETE", "url": "Observation/pulse-anna"}},
        {"request": {"method": "DELETE", "url": "Observation?code=8867-4"}},
    )
    for write in writes:
        assert anna.post("/fhir", bundle("transaction", write)).status_code == 403
        assert anna.post("/fhir", bundle("batch", write)).json()["entry"][0]["response"]["status"][:3] == "403"
    assert anna.get("/fhir/Observation/pulse-anna").json()["meta"]["versionId"] == "1"


def test_a_bundle_inside_a_bundle(ward: Clinic) -> None:
    inner = bundle("transaction", post(pulse("anna")))
    before = len(ward.as_("service").find("Observation"))
    assert ward.as_("service").post("/fhir", bundle("transaction", post(inner))).status_code == 403
    batch = ward.as_("service").post("/fhir", bundle("batch", post(inner)))
    assert batch.json()["entry"][0]["response"]["status"] == "403 Forbidden"
    assert batch.json()["entry"][0]["response"]["outcome"]["issue"][0]["code"] == "forbidden"
    assert len(ward.as_("service").find("Observation")) == before


def test_a_hidden_record_in_a_mixed_batch_reads_like_an_absent_one(quiet_ward: Clinic) -> None:
    anna = quiet_ward.as_("anna")
    hidden = anna.post("/fhir", bundle("batch", get("Patient/anna"), get("Observation/moved")))
    absent = anna.post("/fhir", bundle("batch", get("Patient/anna"), get(f"Observation/{nobody('moved')}")))
    assert told(hidden, "moved") == told(absent, nobody("moved"))
