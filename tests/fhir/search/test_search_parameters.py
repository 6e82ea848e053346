# SPDX-License-Identifier: Apache-2.0
"""The registry: what can be asked of which type, and what the index must not hold."""

from __future__ import annotations

import pytest

from salus.fhir.definitions import resource_types
from salus.fhir.search.parameters import Custom, Registry, parameters, spots, unindexed
from salus.fhir.search.table import Definition, table
from salus.kernel.errors import Problem


def test_every_parameter_of_every_type_has_families_or_a_reason() -> None:
    pairs = [(type_, found) for type_ in resource_types() for found in parameters(type_).values()]
    assert len(pairs) == 3008
    for type_, found in pairs:
        assert bool(found.families) != bool(found.unsupported), (type_, found.code)
    assert sum(1 for _, found in pairs if found.expression) == 2573  # as HL7's registry counts them
    assert sum(1 for _, found in pairs if not found.unsupported) == 2860


def test_no_code_is_defined_twice_for_a_type() -> None:
    for type_ in resource_types():
        bases = {type_, "Resource", "DomainResource"}
        codes = [found.code for found in table().parameters if bases & set(found.base)]
        assert len(codes) == len(set(codes)), type_


def test_only_hl7_definitions_are_shipped() -> None:
    assert all(found.url.startswith("http://hl7.org/fhir/") for found in table().parameters)


@pytest.mark.parametrize(
    ("type_", "code", "families"),
    [
        ("Patient", "name", {"name.family", "name.given", "name.text", "name.prefix", "name.suffix"}),
        ("Patient", "family", {"name.family"}),
        ("Patient", "telecom", {"telecom", "telecom[system=phone]", "telecom[system=email]"}),
        ("Patient", "phone", {"telecom[system=phone]"}),
        ("Observation", "combo-code", {"code", "component.code"}),
        ("Observation", "patient", {"subject"}),
        ("Observation", "subject", {"subject"}),
        ("Observation", "date", {"effective"}),
        ("Organization", "name", {"name", "alias"}),
    ],
)
def test_a_parameter_is_a_set_of_families(type_: str, code: str, families: set[str]) -> None:
    assert set(parameters(type_)[code].families) == families


def test_each_element_is_read_once() -> None:
    for type_ in resource_types():
        read = [(spot.leaf.hops, spot.kind, spot.leaf.datatype, spot.leaf.truth) for spot in spots(type_)]
        assert len(read) == len(set(read)), type_


def test_a_reference_parameter_knows_what_it_asks_for() -> None:
    assert parameters("Observation")["patient"].targets == ("Patient",)
    assert set(parameters("Observation")["subject"].targets) == {"Device", "Group", "Location", "Patient"}
    assert parameters("Basic")["subject"].targets == ()


@pytest.mark.parametrize(
    ("type_", "code"),
    [
        *(("Patient", "gender"), ("Patient", "active"), ("Patient", "deceased"), ("Patient", "_security")),
        *(("Patient", "address-use"), ("Observation", "status"), ("Observation", "category")),
        *(("Condition", "clinical-status"), ("Encounter", "class"), ("AllergyIntolerance", "criticality")),
    ],
)
def test_attack_counting_postings_reveals_no_status_or_gender(type_: str, code: str) -> None:
    found = parameters(type_)[code]
    assert found.low_cardinality
    assert set(found.families) <= unindexed(type_)


@pytest.mark.parametrize(
    ("type_", "code"),
    [("Patient", "identifier"), ("Patient", "birthdate"), ("Patient", "death-date"), ("Observation", "code")],
)
def test_what_selects_well_is_indexed(type_: str, code: str) -> None:
    found = parameters(type_)[code]
    assert not found.low_cardinality
    assert not set(found.families) & unindexed(type_)


@pytest.mark.parametrize(
    ("type_", "code"),
    [("Patient", "_query"), ("Bundle", "composition"), ("Bundle", "message")],
)
def test_what_is_not_answered_says_why(type_: str, code: str) -> None:
    assert parameters(type_)[code].unsupported


def test_attack_codes_within_extensions_are_not_indexed() -> None:
    race = Definition(
        "race", "token", ("Patient",), "Patient.extension.where(url='urn:race').extension.value.code", "urn:sp:race"
    )
    mood = Definition("mood", "token", ("Patient",), "Patient.communication.language.text.lower()", "urn:sp:mood")
    registry = Registry([Custom(race, ready=True), Custom(mood, ready=True, engine=True)])
    for code in ("race", "mood"):
        found = registry.parameters("Patient")[code]
        assert found.low_cardinality
        assert set(found.families) <= registry.unindexed("Patient")
    assert "race" not in parameters("Patient")


def test_a_parameter_that_is_not_ready_says_so_and_one_of_r4_is_not_replaced() -> None:
    own = Definition("eye", "string", ("Patient",), "Patient.language", "urn:sp:eye")
    taken = Definition("birthdate", "string", ("Patient",), "Patient.language", "urn:sp:taken")
    registry = Registry([Custom(own, ready=False), Custom(taken, ready=True)])
    assert registry.parameters("Patient")["eye"].unsupported
    assert registry.parameters("Patient")["birthdate"].kind == "date"
    assert registry.parameters("Observation") == parameters("Observation")


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(Problem):
        parameters("Patients")
