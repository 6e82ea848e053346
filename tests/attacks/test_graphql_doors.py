# SPDX-License-Identifier: Apache-2.0
"""GraphQL opens no door that read and search keep shut: not by id, list, count, reference, filter or schema."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from salus.audit.event import EventType, Outcome
from tests.attacks.test_audit_completeness import Watch
from tests.attacks.ward import HIDDEN
from tests.support.clinic import Clinic
from tests.support.outcomes import assert_outcome


def ask(clinic: Clinic, who: str, query: str, path: str = "/fhir/$graphql", **variables: Any) -> httpx.Response:
    body = {"query": query, "variables": variables}
    return clinic.as_(who).post(path, body, headers={"content-type": "application/json"})


def data(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    found: dict[str, Any] = answer.json()["data"]
    return found


@pytest.mark.parametrize("who", HIDDEN)
def test_hidden_records_read_like_absent_ones(ward: Clinic, who: str) -> None:
    for name in HIDDEN[who]:
        type_, _, id_ = name.partition("/")
        hidden = ask(ward, who, f'{{{type_}(id: "{id_}"){{id}}}}')
        absent = ask(ward, who, f'{{{type_}(id: "never-was"){{id}}}}')
        assert (hidden.status_code, hidden.json()) == (absent.status_code, absent.json()), name
        assert not (hidden.json().get("data") or {}).get(type_)
        connection = f'{{{type_}Connection(_id: "{id_}"){{count edges{{resource{{id}}}}}}}}'
        counted = ask(ward, who, connection)
        if counted.status_code == 200:
            assert data(counted)[f"{type_}Connection"] == {"count": 0, "edges": []}, name


@pytest.mark.parametrize("who", ["anna", "bert", "nurse", "physician", "laboratory", "front-desk"])
@pytest.mark.parametrize("type_", ["Patient", "Observation", "DocumentReference", "Condition", "Appointment"])
def test_lists_and_counts_are_those_of_a_search(ward: Clinic, who: str, type_: str) -> None:
    searched = ward.as_(who).get(f"/fhir/{type_}?_count=100&_total=accurate")
    answer = ask(ward, who, f"{{{type_}Connection(_count: 100){{count edges{{resource{{id}}}}}}}}")
    if searched.status_code == 403:
        assert answer.status_code == 403
        return
    ids = [entry["resource"]["id"] for entry in searched.json().get("entry", ())]
    found = data(answer)[f"{type_}Connection"]
    assert (found["count"], [edge["resource"]["id"] for edge in found["edges"]]) == (searched.json()["total"], ids)


def test_references_lead_to_nothing_hidden(ward: Clinic) -> None:
    query = "{ObservationList(_count: 100){id subject{resource{... on Patient{id name{family}}}}}}"
    everyone = {row["subject"]["resource"]["id"] for row in data(ask(ward, "physician", query))["ObservationList"]}
    assert everyone >= {"anna", "bert"}
    assert {row["subject"]["resource"]["id"] for row in data(ask(ward, "anna", query))["ObservationList"]} == {"anna"}
    back = '{Patient(id: "anna"){DocumentReferenceList(_reference: subject){id}}}'
    assert data(ask(ward, "nurse", back))["Patient"]["DocumentReferenceList"] == []


def test_hidden_elements_are_neither_shown_nor_asked_for(ward: Clinic) -> None:
    assert data(ask(ward, "laboratory", '{Patient(id: "anna"){id telecom{value} address{city}}}'))["Patient"] == {
        "id": "anna", "telecom": [], "address": [],
    }  # fmt: skip
    by_phone = ask(ward, "laboratory", '{PatientList(phone: "1"){id}}')
    assert by_phone.status_code in {200, 403}
    assert not (by_phone.json().get("data") or {}).get("PatientList")
    filtered = '{PatientList{telecom(fhirpath: "value.exists()"){system}}}'
    assert all(row["telecom"] == [] for row in data(ask(ward, "laboratory", filtered))["PatientList"])


@pytest.mark.parametrize("who", ["administrator", "auditor", "security-officer", "researcher"])
def test_overseers_see_no_patient(ward: Clinic, who: str) -> None:
    for query in ("{PatientList{id}}", '{Patient(id: "anna"){id}}', "{ObservationConnection{count}}"):
        assert ask(ward, who, query).status_code == 403
    assert ask(ward, who, "{id}", "/fhir/Patient/anna/$graphql").status_code == 403
    assert ask(ward, who, "{AuditEventList{id}}").status_code == 403


def test_the_schema_says_nothing_of_what_is_stored(ward: Clinic) -> None:
    query = '{__type(name: "Patient"){fields{name}}}'
    assert data(ask(ward, "anna", query)) == data(ask(ward, "auditor", query))


def test_a_cursor_of_someone_else_is_worthless(ward: Clinic) -> None:
    query = "{ObservationConnection(_count: 1){next}}"
    cursor = data(ask(ward, "physician", query))["ObservationConnection"]["next"]
    assert cursor
    stolen = ask(ward, "anna", "query($c: String){ObservationConnection(_cursor: $c){edges{resource{id}}}}", c=cursor)
    assert_outcome(stolen)
    own = ask(ward, "physician", "query($c: String){ObservationConnection(_cursor: $c){edges{resource{id}}}}", c=cursor)
    assert len(data(own)["ObservationConnection"]["edges"]) == 1


def test_too_many_searches_are_refused(ward: Clinic) -> None:
    many = " ".join(f"a{n}: PatientList{{id}}" for n in range(101))
    answer = ask(ward, "physician", f"{{{many}}}")
    assert answer.status_code == 400
    assert assert_outcome(answer)[0]["code"] == "too-costly"


def test_every_query_is_written_with_what_was_given_and_what_was_not(ward: Clinic) -> None:
    watch = Watch(ward)
    ask(ward, "physician", '{Patient(id: "anna"){id} ObservationList(patient: "anna", _id: "pulse-anna"){id}}')
    ward.token("anna")
    ask(ward, "anna", '{Patient(id: "bert"){id}}')
    ask(ward, "anna", '{Patient(id: "anna"){id} b: Patient(id: "bert"){id}}')
    ward.token("auditor")
    ask(ward, "auditor", "{PatientList{id}}")
    events = [event for event in watch.events() if event.type is EventType.RECORD_OPERATION]
    assert [(event.actor.id, event.outcome) for event in events] == [
        ("physician", Outcome.GRANTED),
        ("anna", Outcome.REFUSED),
        ("anna", Outcome.GRANTED),
        ("anna", Outcome.REFUSED),
        ("auditor", Outcome.REFUSED),
    ]
    assert {name for _, name, _, _ in watch.touched(events[0])} == {"Patient/anna", "Observation/pulse-anna"}
    assert watch.touched(events[1]) == [("", "Patient/bert", 0, "R")]
    assert events[0].query.startswith("$graphql?query=")


def test_other_ways_to_send_a_query(ward: Clinic) -> None:
    physician = ward.as_("physician")
    plain = {"content-type": "application/graphql"}
    by_text = physician.request("POST", "/fhir/$graphql", content=b'{Patient(id: "anna"){id}}', headers=plain)
    by_get = physician.get(
        "/fhir/$graphql", params={"query": "query($i: ID!){Patient(id: $i){id}}", "variables": '{"i": "anna"}'}
    )
    sent = {"resourceType": "Parameters", "parameter": [{"name": "query", "valueString": '{Patient(id: "anna"){id}}'}]}
    by_parameters = physician.post("/fhir/$graphql", sent)
    assert data(by_text) == data(by_get) == data(by_parameters) == {"Patient": {"id": "anna"}}
    for body in ({"query": 5}, {"query": "{", "variables": []}, {"nothing": 1}, {"query": "{x}", "id": "x"}):
        assert_outcome(physician.post("/fhir/$graphql", body, headers={"content-type": "application/json"}))
    assert_outcome(physician.get("/fhir/$graphql?query={PatientList{id}}&variables=[]"))
    assert_outcome(physician.get("/fhir/$graphql"))
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": "$graphql?query={x}"}}],
    }
    assert physician.post("/fhir", batch).json()["entry"][0]["response"]["status"].startswith("404")
