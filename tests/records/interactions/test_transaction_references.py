# SPDX-License-Identifier: Apache-2.0
"""References, addresses and doubles in transactions (https://hl7.org/fhir/R4/http.html#trules)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.clinic import BASE, Client, Clinic, heart_rate, patient

JSON = dict[str, Any]
NEW = "urn:uuid:00000001-0000-4000-8000-000000000000"
PIN = "http://hl7.org/fhir/StructureDefinition/resolve-as-version-specific"
ELSEWHERE = "https://example.org/r4"


def send(client: Client, *entries: JSON, kind: str = "transaction", **headers: str) -> Any:
    return client.post("/fhir", {"resourceType": "Bundle", "type": kind, "entry": list(entries)}, headers=headers)


def entry(method: str, url: str, resource: JSON | None = None, full_url: str = "", **request: str) -> JSON:
    made: JSON = {"request": {"method": method, "url": url, **request}}
    return made | ({"resource": resource} if resource else {}) | ({"fullUrl": full_url} if full_url else {})


def provenance(*targets: str | JSON) -> JSON:
    return {
        "resourceType": "Provenance",
        "target": [{"reference": target} if isinstance(target, str) else target for target in targets],
        "recorded": "2026-11-24T08:00:00Z",
        "agent": [{"who": {"display": "us"}}],
    }


def targets(clinic: Clinic) -> list[JSON]:
    return clinic.as_("service").find("Provenance")[0]["target"]  # type: ignore[no-any-return]


def pinned(reference: str) -> JSON:
    return {"reference": reference, "extension": [{"url": PIN, "valueBoolean": True}]}


def place(answer: Any, index: int) -> str:
    return str(answer.json()["entry"][index]["response"]["location"]).partition("/_history")[0]


@pytest.mark.parametrize("full_url", [NEW, "urn:oid:1.2.3.4", f"{ELSEWHERE}/Patient/77"])
def test_a_full_url_of_any_kind_stands_for_its_entry(clinic: Clinic, full_url: str) -> None:
    answer = send(
        clinic.as_("service"),
        entry("POST", "Provenance", provenance(full_url)),
        entry("POST", "Patient", {"resourceType": "Patient"}, full_url),
    )
    assert answer.status_code == 200, answer.text
    assert targets(clinic) == [{"reference": place(answer, 1)}]


def test_relative_references_are_read_against_the_address_of_their_entry(clinic: Clinic) -> None:
    """https://hl7.org/fhir/R4/bundle.html#references: `Patient/anna` of another server is not our Anna."""
    answer = send(
        clinic.as_("service"),
        entry("POST", "Provenance", provenance("Patient/anna", "Patient/bert"), f"{ELSEWHERE}/Provenance/1"),
        entry("POST", "Patient", {"resourceType": "Patient", "id": "anna"}, f"{ELSEWHERE}/Patient/anna"),
    )
    assert answer.status_code == 200, answer.text
    assert place(answer, 1) != "Patient/anna"
    assert targets(clinic) == [{"reference": place(answer, 1)}, {"reference": "Patient/bert"}]


def test_a_relative_reference_of_an_entry_without_address_means_our_record(clinic: Clinic) -> None:
    send(
        clinic.as_("service"),
        entry("POST", "Provenance", provenance("Patient/anna"), NEW),
        entry("POST", "Patient", {"resourceType": "Patient", "id": "anna"}, f"{ELSEWHERE}/Patient/anna"),
    )
    assert targets(clinic) == [{"reference": "Patient/anna"}]


@pytest.mark.parametrize("prefix", ["", f"{BASE}/fhir/"])
def test_conditional_references_may_be_spelled_in_full(clinic: Clinic, prefix: str) -> None:
    answer = send(
        clinic.as_("service"), entry("POST", "Provenance", provenance(f"{prefix}Patient?birthdate=1955-07-01"))
    )
    assert answer.status_code == 200, answer.text
    assert targets(clinic) == [{"reference": "Patient/bert"}]


