# SPDX-License-Identifier: Apache-2.0
"""What R4 adds to FHIRPath: places, choices, primitive extensions, references, terminology, profiles, variables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from salus.fhir.fhirpath import Environment, Node, Quantity, compile, root  # noqa: A004
from salus.fhir.terminology.protocol import Subsumption
from salus.kernel.errors import Kind, Problem

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "name": [{"family": "Nero", "given": ["Ada", None], "_given": [None, {"extension": [{"url": "urn:x:why"}]}]}],
    "birthDate": "1980-02-29",
    "_birthDate": {"extension": [{"url": "urn:x:time", "valueDateTime": "1980-02-29T08:00:00Z"}]},
    "deceasedBoolean": False,
    "contact": [{"name": {"text": "Eve"}}],
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Clinic"}],
    "managingOrganization": {"reference": "#o"},
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "urn:s", "code": "a"}, {"system": "urn:t", "code": "b"}]},
    "subject": {"reference": "Patient/p"},
    "valueQuantity": {"value": Decimal("1.50"), "unit": "g", "system": "http://unitsofmeasure.org", "code": "g"},
}


def places(text: str, resource: Any = PATIENT) -> list[str]:
    return [node.place for node in compile(text).evaluate(resource)]


def values(text: str, resource: Any = PATIENT, **environment: Any) -> list[Any]:
    return compile(text).values(resource, environment=Environment(**environment))


def test_a_node_knows_its_place_its_type_and_its_parent():
    assert places("name.given[0]") == ["Patient.name[0].given[0]"]
    assert places("contact.name") == ["Patient.contact[0].name"]
    assert places("contained.name") == ["Patient.contained[0].name"]
    assert places("deceased") == ["Patient.deceased.ofType(boolean)"]
    assert places("Observation.value.code", OBSERVATION) == ["Observation.value.ofType(Quantity).code"]
    (node,) = compile("Patient.deceased").evaluate(PATIENT)
    assert (node.type, node.key, node.index, node.value) == ("boolean", "deceasedBoolean", -1, False)
    assert node.parent is not None
    assert node.parent.value is PATIENT


def test_what_a_node_points_at_can_be_changed_in_the_tree():
    resource: dict[str, Any] = {"resourceType": "Patient", "name": [{"given": ["Ada", "Eve"]}]}
    (node,) = compile("Patient.name.given.where($this = 'Eve')").evaluate(resource)
    assert node.parent is not None
    node.parent.value[node.key][node.index] = "Iris"
    assert values("name.given", resource) == ["Ada", "Iris"]


def test_an_evaluation_may_start_at_a_node_and_still_sees_its_resource():
    (node,) = compile("Patient.contact").evaluate(PATIENT)
    assert values("name.text & '/' & %resource.id", node) == ["Eve/p"]
    (inner,) = compile("contained").evaluate(PATIENT)
    assert values("%resource.id & '/' & %rootResource.id", inner) == ["o/p"]
    assert values("family", root({"family": "Nero"}, "HumanName")) == ["Nero"]


def test_results_that_are_no_elements_have_types_of_fhirpath():
    found = compile("1 | 1.5 | 'a' | true | @2020 | @2020-01-01T10 | @T10 | 1 'mg'").evaluate([])
    kinds = ["Integer", "Decimal", "String", "Boolean", "Date", "DateTime", "Time", "Quantity"]
    assert [node.type for node in found] == [f"System.{kind}" for kind in kinds]
    assert {node.parent for node in found} == {None}


def test_a_primitive_without_value_is_there_but_has_none():
    assert values("name.given.count()") == [2]
    assert values("name.given") == ["Ada"]
    assert values("name.given.select(hasValue())") == [True, False]
    assert values("name.given[1].extension.url") == ["urn:x:why"]
    assert values("name.given[1] = 'x'") == [False]
    assert values("birthDate.extension('urn:x:time').value.exists()") == [True]
    assert values("birthDate.getValue().toString()") == ["1980-02-29"]


def test_a_choice_has_one_name_and_the_names_of_json_are_not_elements():
    assert values("Observation.value.value", OBSERVATION) == [Decimal("1.50")]
    assert values("Observation.valueQuantity", OBSERVATION) == []
    with pytest.raises(Problem) as caught:
        compile("Observation.valueQuantity", strict=True).evaluate(OBSERVATION)
    assert caught.value.kind is Kind.INCORRECT


def test_decimals_keep_their_digits():
    assert str(values("Observation.value.value", OBSERVATION)[0]) == "1.50"
    assert values("Observation.value.value.precision()", OBSERVATION) == [2]
    assert values("0.1 + 0.2 = 0.3", []) == [True]


def test_resolve_finds_contained_resources_bundle_entries_and_what_it_is_given():
    assert values("managingOrganization.resolve().name") == ["Clinic"]
    assert values("managingOrganization.resolve().is(Organization)") == [True]
    assert values("subject.resolve().id", OBSERVATION) == []
    assert values("subject.resolve().id", OBSERVATION, resolve={"Patient/p": PATIENT}.get) == ["p"]
    entries = [{"fullUrl": "https://x.org/Patient/p", "resource": PATIENT}, {"resource": OBSERVATION}]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    assert values("entry.resource.ofType(Observation).subject.resolve().id", bundle) == ["p"]


def test_terminology_is_asked_and_not_knowing_is_empty():
    asked = []

    def member_of(url: str, system: str, code: str) -> bool | None:
        asked.append((url, system, code))
        return {"a": False, "b": True}.get(code)

    assert values("code.memberOf('urn:vs')", OBSERVATION, member_of=member_of) == [True]
    assert asked == [("urn:vs", "urn:s", "a"), ("urn:vs", "urn:t", "b")]
    assert values("code.coding.first().memberOf('urn:vs')", OBSERVATION, member_of=member_of) == [False]
    assert values("status.memberOf('urn:vs')", OBSERVATION, member_of=member_of) == []
    assert values("code.memberOf('urn:vs')", OBSERVATION) == []


def test_subsumption_is_asked_within_one_system_only():
    def subsumes(system: str, a: str, b: str) -> Subsumption:
        return Subsumption.SUBSUMES if (a, b) == ("a", "c") else Subsumption.NOT_SUBSUMED

    other = {"coding": [{"system": "urn:s", "code": "c"}]}
    variables = {"other": root(other, "CodeableConcept")}
    assert values("code.subsumes(%other)", OBSERVATION, subsumes=subsumes, variables=variables) == [True]
    assert values("code.subsumedBy(%other)", OBSERVATION, subsumes=subsumes, variables=variables) == [False]
    assert values("code.coding[1].subsumes(%other)", OBSERVATION, subsumes=subsumes, variables=variables) == []
    assert values("code.subsumes(code)", OBSERVATION) == [True]


def test_conforms_to_knows_types_and_asks_for_profiles():
    assert values("conformsTo('http://hl7.org/fhir/StructureDefinition/DomainResource')") == [True]
    assert values("conformsTo('urn:p')", conforms_to=lambda resource, url: url == "urn:p") == [True]
    with pytest.raises(Problem):
        values("conformsTo('urn:p')")


def test_html_checks_and_modifiers():
    safe = {
        "resourceType": "Patient",
        "text": {"status": "generated", "div": "<div xmlns='http://www.w3.org/1999/xhtml'>x</div>"},
    }
    assert values("text.`div`.htmlChecks()", safe) == [True]
    safe["text"]["div"] = "<div xmlns='http://www.w3.org/1999/xhtml'><script>x</script></div>"
    assert values("text.`div`.htmlChecks()", safe) == [False]
    assert values("checkModifiers('urn:m')", {"resourceType": "Patient", "modifierExtension": [{"url": "urn:m"}]}) == [
        True
    ]
    assert values("checkModifiers('urn:n')", {"resourceType": "Patient", "modifierExtension": [{"url": "urn:m"}]}) == [
        False
    ]


def test_definitions_and_slices_are_asked_for():
    def definition(node: Node) -> dict[str, Any] | None:
        return {"path": node.place, "min": 0} if node.type == "HumanName" else None

    assert values("name.elementDefinition().path", element_definition=definition) == ["Patient.name[0]"]
    belongs = {"official": True}
    found = values("name.slice('urn:p', 'official').family", in_slice=lambda node, url, name: belongs.get(name))
    assert found == ["Nero"]
    assert values("name.slice('urn:p', 'other')", in_slice=lambda node, url, name: belongs.get(name)) == []


def test_variables_and_constants():
    assert values("%`vs-observation-status` & %vs-x", []) == [
        "http://hl7.org/fhir/ValueSet/observation-statushttp://hl7.org/fhir/ValueSet/x"
    ]
    assert values('%"ext-x"', []) == ["http://hl7.org/fhir/StructureDefinition/x"]
    assert values("%a + %b.first()", [], variables={"a": 1, "b": [2, 3]}) == [3]
    assert values("%patient.name.family", [], variables={"patient": PATIENT}) == ["Nero"]
    assert values("%context.id") == ["p"]
    with pytest.raises(Problem):
        values("%unheard")


def test_the_present_is_one_moment_and_can_be_given():
    moment = datetime(2024, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    said = values("now().toString() | today().toString() | timeOfDay().toString()", [], now=moment)
    assert said == ["2024-03-01T01:30:00.000+02:00", "2024-03-01", "01:30:00.000"]
    assert values("now() = now()", []) == [True]
    before = datetime.now(UTC) - timedelta(minutes=1)
    assert values("now() > @" + before.strftime("%Y-%m-%dT%H:%M:%S.000Z"), []) == [True]


def test_trace_tells_and_changes_nothing():
    told: list[tuple[str, list[Any]]] = []
    found = values("name.trace('n', family).given.count()", trace=lambda name, items: told.append((name, items)))
    assert found == [2]
    assert [(name, [node.value for node in items]) for name, items in told] == [("n", ["Nero"])]


def test_fhir_quantities_are_quantities_and_those_with_a_comparator_are_not():
    assert values("Observation.value = 1500 'mg'", OBSERVATION) == [True]
    assert values("Observation.value > 1 'kg'", OBSERVATION) == [False]
    assert values("(Observation.value * 2).toString()", OBSERVATION) == ["3.00 'g'"]
    vague = {**OBSERVATION, "valueQuantity": {**OBSERVATION["valueQuantity"], "comparator": "<"}}
    assert values("Observation.value > 1 'g'", vague) == []
    local = {**OBSERVATION, "valueQuantity": {"value": 1, "unit": "tablet"}}
    assert values("Observation.value = 1 'tablet'", local) == [True]
    assert values("Observation.value = 1 'g'", local) == []
    assert compile("1 'mg'").values([]) == [Quantity(Decimal(1), "mg")]


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("birthDate.exists()", True),
        ("{}", False),
        ("false", False),
        ("'x'", True),
        ("name | contact", True),
        ("link.empty()", True),
    ],
)
def test_a_constraint_is_kept_only_by_what_is_true(text, holds):
    assert compile(text).holds(PATIENT) is holds


MISTAKES = {
    "name.": 6,
    "name..given": 6,
    "1 +": 4,
    "'open": 1,
    "name where": 6,
    "foo(": 5,
    "a and and b": 7,
    "#": 1,
    "exists(1, 2)": 1,
    "name.unheard()": 6,
    "is(Nothing)": 1,
    "$that": 1,
    "@2020-13": 1,
    "@2020T10": 1,
    "": 1,
}


@pytest.mark.parametrize(("text", "position"), MISTAKES.items())
def test_a_mistake_is_told_with_its_position(text, position):
    with pytest.raises(Problem) as caught:
        compile(text)
    assert caught.value.kind is Kind.INCORRECT
    assert f"at character {position}:" in caught.value.issues[0].text


def test_types_as_the_search_parameters_of_r4_name_them():
    onset = {"resourceType": "Condition", "onsetDateTime": "2024-01-31"}
    assert places("Condition.onset.as(DateTime)", onset) == ["Condition.onset.ofType(dateTime)"]
    assert places("(Condition.onset as DateTime)", onset) == ["Condition.onset.ofType(dateTime)"]
    assert values("onset.is(DateTime)", onset) == [False]
    assert values("1.ofType(Integer) | 'a'.ofType(Integer)", []) == [1]
