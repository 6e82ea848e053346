# SPDX-License-Identifier: Apache-2.0
"""PATCH: JSON Patch and FHIRPath Patch over HTTP (https://hl7.org/fhir/R4/http.html#patch)."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest
from tests.support.clinic import Client, Clinic, heart_rate, patient, put_all

JSON = dict[str, Any]
JSON_PATCH = {"content-type": "application/json-patch+json"}


def send(client: Client, path: str, operations: Any, **headers: str) -> httpx.Response:
    return client.request("PATCH", f"/fhir/{path}", json=operations, headers={**JSON_PATCH, **headers})


def replace(path: str, value: Any) -> JSON:
    return {"op": "replace", "path": path, "value": value}


def parameters(*operations: JSON) -> JSON:
    """A FHIRPath Patch; each operation gives its parts as `name: part without name`."""
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "operation", "part": [{"name": name, **part} for name, part in operation.items()]}
            for operation in operations
        ],
    }


def swap(path: str, **value: Any) -> JSON:
    return {"type": {"valueCode": "replace"}, "path": {"valueString": path}, "value": value}


def test_a_json_patch_makes_the_next_version(clinic: Clinic) -> None:
    service = clinic.as_("service")
    answer = send(service, "Patient/anna", [replace("/gender", "other"), {"op": "remove", "path": "/name/0/given"}])
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == 'W/"2"'
    assert answer.headers["location"].endswith("/fhir/Patient/anna/_history/2")
    assert answer.json()["gender"] == "other"
    assert answer.json()["name"] == [{"family": "Ångström"}]
    assert answer.json()["meta"]["versionId"] == "2"
    assert service.get("/fhir/Patient/anna").json() == answer.json()
    assert [one["id"] for one in service.find("Patient?gender=other")] == ["anna"]
    history = service.get("/fhir/Patient/anna/_history").json()
    assert history["entry"][0]["request"] == {"method": "PATCH", "url": "Patient/anna"}


def test_a_fhirpath_patch_does_the_same(clinic: Clinic) -> None:
    service = clinic.as_("service")
    answer = service.request("PATCH", "/fhir/Patient/anna", json=parameters(swap("Patient.gender", valueCode="other")))
    assert answer.status_code == 200, answer.text
    assert service.get("/fhir/Patient/anna").json()["gender"] == "other"


def test_decimals_keep_their_digits(clinic: Clinic) -> None:
    service = clinic.as_("service")
    body = b'[{"op":"replace","path":"/valueQuantity/value","value":70.10}]'
    answer = service.request("PATCH", "/fhir/Observation/pulse-anna", content=body, headers=JSON_PATCH)
    assert b'"value":70.10,' in answer.content


def test_if_match(clinic: Clinic) -> None:
    service = clinic.as_("service")
    assert send(service, "Patient/anna", [replace("/gender", "other")], **{"if-match": 'W/"7"'}).status_code == 412
    assert send(service, "Patient/anna", [replace("/gender", "other")], **{"if-match": 'W/"1"'}).status_code == 200
    assert send(service, "Patient/anna", [replace("/gender", "male")], **{"if-match": 'W/"1"'}).status_code == 412


@pytest.mark.parametrize(
    ("operations", "status"),
    [
        ([{"op": "remove", "path": "/id"}], 422),
        ([replace("/id", "bert")], 422),
        ([replace("/resourceType", "Group")], 422),
        ([replace("", {"resourceType": "Patient"})], 422),
        ([replace("", 5)], 422),
        ([replace("/gender", "nobody")], 422),
        ([{"op": "add", "path": "/nickname", "value": "x"}], 422),
        ([{"op": "test", "path": "/gender", "value": "male"}], 422),
        ([{"op": "remove", "path": "/photo/0"}], 422),
        ([{"op": "remove"}], 400),
        ({"op": "remove", "path": "/gender"}, 400),
        ("x", 400),
    ],
)
def test_what_a_patch_may_not_leave(clinic: Clinic, operations: Any, status: int) -> None:
    service = clinic.as_("service")
    before = service.get("/fhir/Patient/anna").content
    answer = send(service, "Patient/anna", operations)
    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert service.get("/fhir/Patient/anna").content == before


def test_what_the_server_owns_is_not_patched(clinic: Clinic) -> None:
    service = clinic.as_("service")
    changes = [replace("/meta/versionId", "77"), replace("/meta/lastUpdated", "1999-01-01T00:00:00Z")]
    answer = send(service, "Patient/anna", changes).json()
    assert answer["meta"]["versionId"] == "2"
    assert not answer["meta"]["lastUpdated"].startswith("1999")
    assert send(service, "Patient/anna", [{"op": "remove", "path": "/meta"}]).json()["meta"]["versionId"] == "3"


def test_absent_and_deleted(clinic: Clinic) -> None:
    service = clinic.as_("service")
    assert send(service, "Patient/nobody", [replace("/gender", "other")]).status_code == 404
    service.delete("/fhir/Observation/pulse-anna")
    assert send(service, "Observation/pulse-anna", [replace("/status", "amended")]).status_code == 410


def test_conditional_patch(clinic: Clinic) -> None:
    service = clinic.as_("service")
    change = [replace("/gender", "other")]
    assert send(service, "Patient?birthdate=1980-02-29", change).headers["location"].endswith("Patient/anna/_history/2")
    assert send(service, "Patient?birthdate=1800-01-01", change).status_code == 404
    assert send(service, "Patient?birthdate=gt1900", change).status_code == 412
    assert send(service, "Patient", change).status_code == 400
    assert send(service, "Patient?nonsense=1", change).status_code == 400


@pytest.mark.parametrize("media", ["text/plain", "application/xml-patch+xml", "application/merge-patch", ""])
def test_other_kinds_of_patch_are_not_spoken(clinic: Clinic, media: str) -> None:
    answer = clinic.as_("service").request(
        "PATCH", "/fhir/Patient/anna", content=b"[]", headers={"content-type": media}
    )
    assert answer.status_code == 415
    told = answer.json()["issue"][0]["diagnostics"]
    assert "application/json-patch+json" in told
    assert "application/merge-patch+json" in told


def test_prefer(clinic: Clinic) -> None:
    service = clinic.as_("service")
    minimal = send(service, "Patient/anna", [replace("/gender", "other")], prefer="return=minimal")
    assert (minimal.status_code, minimal.content) == (200, b"")
    told = send(service, "Patient/anna", [replace("/gender", "male")], prefer="return=OperationOutcome").json()
    assert told["resourceType"] == "OperationOutcome"
    assert "patched" in told["issue"][0]["diagnostics"]


# ── merge patch ──────────────────────────────────────────────────────────────────────────────────────────────────────


MERGE = {"content-type": "application/merge-patch+json"}


def merge(client: Client, path: str, changes: Any, **headers: str) -> httpx.Response:
    return client.request("PATCH", f"/fhir/{path}", json=changes, headers={**MERGE, **headers})


@pytest.mark.parametrize(
    "media", ["application/merge-patch+json", "application/json", "application/json; charset=utf-8"]
)
def test_a_merge_patch_makes_the_next_version(clinic: Clinic, media: str) -> None:
    service = clinic.as_("service")
    answer = merge(service, "Patient/anna", {"gender": "other", "birthDate": None}, **{"content-type": media})
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == 'W/"2"'
    assert answer.json()["gender"] == "other"
    assert "birthDate" not in answer.json()
    assert answer.json()["name"] == service.get("/fhir/Patient/anna/_history/1").json()["name"]
    assert service.get("/fhir/Patient/anna").json() == answer.json()
    assert [one["id"] for one in service.find("Patient?gender=other")] == ["anna"]
    assert service.find("Patient?birthdate=1980-02-29") == []


def test_a_merge_patch_heeds_if_match_and_conditions(clinic: Clinic) -> None:
    service, change = clinic.as_("service"), {"gender": "other"}
    assert merge(service, "Patient/anna", change, **{"if-match": 'W/"7"'}).status_code == 412
    assert merge(service, "Patient?birthdate=1980-02-29", change).headers["etag"] == 'W/"2"'
    assert merge(service, "Patient?birthdate=1800-01-01", change).status_code == 404
    assert merge(service, "Patient?birthdate=gt1900", change).status_code == 412


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"id": "bert"}, 422),
        ({"id": None}, 422),
        ({"resourceType": "Group"}, 422),
        ({"resourceType": None}, 422),
        ({"gender": "nobody"}, 422),
        ({"nickname": "x"}, 422),
        ({"name": {"family": "x"}}, 422),
        ({"deceasedBoolean": False, "deceasedDateTime": "2020"}, 422),
        ([{"op": "remove", "path": "/gender"}], 400),
        (None, 400),
        ("x", 400),
    ],
)
def test_what_a_merge_patch_may_not_leave(clinic: Clinic, changes: Any, status: int) -> None:
    service = clinic.as_("service")
    before = service.get("/fhir/Patient/anna").content
    answer = merge(service, "Patient/anna", changes)
    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert service.get("/fhir/Patient/anna").content == before


def test_json_of_fhir_is_never_taken_for_a_merge_patch(clinic: Clinic) -> None:
    headers = {"content-type": "application/fhir+json"}
    answer = merge(clinic.as_("service"), "Patient/anna", {"resourceType": "Patient", "gender": "other"}, **headers)
    assert answer.status_code == 400
    assert "Parameters" in answer.json()["issue"][0]["diagnostics"]


# ── narratives ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _told(status: str) -> JSON:
    div = '<div xmlns="http://www.w3.org/1999/xhtml">Anna is a woman</div>'
    return {**patient("anna", "A", "1980-02-29"), "text": {"status": status, "div": div}}


def test_a_generated_narrative_does_not_outlive_what_it_tells(clinic: Clinic) -> None:
    service = clinic.as_("service")
    put_all(service, _told("generated"))
    assert "text" in send(service, "Patient/anna", [{"op": "add", "path": "/language", "value": "en"}]).json()
    assert "text" not in send(service, "Patient/anna", [replace("/gender", "male")]).json()


def test_a_narrative_that_says_more_than_the_data_stops_the_patch(clinic: Clinic) -> None:
    service = clinic.as_("service")
    put_all(service, _told("additional"))
    refused = send(service, "Patient/anna", [replace("/gender", "male")])
    assert refused.status_code == 422
    assert refused.json()["issue"][0]["expression"] == ["Patient.text"]
    both = [replace("/gender", "male"), replace("/text/div", _told("")["text"]["div"].replace("woman", "man"))]
    assert "man<" in send(service, "Patient/anna", both).json()["text"]["div"]


# ── in Bundles ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _binary(operations: Any, media: str = "application/json-patch+json") -> JSON:
    data = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"resourceType": "Binary", "contentType": media, "data": data}


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_each_kind_in_a_bundle(clinic: Clinic, kind: str) -> None:
    service = clinic.as_("service")
    entries = [
        {
            "resource": _binary([replace("/gender", "other")]),
            "request": {"method": "PATCH", "url": "Patient/anna", "ifMatch": 'W/"1"'},
        },
        {
            "resource": parameters(swap("Patient.gender", valueCode="other")),
            "request": {"method": "PATCH", "url": "Patient?birthdate=1955-07-01"},
        },
        {
            "resource": _binary({"status": "amended"}, "application/merge-patch+json"),
            "request": {"method": "PATCH", "url": "Observation/pulse-anna"},
        },
    ]
    answer = service.post("/fhir", {"resourceType": "Bundle", "type": kind, "entry": entries})
    assert [entry["response"]["status"] for entry in answer.json()["entry"]] == ["200 OK"] * 3, answer.text
    assert service.get("/fhir/Observation/pulse-anna").json()["status"] == "amended"
    assert {one["gender"] for one in service.find("Patient")} == {"other"}


def test_a_patch_that_fails_keeps_nothing_of_its_transaction(clinic: Clinic) -> None:
    service = clinic.as_("service")
    entries = [
        {"resource": heart_rate("anna", 99), "request": {"method": "PUT", "url": "Observation/pulse-anna"}},
        {
            "resource": _binary([{"op": "test", "path": "/gender", "value": "male"}]),
            "request": {"method": "PATCH", "url": "Patient/anna"},
        },
    ]
    answer = service.post("/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"][0].startswith("Bundle.entry[1]")
    assert service.get("/fhir/Observation/pulse-anna").json()["meta"]["versionId"] == "1"


def test_a_patch_may_refer_to_a_record_that_its_transaction_makes(clinic: Clinic) -> None:
    service = clinic.as_("service")
    new = "urn:uuid:00000001-0000-4000-8000-000000000000"
    operations = [{"op": "add", "path": "/generalPractitioner", "value": [{"reference": new}]}]
    entries = [
        {"resource": _binary(operations), "request": {"method": "PATCH", "url": "Patient/anna"}},
        {
            "fullUrl": new,
            "resource": {"resourceType": "Practitioner"},
            "request": {"method": "POST", "url": "Practitioner"},
        },
    ]
    answer = service.post("/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    made = answer.json()["entry"][1]["response"]["location"].split("/")[1]
    named = service.get("/fhir/Patient/anna").json()["generalPractitioner"]
    assert named == [{"reference": f"Practitioner/{made}"}]


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W10"},
        {"resourceType": "Binary", "contentType": "application/json", "data": "W10="},
        {"resourceType": "Binary", "contentType": "application/json-patch+json"},
        {"resourceType": "Binary", "contentType": "application/merge-patch+json", "data": "W10="},
        {"resourceType": "Patient", "gender": "other"},
        {"resourceType": "Parameters", "parameter": [{"name": "x"}]},
    ],
)
def test_what_is_no_patch_in_a_bundle(clinic: Clinic, resource: JSON) -> None:
    entry = {"resource": resource, "request": {"method": "PATCH", "url": "Patient/anna"}}
    answer = clinic.as_("service").post("/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert answer.status_code in {400, 422}, answer.text


def test_a_patch_is_held_to_the_profile_that_its_result_declares(clinic: Clinic) -> None:
    """What an update would be refused for, a patch is refused for."""
    service = clinic.as_("service")
    profile = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
    declare = {"op": "add", "path": "/meta/profile", "value": [profile]}
    refused = send(service, "Patient/anna", [declare])
    assert refused.status_code == 422  # US Core demands an identifier
    identifier = {"op": "add", "path": "/identifier", "value": [{"system": "urn:mrn", "value": "1"}]}
    assert send(service, "Patient/anna", [declare, identifier]).status_code == 200
    assert send(service, "Patient/anna", [{"op": "remove", "path": "/identifier"}]).status_code == 422
