# SPDX-License-Identifier: Apache-2.0
"""Constraints that need FHIRPath: each is said with its key and place, warnings refuse nothing, guards miss nothing."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from salus.fhir.json import decode, encode
from salus.fhir.validate import check
from salus.fhir.validate.base import examine
from salus.fhir.validate.constraints import breaches, breaks
from salus.fhir.validate.finding import Severity
from salus.kernel.errors import Kind, Problem

JSON = dict[str, Any]

WORDS = {"coding": [{"system": "urn:x", "code": "a"}]}
CODED = {"text": "x"}
METADATA = {"status": "draft", "date": "2024-01-01", "kind": "requirements", "fhirVersion": "4.0.1", "format": ["json"]}
UCUM = "http://unitsofmeasure.org"


def amount(value: float, code: str = "mg") -> JSON:
    return {"value": value, "unit": code, "system": UCUM, "code": code}


DELETED = {"item": {"display": "x"}, "deleted": True}
NAMED_EVENT = {"valueTriggerDefinition": {"type": "named-event", "name": "x"}}
RANGE = {"low": amount(1, "mg"), "high": amount(2000, "ug")}


def organization(**more: Any) -> JSON:
    return {"resourceType": "Organization", "name": "x", **more}


def phone(use: str) -> JSON:
    return {"system": "phone", "value": "1", "use": use}


def observation(**more: Any) -> JSON:
    return {"resourceType": "Observation", "status": "final", "code": WORDS, **more}


def questionnaire(*items: JSON) -> JSON:
    return {"resourceType": "Questionnaire", "status": "draft", "item": list(items)}


def item(link: str, kind: str = "string", **more: Any) -> JSON:
    return {"linkId": link, "type": kind, **more}


def entry(version: str) -> JSON:
    patient = {"resourceType": "Patient", "id": "p", "meta": {"versionId": version}}
    return {"fullUrl": "http://x.org/Patient/p", "resource": patient}


def definition(**more: Any) -> JSON:
    known = {"url": "http://x.org/sd", "name": "X", "status": "draft", "kind": "resource", "abstract": False}
    return {"resourceType": "StructureDefinition", **known, "type": "Patient", "derivation": "constraint", **more} | {
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient"
    }


def element(path: str, **more: Any) -> JSON:
    return {"id": path, "path": path, **more}


def capability(**more: Any) -> JSON:
    known = {"description": "x", "rest": [{"mode": "server"}]}
    return {"resourceType": "CapabilityStatement", **METADATA, **known, **more}


def extended(**value: Any) -> JSON:
    return {"resourceType": "Patient", "extension": [{"url": "http://x.org/e", **value}]}


# Key, place, what breaks it, what keeps it.
CASES: list[tuple[str, str, JSON, JSON]] = [
    (
        "obs-7",
        "Observation",
        observation(valueString="x", component=[{"code": WORDS, "valueString": "y"}]),
        observation(valueString="x", component=[{"code": {"coding": [{"system": "urn:x", "code": "b"}]}}]),
    ),
    (
        "bdl-7",
        "Bundle",
        {"resourceType": "Bundle", "type": "collection", "entry": [entry("1"), entry("1")]},
        {"resourceType": "Bundle", "type": "collection", "entry": [entry("1"), entry("2")]},
    ),
    (
        "org-3",
        "Organization.telecom[1]",
        organization(telecom=[phone("work"), phone("home")]),
        organization(telecom=[phone("work")]),
    ),
    (
        "org-2",
        "Organization.address[0]",
        organization(address=[{"use": "home"}]),
        organization(address=[{"use": "work"}]),
    ),
    (
        "ctm-1",
        "CareTeam.participant[0]",
        {
            "resourceType": "CareTeam",
            "contained": [{"resourceType": "Patient", "id": "p"}],
            "participant": [{"member": {"reference": "#p"}, "onBehalfOf": {"display": "x"}}],
        },
        {
            "resourceType": "CareTeam",
            "contained": [{"resourceType": "Practitioner", "id": "p"}],
            "participant": [{"member": {"reference": "#p"}, "onBehalfOf": {"display": "x"}}],
        },
    ),
    (
        "inv-1",
        "Task",
        {"resourceType": "Task", "status": "draft", "intent": "order"}
        | {"authoredOn": "2024-02-01", "lastModified": "2024-01-01"},
        {"resourceType": "Task", "status": "draft", "intent": "order"}
        | {"authoredOn": "2024-02-01", "lastModified": "2024-02-01"},
    ),
    (
        "lst-2",
        "List",
        {"resourceType": "List", "status": "current", "mode": "working", "entry": [DELETED]},
        {"resourceType": "List", "status": "current", "mode": "changes", "entry": [DELETED]},
    ),
    ("que-1", "Questionnaire.item[0]", questionnaire(item("1", "group")), questionnaire(item("1"))),
    (
        "que-1",
        "Questionnaire.item[0].item[0]",
        questionnaire(item("1", "group", item=[item("2", "display", item=[item("3")])])),
        questionnaire(item("1", "group", item=[item("2", "group", item=[item("3")])])),
    ),
    ("que-2", "Questionnaire", questionnaire(item("1"), item("1")), questionnaire(item("1"), item("2"))),
    (
        "que-7",
        "Questionnaire.item[0].enableWhen[0]",
        questionnaire(item("1", enableWhen=[{"question": "1", "operator": "exists", "answerString": "x"}])),
        questionnaire(item("1", enableWhen=[{"question": "1", "operator": "exists", "answerBoolean": True}])),
    ),
    (
        "que-13",
        "Questionnaire.item[0]",
        questionnaire(item("1", repeats=False, initial=[{"valueString": "a"}, {"valueString": "b"}])),
        questionnaire(item("1", repeats=True, initial=[{"valueString": "a"}, {"valueString": "b"}])),
    ),
    ("cpb-2", "CapabilityStatement", {k: v for k, v in capability().items() if k != "description"}, capability()),
    (
        "cpb-9",
        "CapabilityStatement.rest[0]",
        capability(rest=[{"mode": "server", "resource": [{"type": "Patient"}, {"type": "Patient"}]}]),
        capability(rest=[{"mode": "server", "resource": [{"type": "Patient"}, {"type": "Group"}]}]),
    ),
    (
        "csd-1",
        "CodeSystem",
        {"resourceType": "CodeSystem", "status": "draft", "content": "complete"}
        | {"concept": [{"code": "a", "concept": [{"code": "a"}]}]},
        {"resourceType": "CodeSystem", "status": "draft", "content": "complete"}
        | {"concept": [{"code": "a", "concept": [{"code": "b"}]}]},
    ),
    (
        "eld-2",
        "StructureDefinition.differential.element[0]",
        definition(differential={"element": [element("Patient", min=2, max="1")]}),
        definition(differential={"element": [element("Patient", min=0, max="*")]}),
    ),
    (
        "sdf-17",
        "StructureDefinition",
        definition(differential={"element": [{"path": "Patient"}]}),
        definition(differential={"element": [element("Patient")]}),
    ),
    *[
        (
            key,
            f"Patient.extension[0].value.ofType({place}" + ")" * (")" not in place),
            extended(**broken),
            extended(**kept),
        )
        for key, place, broken, kept in [
            ("rng-2", "Range", {"valueRange": RANGE | {"high": amount(1, "ug")}}, {"valueRange": RANGE}),
            ("age-1", "Age).value", {"valueAge": amount(-1, "a")}, {"valueAge": amount(1, "a")}),
            ("cnt-3", "Count).value", {"valueCount": amount(1.0, "1")}, {"valueCount": amount(1, "1")}),
            ("drt-1", "Duration", {"valueDuration": {"code": "h"}}, {"valueDuration": amount(1, "h")}),
            ("trd-3", "TriggerDefinition", {"valueTriggerDefinition": {"type": "data-added"}}, NAMED_EVENT),
        ]
    ],
    (
        "ras-1",
        "RiskAssessment.prediction[0].probability.ofType(Range)",
        {"resourceType": "RiskAssessment", "status": "final", "subject": {"display": "x"}}
        | {"prediction": [{"probabilityRange": {"low": amount(1, "mg")}}]},
        {"resourceType": "RiskAssessment", "status": "final", "subject": {"display": "x"}}
        | {"prediction": [{"probabilityRange": {"low": amount(1, "%")}}]},
    ),
]
IDS = [f"{key}-{number}" for number, (key, *_) in enumerate(CASES)]


def exact(resource: JSON) -> JSON:
    return decode(encode(resource))


@pytest.mark.parametrize(("key", "place", "broken", "kept"), CASES, ids=IDS)
def test_a_broken_constraint_is_named_with_its_place(key, place, broken, kept):
    check(exact(kept))
    with pytest.raises(Problem) as caught:
        check(exact(broken))
    assert caught.value.kind is Kind.INVALID
    assert [issue.place for issue in caught.value.issues if key in issue.text] == [place]


@pytest.mark.parametrize(("key", "place", "broken", "kept"), CASES, ids=IDS)
def test_inside_of_a_bundle_and_as_a_contained_resource_it_is_found_too(key, place, broken, kept):
    for outer, holder in (
        ("Bundle.entry[0].resource", {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": broken}]}),
        (
            "Parameters.parameter[0].resource",
            {"resourceType": "Parameters", "parameter": [{"name": "x", "resource": broken}]},
        ),
    ):
        with pytest.raises(Problem) as caught:
            check(exact(holder))
        steps = place.partition(".")[2]
        assert f"{outer}.{steps}".rstrip(".") in [i.place for i in caught.value.issues if key in i.text], holder


def test_a_neighbour_in_the_bundle_is_looked_at():
    team = {
        "resourceType": "CareTeam",
        "participant": [{"member": {"reference": "urn:uuid:a"}, "onBehalfOf": {"display": "x"}}],
    }
    for kind, valid in (("Practitioner", True), ("Patient", False)):
        member = {"fullUrl": "urn:uuid:a", "resource": {"resourceType": kind}}
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": team}, member]}
        assert breaks(exact(bundle)) is not valid


def test_a_warning_refuses_nothing_and_is_there_for_who_asks():
    nameless = {"resourceType": "ValueSet", "status": "draft", "name": "no identifier!"}
    check(exact(nameless))
    found = examine(exact(nameless))
    assert {finding.severity for finding in found} == {Severity.WARNING}
    assert any("vsd-0" in finding.text and finding.place == "ValueSet" for finding in found)
    assert any("dom-6" in finding.text for finding in found)
    assert breaches(exact(nameless), warnings=False) == []


@pytest.mark.parametrize(("key", "place", "broken", "kept"), CASES, ids=IDS)
def test_the_quick_look_never_misses_what_the_careful_one_finds(key, place, broken, kept):
    """Every part is taken away in turn: presence conditions must agree with the expressions themselves."""
    for whole in (broken, kept):
        for smaller in parts_removed(exact(whole)):
            careful = {f.place for f in breaches(smaller, warnings=False) if ".extension[" not in f.place}
            assert breaks(smaller) is bool(careful)


def parts_removed(whole: JSON) -> list[JSON]:
    made = []

    def visit(path: tuple[Any, ...], node: Any) -> None:
        for step in list(node) if isinstance(node, dict) else range(len(node)):
            if step != "resourceType":
                smaller = copy.deepcopy(whole)
                holder: Any = smaller
                for inner in path:
                    holder = holder[inner]
                del holder[step]
                made.append(smaller)
            if isinstance(node[step], (dict, list)):
                visit((*path, step), node[step])

    visit((), whole)
    return [whole, *made]


@pytest.mark.parametrize("junk", ["x", 7, True, None, [], {}, [None], {"value": "x"}], ids=repr)
def test_content_of_any_shape_is_looked_at_without_a_fault(junk):
    for _, _, broken, _ in CASES:
        for name in broken:
            if name != "resourceType":
                assert isinstance(examine({**exact(broken), name: junk}), list)
