# SPDX-License-Identifier: Apache-2.0
"""The table of definitions says what R4 says."""

from __future__ import annotations

import pytest

from salus.fhir.definitions import PRIMITIVES, fields, resource_types, structure


def test_all_concrete_resource_types_are_there() -> None:
    assert len(resource_types()) == 146
    assert {"Patient", "Observation", "Bundle", "Binary", "Parameters"} <= set(resource_types())
    assert not {"Resource", "DomainResource"} & set(resource_types())


def test_a_backbone_element_is_found_by_path_with_or_without_mark() -> None:
    assert fields("#Patient.contact") == fields("Patient.contact")
    gender = fields("Patient.contact")["gender"]
    assert structure().value_sets[gender.binding] == ("female", "male", "other", "unknown")


def test_reference_targets_and_choices_are_kept() -> None:
    assert fields("Observation")["subject"].targets == ("Device", "Group", "Location", "Patient")
    assert fields("Extension")["url"].types == ("uri",)
    assert "Quantity" in fields("Observation")["value[x]"].types
    assert fields("Patient")["id"].types == ("id",)


def test_every_type_that_a_field_names_exists() -> None:
    known = set(structure().types) | PRIMITIVES
    for path, kind in structure().types.items():
        for field in kind.fields:
            assert {code.removeprefix("#") for code in field.types} <= known, path
            assert not field.binding or field.binding in structure().value_sets
            assert set(field.targets) <= set(resource_types())


def test_primitives_are_those_of_r4() -> None:
    assert set(structure().primitives) == PRIMITIVES


def test_unknown_type_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        fields("Pateint")
