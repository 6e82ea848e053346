# SPDX-License-Identifier: Apache-2.0
"""Composite SearchParameters that a clinic defines: made, indexed, asked, and refused where they say nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records.test_defined_parameters import index_all, parameter
from tests.support.clinic import JSON, Clinic, put_all

FAMILY = "http://hl7.org/fhir/SearchParameter/individual-family"
TELECOM = "http://hl7.org/fhir/SearchParameter/individual-telecom"
CODE = "http://hl7.org/fhir/SearchParameter/clinical-code"
DATE = "http://hl7.org/fhir/SearchParameter/clinical-date"
QUANTITY = "http://hl7.org/fhir/SearchParameter/Observation-value-quantity"

CONTACT = "Patient.contact"
WHOLE = "Patient.contact.where(relationship.coding.code != 'X')"
"""The first is in the subset of R4's own parameters, the second needs the whole of FHIRPath."""


def composite(
    *parts: tuple[str, str], code: str = "contact-phone", expression: str | None = CONTACT, **more: Any
) -> JSON:
    components = [{"definition": definition, "expression": text} for definition, text in parts]
    return parameter(code, type="composite", expression=expression, component=components or None, **more)


PHONE = ((FAMILY, "name.family"), (TELECOM, "telecom.value"))


def relative(family: str, *phones: str) -> JSON:
    return {
        "name": {"family": family},
        "relationship": [{"coding": [{"code": "N"}]}],
        "telecom": [{"system": "phone", "value": phone} for phone in phones],
    }


def patient(id_: str, *contacts: JSON) -> JSON:
    return {"resourceType": "Patient", "id": id_, "contact": list(contacts)}


def ids(clinic: Clinic, query: str, name: str = "service") -> list[str]:
    return sorted(found["id"] for found in clinic.as_(name).find(query))


@pytest.mark.parametrize("expression", [CONTACT, WHOLE])
def test_a_composite_can_be_used_once_every_record_is_indexed(clinic: Clinic, expression: str) -> None:
    service = clinic.as_("service")
    before = patient("before", relative("Berg", "111"), relative("Dahl", "222", "333"))
    put_all(service, before, patient("crossed", relative("Berg", "222"), relative("Dahl", "111")))
    put_all(service, composite(*PHONE, expression=expression))
    assert "still being indexed" in service.get("/fhir/Patient?contact-phone=berg$111").text
    put_all(service, patient("after", relative("Bergman", "111")), {"resourceType": "Patient", "id": "none"})
    assert index_all(clinic) == []
    assert ids(clinic, "Patient?contact-phone=berg$111") == ["after", "before"]
    assert ids(clinic, "Patient?contact-phone=Dahl$333") == ["before"]
    assert ids(clinic, "Patient?contact-phone=dahl$111,berg$222") == ["crossed"]
    assert ids(clinic, "Patient?contact-phone=dahl$222&contact-phone=berg$111") == ["before"]
    assert ids(clinic, "Patient?contact-phone=nobody$111") == []
    assert ids(clinic, "Patient?contact-phone:missing=false") == ["after", "before", "crossed"]
    assert "none" in ids(clinic, "Patient?contact-phone:missing=true")
    put_all(service, patient("before", relative("Berg", "999")))
    assert ids(clinic, "Patient?contact-phone=berg$111") == ["after"]


def test_what_is_asked_of_it_is_checked_like_that_of_r4_s_own(clinic: Clinic) -> None:
    put_all(clinic.as_("service"), composite(*PHONE))
    index_all(clinic)
    service = clinic.as_("service")
    for asked in ("contact-phone=berg", "contact-phone=a$b$c", "contact-phone:exact=a$b", "_sort=contact-phone"):
        assert service.get(f"/fhir/Patient?{asked}").status_code == 400, asked
    listed = service.get("/fhir/metadata").json()["rest"][0]["resource"]
    (known,) = [one["searchParam"] for one in listed if one["type"] == "Patient"]
    assert {"name": "contact-phone", "type": "composite"}.items() <= next(
        one for one in known if one["name"] == "contact-phone"
    ).items()