@pytest.mark.parametrize("prefix", ["", "/", f"{BASE}/fhir/"])
def test_an_address_may_be_spelled_in_full(clinic: Clinic, prefix: str) -> None:
    changed = patient("anna", "New", "1980-02-29")
    assert send(clinic.as_("service"), entry("PUT", f"{prefix}Patient/anna", changed)).status_code == 200
    assert clinic.as_("service").get("/fhir/Patient/anna").json()["name"][0]["family"] == "New"


# ── versions ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_references_become_version_specific_where_they_ask_for_it(clinic: Clinic) -> None:
    note = {"url": "urn:note", "valueString": "kept"}
    also = {"reference": "Patient/anna", "extension": [note, {"url": PIN, "valueBoolean": True}]}
    answer = send(
        clinic.as_("service"),
        entry("POST", "Provenance", provenance(pinned(NEW), also, pinned("Patient/bert"), "Patient/anna")),
        entry("POST", "Patient", {"resourceType": "Patient"}, NEW),
        entry("PUT", "Patient/anna", patient("anna", "New", "1980-02-29")),
    )
    assert answer.status_code == 200, answer.text
    assert targets(clinic) == [
        {"reference": place(answer, 1) + "/_history/1"},
        {"reference": "Patient/anna/_history/2", "extension": [note]},
        pinned("Patient/bert"),  # not of this Bundle
        {"reference": "Patient/anna"},
    ]


def test_a_reference_to_the_version_of_an_entry_names_the_version_it_becomes(clinic: Clinic) -> None:
    old = f"{ELSEWHERE}/Patient/9"
    sent = {"resourceType": "Patient", "id": "9", "meta": {"versionId": "4"}}
    answer = send(
        clinic.as_("service"),
        entry("POST", "Provenance", provenance(f"{old}/_history/4", f"{old}/_history/3", "Patient/anna/_history/1")),
        entry("POST", "Patient", sent, old),
    )
    assert answer.status_code == 200, answer.text
    assert targets(clinic) == [
        {"reference": place(answer, 1) + "/_history/1"},
        {"reference": f"{old}/_history/3"},
        {"reference": "Patient/anna/_history/1"},
    ]


# ── doubles and addresses that cannot be ─────────────────────────────────────────────────────────────────────────────

ANNA = patient("anna", "New", "1980-02-29")
BY_DATE = "Patient?birthdate=1980-02-29"


@pytest.mark.parametrize(
    "entries",
    [
        (entry("PUT", "Patient/anna", ANNA), entry("DELETE", "Patient/anna")),
        (entry("PUT", "Patient/anna", ANNA), entry("PUT", BY_DATE, ANNA)),
        (entry("DELETE", BY_DATE), entry("PUT", "Patient/anna", ANNA)),
        (entry("PUT", BY_DATE, ANNA), entry("PUT", f"{BASE}/fhir/Patient/anna", ANNA)),
        (
            entry("POST", "Patient", {"resourceType": "Patient"}, ifNoneExist="birthdate=1980-02-29"),
            entry("DELETE", "Patient/anna"),
        ),
        (entry("PUT", "Patient/anna/_history/1", ANNA),),
        (entry("DELETE", "Patient/anna/_history/1"),),
        (entry("PUT", "Patient/anna?birthdate=1980-02-29", ANNA),),
        (entry("POST", "Patient", {"resourceType": "Patient"}, f"{ELSEWHERE}/Patient/1/_history/2"),),
        (
            entry("POST", "Patient", {"resourceType": "Patient"}, NEW),
            entry("POST", "Patient", {"resourceType": "Patient"}, NEW),
        ),
        (entry("GET", "Patient/anna", ifModifiedSince="yesterday"),),
    ],
)
def test_what_is_refused_keeps_nothing(clinic: Clinic, entries: tuple[JSON, ...]) -> None:
    service = clinic.as_("service")
    answer = send(service, entry("POST", "Organization", {"resourceType": "Organization", "name": "X"}), *entries)
    assert answer.status_code == 400, answer.text
    assert answer.json()["issue"][0]["expression"][0].startswith("Bundle.entry[")
    assert service.find("Organization") == []
    assert service.get("/fhir/Patient/anna").json()["meta"]["versionId"] == "1"


