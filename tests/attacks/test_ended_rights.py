# SPDX-License-Identifier: Apache-2.0
"""A right that ended is gone at the next request: care relationships, roles, accounts, labels."""

from __future__ import annotations

from typing import Any

import pytest

from salus.kernel.commit import Unit
from tests.support.clinic import BASE, Clinic, heart_rate, put_all

DOORS = (
    "Patient/anna",
    "Observation/pulse-anna",
    "Observation/pulse-anna/_history",
    "Observation/pulse-anna/_history/1",
)


def team(**more: Any) -> dict[str, Any]:
    """Anna's care team, changed."""
    return {
        "resourceType": "CareTeam",
        "id": "team-anna",
        "status": "active",
        "subject": {"reference": "Patient/anna"},
        "participant": [{"member": {"reference": "Practitioner/nurse"}}],
    } | more


def shut_out(clinic: Clinic) -> None:
    """The nurse sees nothing of Anna."""
    nurse = clinic.as_("nurse")
    for door in DOORS:
        assert nurse.get(f"/fhir/{door}").status_code == 404
    assert nurse.find("Observation?patient=anna") == []
    assert nurse.get("/fhir/Observation?patient=anna&_summary=count").json()["total"] == 0
    assert "pulse-anna" not in nurse.get("/fhir/Observation/_history").text
    assert nurse.post("/fhir/Observation", heart_rate("anna", 1)).status_code == 403


@pytest.mark.parametrize(
    "ended",
    [
        team(status="inactive"),
        team(status="suspended"),
        team(status="entered-in-error"),
        team(period={"start": "2025-01-01", "end": "2026-01-01"}),
        team(participant=[{"member": {"reference": "Practitioner/physician"}}]),
        team(participant=[{"member": {"reference": "Practitioner/nurse"}, "period": {"end": "2026-01-01"}}]),
        team(subject={"reference": "Patient/bert"}),
    ],
    ids=["inactive", "suspended", "error", "team over", "left", "member over", "other patient"],
)
def test_a_nurse_reads_on_after_the_care_team_ended(clinic: Clinic, ended: dict[str, Any]) -> None:
    nurse = clinic.as_("nurse")
    assert all(nurse.get(f"/fhir/{door}").status_code == 200 for door in DOORS)
    put_all(clinic.as_("service"), ended)
    shut_out(clinic)
    put_all(clinic.as_("service"), team())
    assert all(nurse.get(f"/fhir/{door}").status_code == 200 for door in DOORS)


def test_a_nurse_reads_on_after_the_care_team_was_deleted(clinic: Clinic) -> None:
    assert clinic.as_("service").delete("/fhir/CareTeam/team-anna").status_code == 204
    shut_out(clinic)


def test_a_page_link_outlives_the_care_team(clinic: Clinic) -> None:
    service, nurse = clinic.as_("service"), clinic.as_("nurse")
    put_all(service, *(heart_rate("anna", 60 + n, f"more-{n}") for n in range(4)))
    first = nurse.get("/fhir/Observation?_count=2").json()
    following = next(link["url"] for link in first["link"] if link["relation"] == "next").removeprefix(BASE)
    assert len(nurse.get(following).json()["entry"]) == 2
    put_all(service, team(status="inactive"))
    assert nurse.get(following).json().get("entry", []) == []


def test_a_second_reason_for_care_keeps_the_chart_open(clinic: Clinic) -> None:
    """An Encounter is a relationship of its own: ending the team does not end it."""
    encounter = {
        "resourceType": "Encounter",
        "id": "visit",
        "status": "in-progress",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/anna"},
        "participant": [{"individual": {"reference": "Practitioner/nurse"}}],
    }
    put_all(clinic.as_("service"), encounter, team(status="inactive"))
    assert clinic.as_("nurse").get("/fhir/Patient/anna").status_code == 200
    put_all(clinic.as_("service"), encounter | {"status": "cancelled"})
    shut_out(clinic)


def test_a_group_care_team_relates_nobody(clinic: Clinic) -> None:
    """A record of two patients must not give a relationship to either."""
    both = {
        "resourceType": "Encounter",
        "id": "both",
        "status": "in-progress",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/bert"},
        "participant": [{"individual": {"reference": "Practitioner/nurse"}}],
        "contained": [{**heart_rate("anna", 1), "id": "in"}],
        "reasonReference": [{"reference": "#in"}],
    }
    answer = clinic.as_("service").put("/fhir/Encounter/both", both)
    assert answer.status_code == 201, answer.text
    assert clinic.as_("nurse").get("/fhir/Patient/bert").status_code == 404


def test_a_nurse_writes_herself_into_a_care_team(clinic: Clinic) -> None:
    nurse = clinic.as_("nurse")
    assert nurse.put("/fhir/CareTeam/mine", team(id="mine", subject={"reference": "Patient/bert"})).status_code == 403
    visit = {
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/bert"},
        "participant": [{"individual": {"reference": "Practitioner/nurse"}}],
    }
    assert nurse.post("/fhir/Encounter", visit).status_code == 403
    assert nurse.get("/fhir/Patient/bert").status_code == 404