@pytest.mark.parametrize("engine", [False, True])
def test_each_kind_of_component(clinic: Clinic, engine: bool) -> None:
    parts = ((CODE, "code"), (DATE, "%resource.effective"), (QUANTITY, "value.ofType(Quantity)"))
    expression = "Observation.where(true)" if engine else "Observation"
    made = composite(*parts, code="code-date-value", base=["Observation"], expression=expression)
    put_all(clinic.as_("service"), made)
    pulse: JSON = {
        "resourceType": "Observation",
        "id": "fast",
        "status": "final",
        "subject": {"reference": "Patient/anna"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "effectiveDateTime": "2026-03-01",
        "valueQuantity": {"value": 120, "system": "http://unitsofmeasure.org", "code": "/min"},
    }
    put_all(clinic.as_("service"), pulse, {**pulse, "id": "slow", "valueQuantity": {"value": 60}})
    index_all(clinic)
    asked = "Observation?code-date-value=http://loinc.org|8867-4$ge2026-03$"
    assert ids(clinic, asked + "gt100") == ["fast"]
    assert ids(clinic, asked + "2|http://unitsofmeasure.org|/s") == ["fast"]
    assert ids(clinic, asked.replace("2026-03", "2026-04") + "gt100") == []


def test_a_component_may_be_a_parameter_of_the_clinic(clinic: Clinic) -> None:
    service = clinic.as_("service")
    put_all(service, parameter("bond", expression="Patient.contact.gender", type="token"))
    put_all(service, composite((FAMILY, "name.family"), (parameter("bond")["url"] + "|2", "gender"), code="who"))
    put_all(
        service,
        patient("p", {**relative("Berg", "1"), "gender": "male"}, {**relative("Dahl", "1"), "gender": "female"}),
    )
    index_all(clinic)
    assert ids(clinic, "Patient?who=berg$male") == ["p"]
    assert ids(clinic, "Patient?who=berg$female") == []


def test_race_a_composite_finds_all_while_another_parameter_of_its_elements_is_indexed(clinic: Clinic) -> None:
    """The index has the values of some records only; it may not be asked yet."""
    service = clinic.as_("service")
    put_all(service, patient("old", relative("Berg", "111")), composite(*PHONE))
    index_all(clinic)
    put_all(service, parameter("relative", expression="Patient.contact.name.family"))
    put_all(service, parameter("call", expression="Patient.contact.telecom.value", type="token"))
    put_all(service, patient("new", relative("Berg", "111")))
    assert ids(clinic, "Patient?contact-phone=berg$111") == ["new", "old"]
    index_all(clinic)
    assert ids(clinic, "Patient?contact-phone=berg$111") == ["new", "old"]
    put_all(service, parameter("fax", expression="Patient.contact.where(gender='male').name.family"))
    put_all(service, patient("male", {**relative("Berg", "111"), "gender": "male"}))
    assert ids(clinic, "Patient?contact-phone=berg$111") == ["male", "new", "old"]
    index_all(clinic)
    assert ids(clinic, "Patient?contact-phone=berg$111") == ["male", "new", "old"]


@pytest.mark.parametrize(
    ("made", "place", "code"),
    [
        (composite(), "component", "required"),
        (composite(("http://clinic.example/nothing", "name")), "component[0].definition", "not-found"),
        (composite(PHONE[0], (TELECOM, "telecom.where(")), "component[1].expression", "invalid"),
        (composite(PHONE[0], (TELECOM, "telecom.wings()")), "component[1].expression", "invalid"),
        (
            composite(("http://hl7.org/fhir/SearchParameter/Observation-code-value-quantity", "$this")),
            "component[0].definition",
            "value",
        ),
        (composite(("http://hl7.org/fhir/SearchParameter/Location-near", "$this")), "component[0].definition", "value"),
        (composite(*PHONE, expression="Patient.contact.("), "expression", "invalid"),
        (parameter("far", type="special"), "type", "not-supported"),
        (parameter("near"), "code", "duplicate"),
    ],
)
def test_what_says_nothing_is_refused_with_its_place(clinic: Clinic, made: JSON, place: str, code: str) -> None:
    answer = clinic.as_("service").put(f"/fhir/SearchParameter/{made['id']}", made)
    assert answer.status_code == 422, answer.text
    told = [(issue["code"], issue["expression"]) for issue in answer.json()["issue"] if issue["severity"] == "error"]
    assert told == [(code, [f"SearchParameter.{place}"])]
    assert made["code"] not in {"near"} or clinic.as_("service").get("/fhir/Patient?near=x").status_code == 400


def test_a_special_one_is_refused_in_words(clinic: Clinic) -> None:
    answer = clinic.as_("service").put("/fhir/SearchParameter/far", parameter("far", type="special"))
    assert "nothing that a server could work out" in answer.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize("expression", ["Condition.note", "Condition.note.where(true)"])
def test_attack_no_composite_reads_what_is_masked(clinic: Clinic, expression: str) -> None:
    """The pharmacist sees Conditions without notes."""
    parts = ((FAMILY, "text"), (CODE, "%resource.code"))
    put_all(clinic.as_("service"), composite(*parts, code="told", base=["Condition"], expression=expression))
    index_all(clinic)
    for door in ("told=x$y", "told:missing=true", "_filter=told pr true"):
        answer = clinic.as_("pharmacist").get(f"/fhir/Condition?patient=Patient/anna&{door}")
        assert answer.status_code in {400, 403}, (door, answer.text)
        assert door.startswith("_filter") or answer.status_code == 403


def test_attack_a_patient_finds_their_own_only(clinic: Clinic) -> None:
    service = clinic.as_("service")
    for id_ in ("anna", "bert"):
        kept = service.get(f"/fhir/Patient/{id_}").json()
        put_all(service, {**kept, "contact": [relative("Berg", "111")]})
    put_all(service, composite(*PHONE))
    index_all(clinic)
    assert ids(clinic, "Patient?contact-phone=berg$111") == ["anna", "bert"]
    assert ids(clinic, "Patient?contact-phone=berg$111", "anna") == ["anna"]
    for name in ("nurse", "anna"):
        assert clinic.as_(name).put("/fhir/SearchParameter/mine", composite(*PHONE, code="mine")).status_code == 403
