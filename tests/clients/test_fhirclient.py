# SPDX-License-Identifier: Apache-2.0
"""fhirclient (PyPI, the SMART client for Python) against a served Salus."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
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
    assert found[0].subject.resolved(Patient).name[0].family == "Client"
    assert [len(bundle.entry) for bundle in search.perform_iter(server)] == [3, 3, 1]
    with pytest.warns(DeprecationWarning, match="perform_resources_iter"):
        assert len(search.perform_resources(server)) == PULSES
    with pytest.warns(DeprecationWarning, match="perform_iter"):
        assert search.perform(server).total is None


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"date": {"$gt": "2026-03-04"}}, [4, 5, 6]),
        ({"date": {"$and": [{"$gte": "2026-03-02"}, {"$lt": "2026-03-04"}]}}, [1, 2]),
        ({"date": {"$and": ["ge2026-03-02", "lt2026-03-04"]}}, [1, 2]),
        ({"value-quantity": {"$lte": "61"}}, [0, 1]),
        ({"_id": {"$or": ["pulse-1", "pulse-2"]}}, [1, 2]),
        ({"code": {"$text": "nothing"}}, []),
        ({"encounter": {"$missing": "true"}, "value-quantity": "63"}, [3]),
        ({"encounter": {"$null": "false"}}, []),
        ({"subject": {"$type": "Patient", "name": {"$exact": "Client"}}, "date": "2026-03-01"}, [0]),
        ({"subject": {"$type": "Patient", "birthdate": {"$lt": "1990"}}}, []),
    ],
)
def test_it_asks_in_its_own_words(server: Any, asked: dict[str, Any], found: list[int]) -> None:
    for order, numbers in (("$asc", found), ("$desc", found[::-1])):
        search = Observation.where({"patient": "ada", "_sort": {order: "date"}, **asked})
        answered = [observation.id for observation in search.perform_resources_iter(server)]
        assert answered == [f"pulse-{number}" for number in numbers]


def test_it_brings_along(server: Any) -> None:
    ahead = Observation.where({"_id": "pulse-0"}).include("subject").perform_resources_iter(server)
    assert [type(found) for found in ahead] == [Observation, Patient]
    behind = Patient.where({"_id": "ada"}).include("subject", Observation, reverse=True).perform_resources_iter(server)
    assert [type(found) for found in behind] == [Patient] + [Observation] * PULSES


def test_it_writes(server: Any) -> None:
    patient = Patient({"name": [{"family": "Fhirclient"}], "birthDate": "2001-02-03"})
    made = patient.create(server)
    kept = Patient.read(made["id"], server)
    kept.gender = "female"
    assert kept.update(server)["meta"]["versionId"] == "2"
    assert [found.id for found in Patient.where({"name": "Fhirclient"}).perform_resources_iter(server)] == [made["id"]]
    assert Bundle.read_from(f"Patient/{made['id']}/_history", server).type == "history"
    kept.delete(server)
    with pytest.raises((FHIRNotFoundException, requests.HTTPError)):
        Patient.read(made["id"], server)


def test_it_sends_bundles_and_operations(server: Any) -> None:
    entry = {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}}
    sent = Bundle({"type": "transaction", "entry": [entry]})
    (done,) = Bundle(server.post_json("", sent.as_json()).json()).entry
    server.delete_json(done.response.location.partition("/_history")[0])
    everything = Bundle.read_from("Patient/ada/$everything", server)
    assert len(everything.entry) == PULSES + 1
    assert server.post_json("Patient/$validate", Patient({"gender": "male"}).as_json()).status_code == 200
    assert server.request_data("Patient/ada", headers={"Accept": "application/fhir+xml"}).startswith(b"<?xml")


def test_it_knows_where_to_sign_in(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ward.authority))
    smart = FHIRClient(settings={"app_id": "clients", "api_base": ward.fhir, "redirect_uri": "https://app.example/"})
    assert not smart.prepare()
    assert smart.authorize_url.startswith(f"{ward.fhir.removesuffix('/fhir')}/oauth2/authorize?")
