# SPDX-License-Identifier: Apache-2.0
"""What a resource must fulfil although nothing in it says so, and what can be told of a code without its list."""

from __future__ import annotations

from typing import Any

import pytest

from salus.fhir.validate.codeforms import may_exist
from salus.fhir.validate.elements import holds_html
from salus.fhir.validate.finding import Severity
from salus.fhir.validate.knowledge import Held
from salus.fhir.validate.validator import Validator
from salus.kernel.errors import Problem

Json = dict[str, Any]
HL7 = "http://hl7.org/fhir/StructureDefinition/"
LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
VITAL = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}


def observation(*codes: tuple[str, str], **members: Any) -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [VITAL],
        "code": {"coding": [{"system": system, "code": code} for system, code in codes]},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2024-01-01",
        "valueQuantity": {"value": 36, "unit": "C", "system": UCUM, "code": "Cel"},
        **members,
    }


def errors(resource: Json, judge: Validator | None = None) -> list[str]:
    found = (judge or Validator()).examine(resource)
    return [one.place for one in found if one.severity is Severity.ERROR]


def held(*resources: Json) -> Held:
    given = Held()
    for one in resources:
        given.add(one)
    return given


def definition(name: str, *elements: Json, base: str = HL7 + "Patient") -> Json:
    return {
        "resourceType": "StructureDefinition",
        "url": f"http://x.org/{name}",
        "name": name,
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "derivation": "constraint",
        "baseDefinition": base,
        "differential": {"element": [{"id": "Patient", "path": "Patient"}, *elements]},
    }


def test_a_vital_sign_is_held_against_the_profile_of_its_code() -> None:
    good = observation((LOINC, "8310-5"))
    assert errors(good) == []
    assert errors(observation((SNOMED, "276885007"), (LOINC, "8310-5"))) == []
    # A more particular code alone, or one of another system, does not replace the one that R4 asks for.
    for lone in ((SNOMED, "276885007"), (LOINC, "8329-5")):
        assert errors(observation(lone)) == ["Observation.code.coding"]
    assert set(errors({k: v for k, v in good.items() if k != "category"})) == {"Observation.category"}
    assert errors({**good, "code": {"text": "temperature"}}) == []


def test_which_profile_it_was_is_told_once_something_is_wrong() -> None:
    told = [one for one in Validator().examine(observation((LOINC, "8329-5"))) if one.severity is Severity.INFORMATION]
    assert [(one.place, HL7 + "bodytemp" in one.text) for one in told] == [("Observation", True)]
    assert not [one for one in Validator().examine(observation((LOINC, "8310-5"))) if HL7 in one.text]


def test_vital_signs_are_found_in_bundles_and_pass_on_writing() -> None:
    """Records from elsewhere often break these profiles, so they do not stop a write."""
    lone = observation((LOINC, "8329-5"))
    bundle = {"resourceType": "Bundle", "type": "collection",
              "entry": [{"fullUrl": "http://x.org/fhir/Observation/1", "resource": {**lone, "id": "1"}}]}  # fmt: skip
    assert errors(bundle) == ["Bundle.entry[0].resource.code.coding"]
    Validator().check(lone)


def test_components_of_a_vital_sign_may_have_units_that_r4_does_not_list() -> None:
    flow = {"code": {"coding": [{"system": LOINC, "code": "3151-8"}]},
            "valueQuantity": {"value": 2, "unit": "L/min", "system": UCUM, "code": "L/min"}}  # fmt: skip
    saturation = {"value": 98, "unit": "%", "system": UCUM, "code": "%"}
    assert errors(observation((LOINC, "2708-6"), valueQuantity=saturation, component=[flow])) == []


def test_what_an_installed_guide_asks_of_every_resource_of_a_type() -> None:
    named = definition("named", {"id": "Patient.name", "path": "Patient.name", "min": 1})
    guide = {"resourceType": "ImplementationGuide", "url": "http://x.org/guide",
             "global": [{"type": "Patient", "profile": "http://x.org/named"}]}  # fmt: skip
    judge = Validator(held(named, guide))
    assert errors({"resourceType": "Patient"}, judge) == ["Patient.name"]
    assert errors({"resourceType": "Patient", "name": [{"text": "x"}]}, judge) == []
    assert errors({"resourceType": "Person"}, judge) == []
    assert errors({"resourceType": "Patient"}, Validator(held(guide))) == []  # the profile itself is not here
    judge.check({"resourceType": "Patient"})


