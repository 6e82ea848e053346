# SPDX-License-Identifier: Apache-2.0
"""Validation: each rule refuses what it should, at the right place, in words that help and repeat nothing."""

from __future__ import annotations

from typing import Any

import pytest

from salus.fhir.json import decode, encode
from salus.fhir.validate import check
from salus.kernel.errors import Issue, Kind, Problem

XHTML = 'xmlns=\\"http://www.w3.org/1999/xhtml\\"'


def patient(members: str = "") -> dict[str, Any]:
    return decode(f'{{"resourceType":"Patient"{"," if members else ""}{members}}}'.encode())


def observation(members: str = "") -> dict[str, Any]:
    text = f'"status":"final","code":{{"text":"x"}}{"," if members else ""}{members}'
    return decode(f'{{"resourceType":"Observation",{text}}}'.encode())


def issues(resource: dict[str, Any]) -> list[Issue]:
    with pytest.raises(Problem) as caught:
        check(resource)
    assert caught.value.kind is Kind.INVALID
    assert caught.value.issues
    return list(caught.value.issues)


def only(resource: dict[str, Any], code: str, place: str) -> str:
    found = issues(resource)
    assert [(issue.code, issue.place) for issue in found] == [(code, place)]
    return found[0].text


HL7 = "http://hl7.org/fhir/StructureDefinition/"
CHOICE = '"valueString":"a","_valueInteger":{"extension":[{"url":"http://x.org","valueCode":"y"}]}'
BROKEN = [
    ('"contact":[{"name":{"text":"x"},"gender":"f"}]', "code-invalid", "Patient.contact[0].gender"),
    ('"gendre":"female"', "structure", "Patient.gendre"),
    ('"name":{"family":"x"}', "structure", "Patient.name"),
    ('"name":[]', "structure", "Patient.name"),
    ('"name":[{}]', "structure", "Patient.name[0]"),
    ('"name":[{"id":"a"}]', "invariant", "Patient.name[0]"),
    ('"name":[{"family":""}]', "value", "Patient.name[0].family"),
    ('"name":[{"family":"a\\u0007"}]', "value", "Patient.name[0].family"),
    ('"name":[{"given":["a",null]}]', "structure", "Patient.name[0].given[1]"),
    ('"name":[{"_given":[null]}]', "structure", "Patient.name[0].given[0]"),
    ('"name":[{"given":["a",""]}]', "value", "Patient.name[0].given[1]"),
    ('"active":"true"', "structure", "Patient.active"),
    ('"active":null', "structure", "Patient.active"),
    ('"birthDate":["2000"]', "structure", "Patient.birthDate"),
    ('"birthDate":"2023-02-29"', "value", "Patient.birthDate"),
    ('"_birthDate":{}', "structure", "Patient.birthDate"),
    ('"id":"a b"', "value", "Patient.id"),
    ('"multipleBirthInteger":2147483648', "value", "Patient.multipleBirth.ofType(integer)"),
    ('"multipleBirthInteger":1.0', "value", "Patient.multipleBirth.ofType(integer)"),
    ('"communication":[{"preferred":true}]', "required", "Patient.communication[0].language"),
    ('"extension":[{"url":"http://x.org"}]', "invariant", "Patient.extension[0]"),
    ('"extension":[{"valueCode":"x"}]', "required", "Patient.extension[0].url"),
    ('"identifier":[{"system":"mrn","value":"1"}]', "value", "Patient.identifier[0].system"),
    ('"telecom":[{"value":"1"}]', "invariant", "Patient.telecom[0]"),
    ('"photo":[{"contentType":"image/png","data":"a.b="}]', "value", "Patient.photo[0].data"),
    ('"generalPractitioner":[{"reference":"Patient/1"}]', "value", "Patient.generalPractitioner[0].reference"),
    ('"managingOrganization":{"reference":"#o"}', "invariant", "Patient.managingOrganization.reference"),
    ('"managingOrganization":{"reference":"Organization?name=x"}', "value", "Patient.managingOrganization.reference"),
    ('"contained":[{"resourceType":"Organization","id":"o","name":"x"}]', "invariant", "Patient.contained[0]"),
    ('"identifier":[{"period":{"start":"2020-02","end":"2020-01"}}]', "invariant", "Patient.identifier[0].period"),
    ('"identifier":[{"period":{"start":"2020-01-05","end":"2020-01"}}]', "invariant", "Patient.identifier[0].period"),
    ('"photo":[{"contentType":"image/png","data":"QUJD","size":4}]', "invalid", "Patient.photo[0].size"),
    ('"photo":[{"contentType":"image/png","data":"QUJD","hash":"QUJD"}]', "invalid", "Patient.photo[0].hash"),
    (f'"extension":[{{"url":"{HL7}humanname-own-name","valueString":"x"}}]', "structure", "Patient.extension[0]"),
    (
        f'"modifierExtension":[{{"url":"{HL7}patient-birthPlace","valueAddress":{{"city":"x"}}}}]',
        "structure",
        "Patient.modifierExtension[0]",
    ),
    (
        '"modifierExtension":[{"url":"http://x.org/not","valueBoolean":true}]',
        "extension",
        "Patient.modifierExtension[0]",
    ),
    (
        '"managingOrganization":{"reference":"Organization/1","type":"Location"}',
        "structure",
        "Patient.managingOrganization.type",
    ),
    (
        '"contained":[{"resourceType":"Location","id":"o","name":"x"}],"managingOrganization":{"reference":"#o"}',
        "structure",
        "Patient.managingOrganization.reference",
    ),
    (
        f'"text":{{"status":"generated","div":"<div {XHTML}><a href=\\"#gone\\">x</a></div>"}}',
        "invalid",
        "Patient.text.div",
    ),
]


