# SPDX-License-Identifier: Apache-2.0
"""Lists that the server makes up: what stands in them, for whom, and where they are refused."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.docs.pages import rows, sections, text_of
from tests.support.clinic import JSON, Clinic, put_all

from salus.fhir.search.functional import LISTS

PAGE = rows(sections(text_of("docs/reference/search-joins.md"))["Functional lists"])
ANNA = {"reference": "Patient/anna"}


def coded(code: str) -> JSON:
    return {"coding": [{"code": code}]}


def problem(id_: str, status: str, about: str = "anna", **more: object) -> JSON:
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    held = {"clinicalStatus": {"coding": [{"system": system, "code": status}]}, "code": {"text": id_}}
    return {"resourceType": "Condition", "id": id_, "subject": {"reference": f"Patient/{about}"}, **held, **more}


def allergy(id_: str, status: str, *categories: str) -> JSON:
    system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
    held = {"clinicalStatus": {"coding": [{"system": system, "code": status}]}, "code": {"text": id_}}
    return {"resourceType": "AllergyIntolerance", "id": id_, "patient": ANNA, "category": list(categories), **held}


def medication(type_: str, id_: str, status: str, **more: object) -> JSON:
    held = {"status": status, "subject": ANNA, "medicationCodeableConcept": {"text": id_}}
    return {"resourceType": type_, "id": id_, **held, **more}


@pytest.fixture
def chart(clinic: Clinic) -> Clinic:
    verification = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
    mistaken = {"verificationStatus": {"coding": [{"system": verification, "code": "refuted"}]}}
    at_visit = {"category": [coded("encounter-diagnosis")]}
    put_all(
        clinic.as_("service"),
        *(problem("gout", "active"), problem("back", "relapse", category=[coded("problem-list-item")])),
        *(problem("measles", "resolved"), problem("lupus", "active", **mistaken), problem("flu", "active", **at_visit)),
        problem("hidden", "active", "bert"),
        *(allergy("pollen", "active", "environment"), allergy("penicillin", "active", "medication", "biologic")),
        allergy("nuts", "resolved", "food"),
        *(medication("MedicationRequest", id_, "active", intent=id_) for id_ in ("order", "plan")),
        medication("MedicationRequest", "stopped", "stopped", intent="order"),
        *(medication("MedicationStatement", f"taking-{status}", status) for status in ("active", "completed")),
    )
    return clinic


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("Condition?patient=anna&_list=$current-problems", {"gout", "back", "asthma-anna"}),
        ("Patient/anna/Condition?_list=$current-problems&code:text=gout", {"gout"}),
        ("AllergyIntolerance?patient=anna&_list=$current-allergies", {"pollen", "penicillin"}),
        ("AllergyIntolerance?patient=anna&_list=$current-drug-allergies", {"penicillin"}),
        ("MedicationRequest?patient=anna&_list=$current-medications", {"order"}),
        ("?_type=MedicationStatement&patient=anna&_list=$current-medications", {"taking-active"}),
        (
            "?_type=MedicationRequest,MedicationStatement&patient=anna&_list=$current-medications",
            {"order", "taking-active"},
        ),
    ],
)
def test_what_stands_in_a_list(chart: Clinic, asked: str, found: set[str]) -> None:
    service = chart.as_("service")
    if "asthma-anna" in found and "clinicalStatus" not in service.get("/fhir/Condition/asthma-anna").json():
        found = found - {"asthma-anna"}
    assert {resource["id"] for resource in service.find(asked)} == found


@pytest.mark.parametrize("row", PAGE, ids=[f"{row[1]} {row[0]}" for row in PAGE])
def test_the_page_says_what_a_list_is(chart: Clinic, row: list[str]) -> None:
    asked = chart.as_("service").get(f"/fhir/{row[1]}?{row[0]}").json()
    (link,) = [link["url"] for link in asked["link"] if link["relation"] == "self"]
    assert parse_qsl(urlsplit(link).query) == parse_qsl(row[2])


def test_the_page_has_every_list() -> None:
    shown = {(row[0].removeprefix("_list="), row[1]) for row in PAGE}
    assert shown == {(name, type_) for name, on in LISTS.items() for type_ in on}


@pytest.mark.parametrize(
    "asked",
    [
        *("Patient?_list=$current-problems", "Condition?_list=$current-allergies", "Condition?_list=$nothing"),
        *("Condition?_list=$current-problems,mine", "Condition?_list=mine,$current-problems", "Condition?_list=$"),
        *("Observation?encounter._list=$current-problems", "Condition/_history?_list=$current-problems"),
        "?_list=$current-problems",
    ],
)
def test_other_lists_are_refused(chart: Clinic, asked: str) -> None:
    answer = chart.as_("service").get(f"/fhir/{asked}")
    assert answer.status_code == 400
    assert any("_list" in issue["expression"][0] for issue in answer.json()["issue"])


def test_attack_a_list_shows_what_its_search_would_show(chart: Clinic) -> None:
    assert {found["id"] for found in chart.as_("anna").find("Condition?_list=$current-problems")}.isdisjoint({"hidden"})
    total = chart.as_("anna").get("/fhir/Condition?patient=bert&_list=$current-problems&_summary=count").json()
    assert total["total"] == 0
    assert chart.as_("administrator").get("/fhir/Condition?_list=$current-problems").status_code == 403
