# SPDX-License-Identifier: Apache-2.0
"""Who runs or oversees the system sees no patient, through no door."""

from __future__ import annotations

import pytest

from salus.kernel.commit import Unit
from tests.support.clinic import Clinic, heart_rate

OVERSEERS = ("administrator", "auditor", "security-officer", "researcher")
CLINICAL = ("Patient", "Observation", "Condition", "DocumentReference", "Appointment", "CareTeam", "Claim", "Coverage")


def doors(type_: str) -> list[tuple[str, str, object]]:
    """Requests that would touch clinical data."""
    get = {"request": {"method": "GET", "url": f"{type_}?_summary=count"}}
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [get]}
    return [
        ("GET", f"/fhir/{type_}", None),
        ("GET", f"/fhir/{type_}?_summary=count", None),
        ("GET", f"/fhir/{type_}/pulse-anna", None),
        ("GET", f"/fhir/{type_}/pulse-anna/_history", None),
        ("GET", f"/fhir/{type_}/pulse-anna/_history/1", None),
        ("GET", f"/fhir/{type_}/_history", None),
        ("PUT", f"/fhir/{type_}/pulse-anna", {"resourceType": type_, "id": "pulse-anna"}),
        ("POST", f"/fhir/{type_}", {"resourceType": type_}),
        ("DELETE", f"/fhir/{type_}/pulse-anna", None),
        ("DELETE", f"/fhir/{type_}?_id=pulse-anna", None),
        ("POST", "/fhir", batch | {"type": "transaction"}),
        ("POST", "/fhir", batch),
    ]


@pytest.mark.parametrize("name", OVERSEERS)
@pytest.mark.parametrize("type_", CLINICAL)
def test_an_overseer_asks_for_clinical_data(quiet_ward: Clinic, name: str, type_: str) -> None:
    who = quiet_ward.as_(name)
    for method, path, body in doors(type_):
        answer = who.request(method, path, json=body)
        if body and body.get("type") == "batch":
            assert answer.json()["entry"][0]["response"]["status"] == "403 Forbidden"
        else:
            assert answer.status_code == 403, (method, path)
        for word in ("Brown", "Ångström", "Patient/anna", "195967001", '"total"'):
            assert word not in answer.text


@pytest.mark.parametrize("name", OVERSEERS)
def test_an_overseer_lists_the_history_of_everything(quiet_ward: Clinic, name: str) -> None:
    answer = quiet_ward.as_(name).get("/fhir/_history?_count=1000")
    if answer.status_code == 200:  # the administrator keeps the directory
        kinds = {entry["resource"]["resourceType"] for entry in answer.json()["entry"]}
        assert kinds == {"Practitioner"}
    else:
        assert answer.status_code == 403


@pytest.mark.parametrize("second", ["physician", "nurse", "patient", "service"])
def test_a_second_role_does_not_open_the_chart_to_an_administrator(clinic: Clinic, second: str) -> None:
    unit = Unit()
    clinic.house.users.change(unit, "default", "physician", roles=("administrator", second))
    clinic.run(clinic._commit(unit))
    for path in ("Patient/anna", "Observation", "Observation/pulse-anna/_history", "Condition?patient=anna"):
        assert clinic.as_("physician").get(f"/fhir/{path}").status_code == 403


def test_include_from_the_directory_does_not_reach_patients(clinic: Clinic) -> None:
    """An administrator may search PractitionerRole; what it points to needs a grant of its own."""
    service = clinic.as_("service")
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "Practitioner/nurse"}}
    assert service.put("/fhir/PractitionerRole/r", role).status_code == 201
    found = clinic.as_("administrator").find("PractitionerRole?_include=PractitionerRole:practitioner")
    assert {resource["resourceType"] for resource in found} == {"PractitionerRole", "Practitioner"}
    refused = clinic.as_("administrator").get("/fhir/Observation?_include=Observation:performer")
    assert refused.status_code == 403


def test_the_audit_log_holds_no_clinical_content(ward: Clinic) -> None:
    """Auditors read who touched which record; never what stands in it (a search is shown as it was asked)."""
    log = ward.as_("auditor").get("/fhir/AuditEvent?_count=1000").text
    assert "Observation/pulse-anna" in log
    for word in ("Ångström", "Brown", "195967001", "1955-07-01", "cHN5Y2hpYXRyaWM=", "/min"):
        assert word not in log


@pytest.mark.parametrize("name", ["anna", "physician", "nurse", "billing", "administrator", "researcher", "service"])
def test_the_audit_log_asked_for_without_the_permission(quiet_ward: Clinic, name: str) -> None:
    who = quiet_ward.as_(name)
    for path in ("AuditEvent", "AuditEvent/0", "AuditEvent/0/_history", "AuditEvent/_history", "AuditEvent/x"):
        assert who.get(f"/fhir/{path}").status_code == 403
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": "AuditEvent"}}]}
    assert "403 Forbidden" in who.post("/fhir", batch).text


@pytest.mark.parametrize("name", ["auditor", "service", "security-officer", "physician", "administrator"])
def test_an_audit_entry_written_or_erased_through_fhir(quiet_ward: Clinic, name: str) -> None:
    who = quiet_ward.as_(name)
    entry = {"resourceType": "AuditEvent", "id": "0"}
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": entry, "request": {"method": "PUT", "url": "AuditEvent/0"}}],
    }
    assert who.put("/fhir/AuditEvent/0", entry).status_code == 403
    assert who.post("/fhir/AuditEvent", entry).status_code == 403
    assert who.delete("/fhir/AuditEvent/0").status_code in {403, 405}
    assert who.delete("/fhir/AuditEvent?date=ge2000").status_code == 403
    assert who.post("/fhir", bundle).status_code == 403


def test_a_type_that_no_role_is_granted_stays_shut(quiet_ward: Clinic) -> None:
    """Bundle, Basic … could carry anything; without a grant nobody keeps or reads them."""
    service = quiet_ward.as_("service")
    for type_ in ("Bundle", "Basic", "Parameters", "Linkage"):
        assert service.get(f"/fhir/{type_}").status_code == 403
        assert service.post(f"/fhir/{type_}", {"resourceType": type_}).status_code == 403
    assert service.post("/fhir/Observation", heart_rate("anna", 1) | {"resourceType": "Binary"}).status_code == 400
