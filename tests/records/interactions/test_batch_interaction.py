# SPDX-License-Identifier: Apache-2.0
"""Batches: every entry for itself (https://hl7.org/fhir/R4/http.html#transaction), and the limits of Bundles."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.clinic import Clinic, heart_rate

from salus.kernel.settings import Limits


def _batch(*requests: tuple[str, str, dict | None]) -> dict:
    entries = [
        {"request": {"method": method, "url": url}, **({"resource": resource} if resource else {})}
        for method, url, resource in requests
    ]
    return {"resourceType": "Bundle", "type": "batch", "entry": entries}


def test_entries_do_not_touch_each_other(clinic: Clinic) -> None:
    service = clinic.as_("service")
    answer = service.post(
        "/fhir",
        _batch(
            ("POST", "Observation", heart_rate("anna", 5)),
            ("POST", "Observation", {"resourceType": "Observation"}),
            ("GET", "Patient/nobody", None),
            ("GET", "Patient?shoe-size=43", None),
            ("DELETE", "Patient/nobody", None),
            ("PUT", "Patient/anna", {"resourceType": "Patient", "id": "bert"}),
            ("PUT", "Patient/new", {"resourceType": "Patient", "id": "new"}),
            ("GET", "Patient/bert", None),
            ("DELETE", "Condition?patient=anna", None),
        ),
    )
    assert answer.status_code == 200
    assert answer.json()["type"] == "batch-response"
    entries = answer.json()["entry"]
    statuses = [entry["response"]["status"][:3] for entry in entries]
    assert statuses == ["201", "422", "404", "400", "404", "400", "201", "200", "204"]
    for index, entry in enumerate(entries):
        if statuses[index][0] == "4":
            issues = entry["response"]["outcome"]["issue"]
            assert all(i["expression"][0].startswith(f"Bundle.entry[{index}]") for i in issues if "expression" in i)
    assert service.get("/fhir/Patient/new").status_code == 200
    assert service.get("/fhir/Condition/asthma-anna").status_code == 410


def test_sixty_conditional_creates_in_one_batch_all_succeed(clinic: Clinic) -> None:
    service = clinic.as_("service")
    entries = []
    for number in range(60):
        value = number % 20  # each identifier three times
        entries.append(
            {
                "request": {"method": "POST", "url": "Patient", "ifNoneExist": f"identifier=urn:mrn|{value}"},
                "resource": {
                    "resourceType": "Patient",
                    "identifier": [{"system": "urn:mrn", "value": str(value)}],
                },
            }
        )
    answer = service.post("/fhir", {"resourceType": "Bundle", "type": "batch", "entry": entries})
    statuses = sorted(entry["response"]["status"][:3] for entry in answer.json()["entry"])
    assert statuses == ["200"] * 40 + ["201"] * 20
    assert service.get("/fhir/Patient?_summary=count").json()["total"] == 22


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_more_entries_than_the_limit_are_refused(tmp_path: Path, kind: str) -> None:
    clinic = Clinic(tmp_path / "data", Limits(requests_per_second=1000, burst=1000, bundle_entries=3))
    try:
        sent = {**_batch(*[("GET", "Patient/anna", None)] * 4), "type": kind}
        assert clinic.as_("service").post("/fhir", sent).status_code == 413
        sent["entry"].pop()
        assert clinic.as_("service").post("/fhir", sent).status_code == 200
    finally:
        clinic.close()
        clinic.loop.close()


@pytest.mark.parametrize("kind", ["collection", "searchset", "history", "", None])
def test_only_batch_and_transaction_can_be_sent_to_the_base(clinic: Clinic, kind: str | None) -> None:
    answer = clinic.as_("service").post("/fhir", {"resourceType": "Bundle", "type": kind})
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["Bundle.type"]


def test_a_condition_in_a_reference_is_looked_up_for_its_entry(clinic: Clinic) -> None:
    service = clinic.as_("service")
    named = {"resourceType": "Patient", "id": "known", "identifier": [{"system": "urn:mrn", "value": "7"}]}
    assert service.put("/fhir/Patient/known", named).status_code == 201
    entries = [
        {
            "resource": heart_rate("anna", 71) | {"id": id_, "subject": {"reference": reference}},
            "request": {"method": "PUT", "url": f"Observation/{id_}"},
        }
        for id_, reference in (
            ("one", "Patient?identifier=urn:mrn|7"),
            ("none", "Patient?identifier=urn:mrn|8"),
            ("many", "Patient?birthdate:missing=false"),
        )
    ]
    answer = service.post("/fhir", {"resourceType": "Bundle", "type": "batch", "entry": entries}).json()
    assert [entry["response"]["status"][:3] for entry in answer["entry"]] == ["201", "400", "412"]
    assert service.get("/fhir/Observation/one").json()["subject"]["reference"] == "Patient/known"
    assert [e["response"]["outcome"]["issue"][0]["expression"] for e in answer["entry"][1:]] == [
        ["Bundle.entry[1].resource"],
        ["Bundle.entry[2].resource"],
    ]


def test_a_condition_in_a_batch_finds_nobody_whom_its_sender_may_not_see(clinic: Clinic) -> None:
    told = []
    for birthdate in (clinic.as_("service").get("/fhir/Patient/bert").json()["birthDate"], "1801-01-01"):
        entry = {
            "resource": {
                "resourceType": "Communication",
                "status": "completed",
                "subject": {"reference": f"Patient?birthdate={birthdate}"},
            },
            "request": {"method": "POST", "url": "Communication"},
        }
        answer = clinic.as_("anna").post("/fhir", {"resourceType": "Bundle", "type": "batch", "entry": [entry]})
        told.append(answer.json()["entry"][0]["response"])
    assert told[0] == told[1]
    assert told[0]["status"].startswith("400")


@pytest.mark.parametrize("address", ["Patient/_history", "Patient/anna/_history"])
def test_a_history_in_a_bundle_is_told_to_be_none_of_its_requests(clinic: Clinic, address: str) -> None:
    entry = {"request": {"method": "GET", "url": address}}
    answer = clinic.as_("service").post("/fhir", {"resourceType": "Bundle", "type": "batch", "entry": [entry]}).json()
    issue = answer["entry"][0]["response"]["outcome"]["issue"][0]
    assert (issue["code"], issue["expression"]) == ("not-supported", ["Bundle.entry[0].request.url"])