def test_a_nurse_moves_her_encounter_to_another_patient(clinic: Clinic) -> None:
    """She may write Anna's encounters; turning one into Bert's would relate her to him."""
    visit = {
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/anna"},
        "participant": [{"individual": {"reference": "Practitioner/nurse"}}],
    }
    made = clinic.as_("nurse").post("/fhir/Encounter", visit)
    assert made.status_code == 201
    moved = made.json() | {"subject": {"reference": "Patient/bert"}}
    assert clinic.as_("nurse").put(f"/fhir/Encounter/{moved['id']}", moved).status_code == 403
    assert clinic.as_("nurse").get("/fhir/Patient/bert").status_code == 404


def test_a_transaction_relates_and_reads_in_one_go(clinic: Clinic) -> None:
    """What may be read is judged by the relations as they were before the Bundle."""
    confidential = heart_rate("bert", 70, "confidential")
    confidential["meta"] = {
        "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]
    }
    put_all(clinic.as_("service"), confidential)
    physician = clinic.as_("physician")
    mine = team(
        subject={"reference": "Patient/bert"}, participant=[{"member": {"reference": "Practitioner/physician"}}]
    )
    del mine["id"]
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": mine, "request": {"method": "POST", "url": "CareTeam"}},
            {"request": {"method": "GET", "url": "Observation/confidential"}},
        ],
    }
    answer = physician.post("/fhir", bundle)
    assert "valueQuantity" not in answer.text
    assert answer.status_code == 400
    assert physician.get("/fhir/Observation/confidential").status_code == 404
    assert len(clinic.as_("service").find("CareTeam")) == 1


def change(clinic: Clinic, name: str, **what: Any) -> None:
    """Change an account."""
    unit = Unit()
    clinic.house.users.change(unit, "default", name, **what)
    clinic.run(clinic._commit(unit))


def test_a_role_taken_away_counts_at_the_next_request(clinic: Clinic) -> None:
    service, physician = clinic.as_("service"), clinic.as_("physician")
    put_all(service, *(heart_rate("anna", 60 + n, f"more-{n}") for n in range(4)))
    first = physician.get("/fhir/Observation?_count=2").json()
    following = next(link["url"] for link in first["link"] if link["relation"] == "next").removeprefix(BASE)
    change(clinic, "physician", roles=("researcher",))
    for path in ("/fhir/Patient/anna", "/fhir/Observation", following):
        assert physician.get(path).status_code == 403


def test_a_patient_account_pointed_at_another_patient(clinic: Clinic) -> None:
    anna = clinic.as_("anna")
    assert anna.get("/fhir/Patient/anna").status_code == 200
    change(clinic, "anna", party="Patient/bert")
    assert anna.get("/fhir/Patient/anna").status_code == 404
    change(clinic, "anna", party="")
    assert anna.get("/fhir/Patient/anna").status_code == 403


def test_a_disabled_account_stops_at_the_next_request(clinic: Clinic) -> None:
    nurse = clinic.as_("nurse")
    assert nurse.get("/fhir/Patient/anna").status_code == 200
    unit = Unit()
    clinic.house.users.set_disabled(unit, "default", "nurse", disabled=True)
    clinic.run(clinic._commit(unit))
    assert nurse.get("/fhir/Patient/anna").status_code == 401
    unit = Unit()
    clinic.house.users.set_disabled(unit, "default", "nurse", disabled=False)
    clinic.run(clinic._commit(unit))
    assert nurse.get("/fhir/Patient/anna").status_code == 401  # enabling does not bring tokens back


def test_a_label_put_on_a_record_counts_at_the_next_request(clinic: Clinic) -> None:
    nurse, service = clinic.as_("nurse"), clinic.as_("service")
    assert nurse.get("/fhir/Observation/pulse-anna").status_code == 200
    labelled = heart_rate("anna", 70)
    labelled["meta"] = {"security": [{"system": "urn:labels", "code": "PSY"}]}
    put_all(service, labelled)
    assert nurse.get("/fhir/Observation/pulse-anna").status_code == 404
    assert nurse.get("/fhir/Observation/pulse-anna/_history/1").status_code == 404
    assert nurse.find("Observation?patient=anna") == []
    assert clinic.as_("anna").get("/fhir/Observation/pulse-anna").status_code == 200


def test_an_author_lifts_a_label_to_read_or_lowers_one(clinic: Clinic) -> None:
    """Restricted records are outside a physician's grant for writing, so nobody relabels them from below."""
    physician = clinic.as_("physician")
    label = [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]
    restricted = heart_rate("bert", 70, "restricted")
    restricted["meta"] = {"security": label}
    put_all(clinic.as_("service"), restricted)
    plain = heart_rate("bert", 70, "restricted")
    assert physician.put("/fhir/Observation/restricted", plain).status_code == 403
    assert (
        physician.put(
            "/fhir/Observation/pulse-bert", heart_rate("bert", 70) | {"meta": {"security": label}}
        ).status_code
        == 403
    )
    assert clinic.as_("service").get("/fhir/Observation/restricted").json()["meta"]["versionId"] == "1"
