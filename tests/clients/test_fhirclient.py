# SPDX-License-Identifier: Apache-2.0
"""fhirclient (PyPI, the SMART client for Python) against a served Salus."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from fhirclient.client import FHIRClient
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException

from tests.clients.conftest import PULSES, Ward


@pytest.fixture
def server(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The client's view of the server; it trusts what `requests` trusts, and that is set by the environment."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ward.authority))
    state = {
        "app_id": "clients",
        "server": {"base_uri": ward.fhir + "/", "auth_type": "oauth2", "auth": {"access_token": ward.token}},
    }
    return FHIRClient(state=state).server


def test_it_reads_what_the_server_can_do(server: Any) -> None:
    statement = server.capabilityStatement
    assert statement.fhirVersion == "4.0.1"
    assert "Patient" in {resource.type for resource in statement.rest[0].resource}


def test_it_reads_searches_and_pages(server: Any) -> None:
    assert Patient.read("ada", server).birthDate.isostring == "1990-05-01"
    search = Observation.where({"patient": "ada", "code": "http://loinc.org|8867-4", "_count": "3", "_sort": "date"})
    found = list(search.perform_resources_iter(server))
    assert [observation.id for observation in found] == [f"pulse-{number}" for number in range(PULSES)]
    assert found[0].valueQuantity.value == 60
    assert [len(bundle.entry) for bundle in search.perform_iter(server)] == [3, 3, 1]


def test_it_writes(server: Any) -> None:
    patient = Patient({"name": [{"family": "Fhirclient"}], "birthDate": "2001-02-03"})
    made = patient.create(server)
    kept = Patient.read(made["id"], server)
    kept.gender = "female"
    assert kept.update(server)["meta"]["versionId"] == "2"
    assert [found.id for found in Patient.where({"name": "Fhirclient"}).perform_resources_iter(server)] == [made["id"]]
    kept.delete(server)
    with pytest.raises((FHIRNotFoundException, requests.HTTPError)):
        Patient.read(made["id"], server)