@pytest.mark.parametrize(("members", "code", "place"), BROKEN)
def test_each_fault_of_a_patient_has_its_code_and_place(members: str, code: str, place: str) -> None:
    only(patient(members), code, place)


@pytest.mark.parametrize(
    ("members", "code", "place"),
    [
        ('"valueString":"a","valueInteger":1', "structure", "Observation.value"),
        (CHOICE, "structure", "Observation.value"),
        ('"valueString":"a","dataAbsentReason":{"text":"x"}', "invariant", "Observation"),
        ('"valueQuantity":{"value":1,"code":"g"}', "invariant", "Observation.value.ofType(Quantity)"),
        ('"valueQuantity":{"value":1e-400}', "value", "Observation.value.ofType(Quantity).value"),
        ('"valueQuantity":{"value":1e1000000}', "value", "Observation.value.ofType(Quantity).value"),
        ('"valueQuantity":{"value":"1"}', "structure", "Observation.value.ofType(Quantity).value"),
        ('"effectiveDateTime":"2020-01-01T10:00Z"', "value", "Observation.effective.ofType(dateTime)"),
        ('"effectiveDateTime":"2020-01-01T10:00:00"', "value", "Observation.effective.ofType(dateTime)"),
        ('"referenceRange":[{"age":{"low":{"value":1}}}]', "invariant", "Observation.referenceRange[0]"),
    ],
)
def test_each_fault_of_an_observation_has_its_code_and_place(members: str, code: str, place: str) -> None:
    only(observation(members), code, place)


GOOD = [
    "",
    '"birthDate":"2024-02-29"',
    '"_birthDate":{"extension":[{"url":"http://x.org","valueCode":"unknown"}]}',
    '"name":[{"given":["a",null],"_given":[null,{"extension":[{"url":"http://x.org","valueCode":"y"}]}]}]',
    '"deceasedBoolean":false,"_deceasedBoolean":{"id":"d"}',
    '"contained":[{"resourceType":"Organization","id":"o","name":"x"}],"managingOrganization":{"reference":"#o"}',
    '"managingOrganization":{"reference":"https://other.example.org/fhir/Organization/1/_history/2"}',
    '"managingOrganization":{"reference":"urn:uuid:b6d5ee57-5b52-4f1e-9b7c-0a1f8d2f9d5b"}',
    '"identifier":[{"period":{"start":"2020-01-01T10:00:00+02:00","end":"2020-01-01T09:00:00Z"}}]',
    '"photo":[{"contentType":"image/png","data":"QUJD\\nREU=","size":5}]',
    f'"_birthDate":{{"extension":[{{"url":"{HL7}patient-birthTime","valueDateTime":"2020-01-01T10:00:00Z"}}]}}',
    '"extension":[{"url":"http://x.org/unheard-of","valueCode":"x"}]',
    f'"text":{{"status":"generated","div":"<div {XHTML}><a href=\\"#here\\">x</a><b id=\\"here\\">y</b></div>"}}',
]


@pytest.mark.parametrize("members", GOOD)
def test_good_patients_pass(members: str) -> None:
    check(patient(members), "Patient")


def test_required_elements_are_named() -> None:
    found = issues({"resourceType": "Observation"})
    assert {issue.place for issue in found} == {"Observation.status", "Observation.code"}
    assert {issue.code for issue in found} == {"required"}


def test_words_name_the_codes_and_the_intended_element() -> None:
    assert "female, male, other, unknown" in only(patient('"gender":"w"'), "code-invalid", "Patient.gender")
    assert "did you mean `birthDate`" in only(patient('"birthdate":"2000"'), "structure", "Patient.birthdate")


