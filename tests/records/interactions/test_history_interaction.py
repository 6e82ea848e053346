# SPDX-License-Identifier: Apache-2.0
"""History of a record, a type and the system (https://hl7.org/fhir/R4/http.html#history)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.clinic import BASE, Client, Clinic, heart_rate, patient
from tests.support.hand_clock import HandClock


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


@pytest.mark.parametrize("query", ["_count=0", "_count=x", "_since=soon", "_at=then", "name=x", "_page=forged"])
def test_what_history_does_not_understand_is_refused(clinic: Clinic, query: str) -> None:
    answer = clinic.as_("service").get(f"/fhir/Patient/_history?{query}")
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == [f"query.{query.partition('=')[0]}"]


# ── _at and _list ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def dated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clinic, int]]:
    """A pulse that was 1, a minute later 2, then deleted, then 4; and the second in which it began."""
    clock = HandClock()
    clinic = Clinic(tmp_path_factory.mktemp("dated") / "data", clock=clock)
    clock.forward(60_000 - clock.now_ms() % 60_000)
    service, start = clinic.as_("service"), clock.now_ms() // 1000
    for value in (1, 2, None, 4):
        if value is None:
            service.delete("/fhir/Observation/told")
        else:
            service.put("/fhir/Observation/told", heart_rate("anna", value, "told"))
        clock.forward(60_000)
    yield clinic, start
    clinic.close()
    clinic.loop.close()


@pytest.mark.parametrize(
    ("seconds", "precision", "versions"),
    [
        (-1, "second", []),
        (0, "second", ["1"]),
        (59, "second", ["1"]),
        (60, "second", ["2"]),
        (60, "minute", ["2"]),
        (150, "second", ["3"]),
        (3600, "second", ["4"]),
        (0, "year", ["4", "3", "2", "1"]),
    ],
)
def test_versions_that_were_the_newest_at_a_time(
    dated: tuple[Clinic, int], seconds: int, precision: str, versions: list[str]
) -> None:
    moment = datetime.fromtimestamp(dated[1] + seconds, UTC)
    form = {"second": "%Y-%m-%dT%H:%M:%SZ", "minute": "%Y-%m-%dT%H:%MZ", "year": "%Y"}[precision]
    for count in (1, 10):
        path = f"/fhir/Observation/told/_history?_at={moment.strftime(form)}&_count={count}"
        entries = _all(dated[0].as_("service"), path)
        assert [entry["response"]["etag"] for entry in entries] == [f'W/"{version}"' for version in versions]


def test_versions_that_stand_in_a_list(clinic: Clinic) -> None:
    service = clinic.as_("service")
    for value in (1, 2, 3):
        service.put("/fhir/Observation/told", heart_rate("anna", value, "told"))
    listed = ["Observation/told/_history/2", "Observation/told/_history/9", "Patient/bert", "Practitioner/none"]
    service.put(
        "/fhir/List/some",
        {
            "resourceType": "List",
            "id": "some",
            "status": "current",
            "mode": "working",
            "subject": {"reference": "Patient/anna"},
            "entry": [{"item": {"reference": reference}} for reference in listed],
        },
    )
    assert [e["response"]["etag"] for e in _all(service, "/fhir/Observation/told/_history?_list=some")] == ['W/"2"']
    found = _all(service, "/fhir/_history?_list=some&_count=1")
    assert [entry["fullUrl"].removeprefix(f"{BASE}/fhir/") for entry in found] == ["Observation/told", "Patient/bert"]
    assert _all(service, "/fhir/Observation/pulse-anna/_history?_list=some") == []
    assert _all(service, "/fhir/_history?_list=none") == []
    shown = clinic.as_("nurse").get("/fhir/_history?_list=some").json()["entry"]  # Bert stays hidden from her
    assert [entry["fullUrl"].removeprefix(f"{BASE}/fhir/") for entry in shown] == ["Observation/told"]


@pytest.mark.parametrize(
    "asked", ["_at=soon", "_list=a/b", "_list=$current-problems", "_sort=_lastUpdated", "_type=Patient"]
)
def test_what_a_history_does_not_understand(clinic: Clinic, asked: str) -> None:
    answer = clinic.as_("service").get(f"/fhir/_history?{asked}")
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == [f"query.{asked.partition('=')[0]}"]
