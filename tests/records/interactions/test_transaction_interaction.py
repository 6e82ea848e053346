# SPDX-License-Identifier: Apache-2.0
"""Transactions: all or nothing (https://hl7.org/fhir/R4/http.html#transaction)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.clinic import BASE, Client, Clinic, heart_rate, patient

JSON = dict[str, Any]
_A, _B, _C = (f"urn:uuid:0000000{n}-0000-4000-8000-000000000000" for n in (1, 2, 3))


def _send(client: Client, *entries: JSON) -> Any:
    return client.post("/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)})


def _entry(method: str, url: str, resource: JSON | None = None, full_url: str = "", **request: str) -> JSON:
    entry: JSON = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        entry["resource"] = resource
    if full_url:
        entry["fullUrl"] = full_url
    return entry


def _count(client: Client) -> int:
    return sum(client.get(f"/fhir/{type_}?_summary=count").json()["total"] for type_ in ("Patient", "Observation"))


def _id(answer: Any, index: int) -> str:
    return answer.json()["entry"][index]["response"]["location"].split("/")[1]


def test_references_forward_back_and_round_in_a_circle_are_resolved(clinic: Clinic) -> None:
    service = clinic.as_("service")
    team = {
        "resourceType": "CareTeam",
        "subject": {"reference": _B},
        "participant": [{"member": {"reference": _C}}],
        "note": [{"text": _B}],
    }
    loop = {"resourceType": "Patient", "link": [{"other": {"reference": _B}, "type": "seealso"}]}
    answer = _send(
        service,
        _entry("POST", "CareTeam", team, _A),
        _entry("POST", "Patient", loop, _B),
        _entry("POST", "Practitioner", {"resourceType": "Practitioner"}, _C),
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["type"] == "transaction-response"
    assert [e["response"]["status"] for e in answer.json()["entry"]] == ["201 Created"] * 3
    made = service.get(f"/fhir/CareTeam/{_id(answer, 0)}").json()
    assert made["subject"]["reference"] == f"Patient/{_id(answer, 1)}"
    assert made["participant"][0]["member"]["reference"] == f"Practitioner/{_id(answer, 2)}"
    assert made["note"][0]["text"] == _B  # words that look like a reference are words
    looped = service.get(f"/fhir/Patient/{_id(answer, 1)}").json()
    assert looped["link"][0]["other"]["reference"] == f"Patient/{_id(answer, 1)}"


def test_entries_are_carried_out_delete_post_put_get_and_answered_in_their_order(clinic: Clinic) -> None:
    service = clinic.as_("service")
    answer = _send(
        service,
        _entry("GET", "Observation?patient=anna"),
        _entry("PUT", "Observation/put", heart_rate("anna", 2, id_="put")),
        _entry("POST", "Observation", heart_rate("anna", 1)),
        _entry("DELETE", "Observation/pulse-anna"),
        _entry("GET", "Observation/put"),
        _entry("GET", "Observation/put/_history/1"),
        _entry("GET", "Observation/pulse-anna"),
    )
    entries = answer.json()["entry"]
    assert [e["response"]["status"][:3] for e in entries] == ["200", "201", "201", "204", "200", "200", "410"]
    values = [e["resource"]["valueQuantity"]["value"] for e in entries[0]["resource"]["entry"]]
    assert values == [2, 1]  # newest first: PUT came after POST, the deleted one is gone
    assert entries[4]["resource"]["id"] == "put"
    assert entries[4]["response"]["etag"] == 'W/"1"'
    assert "resource" not in entries[6]


def test_a_conditional_reference_names_the_one_that_matches(clinic: Clinic) -> None:
    service = clinic.as_("service")
    sent = heart_rate("anna", 5)
    sent["subject"] = {"reference": "Patient?birthdate=1955-07-01"}
    answer = _send(service, _entry("POST", "Observation", sent))
    assert service.get(f"/fhir/Observation/{_id(answer, 0)}").json()["subject"]["reference"] == "Patient/bert"


@pytest.mark.parametrize(
    ("condition", "status"), [("birthdate=1800-01-01", 400), ("birthdate=gt1900", 412), ("nonsense=1", 400)]
)
def test_a_conditional_reference_to_none_or_several_keeps_nothing(clinic: Clinic, condition: str, status: int) -> None:
    service = clinic.as_("service")
    before = _count(service)
    sent = {**heart_rate("anna", 5), "subject": {"reference": f"Patient?{condition}"}}
    answer = _send(service, _entry("POST", "Patient", {"resourceType": "Patient"}), _entry("POST", "Observation", sent))
    assert answer.status_code == status
    assert all(i["expression"][0].startswith("Bundle.entry[1]") for i in answer.json()["issue"])
    assert _count(service) == before


def test_if_none_exist_stands_for_the_record_that_is_there(clinic: Clinic) -> None:
    service = clinic.as_("service")
    answer = _send(
        service,
        _entry("POST", "Patient", {"resourceType": "Patient"}, _A, ifNoneExist="birthdate=1955-07-01"),
        _entry("POST", "Observation", {**heart_rate("anna", 5), "subject": {"reference": _A}}),
    )
    assert [e["response"]["status"][:3] for e in answer.json()["entry"]] == ["200", "201"]
    assert _id(answer, 0) == "bert"
    assert service.get(f"/fhir/Observation/{_id(answer, 1)}").json()["subject"]["reference"] == "Patient/bert"
    assert len(service.find("Patient")) == 2


def test_if_none_exist_twice_in_one_bundle_makes_one_record(clinic: Clinic) -> None:
    service = clinic.as_("service")
    sent = {"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": "7"}]}
    answer = _send(
        service,
        _entry("POST", "Patient", sent, _A, ifNoneExist="identifier=urn:mrn|7"),
        _entry("POST", "Patient", sent, _B, ifNoneExist="identifier=urn:mrn|7"),
        _entry("POST", "Observation", {**heart_rate("anna", 5), "subject": {"reference": _B}}),
    )
    assert [e["response"]["status"][:3] for e in answer.json()["entry"]] == ["201", "200", "201"]
    assert _id(answer, 0) == _id(answer, 1)
    assert len(service.find("Patient?identifier=urn:mrn|7")) == 1
    subject = service.get(f"/fhir/Observation/{_id(answer, 2)}").json()["subject"]["reference"]
    assert subject == f"Patient/{_id(answer, 0)}"


def test_if_match_holds_inside_a_transaction(clinic: Clinic) -> None:
    service = clinic.as_("service")
    fresh = _send(service, _entry("PUT", "Patient/anna", patient("anna", "A", "1980-02-29"), ifMatch='W/"1"'))
    assert fresh.json()["entry"][0]["response"]["etag"] == 'W/"2"'
    before = _count(service)
    stale = _send(
        service,
        _entry("POST", "Patient", {"resourceType": "Patient"}),
        _entry("PUT", "Patient/anna", patient("anna", "B", "1980-02-29"), ifMatch='W/"1"'),
    )
    assert stale.status_code == 412
    assert _count(service) == before


def test_conditional_update_and_delete_inside_a_transaction(clinic: Clinic) -> None:
    service = clinic.as_("service")
    answer = _send(
        service,
        _entry("PUT", "Patient?birthdate=1955-07-01", {"resourceType": "Patient", "active": True}, _A),
        _entry("PUT", "Patient?identifier=urn:mrn|9", {"resourceType": "Patient"}, _B),
        _entry("DELETE", "Condition?patient=bert"),
        _entry("DELETE", "Condition?patient=nobody"),
        _entry("POST", "Observation", {**heart_rate("anna", 5), "subject": {"reference": _B}}),
    )
    assert [e["response"]["status"][:3] for e in answer.json()["entry"]] == ["200", "201", "204", "204", "201"]
    assert service.get("/fhir/Patient/bert").json()["active"] is True
    assert service.get("/fhir/Condition/asthma-bert").status_code == 410
    subject = service.get(f"/fhir/Observation/{_id(answer, 4)}").json()["subject"]["reference"]
    assert subject == f"Patient/{_id(answer, 1)}"


_ANNA = {"resourceType": "Patient", "id": "anna"}
_SAME = {
    "put twice": [_entry("PUT", "Patient/anna", _ANNA), _entry("PUT", "Patient/anna", _ANNA)],
    "put and delete": [_entry("PUT", "Patient/anna", _ANNA), _entry("DELETE", "Patient/anna")],
    "delete twice": [_entry("DELETE", "Patient/anna"), _entry("DELETE", "Patient/anna")],
    "put by id and by condition": [
        _entry("PUT", "Patient/anna", _ANNA),
        _entry("PUT", "Patient?birthdate=1980-02-29", {"resourceType": "Patient"}),
    ],
    "delete by id and by condition": [
        _entry("DELETE", "Patient/anna"),
        _entry("DELETE", "Patient?birthdate=1980-02-29"),
    ],
    "the same condition makes two": [
        _entry("PUT", "Patient?identifier=x", {"resourceType": "Patient"}),
        _entry("PUT", "Patient?identifier=x", {"resourceType": "Patient"}),
    ],
    "two with one fullUrl": [
        _entry("POST", "Patient", {"resourceType": "Patient"}, _A),
        _entry("POST", "Patient", {"resourceType": "Patient"}, _A),
    ],
}


@pytest.mark.parametrize("name", _SAME)
def test_the_same_record_twice_is_refused(clinic: Clinic, name: str) -> None:
    service = clinic.as_("service")
    before = _count(service)
    answer = _send(service, _entry("POST", "Patient", {"resourceType": "Patient"}), *_SAME[name])
    assert answer.status_code == 400, answer.text
    assert answer.json()["issue"][0]["code"] == "duplicate"
    assert answer.json()["issue"][0]["expression"][0].startswith("Bundle.entry[")
    assert (_count(service), service.get("/fhir/Patient/anna").headers["etag"]) == (before, 'W/"1"')


def test_a_resource_that_is_no_strict_json_is_named_with_its_line_in_the_bundle(clinic: Clinic) -> None:
    service = clinic.as_("service")
    before = _count(service)
    good = '{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}}'
    bad = good.replace('"Patient"}', '"Patient",\n"active":true,\n"active":true}', 1)
    body = f'{{"resourceType":"Bundle","type":"transaction","entry":[\n{good},\n{bad}]}}'
    headers = {"content-type": "application/fhir+json"}
    answer = service.request("POST", "/fhir", content=body.encode(), headers=headers)
    assert answer.status_code == 400, answer.text
    (issue,) = answer.json()["issue"]
    assert issue["diagnostics"].startswith("The same name occurs twice in one object, at line 5")
    assert issue["expression"] == ["Bundle.entry[1]"]
    assert _count(service) == before


_BAD = {
    "invalid content": (_entry("POST", "Observation", {"resourceType": "Observation", "status": "x"}), 422, "resource"),
    "wrong type": (_entry("POST", "Observation", {"resourceType": "Patient"}), 400, ""),
    "no resource": (_entry("POST", "Observation"), 400, ""),
    "no request": ({"resource": {"resourceType": "Patient"}}, 400, "request"),
    "unknown type": (_entry("POST", "Nonsense", {"resourceType": "Nonsense"}), 400, "request.url"),
    "unknown method": (_entry("TRACE", "Patient/anna"), 400, "request.method"),
    "wrong id": (_entry("PUT", "Patient/bert", {"resourceType": "Patient", "id": "x"}), 400, "resource.id"),
    "delete of nothing": (_entry("DELETE", "Patient/nobody"), 404, ""),
    "bad if-match": (_entry("PUT", "Patient/anna", _ANNA, ifMatch="x"), 400, "request.ifMatch"),
    "a search that is not understood": (_entry("GET", "Patient?shoe-size=43"), 400, "query.shoe-size"),
    "a GET of something else": (_entry("GET", "Patient/anna/$everything"), 400, "request.url"),
    "several for ifNoneExist": (
        _entry("POST", "Patient", {"resourceType": "Patient"}, ifNoneExist="birthdate=gt1900"),
        412,
        "request.ifNoneExist",
    ),
}


@pytest.mark.parametrize("name", _BAD)
def test_any_failure_keeps_nothing_and_names_its_place(clinic: Clinic, name: str) -> None:
    service = clinic.as_("service")
    before, (bad, status, place) = _count(service), _BAD[name]
    answer = _send(
        service,
        _entry("POST", "Patient", {"resourceType": "Patient"}),
        bad,
        _entry("PUT", "Patient/bert", patient("bert", "Changed", "1955-07-01")),
    )
    assert answer.status_code == status, answer.text
    places = [e for issue in answer.json()["issue"] for e in issue["expression"]]
    assert all(e.startswith("Bundle.entry[1]") for e in places), places
    assert any(e.startswith(f"Bundle.entry[1]{'.' if place else ''}{place}") for e in places), places
    assert _count(service) == before
    assert service.get("/fhir/Patient/bert").headers["etag"] == 'W/"1"'


def test_an_empty_transaction_is_answered_empty(clinic: Clinic) -> None:
    answer = clinic.as_("service").post("/fhir", {"resourceType": "Bundle", "type": "transaction"})
    assert answer.json() == {"resourceType": "Bundle", "type": "transaction-response"}


def test_location_of_the_answer_is_relative_to_the_base(clinic: Clinic) -> None:
    answer = _send(clinic.as_("service"), _entry("POST", "Patient", {"resourceType": "Patient"}))
    location = answer.json()["entry"][0]["response"]["location"]
    assert clinic.as_("service").get(f"/fhir/{location}").status_code == 200
    assert not location.startswith(BASE)
