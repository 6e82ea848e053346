# SPDX-License-Identifier: Apache-2.0
"""No parameter of any operation, however odd, gets an answer of 5xx or one that repeats it."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest
from tests.support.clinic import Clinic

from salus.fhir.definitions import PRIMITIVES
from salus.fhir.operations.definition import Parameter
from salus.records.operations.operation import Operation
from salus.records.operations.table import OPERATIONS

JSON = dict[str, Any]
ODD_TEXTS = (
    *("", " ", "x", "\u0000", "\U0001f600" * 50, "a|b|c", "|", "http://", "urn:x|1.0", "-1", "0", "9" * 40, "1e999"),
    *("NaN", "true", "TRUE", "2026-02-30", "2026-13", "0000", "2026-01-01T25:00:00Z", "Patient/anna", "#", "../.."),
    *("*", "%00", "{", "a,b", "'", "(", "$", "_page", "geheimnis" * 40),
)
ODD_VALUES: tuple[Any, ...] = (
    *(None, [], {}, 0, -1, 1.5, True, "x", [[]], [None], {"a": 1}, {"coding": []}, {"coding": [{}]}),
    {"resourceType": "Patient"},
    {"system": "urn:x", "code": "y"},
    {"resourceType": "ValueSet", "status": "active", "compose": {"include": [{}]}},
    {"resourceType": "Nonsense"},
    {"resourceType": 5},
    10**30,
)


def places(operation: Operation) -> list[str]:
    about = operation.definition
    found = []
    for level in about.levels:
        for type_ in (about.types or ("Patient",)) if level != "system" else ("",):
            id_ = "anna" if level == "instance" else ""
            found.append("/".join(part for part in ("/fhir", type_, id_, f"${about.code}") if part))
    return found


def odd_query(random: Random, operation: Operation) -> list[tuple[str, str]]:
    names = [each.name for each in operation.definition.inputs] + ["_page", "nothing", "patient", "_count"]
    return [(random.choice(names), random.choice(ODD_TEXTS)) for _ in range(random.randint(1, 4))]


def odd_parameter(random: Random, known: Parameter | None) -> Any:
    if random.random() < 0.1:
        return random.choice(ODD_VALUES)
    name = known.name if known else random.choice(ODD_TEXTS)
    if known is not None and known.parts and random.random() < 0.8:
        return {"name": name, "part": [odd_parameter(random, part) for part in known.parts]}
    if known is not None and known.resource and random.random() < 0.8:
        return {"name": name, "resource": random.choice(ODD_VALUES)}
    type_ = known.type if known and known.type and random.random() < 0.7 else random.choice(sorted(PRIMITIVES))
    value = random.choice((*ODD_TEXTS, *ODD_VALUES))
    return {"name": name, f"value{type_[0].upper()}{type_[1:]}": value}


def odd_body(random: Random, operation: Operation) -> Any:
    inputs = [*operation.definition.inputs, None]
    if random.random() < 0.1:
        return random.choice([each for each in ODD_VALUES if each is not None])
    parameters = [odd_parameter(random, random.choice(inputs)) for _ in range(random.randint(1, 5))]
    return {"resourceType": "Parameters", "parameter": parameters}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.definition.id)
def test_odd_parameters_are_refused_or_understood(clinic: Clinic, operation: Operation) -> None:
    random = Random(operation.definition.id)
    client = clinic.as_("service")
    for place in places(operation):
        for _ in range(25):
            answers = [client.post(place, odd_body(random, operation))]
            if operation.definition.by_get:
                answers.append(client.get(place, params=odd_query(random, operation)))
            for answer in answers:
                assert answer.status_code < 500, (place, answer.request.content, answer.text)
                assert answer.status_code == 200 or "geheimnis" not in answer.text


def test_three_who_label_one_record_at_once_all_succeed(clinic: Clinic) -> None:
    place = "/fhir/Observation/pulse-anna/$meta-add"
    token = {"authorization": f"Bearer {clinic.token('service')}", "content-type": "application/fhir+json"}

    async def all_at_once() -> list[int]:
        bodies = [[{"name": "meta", "valueMeta": {"tag": [{"code": code}]}}] for code in ("one", "two", "three")]
        sent = [
            clinic.http.post(place, json={"resourceType": "Parameters", "parameter": body}, headers=token)
            for body in bodies
        ]
        return [answer.status_code for answer in await asyncio.gather(*sent)]

    assert clinic.run(all_at_once()) == [200, 200, 200]
    tags = clinic.as_("service").get("/fhir/Observation/pulse-anna").json()["meta"]["tag"]
    assert {tag["code"] for tag in tags} == {"one", "two", "three"}
