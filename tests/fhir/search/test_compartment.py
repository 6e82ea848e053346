# SPDX-License-Identifier: Apache-2.0
"""Whose record is it?"""

from __future__ import annotations

from typing import Any

import pytest

from salus.fhir.compartment import PatientCompartment, compartment_types
from salus.fhir.definitions import resource_types

COMPARTMENT = PatientCompartment(("https://ehr.example/fhir",))


def patients(type_: str, **elements: Any) -> tuple[str, ...]:
    return COMPARTMENT.patients({"resourceType": type_, "id": "x", **elements})


def to(*texts: str) -> list[dict[str, str]]:
    return [{"reference": text} for text in texts]


def test_the_compartment_s_types() -> None:
    assert len(compartment_types()) == 67
    assert {"Patient", "Observation", "Encounter", "Claim"} <= set(compartment_types())
    assert not {"Practitioner", "Organization", "Medication"} & set(compartment_types())


@pytest.mark.parametrize(
    ("type_", "elements"),
    [
        ("Observation", {"subject": {"reference": "Patient/1"}}),
        ("Observation", {"performer": to("Practitioner/9", "Patient/1")}),
        ("Observation", {"subject": {"reference": "https://ehr.example/fhir/Patient/1"}}),
        ("Observation", {"subject": {"reference": "Patient/1/_history/4"}}),
        ("AllergyIntolerance", {"recorder": {"reference": "Patient/1"}}),
        ("Appointment", {"participant": [{"actor": {"reference": "Patient/1"}}]}),
        ("Claim", {"payee": {"party": {"reference": "Patient/1"}}}),
        ("Group", {"member": [{"entity": {"reference": "Patient/1"}}]}),
        ("Provenance", {"target": to("Observation/3", "Patient/1")}),
        ("AuditEvent", {"entity": [{"what": {"reference": "Patient/1"}}]}),
        ("Person", {"link": [{"target": {"reference": "Patient/1"}}]}),
        ("Device", {"patient": {"reference": "Patient/1"}}),
        ("Contract", {"subject": to("Organization/2", "Patient/1")}),
        ("GuidanceResponse", {"subject": {"reference": "Patient/1"}}),
    ],
)
def test_a_record_belongs_to_the_patients_it_is_about(type_: str, elements: dict[str, Any]) -> None:
    assert patients(type_, **elements) == ("1",)


@pytest.mark.parametrize(
    ("type_", "elements"),
    [
        ("Observation", {"focus": to("Patient/1")}),
        ("Observation", {"subject": {"reference": "Group/1"}}),
        ("Observation", {"subject": {"identifier": {"value": "1"}, "type": "Patient"}}),
        ("Observation", {"subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p"}]}),
        ("Observation", {"note": [{"authorReference": {"reference": "Patient/1"}}]}),
        ("Practitioner", {"extension": [{"url": "x", "valueReference": {"reference": "Patient/1"}}]}),
    ],
)
def test_what_confers_no_membership(type_: str, elements: dict[str, Any]) -> None:
    assert patients(type_, **elements) == ()


def test_a_patient_belongs_to_itself_alone() -> None:
    link = [{"other": {"reference": "Patient/2"}, "type": "seealso"}]
    assert COMPARTMENT.patients({"resourceType": "Patient", "id": "1", "link": link}) == ("1",)
    assert COMPARTMENT.patients({"resourceType": "Patient"}) == ()


def test_several_patients_are_named_once_each_in_order() -> None:
    found = patients("Observation", subject={"reference": "Patient/b"}, performer=to("Patient/a", "Patient/b"))
    assert found == ("a", "b")


def test_attack_a_foreign_subject_hidden_in_a_contained_resource_is_seen() -> None:
    inner = {"resourceType": "Observation", "id": "o", "subject": {"reference": "Patient/2"}}
    assert patients("Condition", subject={"reference": "Patient/1"}, contained=[inner]) == ("1", "2")
    assert patients("Medication", contained=[inner]) == ("2",)


@pytest.mark.parametrize(
    "text",
    [
        *("https://other.example/fhir/Patient/1", "https://other.example/?x=https://ehr.example/fhir/Patient/1"),
        *("https://ehr.example/fhir/Patient/../Patient/1", "patient/1", "Patient/1/..", "urn:Patient/1", "xPatient/1"),
    ],
)
def test_attack_a_crooked_reference_takes_over_no_record(text: str) -> None:
    assert patients("Observation", subject={"reference": text}) == ()


def test_every_type_can_be_asked() -> None:
    for type_ in resource_types():
        assert patients(type_) == (("x",) if type_ == "Patient" else ())
