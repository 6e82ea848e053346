# SPDX-License-Identifier: Apache-2.0
"""Applications started from within the record, for patients whom the person may see."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.http.test_clients_over_http import added
from tests.support.clinic import BASE, Clinic, put_all
from tests.support.launched import launched

from salus.kernel.commit import Unit


@pytest.fixture
def app(clinic: Clinic) -> str:
    added(clinic, initiate_login_uri="https://app.example/launch")
    for who in ("anna", "bert"):
        put_all(
            clinic.as_("service"),
            {
                "resourceType": "Encounter",
                "id": f"visit-{who}",
                "status": "in-progress",
                "class": {"code": "AMB"},
                "subject": {"reference": f"Patient/{who}"},
            },
        )
    return "growth"


def start(clinic: Clinic, who: str, **wanted: Any) -> Any:
    return clinic.as_(who).post("/launches", {"client_id": "growth", **wanted})


@pytest.mark.requirement("smart@352", "g10@AUT-PAT-2")
def test_a_nurse_starts_an_application_for_her_patient(clinic: Clinic, app: str) -> None:
    assert clinic.as_("nurse").get("/launches").json()["applications"] == [
        {"client_id": "growth", "client_name": "Growth charts"}
    ]
    answer = start(clinic, "nurse", patient="anna", encounter="visit-anna", intent="plot")
    assert answer.status_code == 201, answer.text
    address = urlsplit(answer.json()["address"])
    assert (address.netloc, address.path) == ("app.example", "/launch")
    query = parse_qs(address.query)
    assert query == {"iss": [f"{BASE}/fhir"], "launch": [answer.json()["launch"]]}
    kept = clinic.house.apps.launches.take(Unit(), "default", query["launch"][0], app)
    assert (kept.user, kept.patient, kept.encounter, kept.intent) == ("nurse", "anna", "visit-anna", "plot")


def test_hidden_patients_read_like_absent_ones(clinic: Clinic, app: str) -> None:
    hidden, absent = start(clinic, "nurse", patient="bert"), start(clinic, "nurse", patient="nobody")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.json()["issue"] == absent.json()["issue"]


def test_an_encounter_of_another_patient_is_refused(clinic: Clinic, app: str) -> None:
    answer = start(clinic, "physician", patient="anna", encounter="visit-bert")
    assert answer.status_code == 422
    assert start(clinic, "nurse", patient="anna", encounter="visit-bert").status_code == 404


def test_what_cannot_be_started_is_refused(clinic: Clinic, app: str) -> None:
    unfit: list[dict[str, Any]] = [
        {"client_id": "nobody"},
        {"intent": "a\nb"},
        {"fhirContext": [{"reference": "Patient/bert"}]},
        {"fhirContext": [{}]},
    ]
    for wanted in unfit:
        assert start(clinic, "nurse", patient="anna", **wanted).status_code == 422, wanted
    for other in ({}, {"patient": 7}, {"patient": "anna", "surprise": 1}):
        assert start(clinic, "nurse", **other).status_code == 400, other


def test_who_may_not_read_patients_starts_nothing(clinic: Clinic, app: str) -> None:
    assert start(clinic, "auditor", patient="anna").status_code == 403
    assert clinic.stranger.post("/launches", {"client_id": app, "patient": "anna"}).status_code == 401
    assert clinic.house.db.execute("select count(*) from client_launch").fetchone() == (0,)


def test_an_application_starts_no_other(clinic: Clinic, app: str) -> None:
    started = launched(clinic, "nurse", "patient/*.rs", patient="anna")
    assert started.post("/launches", {"client_id": app, "patient": "anna"}).status_code == 403


def test_launch_and_refusal_are_in_the_log_under_the_patient(clinic: Clinic, app: str) -> None:
    start(clinic, "nurse", patient="anna")
    entries = clinic.as_("auditor").find("AuditEvent?patient=anna&altid=nurse")
    assert any("Patient/anna" in str(entry.get("entity")) and entry["type"]["code"] == "110100" for entry in entries)
