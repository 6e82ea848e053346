# SPDX-License-Identifier: Apache-2.0
"""Damaged resources of every kind: the validator always answers, and its two ways of asking agree."""

from __future__ import annotations

import copy
import random
from decimal import Decimal
from typing import Any

import pytest
from tests.support.maximal import maximal

from salus.fhir.validate.finding import Severity
from salus.fhir.validate.validator import Validator
from salus.kernel.errors import Problem

VALUES: list[Any] = [
    *(None, [], {}, [None], "", "x", "#", "#x", "Patient/1", "urn:uuid:1", 0, -1, Decimal("1.5"), True, [[]], [{}]),
    *(
        {"value": "x"},
        {"reference": "#"},
        {"coding": [{"system": "http://loinc.org", "code": "8310-5"}]},
        "2020",
        10**20,
    ),
]
PROFILES = ["http://hl7.org/fhir/StructureDefinition/vitalsigns", "http://hl7.org/fhir/StructureDefinition/bmi"]
TYPES = [
    *("CodeSystem", "Observation", "Patient", "Parameters", "Questionnaire", "QuestionnaireResponse"),
    *("ValueSet", "Composition", "MedicationRequest", "DocumentReference", "Consent"),
]


def places(node: Any) -> list[tuple[Any, Any]]:
    steps = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [place for step, inner in steps for place in ((node, step), *places(inner))]


def damage(resource: dict[str, Any], chance: random.Random) -> None:
    holder, step = chance.choice(places(resource))
    how = chance.random()
    if step == "resourceType" or (how < 0.3 and isinstance(holder, list)):
        return
    if how < 0.3:
        del holder[step]
    elif how < 0.5 and isinstance(holder, dict):
        holder[f"_{step}"] = copy.deepcopy(chance.choice(VALUES))
    else:
        holder[step] = copy.deepcopy(chance.choice(VALUES))


@pytest.mark.parametrize("type_", TYPES)
def test_a_damaged_resource_is_answered_alike_by_both_ways_of_asking(type_: str) -> None:
    judge = Validator()
    whole = maximal(type_, "abcd", "p")
    chance = random.Random(type_)
    for _ in range(40):
        resource = copy.deepcopy(whole)
        for _ in range(chance.randint(1, 3)):
            damage(resource, chance)
        if isinstance(resource.get("meta"), dict):
            resource["meta"]["profile"] = PROFILES
        errors = [found for found in judge.examine(resource) if found.severity is Severity.ERROR]
        softer = [found for found in errors if found.text.endswith("because of its system.")]
        assert refused(judge, resource) is (len(errors) > len(softer))


def refused(judge: Validator, resource: dict[str, Any]) -> bool:
    try:
        judge.check(resource)
    except Problem:
        return True
    return False
