# SPDX-License-Identifier: Apache-2.0
"""A physician writes, reads and searches; the others are told no."""

from __future__ import annotations

from tests.support.clinic import Clinic, heart_rate
from tests.support.served import Served, salus


def test_a_physician_keeps_and_finds_an_observation(clinic: Clinic) -> None:
    physician = clinic.as_("physician")
    made = physician.post("/fhir/Observation", heart_rate("anna", 88))
    assert made.status_code == 201
    assert (
        physician.get(made.headers["location"].removeprefix("https://localhost:8443")).json()["id"] == made.json()["id"]
    )
    found = physician.find("Observation?patient=anna&code=http://loinc.org|8867-4")
    assert {resource["id"] for resource in found} == {"pulse-anna", made.json()["id"]}


def test_a_stranger_is_refused(clinic: Clinic) -> None:
    assert clinic.stranger.get("/fhir/Patient/anna").status_code == 401


def test_the_real_server_answers_over_tls(served: Served) -> None:
    token = salus("token", "issue", "feed", "--data-dir", served.folder).stdout.strip()
    with served.client(token) as client:
        assert (
            client.put(
                "/fhir/Patient/x",
                json={"resourceType": "Patient", "id": "x"},
                headers={"content-type": "application/fhir+json"},
            ).status_code
            == 201
        )
        assert client.get("/fhir/Patient/x").json()["id"] == "x"