def test_required_binding_of_a_concept_asks_for_one_listed_coding() -> None:
    condition: dict[str, Any] = {"resourceType": "Condition", "subject": {"reference": "Patient/1"}}
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    check({**condition, "clinicalStatus": {"coding": [{"code": "x"}, {"system": system, "code": "active"}]}})
    only({**condition, "clinicalStatus": {"text": "active"}}, "code-invalid", "Condition.clinicalStatus")


def test_contained_resources_keep_their_rules() -> None:
    inner = '{"resourceType":"Organization","id":"o","name":"x","meta":{"versionId":"1"},"contained":[%s]}'
    nested = inner % '{"resourceType":"Location","id":"l"}'
    found = issues(patient(f'"contained":[{nested}],"managingOrganization":{{"reference":"#o"}}'))
    assert {"dom-2", "dom-4"} <= {word.strip("(),.") for issue in found for word in issue.text.split()}


def test_resources_in_a_bundle_are_validated_in_their_own_scope() -> None:
    entry = {"resource": patient('"managingOrganization":{"reference":"#o"}')}
    holder = {"resource": patient(GOOD[5])}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [holder, entry]}
    only(bundle, "invariant", "Bundle.entry[1].resource.managingOrganization.reference")
    entry["resource"] = {"resourceType": "Patiend"}
    only(bundle, "structure", "Bundle.entry[1].resource")


def test_search_as_reference_belongs_into_transactions() -> None:
    resource = patient('"managingOrganization":{"reference":"Organization?name=x"}')
    entry = {"resource": resource, "request": {"method": "POST", "url": "Patient"}}
    check({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})


@pytest.mark.parametrize("kind", [None, 1, "", "patient", "Resource", "DomainResource", "HumanName", ["Patient"]])
def test_type_that_is_no_resource_is_incorrect(kind: object) -> None:
    with pytest.raises(Problem) as caught:
        check({"resourceType": kind})
    assert caught.value.kind is Kind.INCORRECT


def test_type_other_than_the_address_says_is_incorrect() -> None:
    with pytest.raises(Problem) as caught:
        check(patient(), "Observation")
    assert caught.value.kind is Kind.INCORRECT


def test_attack_patient_data_in_wrong_places_is_not_repeated() -> None:
    resource = patient('"birthDate":"Maria Muster","Maria Muster 1970":1,"gender":"Muster","name":"Maria"')
    with pytest.raises(Problem) as caught:
        check(resource)
    said = caught.value.public + caught.value.detail + repr(caught.value.issues)
    assert "Maria" not in said
    assert "Muster" not in said


def test_attack_a_body_full_of_faults_gives_a_bounded_report() -> None:
    bad = {"url": "http://x.org", "valueString": "a", "valueCode": "b", "id": "x"}
    assert len(issues({"resourceType": "Patient", "extension": [bad] * 5000})) <= 50
    assert len(issues({"resourceType": "Patient", "extension": [bad] * 200})) == 50


@pytest.mark.parametrize("depth", [99, 300, 5000])
def test_attack_nesting_built_up_by_patches(depth: int) -> None:
    extension: dict[str, Any] = {"url": "http://x.org", "valueCode": "x"}
    for _ in range(depth):
        extension = {"url": "http://x.org", "extension": [extension]}
    only({"resourceType": "Patient", "extension": [extension]}, "structure", "Patient")


def test_nesting_that_decode_reads_is_accepted() -> None:
    extension: dict[str, Any] = {"url": "http://x.org", "valueCode": "x"}
    for _ in range(98):
        extension = {"url": "http://x.org", "extension": [extension]}
    resource = {"resourceType": "Patient", "extension": [extension]}
    check(decode(encode(resource)))


def test_fault_far_into_a_long_array_is_still_placed() -> None:
    names: list[dict[str, str]] = [{"family": "x"}] * 3000
    only({"resourceType": "Patient", "name": [*names, {"famly": "x"}]}, "structure", "Patient.name[3000].famly")


def test_narrative_is_checked_wherever_it_stands() -> None:
    bad = f'"text":{{"status":"generated","div":"<div {XHTML}><script>1</script></div>"}}'
    only(patient(bad), "invariant", "Patient.text.div")
    section = {"title": "x", "text": patient(bad)["text"]}
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"text": "x"},
        "date": "2020",
        "author": [{"display": "x"}],
        "title": "x",
        "section": [section],
    }
    only(composition, "invariant", "Composition.section[0].text.div")


