# SPDX-License-Identifier: Apache-2.0
"""Profiles: each thing that one can ask for, asked by a small made-up profile and broken once."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from salus.fhir.validate.finding import Severity
from salus.fhir.validate.knowledge import Held
from salus.fhir.validate.members import members
from salus.fhir.validate.terms import Terms
from salus.fhir.validate.validator import Validator
from salus.kernel.errors import Kind, Problem

Json = dict[str, Any]
URL = "http://x.org/StructureDefinition/"
HL7 = "http://hl7.org/fhir/StructureDefinition/"


def profile(name: str, type_: str, *elements: Json, base: str = "", snapshot: bool = False) -> Json:
    part = "snapshot" if snapshot else "differential"
    return {
        "resourceType": "StructureDefinition",
        "url": URL + name,
        "type": type_,
        "derivation": "constraint",
        "baseDefinition": base or HL7 + type_,
        part: {"element": [{"path": type_}, *elements]},
    }


class Few(Terms):
    """A terminology with one value set."""

    def member(self, value_set: str, system: str, code: str) -> bool | None:
        return code in ("a", "b") if value_set == "http://x.org/ValueSet/few" else None


def validator(*profiles: Json) -> Validator:
    held = Held()
    for one in profiles:
        held.add(one)
    return Validator(held, Few())


NARRATIVE = "dom-6"  # R4 itself advises a narrative, which none of these resources has


def places(profiles: Json | tuple[Json, ...], resource: Json, severity: Severity = Severity.ERROR) -> list[str]:
    every = profiles if isinstance(profiles, tuple) else (profiles,)
    found = validator(*every).examine(resource, (every[0]["url"],))
    return [one.place for one in found if one.severity is severity and NARRATIVE not in one.text]


# Without it every resource is told that it should have one (dom-6).
TEXT = {"text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}}


def patient(**members: Any) -> Json:
    return {"resourceType": "Patient", **TEXT, **members}


def observation(**members: Any) -> Json:
    return {"resourceType": "Observation", **TEXT, "status": "final", "code": {"text": "x"}, **members}


@pytest.mark.parametrize("snapshot", [False, True])
@pytest.mark.parametrize(
    ("said", "good", "bad", "place"),
    [
        ({"path": "Patient.birthDate", "min": 1}, {"birthDate": "2000"}, {}, "Patient.birthDate"),
        ({"path": "Patient.name", "max": "1"}, {"name": [{"text": "a"}]}, {"name": [{"text": "a"}, {"text": "b"}]},
         "Patient.name[1]"),
        ({"path": "Patient.photo", "max": "0"}, {}, {"photo": [{"title": "x"}]}, "Patient.photo[0]"),
        ({"path": "Patient.gender", "fixedCode": "female"}, {"gender": "female"}, {"gender": "male"}, "Patient.gender"),
        ({"path": "Patient.maritalStatus", "patternCodeableConcept": {"coding": [{"code": "M"}]}},
         {"maritalStatus": {"coding": [{"code": "x"}, {"code": "M", "display": "y"}]}},
         {"maritalStatus": {"coding": [{"code": "x"}]}}, "Patient.maritalStatus"),
        ({"path": "Patient.multipleBirth[x]", "type": [{"code": "integer"}]}, {"multipleBirthInteger": 2},
         {"multipleBirthBoolean": True}, "Patient.multipleBirth.ofType(boolean)"),
        ({"path": "Patient.multipleBirthInteger", "maxValueInteger": 3}, {"multipleBirthInteger": 3},
         {"multipleBirthInteger": 4}, "Patient.multipleBirth.ofType(integer)"),
        ({"path": "Patient.language", "maxLength": 2}, {"language": "de"}, {"language": "de-CH"}, "Patient.language"),
        ({"path": "Patient.name.family", "min": 1}, {"name": [{"family": "a"}]},
         {"name": [{"family": "a"}, {"text": "b"}]}, "Patient.name[1].family"),
        ({"path": "Patient.generalPractitioner",
          "type": [{"code": "Reference", "targetProfile": [HL7 + "Organization"]}]},
         {"generalPractitioner": [{"reference": "Organization/1"}]},
         {"generalPractitioner": [{"reference": "Practitioner/1"}]}, "Patient.generalPractitioner[0]"),
        ({"path": "Patient.maritalStatus", "binding": {"strength": "required", "valueSet": "http://x.org/ValueSet/few"}},
         {"maritalStatus": {"coding": [{"code": "z"}, {"code": "a"}]}}, {"maritalStatus": {"coding": [{"code": "z"}]}},
         "Patient.maritalStatus"),
    ],
)  # fmt: skip
def test_each_restriction_lets_the_good_pass_and_places_the_bad(
    said: Json, good: Json, bad: Json, place: str, snapshot: bool
) -> None:
    made = profile("p", "Patient", said, snapshot=snapshot)
    assert places(made, patient(**good)) == []
    assert places(made, patient(**bad)) == [place]


def test_an_extensible_binding_and_an_unknown_value_set_warn() -> None:
    few = {"strength": "extensible", "valueSet": "http://x.org/ValueSet/few"}
    concept = {"maritalStatus": {"coding": [{"code": "z"}]}}
    made = profile("p", "Patient", {"path": "Patient.maritalStatus", "binding": few})
    assert places(made, patient(**concept)) == []
    assert places(made, patient(**concept), Severity.WARNING) == ["Patient.maritalStatus"]
    missing = {"strength": "required", "valueSet": "http://x.org/no"}
    unknown = profile("p", "Patient", {"path": "Patient.maritalStatus", "binding": missing})
    assert places(unknown, patient(**concept)) == []
    assert places(unknown, patient(**concept), Severity.WARNING) == ["Patient.maritalStatus"]


def sliced(discriminator: Json, *slices: Json, rules: str = "open", **more: Any) -> Json:
    slicing = {"discriminator": [discriminator], "rules": rules, **more}
    return profile("p", "Patient", {"path": "Patient.identifier", "slicing": slicing}, *slices)


MRN = (
    {"path": "Patient.identifier", "sliceName": "mrn", "min": 1, "max": "1"},
    {"path": "Patient.identifier.system", "min": 1, "fixedUri": "urn:mrn"},
    {"path": "Patient.identifier.value", "min": 1},
)


def test_slices_by_value_are_counted_and_checked() -> None:
    made = sliced({"type": "value", "path": "system"}, *MRN)
    mrn, other = {"system": "urn:mrn", "value": "1"}, {"system": "urn:other"}
    assert places(made, patient(identifier=[other, mrn])) == []
    assert places(made, patient(identifier=[other])) == ["Patient.identifier"]
    assert places(made, patient(identifier=[mrn, mrn])) == ["Patient.identifier[1]"]
    assert places(made, patient(identifier=[other, {"system": "urn:mrn"}])) == ["Patient.identifier[1].value"]


def test_closed_and_ordered_slicing() -> None:
    mrn, other = {"system": "urn:mrn", "value": "1"}, {"system": "urn:other"}
    by_system = {"type": "value", "path": "system"}
    closed = sliced(by_system, *MRN, rules="closed")
    assert places(closed, patient(identifier=[mrn])) == []
    assert places(closed, patient(identifier=[mrn, other])) == ["Patient.identifier[1]"]
    at_end = sliced(by_system, *MRN, rules="openAtEnd")
    assert places(at_end, patient(identifier=[mrn, other])) == []
    assert places(at_end, patient(identifier=[other, mrn])) == ["Patient.identifier[1]"]
    second = (
        {"path": "Patient.identifier", "sliceName": "other"},
        {"path": "Patient.identifier.system", "fixedUri": "urn:other"},
    )
    ordered = sliced(by_system, *MRN, *second, ordered=True)
    assert places(ordered, patient(identifier=[mrn, other])) == []
    assert places(ordered, patient(identifier=[other, mrn])) == ["Patient.identifier[1]"]


def test_slices_by_pattern_existence_and_extension() -> None:
    by_type = sliced(
        {"type": "pattern", "path": "type"},
        {"path": "Patient.identifier", "sliceName": "mr", "min": 1},
        {"path": "Patient.identifier.type", "patternCodeableConcept": {"coding": [{"code": "MR"}]}},
    )
    assert places(by_type, patient(identifier=[{"type": {"coding": [{"code": "MR"}]}}])) == []
    assert places(by_type, patient(identifier=[{"type": {"coding": [{"code": "SS"}]}}])) == ["Patient.identifier"]
    by_period = sliced(
        {"type": "exists", "path": "period"},
        {"path": "Patient.identifier", "sliceName": "dated", "max": "1"},
        {"path": "Patient.identifier.period", "min": 1},
    )
    dated = {"value": "1", "period": {"start": "2020"}}
    assert places(by_period, patient(identifier=[dated, {"value": "2"}])) == []
    assert places(by_period, patient(identifier=[dated, dated])) == ["Patient.identifier[1]"]
    mark = f"{URL}mark"
    by_mark = sliced(
        {"type": "value", "path": f"extension('{mark}').value"},
        {"path": "Patient.identifier", "sliceName": "marked", "min": 1},
        {"path": "Patient.identifier.extension", "sliceName": "mark", "min": 1,
         "type": [{"code": "Extension", "profile": [mark]}]},
        {"path": "Patient.identifier.extension.url", "fixedUri": mark},
        {"path": "Patient.identifier.extension.value[x]", "fixedBoolean": True},
    )  # fmt: skip
    extension = {"url": mark, "valueBoolean": True}
    assert places(by_mark, patient(identifier=[{"value": "1", "extension": [extension]}])) == []
    unmarked = {"value": "1", "extension": [{**extension, "valueBoolean": False}]}
    assert places(by_mark, patient(identifier=[unmarked])) == ["Patient.identifier"]


def test_reslicing() -> None:
    made = sliced(
        {"type": "value", "path": "system"},
        *MRN[:2],
        {"path": "Patient.identifier", "sliceName": "mrn", "max": "*",
         "slicing": {"discriminator": [{"type": "value", "path": "use"}], "rules": "open"}},
        {"path": "Patient.identifier", "sliceName": "mrn/old", "max": "1"},
        {"path": "Patient.identifier.use", "fixedCode": "old"},
    )  # fmt: skip
    old, usual = {"system": "urn:mrn", "use": "old"}, {"system": "urn:mrn", "use": "usual"}
    assert places(made, patient(identifier=[old, usual, usual])) == []
    assert places(made, patient(identifier=[old, old])) == ["Patient.identifier[1]"]


def test_slices_by_type_of_a_value_and_of_what_a_reference_resolves_to() -> None:
    value = profile("p", "Observation", {"path": "Observation.valueQuantity.unit", "min": 1})
    assert places(value, observation(valueString="x")) == []
    assert places(value, observation(valueQuantity={"value": 1})) == ["Observation.value.ofType(Quantity).unit"]
    slicing = {"discriminator": [{"type": "type", "path": "resolve()"}], "rules": "open"}
    by_target = profile(
        "p",
        "Observation",
        {"path": "Observation.performer", "slicing": slicing},
        {"path": "Observation.performer", "sliceName": "who", "min": 1, "max": "1",
         "type": [{"code": "Reference", "targetProfile": [HL7 + "Practitioner"]}]},
    )  # fmt: skip
    doctor = {"reference": "Practitioner/1"}
    assert places(by_target, observation(performer=[doctor, {"reference": "Organization/1"}])) == []
    assert places(by_target, observation(performer=[doctor, doctor])) == ["Observation.performer[1]"]
    assert places(by_target, observation(performer=[{"reference": "Organization/1"}])) == ["Observation.performer"]


def test_profiles_of_data_types_and_of_targets_and_derived_ones() -> None:
    named = profile("named", "HumanName", {"path": "HumanName.family", "min": 1})
    base = profile(
        "p", "Patient", {"path": "Patient.name", "type": [{"code": "HumanName", "profile": [URL + "named"]}]}
    )
    derived = profile("derived", "Patient", {"path": "Patient.birthDate", "min": 1}, base=URL + "p")
    assert places((base, named), patient(name=[{"family": "a"}])) == []
    assert places((base, named), patient(name=[{"text": "a"}])) == ["Patient.name[0].family"]
    assert places((derived, base, named), patient(name=[{"text": "a"}])) == [
        "Patient.name[0].family",
        "Patient.birthDate",
    ]
    born = profile("born", "Patient", {"path": "Patient.birthDate", "min": 1})
    type_ = [{"code": "Reference", "targetProfile": [URL + "born"]}]
    about = profile("about", "Observation", {"path": "Observation.subject", "type": type_})
    inside = {"contained": [patient(id="p")], "subject": {"reference": "#p"}}
    assert places((about, born), observation(**inside)) == ["Observation.subject"]
    inside["contained"] = [patient(id="p", birthDate="2000")]
    assert places((about, born), observation(**inside)) == []


def test_a_content_reference_carries_the_rules_of_what_it_refers_to() -> None:
    made = profile("p", "Questionnaire", {"path": "Questionnaire.item.text", "min": 1})
    inner = {"linkId": "1.1", "type": "string"}
    form = {
        "resourceType": "Questionnaire",
        "status": "draft",
        "item": [{"linkId": "1", "type": "string", "text": "x"}],
    }
    assert places(made, form) == []
    form["item"][0]["item"] = [inner]  # type: ignore[index]
    assert places(made, form) == ["Questionnaire.item[0].item[0].text"]


def test_extensions_are_held_against_their_definitions() -> None:
    place = {"url": HL7 + "patient-birthPlace", "valueAddress": {"city": "x"}}
    assert places(profile("p", "Patient"), patient(extension=[place])) == []
    wrong = {"url": HL7 + "patient-birthPlace", "valueString": "x"}
    assert places(profile("p", "Patient"), patient(extension=[wrong])) == ["Patient.extension[0].value.ofType(string)"]


def test_what_a_resource_declares_is_checked_and_the_unknown_warns() -> None:
    made = profile("p", "Patient", {"path": "Patient.birthDate", "min": 1})
    judge = validator(made)
    judge.check(patient(meta={"profile": [URL + "unheard-of"]}))
    judge.check(patient(meta={"profile": [HL7 + "Patient"]}))
    with pytest.raises(Problem) as caught:
        judge.check(patient(meta={"profile": [URL + "p"]}))
    assert caught.value.kind is Kind.INVALID
    assert [issue.place for issue in caught.value.issues] == ["Patient.birthDate"]
    found = judge.examine(patient(meta={"profile": [URL + "unheard-of"]}))
    told = [(one.severity, one.code) for one in found if NARRATIVE not in one.text]
    assert told == [(Severity.WARNING, "not-found")]
    address = "urn:uuid:0190cafe-0000-7000-8000-000000000001"
    entry = {"fullUrl": address, "resource": patient(meta={"profile": [URL + "p"]})}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [entry]}
    with pytest.raises(Problem) as caught:
        judge.check(bundle)
    assert [issue.place for issue in caught.value.issues] == ["Bundle.entry[0].resource.birthDate"]


def test_what_is_demanded_of_a_type_is_checked_without_being_declared() -> None:
    held = Held()
    held.add(profile("p", "Patient", {"path": "Patient.birthDate", "min": 1}))
    judge = Validator(held, demanded={"Patient": (URL + "p",)}, known_profiles_only=True)
    judge.check(patient(birthDate="2000"))
    judge.check(observation())
    for wrong in (patient(), observation(meta={"profile": [URL + "unheard-of"]})):
        with pytest.raises(Problem):
            judge.check(wrong)


def test_a_profile_is_compiled_anew_when_another_is_installed() -> None:
    held = Held()
    held.add(profile("p", "Patient"))
    judge = Validator(held)
    declared = patient(meta={"profile": [URL + "p"]})
    judge.check(declared)
    held.add(profile("p", "Patient", {"path": "Patient.birthDate", "min": 1}))
    with pytest.raises(Problem):
        judge.check(declared)


def test_a_profile_that_is_its_own_base_or_names_unknown_paths_is_no_profile() -> None:
    circle = profile("circle", "Patient", {"path": "Patient.birthDate", "min": 1}, base=URL + "circle")
    broken = profile("broken", "Patient", {"path": "Patient.nonsense.more", "min": 1})
    judge = validator(circle, broken)
    assert not judge.knows(URL + "broken")
    for name in ("circle", "broken"):
        judge.check(patient(birthDate="2000", meta={"profile": [URL + name]}))


def test_a_code_that_does_not_exist_is_told_and_refused_only_where_that_is_wanted() -> None:
    class Lists(Terms):
        def wrong(self, system: str, code: str, display: str, version: str) -> str:
            if system != "http://x.org/system":
                return super().wrong(system, code, display, version)
            return "unknown-code" if code == "z" else "wrong-display" if display == "wrong" else ""

    def coded(code: str, display: str = "right") -> Json:
        return observation(category=[{"coding": [{"system": "http://x.org/system", "code": code, "display": display}]}])

    judge = Validator(terms=Lists())
    for resource, severity in ((coded("z"), Severity.ERROR), (coded("a", "wrong"), Severity.WARNING)):
        (found,) = judge.examine(resource)
        assert (found.severity, found.place) == (severity, "Observation.category[0].coding[0]")
        judge.check(resource)
    with pytest.raises(Problem):
        Validator(terms=Lists(), strict_codes=True).check(coded("z"))
    unit = observation(valueQuantity={"value": 1, "system": "http://unitsofmeasure.org", "code": "furlong"})
    assert [(one.severity, one.place) for one in judge.examine(unit)] == [
        (Severity.ERROR, "Observation.value.ofType(Quantity)")
    ]
    judge.check(unit)
    with pytest.raises(Problem):
        Validator(strict_codes=True).check(unit)


def test_a_questionnaire_that_is_at_hand_judges_its_responses() -> None:
    form: Json = {
        "resourceType": "Questionnaire", "url": "http://x.org/q", "status": "active", "item": [
            {"linkId": "1", "type": "choice", "required": True, "answerOption": [{"valueCoding": {"code": "yes"}}]},
            {"linkId": "2", "type": "group", "repeats": True, "item": [{"linkId": "2.1", "type": "integer"}]},
        ]}  # fmt: skip
    held = Held()
    held.add(form)
    judge = Validator(held)

    def said(*items: Json, status: str = "completed") -> list[str]:
        response = {"resourceType": "QuestionnaireResponse", **TEXT, "questionnaire": "http://x.org/q|1",
                    "status": status, "item": list(items)}  # fmt: skip
        return [one.place for one in judge.examine(response) if one.severity is Severity.ERROR]

    yes = {"linkId": "1", "answer": [{"valueCoding": {"code": "yes"}}]}
    group = {"linkId": "2", "item": [{"linkId": "2.1", "answer": [{"valueInteger": 1}]}]}
    assert said(yes, group, group) == []
    assert said(group) == ["QuestionnaireResponse.item"]
    assert said(group, status="in-progress") == []
    assert said(yes, {"linkId": "3"}) == ["QuestionnaireResponse.item[1].linkId"]
    assert said(yes, yes) == ["QuestionnaireResponse.item[1]"]
    assert said({**yes, "answer": [{"valueCoding": {"code": "no"}}]}) == ["QuestionnaireResponse.item[0].answer[0]"]
    wrong = {"linkId": "2", "item": [{"linkId": "2.1", "answer": [{"valueString": "1"}]}]}
    assert said(yes, wrong) == ["QuestionnaireResponse.item[1].item[0].answer[0]"]


def test_a_profile_that_speaks_of_unknown_elements_is_refused_as_a_record() -> None:
    definition = {**profile("p", "Patient", {"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1}), **TEXT}
    definition |= {"name": "P", "status": "draft", "kind": "resource", "abstract": False}
    definition["differential"]["element"][0]["id"] = "Patient"
    judge = Validator()
    judge.check(definition)
    definition["differential"]["element"][1] |= {"id": "Patient.birthDay", "path": "Patient.birthDay"}
    with pytest.raises(Problem) as caught:
        judge.check(definition)
    assert [issue.place for issue in caught.value.issues] == ["StructureDefinition.differential"]


def test_invariants_of_a_profile_are_asked_where_they_stand() -> None:
    rule = {"key": "own-1", "severity": "error", "human": "A name has a family", "expression": "family.exists()"}
    made = profile("p", "Patient", {"path": "Patient.name", "constraint": [rule]})
    assert places(made, patient(name=[{"family": "a"}, {"text": "b"}])) == ["Patient.name[1]"]
    weak = profile("p", "Patient", {"path": "Patient.name", "constraint": [{**rule, "severity": "warning"}]})
    assert places(weak, patient(name=[{"text": "b"}]), Severity.WARNING) == ["Patient.name[0]"]
    nonsense = profile("p", "Patient", {"path": "Patient.name", "constraint": [{**rule, "expression": "((("}]})
    assert places(nonsense, patient(name=[{"text": "b"}])) == []


def test_profiles_that_do_not_exist_leave_nothing_behind() -> None:
    """Whoever names thousands of profiles fills no memory."""
    judge = Validator()

    def name(numbers: range) -> None:
        for number in numbers:
            judge.check(patient(meta={"profile": [f"{URL}unheard-of-{number}"]}))

    name(range(200))
    tracemalloc.start()
    try:
        name(range(200, 400))
        before, _ = tracemalloc.get_traced_memory()
        name(range(400, 2400))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 100_000


@pytest.mark.parametrize(
    "kind", ["StructureDefinition", "SearchParameter", "CodeSystem", "QuestionnaireResponse", "Bundle"]
)
@pytest.mark.parametrize("value", [[], {}, [None], {"value": "x"}, "x", 1, None, [[{}]], [{"x": []}]])
def test_content_of_any_shape_is_answered_with_places(kind: str, value: Any) -> None:
    judge = Validator()
    for name in members(kind):
        resource = {"resourceType": kind, "meta": {"profile": [f"{HL7}Questionnaire", f"{HL7}vitalsigns"]}, name: value}
        assert all(one.place.startswith(kind) for one in judge.examine(resource))
