# SPDX-License-Identifier: Apache-2.0
"""A patient gets the own record and nothing else, whatever they ask for."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from salus.fhir.compartment import PatientCompartment
from salus.fhir.definitions import resource_types
from tests.attacks.ward import nobody, told
from tests.support.clinic import BASE, Clinic, heart_rate

OWN = {
    "Patient/anna",
    "Observation/pulse-anna",
    "Condition/asthma-anna",
    "CareTeam/team-anna",
    "DocumentReference/secret-anna",
    "Claim/claim-anna",
}
compartment = PatientCompartment((f"{BASE}/fhir",))


def named(resources: list[dict[str, Any]]) -> set[str]:
    """`Type/id` of resources."""
    return {f"{resource['resourceType']}/{resource['id']}" for resource in resources}


def test_searching_every_type_gives_the_own_compartment_exactly(quiet_ward: Clinic) -> None:
    anna = quiet_ward.as_("anna")
    found = []
    for type_ in set(resource_types()) - {"OperationDefinition"}:  # those describe the program
        answer = anna.get(f"/fhir/{type_}?_count=1000&_total=accurate")
        assert answer.status_code in {200, 403}, (type_, answer.text)
        if answer.status_code == 200:
            entries = answer.json().get("entry", [])
            assert answer.json()["total"] == len(entries)
            found += [entry["resource"] for entry in entries]
    assert named(found) == OWN
    assert all(compartment.patients(resource) == ("anna",) for resource in found)


def test_the_system_history_gives_the_own_compartment_exactly(quiet_ward: Clinic) -> None:
    answer = quiet_ward.as_("anna").get("/fhir/_history?_count=1000").json()
    listed = {entry["fullUrl"].removeprefix(f"{BASE}/fhir/") for entry in answer["entry"]}
    assert listed == OWN | {"Observation/deleted-anna"}
    assert "bert" not in str(answer)


def test_type_histories_give_the_own_compartment_exactly(quiet_ward: Clinic) -> None:
    anna = quiet_ward.as_("anna")
    listed = set()
    for type_ in set(resource_types()) - {"OperationDefinition"}:  # what the program can do is no record
        answer = anna.get(f"/fhir/{type_}/_history?_since=2020-01-01")
        assert answer.status_code in {200, 403}
        for entry in answer.json().get("entry", []):
            listed.add(entry["fullUrl"].removeprefix(f"{BASE}/fhir/"))
    assert listed == OWN | {"Observation/deleted-anna"}


@pytest.mark.parametrize(
    "query",
    [
        "patient=bert",
        "patient=Patient/bert",
        f"patient={BASE}/fhir/Patient/bert",
        f"subject={BASE}/fhir/Patient/bert/_history/1",
        "subject=urn:uuid:0190cafe-0000-7000-8000-000000000000",
        "subject:Patient=bert",
        "patient=anna,bert",
        "patient=bert,anna&code=8867-4",
        "patient:missing=true",
        "patient:missing=false",
        "code:not=nothing",
        "code=8867-4",
        "date=ge2000",
        "value-quantity=gt0",
        "_id=pulse-bert,pulse-anna,moved,restricted-bert",
        "_lastUpdated=gt2000",
        "_security=R",
        "_sort=_id",
        "_sort=-date",
        "_include=Observation:subject",
        "_include=Observation:patient&_count=1",
        "status=final&_elements=subject",
    ],
)
def test_no_query_brings_in_another_patient(quiet_ward: Clinic, query: str) -> None:
    anna = quiet_ward.as_("anna")
    found = anna.find(f"Observation?{query}")
    assert {place for place in named(found) if place not in OWN} == set()
    total = anna.get(f"/fhir/Observation?{query}&_summary=count").json()["total"]
    assert total == len({place for place in named(found) if place.startswith("Observation/")})
    assert all(b"bert" not in str(resource).encode() for resource in found)


def test_the_same_query_finds_both_patients_for_those_who_may(quiet_ward: Clinic) -> None:
    """Without this the test above could pass because the queries find nothing at all."""
    found = named(quiet_ward.as_("service").find("Observation?_sort=_id"))
    assert {"Observation/pulse-bert", "Observation/pulse-anna", "Observation/moved"} <= found


@pytest.mark.parametrize(
    "query",
    [
        "subject:Patient.name=Brown",
        "subject.birthdate=1955-07-01",
        "patient.name=Brown",
        "_has:Condition:encounter:code=195967001",
        "_revinclude=Provenance:target",
        "_filter=subject eq Patient/bert",
        "_query=everything",
        "_list=1",
        "_contained=true",
        "_type=Patient,AuditEvent",
        "_content=Brown",
        "_text=Brown",
    ],
)
def test_chains_and_clever_parameters_answer_alike_for_hit_and_miss(quiet_ward: Clinic, query: str) -> None:
    anna = quiet_ward.as_("anna")
    hit = anna.get(f"/fhir/Observation?{query}")
    assert hit.status_code in {200, 400, 403}
    missed = query.replace("Brown", "Nobod").replace("bert", "nobo").replace("1955-07-01", "1955-07-02")
    miss = anna.get(f"/fhir/Observation?{missed}")
    assert miss.status_code == hit.status_code
    plain = str(httpx.QueryParams(query)).encode()  # as the self link writes it
    assert hit.content.replace(plain, b"") == miss.content.replace(str(httpx.QueryParams(missed)).encode(), b"")
    lenient = anna.get(f"/fhir/Observation?{query}", headers={"prefer": "handling=lenient"})
    assert b"bert" not in lenient.content.replace(plain, b"")


def test_include_of_a_type_without_a_grant_is_left_out(quiet_ward: Clinic) -> None:
    """The care team names the nurse; a patient has no grant for Practitioner."""
    asked = "CareTeam?_include=CareTeam:participant"
    assert named(quiet_ward.as_("service").find(asked)) == {"CareTeam/team-anna", "Practitioner/nurse"}
    assert named(quiet_ward.as_("anna").find(asked)) == {"CareTeam/team-anna"}


def test_the_next_page_never_starts_behind_hidden_records(ward: Clinic) -> None:
    """Candidates are judged before the page is cut: pages of one are full, and there is none too many."""
    service = ward.as_("service")
    for number in range(5):
        for who in ("bert", "anna", "bert"):
            service.post("/fhir/Observation", heart_rate(who, 60 + number))
    anna = ward.as_("anna")
    pages, address = 0, "/fhir/Observation?_count=1"
    while address:
        bundle = anna.get(address).json()
        assert len(bundle["entry"]) == 1
        pages += 1
        following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        address = following[0].removeprefix(BASE) if following else ""
    assert pages == 6


@pytest.mark.parametrize("owner", ["bert", ""])
def test_contributing_to_another_record_is_refused(ward: Clinic, owner: str) -> None:
    answers = {"resourceType": "QuestionnaireResponse", "status": "completed"}
    if owner:
        answers["subject"] = {"reference": f"Patient/{owner}"}
    assert ward.as_("anna").post("/fhir/QuestionnaireResponse", answers).status_code == 403
    assert ward.as_("service").find("QuestionnaireResponse") == []


def test_contributing_to_two_records_at_once_is_refused(ward: Clinic) -> None:
    both = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "subject": {"reference": "Patient/anna"},
        "author": {"reference": "Patient/bert"},
    }
    assert ward.as_("anna").post("/fhir/QuestionnaireResponse", both).status_code == 403
    assert ward.as_("anna").post("/fhir/QuestionnaireResponse", {**both, "author": None}).status_code == 422
    del both["author"]
    assert ward.as_("anna").post("/fhir/QuestionnaireResponse", both).status_code == 201


def test_smuggling_another_patient_in_a_contained_resource_hides_the_record_from_both(ward: Clinic) -> None:
    """Facts count what a record contains: whoever may see one of two patients only does not see it."""
    smuggled = heart_rate("anna", 70, "smuggled")
    smuggled["contained"] = [{**heart_rate("bert", 71), "id": "inner"}]
    smuggled["hasMember"] = [{"reference": "#inner"}]
    assert ward.as_("physician").put("/fhir/Observation/smuggled", smuggled).status_code == 201
    for name in ("anna", "bert", "nurse"):
        assert ward.as_(name).get("/fhir/Observation/smuggled").status_code == 404
        assert "smuggled" not in str(ward.as_(name).find("Observation"))
    assert ward.as_("service").get("/fhir/Observation/smuggled").status_code == 200


def test_focus_on_a_patient_does_not_open_the_record_to_them(ward: Clinic) -> None:
    """Only CompartmentDefinition parameters confer membership; Observation.focus is none of them."""
    about = {**heart_rate("anna", 70, "about-bert"), "focus": [{"reference": "Patient/bert"}]}
    assert ward.as_("service").put("/fhir/Observation/about-bert", about).status_code == 201
    assert ward.as_("bert").get("/fhir/Observation/about-bert").status_code == 404
    assert ward.as_("anna").get("/fhir/Observation/about-bert").status_code == 200


@pytest.mark.parametrize("reference", ["https://elsewhere.example/fhir/Patient/anna", "urn:uuid:anna", "Group/anna"])
def test_a_record_of_nobody_here_is_nobodys_own(ward: Clinic, reference: str) -> None:
    foreign = {**heart_rate("anna", 70, "foreign"), "subject": {"reference": reference}}
    made = ward.as_("service").put("/fhir/Observation/foreign", foreign)
    if made.status_code == 201:
        for name in ("anna", "bert", "nurse"):
            assert ward.as_(name).get("/fhir/Observation/foreign").status_code == 404
    else:
        assert made.status_code == 422


def test_an_absolute_reference_to_this_server_counts_as_the_patient(ward: Clinic) -> None:
    absolute = {**heart_rate("bert", 70, "absolute"), "subject": {"reference": f"{BASE}/fhir/Patient/bert"}}
    assert ward.as_("service").put("/fhir/Observation/absolute", absolute).status_code == 201
    assert ward.as_("anna").get("/fhir/Observation/absolute").status_code == 404
    assert ward.as_("bert").get("/fhir/Observation/absolute").status_code == 200


def test_a_moved_record_takes_its_history_along(ward: Clinic) -> None:
    """Version 1 was Anna's, version 2 is Bert's: Anna sees neither any more, Bert only his."""
    anna, bert = ward.as_("anna"), ward.as_("bert")
    for door in ("Observation/moved", "Observation/moved/_history/1", "Observation/moved/_history/2"):
        assert told(anna.get(f"/fhir/{door}"), "moved") == told(
            anna.get(f"/fhir/{door.replace('moved', nobody('moved'))}"), nobody("moved")
        )
    assert "moved" not in anna.get("/fhir/Observation/_history").text
    assert bert.get("/fhir/Observation/moved/_history/2").status_code == 200
    assert bert.get("/fhir/Observation/moved/_history/1").status_code == 404
    versions = [entry["resource"] for entry in bert.get("/fhir/Observation/moved/_history").json()["entry"]]
    assert [version["meta"]["versionId"] for version in versions] == ["2"]


def test_moving_a_record_to_a_patient_outside_ones_care_is_refused(ward: Clinic) -> None:
    """The content before and the content after must both be within the grant."""
    nurse = ward.as_("nurse")
    assert nurse.put("/fhir/Observation/pulse-anna", heart_rate("bert", 1, "pulse-anna")).status_code == 403
    assert nurse.post("/fhir/Observation", heart_rate("bert", 1)).status_code == 403
    assert ward.as_("anna").get("/fhir/Observation/pulse-anna").json()["meta"]["versionId"] == "1"


def test_deleting_does_not_open_the_history_of_a_hidden_record(ward: Clinic) -> None:
    anna = ward.as_("anna")
    assert anna.get("/fhir/Observation/deleted-anna").status_code == 410
    assert anna.get("/fhir/Observation/deleted-bert").status_code == 404
    assert anna.get("/fhir/Observation/deleted-bert/_history/1").status_code == 404
    assert len(anna.get("/fhir/Observation/deleted-anna/_history").json()["entry"]) == 2
