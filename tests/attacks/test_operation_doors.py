# SPDX-License-Identifier: Apache-2.0
"""Operations open no door that read and search keep shut, and every knock is written down."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from salus.audit.event import EventType, Outcome
from salus.fhir.compartment import PatientCompartment
from salus.records.operations.table import OPERATIONS
from tests.attacks.test_audit_completeness import Watch
from tests.attacks.ward import HIDDEN
from tests.support.clinic import BASE, Clinic, put_all

COMPARTMENT = PatientCompartment((f"{BASE}/fhir",))
OF_RECORDS = {"everything", "document", "lastn", "match", "graphql", "meta", "meta-add", "meta-delete"}
"""Operations that touch records of patients; terminology and validation are tried beside them."""


def every(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", ())]


@pytest.mark.parametrize("who", ["anna", "bert", "nurse", "physician", "laboratory"])
def test_hidden_records_read_like_absent_ones_through_every_operation(ward: Clinic, who: str) -> None:
    client = ward.as_(who)
    for name in HIDDEN[who]:
        type_, _, id_ = name.partition("/")
        codes = ["meta"]
        codes += ["everything"] if type_ in {"Patient", "Encounter"} else []
        codes += ["document"] if type_ == "Composition" else []
        for code in codes:
            hidden, absent = (client.get(f"/fhir/{type_}/{one}/${code}") for one in (id_, "never-was"))
            assert (hidden.status_code, hidden.json()) == (absent.status_code, absent.json()), (name, code)
            assert hidden.status_code in {403, 404}
        label = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "x"}]}}]}
        for code in ("meta-add", "meta-delete"):
            hidden, absent = (client.post(f"/fhir/{type_}/{one}/${code}", label) for one in (id_, "never-was"))
            assert (hidden.status_code, hidden.json()) == (absent.status_code, absent.json()), (name, code)


@pytest.mark.parametrize("who", ["anna", "bert"])
def test_a_patient_gets_the_own_compartment_and_nothing_else(ward: Clinic, who: str) -> None:
    client = ward.as_(who)
    for path in (f"Patient/{who}/$everything?_count=100", "Patient/$everything?_count=100"):
        found = client.find(path)
        assert {f"{each['resourceType']}/{each['id']}" for each in found}.isdisjoint(HIDDEN[who])
        assert all(COMPARTMENT.patients(each) in {(who,), ()} for each in found)
    other = {"anna": "bert", "bert": "anna"}[who]
    assert client.get(f"/fhir/Patient/{other}/$everything").status_code == 404
    assert client.get(f"/fhir/Observation/$lastn?patient={other}&code=8867-4").json()["total"] == 0


@pytest.mark.parametrize("who", ["nurse", "physician", "laboratory", "billing", "pharmacist", "front-desk", "service"])
def test_everything_gives_of_each_type_what_a_search_gives(ward: Clinic, who: str) -> None:
    client = ward.as_(who)
    whole = client.get("/fhir/Patient/bert/$everything?_count=100")
    if whole.status_code != 200:
        assert client.get("/fhir/Patient/bert").status_code == whole.status_code
        return
    found = {f"{each['resourceType']}/{each['id']}": each for each in every(whole)}
    for name, resource in found.items():
        searched = client.get(f"/fhir/{resource['resourceType']}?_id={resource['id']}")
        if searched.status_code == 200:
            assert every(searched) == [resource], name


def test_labels_cannot_be_taken_off_by_those_from_whom_they_hide(ward: Clinic) -> None:
    note = ward.as_("service").get("/fhir/DocumentReference/secret-bert").json()
    labels = {"security": note["meta"]["security"]}
    asked = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": labels}]}
    for who in ("physician", "nurse", "anna", "bert", "administrator"):
        answer = ward.as_(who).post("/fhir/DocumentReference/secret-bert/$meta-delete", asked)
        assert answer.status_code in {403, 404}, who
    assert ward.as_("service").get("/fhir/DocumentReference/secret-bert").json() == note


def test_labels_of_hidden_records_are_not_in_use(ward: Clinic) -> None:
    tagged = {"system": "urn:secret", "code": "under-investigation"}
    hidden = ward.as_("service").get("/fhir/DocumentReference/secret-bert").json()
    hidden["meta"] = {"security": hidden["meta"]["security"], "tag": [tagged]}
    put_all(ward.as_("service"), hidden)
    for who in ("anna", "nurse", "physician"):
        for path in ("/fhir/$meta", "/fhir/DocumentReference/$meta"):
            assert "under-investigation" not in ward.as_(who).get(path).text, (who, path)


@pytest.mark.parametrize("who", ["administrator", "auditor", "security-officer", "researcher"])
def test_overseers_get_nothing_of_patients_and_each_try_is_written(ward: Clinic, who: str) -> None:
    watch = Watch(ward)
    ward.token(who)
    tries = 0
    label = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {}}]}
    for operation in OPERATIONS:
        about = operation.definition
        if about.code not in OF_RECORDS:
            continue
        type_ = about.types[0] if about.types else "Patient"
        for level in about.levels:
            if level == "system":
                continue  # asked of every type: the directory is theirs to see
            place = f"/fhir/{type_}/${about.code}" if level == "type" else f"/fhir/{type_}/anna/${about.code}"
            query = "?query={id}" if about.code == "graphql" else ""
            client = ward.as_(who)
            answer = client.get(place + query) if about.by_get else client.post(place, label)
            tries += 1
            assert answer.status_code == 403, (place, answer.text)
    events = [event for event in watch.events() if event.actor.id == who and event.type is EventType.RECORD_OPERATION]
    assert len(events) == tries > 8
    assert {event.outcome for event in events} == {Outcome.REFUSED}
    assert all("$" in event.query for event in events)


def test_a_page_of_everything_belongs_to_who_asked(ward: Clinic) -> None:
    first = ward.as_("physician").get("/fhir/Patient/anna/$everything?_count=1").json()
    following = next(link["url"] for link in first["link"] if link["relation"] == "next").removeprefix(BASE)
    assert ward.as_("physician").get(following).status_code == 200
    for who in ("anna", "nurse", "bert", "service"):
        assert ward.as_(who).get(following).status_code in {400, 404}, who
    elsewhere = following.replace("Patient/anna", "Patient/bert")
    assert ward.as_("physician").get(elsewhere).status_code == 400
    assert ward.as_("physician").get(following[:-3] + "AAA").status_code == 400