def test_a_conditional_update_is_referred_to_by_its_full_url(clinic: Clinic) -> None:
    answer = send(
        clinic.as_("service"),
        entry("PUT", BY_DATE, {"resourceType": "Patient", "birthDate": "1980-02-29"}, NEW),
        entry("POST", "Provenance", provenance(pinned(NEW))),
    )
    assert answer.status_code == 200, answer.text
    assert targets(clinic) == [{"reference": "Patient/anna/_history/2"}]


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_entries_show_what_prefer_asks_for(clinic: Clinic) -> None:
    service = clinic.as_("service")
    entries = [
        entry("PUT", "Patient/anna", ANNA),
        entry("DELETE", "Observation/pulse-anna"),
        entry("GET", "Patient/bert"),
    ]
    plain = send(service, *entries).json()["entry"]
    assert "resource" not in plain[0]
    assert "outcome" not in plain[0]["response"]
    assert plain[0]["response"].keys() == {"status", "location", "etag", "lastModified"}
    shown = send(service, *entries, prefer="return=representation").json()["entry"]
    assert shown[0]["resource"]["meta"]["versionId"] == "3"
    told = send(service, *entries, prefer="return=OperationOutcome").json()["entry"]
    assert told[0]["response"]["outcome"]["resourceType"] == "OperationOutcome"
    assert "resource" not in told[0]
    assert [one[2]["resource"]["id"] for one in (plain, shown, told)] == ["bert"] * 3


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_reads_in_a_bundle_know_what_the_client_has(clinic: Clinic, kind: str) -> None:
    answer = send(
        clinic.as_("service"),
        entry("GET", "Patient/anna", ifNoneMatch='W/"1"'),
        entry("GET", "Patient/anna", ifNoneMatch='W/"7"'),
        entry("GET", "Patient/anna", ifModifiedSince="2099-01-01T00:00:00Z"),
        entry("GET", "Patient/anna", ifModifiedSince="1999-01-01T00:00:00Z"),
        entry("HEAD", "Patient/anna"),
        kind=kind,
    ).json()["entry"]
    assert [one["response"]["status"][:3] for one in answer] == ["304", "200", "304", "200", "200"]
    assert ["resource" in one for one in answer] == [False, True, False, True, False]
    assert answer[4]["response"]["etag"] == 'W/"1"'


# ── batches ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_entry_that_relies_on_another_of_the_batch_is_refused_alone(clinic: Clinic) -> None:
    answer = send(
        clinic.as_("service"),
        entry("POST", "Patient", {"resourceType": "Patient"}, NEW),
        entry("POST", "Observation", {**heart_rate("anna", 5), "subject": {"reference": NEW}}),
        entry("POST", "Observation", heart_rate("anna", 5)),
        kind="batch",
    ).json()["entry"]
    assert [one["response"]["status"][:3] for one in answer] == ["201", "400", "201"]
    assert answer[1]["response"]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[1].resource"]


def test_an_entry_that_cannot_be_read_is_refused_alone(clinic: Clinic) -> None:
    answer = send(
        clinic.as_("service"),
        {"request": {"method": "GET"}},
        entry("TRACE", "Patient/anna"),
        5,  # type: ignore[arg-type]
        entry("GET", "Patient/anna"),
        kind="batch",
    ).json()["entry"]
    assert [one["response"]["status"][:3] for one in answer] == ["400", "400", "400", "200"]
    assert answer[0]["response"]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[0].request.url"]


def test_a_patch_and_a_put_of_one_record_are_doubles(clinic: Clinic) -> None:
    sent = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W10="}
    answer = send(clinic.as_("service"), entry("PATCH", "Patient/anna", sent), entry("PUT", "Patient/anna", ANNA))
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["code"] == "duplicate"