@pytest.mark.parametrize(
    ("system", "good", "bad"),
    [
        (LOINC, ("8310-5", "85354-9", "2160-0", "104-0", "LA6568-5", "LP7839-6", "LL1000-0"), ("8310-6", "83105", "x")),
        (
            SNOMED,
            ("276885007", "22298006", "138875005", "999000011000000103", "73211009 : 363698007 = 113331007"),
            ("276885007x", "276885008", "12345", "0276885007", "34552-0", "751689013"),  # the last is a description
        ),
        ("http://hl7.org/fhir/sid/cvx", ("08", "207"), ("8", "0208", "flu")),
        ("http://www.nlm.nih.gov/research/umls/rxnorm", ("1049502",), ("0104", "aspirin", "123456789")),
        ("http://x.org/own", ("anything",), ()),
    ],
)
def test_codes_that_cannot_exist(system: str, good: tuple[str, ...], bad: tuple[str, ...]) -> None:
    assert [code for code in good if not may_exist(system, code)] == []
    assert [code for code in bad if may_exist(system, code)] == []


def test_one_wrong_digit_and_two_that_changed_places_are_seen() -> None:
    for system, code in ((LOINC, "85354-9"), (SNOMED, "276885007")):
        for index, digit in enumerate(code):
            if digit.isdigit():
                wrong = code[:index] + str((int(digit) + 1) % 10) + code[index + 1 :]
                assert not may_exist(system, wrong)
    assert not may_exist(SNOMED, "278685007")


def test_a_code_that_cannot_exist_is_told_and_passes_on_writing() -> None:
    wrong = observation((LOINC, "8310-5"), (SNOMED, "276885007x"))
    assert errors(wrong) == ["Observation.code.coding[1]"]
    Validator().check(wrong)
    with pytest.raises(Problem):
        Validator(strict_codes=True).check(wrong)


def test_html_within_markdown() -> None:
    for text in ("<b>x</b>", "a <resource type>\\<id>", "<img src=x onerror=y>", "<!-- x", "</p>", "<br/>"):
        assert holds_html(text), text
    for text in ("a < b and c > d", "\\<b>", "`<b>`", "```\n<b>\n```", "<https://x.org>", "<a@x.org>", "1<2", "<"):
        assert not holds_html(text), text


def test_html_within_markdown_is_a_warning_unless_it_is_refused() -> None:
    noted: Json = {"resourceType": "Communication", "status": "completed", "note": [{"text": "<b>x</b>"}]}
    found = [one for one in Validator().examine(noted) if "HTML" in one.text]
    assert [(one.severity, one.place) for one in found] == [(Severity.WARNING, "Communication.note[0].text")]
    Validator().check(noted)
    strict = Validator(markdown_without_html=True)
    assert errors(noted, strict) == ["Communication.note[0].text"]
    with pytest.raises(Problem):
        strict.check(noted)
    strict.check({**noted, "note": [{"text": "**x** < y"}]})


def test_extensions_of_domains_for_examples() -> None:
    carrying = {"resourceType": "Patient", "extension": [{"url": "http://example.org/x", "valueCode": "a"}]}
    assert errors(carrying, Validator(strict_extensions=True)) == []
    strict = Validator(strict_extensions=True, strict_examples=True)
    assert errors(carrying, strict) == ["Patient.extension[0]"]
    with pytest.raises(Problem):
        strict.check(carrying)


def test_a_definition_that_leads_back_to_itself_is_refused() -> None:
    one, other = definition("one", base="http://x.org/other"), definition("other", base="http://x.org/one")
    judge = Validator(held(one, other))
    for circle in (one, definition("lone", base="http://x.org/lone"), definition("lone", base="http://x.org/lone|1")):
        with pytest.raises(Problem) as caught:
            judge.check(circle)
        assert [issue.place for issue in caught.value.issues] == ["StructureDefinition.baseDefinition"]
    Validator(held(other)).check(definition("one", base="http://x.org/unheard-of"))