def bundle(kind: str, *resources: tuple[str, dict[str, Any]], **more: Any) -> dict[str, Any]:
    entries = [{"fullUrl": address, "resource": resource} for address, resource in resources]
    return {"resourceType": "Bundle", "type": kind, "entry": entries, **more}


def test_a_reference_in_a_bundle_leads_to_one_entry_of_a_fitting_type() -> None:
    person = ("urn:uuid:0190cafe-0000-7000-8000-000000000001", patient('"id":"p"'))
    seen = ("urn:uuid:0190cafe-0000-7000-8000-000000000002", observation(f'"subject":{{"reference":"{person[0]}"}}'))
    check(bundle("collection", person, seen))
    practice = (person[0], decode(b'{"resourceType":"Practitioner","id":"p"}'))
    only(bundle("collection", practice, seen), "structure", "Bundle.entry[1].resource.subject.reference")
    twice = ("urn:uuid:0190cafe-0000-7000-8000-000000000003", observation('"subject":{"reference":"Patient/p"}'))
    again = ("urn:uuid:0190cafe-0000-7000-8000-000000000004", patient('"id":"p"'))
    only(bundle("collection", person, again, twice), "not-found", "Bundle.entry[2].resource.subject.reference")


def test_results_of_a_search_fit_their_mode_and_the_search() -> None:
    link = [{"relation": "self", "url": "https://a.example/fhir/Patient?name=x"}]
    found = bundle("searchset", ("https://a.example/fhir/Patient/p", patient('"id":"p"')), link=link)
    found["entry"][0]["search"] = {"mode": "match"}
    check(found)
    found["link"] = link * 2
    only(found, "invalid", "Bundle.link[1]")
    found["link"] = [{"relation": "self", "url": "https://a.example/fhir/Observation"}]
    only(found, "invalid", "Bundle.entry[0].resource")
    found["entry"][0]["search"] = {"mode": "include"}
    check(found)
    found["entry"][0]["search"] = {"mode": "outcome"}
    only(found, "invalid", "Bundle.entry[0].search.mode")


def test_a_derived_search_parameter_keeps_type_and_base() -> None:
    made: dict[str, Any] = {
        "resourceType": "SearchParameter",
        "url": "http://x.org/SearchParameter/name",
        "name": "x",
        "status": "active",
        "description": "x",
        "code": "name",
        "base": ["Organization"],
        "type": "string",
        "expression": "Organization.name",
        "derivedFrom": "http://hl7.org/fhir/SearchParameter/Organization-name",
    }
    check(made)
    only({**made, "type": "token"}, "business-rule", "SearchParameter.type")
    only({**made, "base": ["Patient"]}, "business-rule", "SearchParameter.base")


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ('"photo":[{"contentType":"picture"}]', "Patient.photo[0].contentType"),
        ('"language":"german (formal)"', "Patient.language"),
        ('"identifier":[{"system":"urn:oid:9.8.7"}]', "Patient.identifier[0].system"),
        ('"identifier":[{"system":"urn:uuid:1-2-3"}]', "Patient.identifier[0].system"),
        ('"extension":[{"url":"http://x.org","valueUri":"oid:1.2.3"}]', "Patient.extension[0].value.ofType(uri)"),
    ],
)
def test_texts_that_name_something_have_its_form(members: str, place: str) -> None:
    only(patient(members), "value", place)


def test_texts_that_name_something_may_have_parameters_regions_and_numbers() -> None:
    check(patient('"photo":[{"contentType":"text/plain; charset=utf-8"},{"contentType":"application/fhir+json"}]'))
    check(patient('"language":"zh-Hant-TW","identifier":[{"system":"urn:oid:2.16.840.1"}]'))


def test_a_code_system_has_the_concepts_that_it_counts() -> None:
    concepts: list[dict[str, Any]] = [{"code": "a", "concept": [{"code": "b"}]}]
    made: dict[str, Any] = {"resourceType": "CodeSystem", "status": "draft", "content": "complete", "concept": concepts}
    check({**made, "count": 2})
    only({**made, "count": 3}, "business-rule", "CodeSystem.count")
    check({**made, "count": 3, "content": "fragment"})


def test_a_message_has_its_focus_with_it() -> None:
    header = {"resourceType": "MessageHeader", "eventUri": "urn:x:y", "source": {"endpoint": "http://a.example"}}
    first = ("urn:uuid:0190cafe-0000-7000-8000-000000000001", {**header, "focus": [{"reference": "Patient/p"}]})
    person = ("urn:uuid:0190cafe-0000-7000-8000-000000000002", patient('"id":"p"'))
    check(bundle("message", first, person))
    only(bundle("message", first), "not-found", "Bundle.entry[0].resource.focus[0].reference")
