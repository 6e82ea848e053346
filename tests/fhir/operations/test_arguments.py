# SPDX-License-Identifier: Apache-2.0
"""Parameters are read by the definition: typed, counted, and refused with their place."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from salus.fhir.operations.arguments import Arguments, read
from salus.fhir.operations.definition import Definition, Parameter, operation_definition
from salus.fhir.validate import check
from salus.kernel.errors import Kind, Problem

P = Parameter
TRIAL = Definition(
    code="trial",
    title="Trial",
    doc="Tries everything.",
    levels=("type",),
    types=("Patient",),
    inputs=(
        P("name", "string", "Text."),
        P("url", "uri", "Address.", max="*"),
        P("count", "positiveInt", "Number.", max="2"),
        P("sure", "boolean", "Whether."),
        P("weight", "decimal", "Weight."),
        P("since", "instant", "Moment."),
        P("coding", "Coding", "Code."),
        P("resource", "Patient", "Whom."),
        P("part", "", "Parts.", max="*", parts=(P("key", "code", "Key.", min=1), P("value", "string", "Value."))),
    ),
)  # fmt: skip
PATIENT = {"resourceType": "Patient", "active": True}


def sent(*parameters: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(parameters)}


def places(pairs: list[tuple[str, str]], body: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(Problem) as caught:
        read(TRIAL, pairs, body)
    assert caught.value.kind in {Kind.INCORRECT, Kind.INVALID}
    return [issue.place for issue in caught.value.issues]


def test_a_query_is_read_by_type() -> None:
    pairs = [("name", "Ann"), ("url", "urn:a"), ("url", "urn:b"), ("count", "3"), ("sure", "false"), ("weight", "1.50")]
    found = read(TRIAL, [*pairs, ("_format", "json")])
    assert found.values == {
        "name": ("Ann",), "url": ("urn:a", "urn:b"), "count": (3,), "sure": (False,), "weight": (Decimal("1.50"),),
    }  # fmt: skip
    assert str(found.one("weight")) == "1.50"
    assert found.flag("sure", True) is False
    assert found.shown == (*pairs,)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("count", "0"),
        ("count", "1.5"),
        ("count", "x"),
        ("count", "9999999999"),
        ("sure", "yes"),
        ("weight", "NaN"),
        ("weight", "heavy"),
        ("since", "2026-01-01"),
        ("url", "a b"),
        ("name", ""),
        ("coding", "a|b"),
        ("resource", "{}"),
        ("unknown", "1"),
        ("_page", "x"),
    ],
)
def test_a_query_that_does_not_fit_is_refused_with_its_place(name: str, text: str) -> None:
    assert places([(name, text)]) == [f"query.{name}"]


def test_too_many_values_and_all_mistakes_are_told() -> None:
    assert places([("count", "1"), ("count", "2"), ("count", "3"), ("sure", "x"), ("what", "y")]) == [
        "query.sure",
        "query.what",
        "query.count",
    ]


def test_a_body_is_read_by_type() -> None:
    body = sent(
        {"name": "name", "valueCode": "ann"},
        {"name": "url", "valueUri": "urn:a"},
        {"name": "coding", "valueCoding": {"system": "urn:s", "code": "c"}},
        {"name": "resource", "resource": PATIENT},
        {"name": "part", "part": [{"name": "key", "valueCode": "k"}, {"name": "value", "valueString": "v"}]},
        {"name": "weight", "valueInteger": 3},
    )
    found = read(TRIAL, [], body)
    assert (found.text("name"), found.one("weight"), found.one("resource")) == ("ann", 3, PATIENT)
    assert found.one("coding")["code"] == "c"
    inner = found.one("part")
    assert isinstance(inner, Arguments)
    assert (inner.text("key"), inner.text("value")) == ("k", "v")


@pytest.mark.parametrize(
    ("parameter", "place"),
    [
        ({"name": "count", "valueString": "3"}, "Parameters.parameter[0].valueString"),
        ({"name": "count", "valueInteger": 0}, "Parameters.parameter[0].valueInteger"),
        ({"name": "coding", "valueCode": "c"}, "Parameters.parameter[0].valueCode"),
        ({"name": "name", "resource": PATIENT}, "Parameters.parameter[0].value"),
        ({"name": "resource", "valueString": "x"}, "Parameters.parameter[0]"),
        ({"name": "resource", "resource": {"resourceType": "Group"}}, "Parameters.parameter[0].resource"),
        (
            {"name": "resource", "resource": {"resourceType": "Patient", "active": "x"}},
            "Parameters.parameter[0].resource.active",
        ),
        ({"name": "nothing", "valueString": "x"}, "Parameters.parameter[0]"),
        ({"name": "part", "part": [{"name": "value", "valueString": "v"}]}, "Parameters.parameter[0].part"),
        ({"name": "part", "part": [{"name": "other", "valueString": "v"}]}, "Parameters.parameter[0].part[0]"),
        ({"valueString": "nameless"}, "Parameters.parameter[0].name"),
        ({"name": "name", "valueString": 5}, "Parameters.parameter[0].value.ofType(string)"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_with_its_place(parameter: dict[str, Any], place: str) -> None:
    assert places([], sent(parameter))[0] == place


def test_the_one_resource_may_be_the_body_itself() -> None:
    found = read(TRIAL, [("sure", "true")], PATIENT)
    assert (found.one("resource"), found.flag("sure")) == (PATIENT, True)
    assert places([], {"resourceType": "Observation"}) == ["resourceType"]
    assert places([], {"resourceType": "Patient", "active": 1}) == ["Patient.active"]


def test_words_never_repeat_a_value() -> None:
    with pytest.raises(Problem) as caught:
        read(TRIAL, [("count", "geheim"), ("geheim geheim", "1")], sent({"name": "geheim", "valueString": "geheim"}))
    told = [caught.value.public, *(text for issue in caught.value.issues for text in (issue.text, issue.place))]
    assert not [text for text in told if "geheim" in text]


def test_the_definition_is_valid_and_says_everything() -> None:
    written = operation_definition(TRIAL, "https://example.org/fhir", "2026-01-01")
    check(written, "OperationDefinition")
    assert [one["name"] for one in written["parameter"]] == [one.name for one in TRIAL.inputs]
    assert written["parameter"][-1]["part"][0]["min"] == 1
    assert TRIAL.by_get
