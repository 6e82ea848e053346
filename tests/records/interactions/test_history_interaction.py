# SPDX-License-Identifier: Apache-2.0
"""History of a record, a type and the system (https://hl7.org/fhir/R4/http.html#history)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.clinic import BASE, Client, Clinic, heart_rate, patient


def _all(client: Client, path: str) -> list[dict[str, Any]]:
    """Every entry over all pages."""
    entries: list[dict[str, Any]] = []
    while path:
        bundle = client.get(path).json()
        assert bundle["type"] == "history", bundle
        entries += bundle.get("entry", ())
        path = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "").removeprefix(BASE)
    return entries


def test_history_of_a_record_lists_every_version_newest_first(clinic: Clinic) -> None:
    service = clinic.as_("service")
    made = service.post("/fhir/Observation", heart_rate("anna", 1)).json()["id"]
    service.put(f"/fhir/Observation/{made}", heart_rate("anna", 2, id_=made))
    service.delete(f"/fhir/Observation/{made}")
    service.put(f"/fhir/Observation/{made}", heart_rate("anna", 4, id_=made))
    entries = _all(service, f"/fhir/Observation/{made}/_history")
    assert [entry["response"]["etag"] for entry in entries] == ['W/"4"', 'W/"3"', 'W/"2"', 'W/"1"']
    assert [entry["request"]["method"] for entry in entries] == ["PUT", "DELETE", "PUT", "POST"]
    assert [entry.get("resource", {}).get("valueQuantity", {}).get("value") for entry in entries] == [4, None, 2, 1]
    assert entries[3]["request"]["url"] == "Observation"
    assert entries[0]["request"]["url"] == f"Observation/{made}"
    assert "resource" not in entries[1]
    assert {entry["fullUrl"] for entry in entries} == {f"{BASE}/fhir/Observation/{made}"}


@pytest.mark.parametrize("count", [1, 2, 3, 7, 100])
def test_paging_gives_every_version_once(clinic: Clinic, count: int) -> None:
    service = clinic.as_("service")
    for value in range(6):
        service.put("/fhir/Observation/pulse-anna", heart_rate("anna", value))
    entries = _all(service, f"/fhir/Observation/pulse-anna/_history?_count={count}")
    assert [entry["resource"]["meta"]["versionId"] for entry in entries] == list("7654321")


def test_history_of_a_type_and_of_everything_hold_what_they_should(clinic: Clinic) -> None:
    service = clinic.as_("service")
    service.delete("/fhir/Condition/asthma-bert")
    of_type = _all(service, "/fhir/Condition/_history?_count=1")
    assert [entry["request"]["method"] for entry in of_type] == ["DELETE", "PUT", "PUT"]
    everything = _all(service, "/fhir/_history?_count=2")
    assert len(everything) == 12  # 4 practitioners, 2 patients with 3 records each but the team, 1 team, 1 deletion
    assert everything[0]["fullUrl"].endswith("Condition/asthma-bert")
    written = [entry["response"]["lastModified"] for entry in everything]
    assert written == sorted(written, reverse=True)


def test_since_leaves_out_what_is_older_and_holds_through_the_pages(clinic: Clinic) -> None:
    service = clinic.as_("service")
    service.put("/fhir/Patient/bert", patient("bert", "B", "1955-07-01"))
    moment = service.get("/fhir/Patient/bert").json()["meta"]["lastUpdated"]
    service.put("/fhir/Patient/anna", patient("anna", "B", "1955-07-01"))
    service.put("/fhir/Patient/anna", patient("anna", "C", "1955-07-01"))
    entries = _all(service, f"/fhir/_history?_since={moment}&_count=1")
    assert [entry["fullUrl"].rpartition("/")[2] for entry in entries] == ["anna", "anna", "bert"]
    assert service.get("/fhir/Patient/_history?_since=2999").json().get("entry") is None


def test_writing_while_paging_neither_repeats_nor_loses_a_version(clinic: Clinic) -> None:
    service = clinic.as_("service")
    for value in range(5):
        service.put("/fhir/Observation/pulse-anna", heart_rate("anna", value))
    first = service.get("/fhir/Observation/_history?_count=3").json()
    service.put("/fhir/Observation/pulse-anna", heart_rate("anna", 100))
    following = first["link"][1]["url"].removeprefix(BASE)
    rest = _all(service, following)
    etags = [(e["fullUrl"], e["response"]["etag"]) for e in (*first["entry"], *rest)]
    assert len(etags) == len(set(etags)) == 7


@pytest.mark.parametrize("query", ["_count=0", "_count=x", "_since=soon", "_at=2020", "name=x", "_page=forged"])
def test_what_history_does_not_understand_is_refused(clinic: Clinic, query: str) -> None:
    answer = clinic.as_("service").get(f"/fhir/Patient/_history?{query}")
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == [f"query.{query.partition('=')[0]}"]
