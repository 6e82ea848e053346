# SPDX-License-Identifier: Apache-2.0
"""Searches through references: chains, `_has` and `_list`, to any depth and back."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.clinic import Clinic, heart_rate, patient, put_all

from salus.kernel.errors import Kind, Problem
from salus.kernel.settings import Limits
from salus.records.draft import unit_of
from salus.records.finding import match_one

JSON = dict[str, Any]


def _network(clinic: Clinic) -> Clinic:
    """Anna's doctor works for the north, Bert's for the south; both organizations belong to one group."""
    service = clinic.as_("service")
    put_all(
        service,
        {"resourceType": "Organization", "id": "group", "name": "Harbour Group"},
        {"resourceType": "Organization", "id": "north", "name": "North Clinic", "partOf": _to("Organization/group")},
        {"resourceType": "Organization", "id": "south", "name": "South Clinic", "partOf": _to("Organization/group")},
        {"resourceType": "Practitioner", "id": "noor", "name": [{"family": "Noor"}]},
        {"resourceType": "Practitioner", "id": "sam", "name": [{"family": "Sam"}]},
        {
            **patient("anna", "Ångström", "1980-02-29"),
            "generalPractitioner": [_to("Practitioner/noor")],
            "managingOrganization": _to("Organization/north"),
        },
        {
            **patient("bert", "Brown", "1955-07-01"),
            "generalPractitioner": [_to("Practitioner/sam"), _to("Organization/south")],
            "managingOrganization": _to("https://localhost:8443/fhir/Organization/south"),
        },
        {
            **heart_rate("anna", 90, "by-anna"),
            "performer": [_to("Patient/anna")],
        },
        {
            "resourceType": "Encounter",
            "id": "visit",
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": _to("Patient/bert"),
        },
        {**heart_rate("bert", 61, "on-visit"), "encounter": _to("Encounter/visit")},
        {
            "resourceType": "MedicationRequest",
            "id": "inside",
            "status": "active",
            "intent": "order",
            "contained": [
                {"resourceType": "Organization", "id": "maker", "name": "Inner Works"},
                {
                    "resourceType": "Medication",
                    "id": "pill",
                    "code": {"coding": [{"system": "urn:drugs", "code": "aspirin"}]},
                    "manufacturer": {"reference": "#maker"},
                },
            ],
            "medicationReference": {"reference": "#pill"},
            "subject": _to("Patient/anna"),
        },
        {
            "resourceType": "Medication",
            "id": "jar",
            "code": {"coding": [{"system": "urn:drugs", "code": "aspirin"}]},
            "manufacturer": _to("Organization/north"),
        },
        {
            "resourceType": "MedicationRequest",
            "id": "outside",
            "status": "active",
            "intent": "order",
            "medicationReference": _to("Medication/jar"),
            "subject": _to("Patient/bert"),
        },
        {
            "resourceType": "List",
            "id": "round",
            "status": "current",
            "mode": "changes",
            "entry": [
                {"item": _to("Patient/anna")},
                {"item": _to("Observation/on-visit")},
                {"item": _to("Patient/bert"), "deleted": True},
            ],
        },
    )
    return clinic


def _to(target: str) -> JSON:
    return {"reference": target}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = _network(Clinic(tmp_path_factory.mktemp("network") / "data"))
    yield made
    made.close()
    made.loop.close()


CASES = {
    "Observation?subject:Patient.name=brown": {"pulse-bert", "on-visit"},
    "Observation?subject.name=brown": {"pulse-bert", "on-visit"},
    "Observation?patient.name=brown": {"pulse-bert", "on-visit"},
    "Observation?subject:Patient.name:exact=Brown": {"pulse-bert", "on-visit"},
    "Observation?subject:Patient.name:exact=brown": set(),
    "Observation?subject:Patient.name:contains=row": {"pulse-bert", "on-visit"},
    "Observation?patient.gender=female": {"pulse-anna", "by-anna"},
    "Observation?patient.gender:not=female": {"pulse-bert", "on-visit"},
    "Observation?patient.birthdate=lt1960": {"pulse-bert", "on-visit"},
    "Observation?patient.general-practitioner:missing=true": set(),
    "Observation?patient._id=anna": {"pulse-anna", "by-anna"},
    "Observation?performer:Patient.name=ang": {"by-anna"},
    "Observation?patient.organization.name=south": {"pulse-bert", "on-visit"},
    "Observation?patient.organization.partof.name=harbour": {"pulse-anna", "by-anna", "pulse-bert", "on-visit"},
    "Observation?patient.organization.partof.name=north": set(),
    "Observation?patient.general-practitioner:Practitioner.family=noor": {"pulse-anna", "by-anna"},
    "Observation?patient.general-practitioner.name=s": {"pulse-bert", "on-visit"},
    "Observation?encounter.patient.name=brown": {"on-visit"},
    "Observation?patient.name=brown&encounter:missing=true": {"pulse-bert"},
    "Observation?patient.name=brown,angstrom&_sort=_id": {"by-anna", "on-visit", "pulse-anna", "pulse-bert"},
    "Observation?patient.name=nobody": set(),
    "Patient?_has:Observation:patient:code=8867-4": {"anna", "bert"},
    "Patient?_has:Observation:performer:code=8867-4": {"anna"},
    "Patient?_has:Observation:patient:_id=on-visit": {"bert"},
    "Patient?_has:Observation:patient:value-quantity=gt80": {"anna"},
    "Patient?_has:Observation:patient:code=8867-4&name=brown": {"bert"},
    "Patient?_has:Observation:patient:code=nothing": set(),
    "Patient?_has:Encounter:patient:_has:Observation:encounter:code=8867-4": {"bert"},
    "Practitioner?_has:Patient:general-practitioner:name=brown": {"sam"},
    "Organization?_has:Patient:organization:_has:Observation:patient:value-quantity=61": {"south"},
    "Organization?_has:Organization:partof:_has:Patient:organization:name=brown": {"group"},
    "Patient?_has:Observation:patient:encounter.patient.name=brown": {"bert"},
    "Observation?patient._has:Encounter:patient:status=finished": {"pulse-bert", "on-visit"},
    "MedicationRequest?medication.code=aspirin": {"inside", "outside"},
    "MedicationRequest?medication:Medication.code=urn:drugs|aspirin": {"inside", "outside"},
    "MedicationRequest?medication.code=other": set(),
    "MedicationRequest?medication.manufacturer.name=inner": {"inside"},
    "MedicationRequest?medication.manufacturer.name=north": {"outside"},
    "MedicationRequest?patient.name=ang&medication.code=aspirin": {"inside"},
    "Patient?_list=round": {"anna"},
    "Observation?_list=round": {"on-visit"},
    "Patient?_list=round&name=brown": set(),
    "Patient?_list=none": set(),
    "Observation?patient._list=round": {"pulse-anna", "by-anna"},
}


@pytest.mark.parametrize("asked", CASES)
def test_what_a_search_through_references_finds(network: Clinic, asked: str) -> None:
    service = network.as_("service")
    found = [resource["id"] for resource in service.find(asked)]
    assert set(found) == CASES[asked]
    assert len(found) == len(set(found))
    separator = "&" if "?" in asked else "?"
    counted = service.get(f"/fhir/{asked}{separator}_summary=count").json()
    assert counted["total"] == len(found)
    assert [r["id"] for r in service.find(f"{asked}{separator}_count=1")] == found


def test_the_self_link_names_the_chain_as_it_was_asked(network: Clinic) -> None:
    answer = (
        network.as_("service").get("/fhir/Observation?subject:Patient.name=brown&_has:Provenance:target:_id=x").json()
    )
    self_link = next(link["url"] for link in answer["link"] if link["relation"] == "self")
    assert "subject%3APatient.name=brown" in self_link
    assert "_has%3AProvenance%3Atarget%3A_id=x" in self_link


@pytest.mark.parametrize(
    "asked",
    [
        "Observation?subject:Patient.nonsense=1",
        "Observation?subject:Nonsense.name=1",
        "Observation?subject:Medication.code=1",
        "Observation?subject.nonsense=1",
        "Observation?code.name=1",
        "Observation?nothing.name=1",
        "Observation?subject.=1",
        "Observation?subject:Patient.=1",
        "Observation?.name=1",
        "Observation?subject:Patient.name=",
        "Observation?subject:Patient._sort=name",
        "Observation?subject:Patient._count=1",
        "Observation?subject:Patient.birthdate=x",
        "Observation?subject:Patient.name:nonsense=x",
        "Patient?_has=1",
        "Patient?_has:Observation=1",
        "Patient?_has:Observation:patient=1",
        "Patient?_has:Observation:patient:=1",
        "Patient?_has:Nonsense:patient:code=1",
        "Patient?_has:Observation:nonsense:code=1",
        "Patient?_has:Observation:code:code=1",
        "Patient?_has:Observation:encounter:code=1",
        "Patient?_has:Observation:patient:nonsense=1",
        "Patient?_has:Observation:patient:_has:Encounter=1",
        "Patient?_list:not=x",
        "Patient?_list=$current-problems",
        "Patient?_list=a/b",
        "Patient?_list=",
    ],
)
def test_a_chain_that_is_not_understood_is_an_error_that_names_it(network: Clinic, asked: str) -> None:
    for headers in ({}, {"prefer": "handling=lenient"}):
        answer = network.as_("service").get(f"/fhir/{asked}", headers=headers)
        assert answer.status_code == 400, answer.text
        name = asked.partition("?")[2].partition("=")[0]
        assert answer.json()["issue"][0]["expression"] == [f"query.{name}"]


def test_a_chain_over_every_type_twice_costs_too_much(network: Clinic) -> None:
    answer = network.as_("service").get("/fhir/Provenance?target.focus.focus._id=x")
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["code"] in {"too-costly", "not-supported"}


def test_the_records_a_chain_looks_at_are_bounded(tmp_path: Any) -> None:
    limits = Limits(requests_per_second=100_000, burst=100_000, search_candidates=5)
    clinic = Clinic(tmp_path / "data", limits)
    try:
        service = clinic.as_("service")
        for number in range(6):
            put_all(service, patient(f"p-{number}", "Many", "1990-01-01"))
        answer = service.get("/fhir/Observation?patient.name=many")
        assert answer.status_code == 400
        assert answer.json()["issue"][0]["code"] == "too-costly"
        assert service.get("/fhir/Observation?patient._id=p-1").status_code == 200
    finally:
        clinic.close()
        clinic.loop.close()


# ── conditions over chains ───────────────────────────────────────────────────────────────────────────────────────────


def test_conditional_requests_may_chain(clinic: Clinic) -> None:
    _network(clinic)
    service = clinic.as_("service")
    mine = heart_rate("bert", 70)
    del mine["id"]
    found = service.put("/fhir/Observation?encounter.patient.name=brown", {**mine, "encounter": _to("Encounter/visit")})
    assert (found.status_code, found.json()["id"]) == (200, "on-visit")
    again = service.post(
        "/fhir/Observation", mine, headers={"if-none-exist": "patient.name=brown&encounter:missing=false"}
    )
    assert (again.status_code, again.json()["id"]) == (200, "on-visit")
    several = service.delete("/fhir/Observation?patient.name=brown")
    assert several.status_code == 412
    gone = service.delete("/fhir/Observation?encounter.patient.name=brown")
    assert gone.status_code == 204
    assert service.get("/fhir/Observation/on-visit").status_code == 410


@pytest.mark.parametrize(
    ("type_", "condition"),
    [
        ("Observation", "patient.name=zebra"),
        ("Observation", "encounter.patient.name=zebra"),
        ("Practitioner", "_has:Patient:general-practitioner:name=zebra"),
        ("Patient", "name=zebra&_has:Observation:patient:code=8867-4"),
    ],
)
def test_a_condition_is_guarded_on_every_step(clinic: Clinic, type_: str, condition: str) -> None:
    """What another request writes anywhere along the chain turns the conditional request back to its first read."""
    ctx = clinic.context()
    _, guard = match_one(ctx, type_, condition, "http.url")
    put_all(clinic.as_("service"), {"resourceType": "Location", "id": "elsewhere"})
    clinic.run(clinic._commit(unit_of([], [guard])))
    put_all(clinic.as_("service"), patient("zebra", "Zebra", "1990-01-01"))
    with pytest.raises(Problem) as refused:
        clinic.run(clinic._commit(unit_of([], [guard])))
    assert refused.value.kind is Kind.CONFLICT
