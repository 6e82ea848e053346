# SPDX-License-Identifier: Apache-2.0
"""Primitive formats, periods, translated constraints, and the agreement of the quick walk with the exact one."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.fhir.validate import check
from salus.fhir.validate.finding import Severity
from salus.fhir.validate.inspection import inspect
from salus.fhir.validate.invariants import translate
from salus.fhir.validate.period import in_order
from salus.fhir.validate.primitives import SCHEMAS
from salus.fhir.validate.schema import validator
from salus.fhir.validate.surroundings import PLAIN
from salus.fhir.validate.walk import suspicious
from salus.kernel.errors import Issue, Problem


def accepts(name: str, value: object) -> bool:
    return jsonschema_rs.validator_for(SCHEMAS[name]).is_valid(value)


@given(st.integers(0, 9999), st.integers(0, 13), st.integers(0, 32))
def test_a_date_is_accepted_exactly_when_the_calendar_has_it(year: int, month: int, day: int) -> None:
    try:
        exists = bool(date(year, month, day))
    except ValueError:
        exists = False
    assert accepts("date", f"{year:04}-{month:02}-{day:02}") is exists


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("dateTime", "2020", "20"),
        ("dateTime", "2020-02-29T23:59:60Z", "2021-02-29T00:00:00Z"),
        ("dateTime", "2020-01-01T00:00:00.123456+14:00", "2020-01-01T00:00:00+14:01"),
        ("instant", "2020-01-01T00:00:00.1-05:00", "2020-01-01"),
        ("time", "23:59:59.9", "24:00:00"),
        ("id", "a-Z.9", "a_b"),
        ("code", "a b", "a  b"),
        ("code", "a", " a"),
        ("uri", "urn:x:y", "a b"),
        ("oid", "urn:oid:1.2.3", "urn:oid:3.2"),
        ("uuid", "urn:uuid:b6d5ee57-5b52-4f1e-9b7c-0a1f8d2f9d5b", "urn:uuid:1"),
        ("base64Binary", "QUI=", "QUI"),
        ("base64Binary", "QU\r\nJD", "QQ="),
        ("string", "tab\tand\nline", "bell\x07"),
        ("positiveInt", 1, 0),
        ("unsignedInt", 0, -1),
        ("boolean", True, 1),
        ("string", "x" * 1048576, "x" * 1048577),
    ],
)
def test_primitive_formats(name: str, good: object, bad: object) -> None:
    assert accepts(name, good)
    assert not accepts(name, bad)


@pytest.mark.parametrize(
    ("start", "end", "answer"),
    [
        ("2020-01-01", "2020-01-01", True),
        ("2020-01-02", "2020-01-01", False),
        ("2020", "2020-01-05", None),
        ("2020-01-05", "2020", None),
        ("2019", "2020-01-05", True),
        ("2020-02", "2020-01-31", False),
        ("2020-01-01T10:00:00Z", "2020-01-01T09:59:59.999Z", False),
        ("2020-01-01T10:00:00Z", "2020-01-01T10:00:00.000Z", True),
        ("2020-01-01T10:00:00-05:00", "2020-01-01T11:00:00+05:00", False),
        ("2020-01-01T10:00:00+05:00", "2020-01-01T06:00:00Z", True),
        ("2020-01-01", "2020-01-01T12:00:00Z", None),
        ("2020-01-02", "2020-01-01T12:00:00Z", False),
        ("2020-01-01T12:00:00Z", "2020-01-02", True),
        ("9999", "9999-12-31", None),
        ("nonsense", "2020", True),
    ],
)
def test_the_order_of_two_times_is_told_only_where_it_can_be(start: str, end: str, answer: bool | None) -> None:
    assert in_order(start, end) is answer


@pytest.mark.parametrize(
    ("path", "expression", "good", "bad"),
    [
        ("Quantity", "code.empty() or system.exists()", {"system": "s", "code": "c"}, {"code": "c"}),
        ("Appointment", "start.exists() = end.exists()", {"start": "a", "end": "b"}, {"start": "a"}),
        ("CarePlan.activity", "detail.empty() or reference.empty()", {"detail": {}}, {"detail": {}, "reference": {}}),
        (
            "Questionnaire.item",
            "type!='display' or code.empty()",
            {"type": "group", "code": []},
            {"type": "display", "code": []},
        ),
        (
            "List",
            "mode = 'changes' or entry.empty()",
            {"mode": "changes", "entry": []},
            {"mode": "working", "entry": []},
        ),
        ("Goal.target", "(detail.exists() and measure.exists()) or detail.exists().not()", {}, {"detailString": "x"}),
        (
            "Appointment",
            "status in ('proposed' | 'booked') implies end.exists()",
            {"status": "noshow"},
            {"status": "booked"},
        ),
        ("DataRequirement.codeFilter", "path.exists() xor searchParam.exists()", {"path": "x"}, {}),
    ],
)
def test_existence_constraints_become_schema(path: str, expression: str, good: Any, bad: Any) -> None:
    schema = translate(path, expression)
    assert schema is not None
    validator_of_one = jsonschema_rs.validator_for(schema)
    assert validator_of_one.is_valid(good)
    assert not validator_of_one.is_valid(bad)


@pytest.mark.parametrize(
    "expression",
    [
        "start <= end",
        "contact.name.exists()",
        "name.count() > 0",
        "unknown.exists()",
        "name.exists() or",
        "(",
        "%resource",
    ],
)
def test_what_leaves_the_subset_is_not_translated(expression: str) -> None:
    assert translate("Patient", expression) is None


BASE: dict[str, Any] = {
    "resourceType": "Encounter",
    "id": "e",
    "contained": [{"resourceType": "Location", "id": "l", "name": "ward"}],
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
    "status": "finished",
    "class": {"code": "AMB"},
    "period": {"start": "2020-01-01T10:00:00Z", "end": "2020-01-01T11:00:00Z"},
    "location": [{"location": {"reference": "#l"}, "period": {"start": "2020-01-01", "end": "2020-01-02"}}],
    "participant": [{"individual": {"reference": "Practitioner/1", "type": "Practitioner"}}],
    "length": {"value": 1},
}
STRINGS = st.sampled_from(
    ["", "x", "#l", "#", "2020", "2019-12-31T23:00:00Z", "2020-01-01T09:00:00+14:00", "Location/1", "Practitioner?x=1"]
)
VALUES: st.SearchStrategy[Any] = st.one_of(
    STRINGS,
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.decimals("-9", "9"),
    st.just({}),
    st.just([None]),
    st.just(["x"]),
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(deeper for key, value in inside for deeper in places(value, (*path, key)))]


PLACES = [path for path in places(BASE) if path and path != ("resourceType",)]


@settings(max_examples=400)
@given(
    st.lists(
        st.tuples(st.sampled_from(PLACES), VALUES, st.sampled_from(["set", "drop", "add"])), min_size=1, max_size=3
    )
)
def test_any_damage_is_answered_with_places_and_both_walks_agree(damage: list[tuple[Any, Any, str]]) -> None:
    resource = copy.deepcopy(BASE)
    for path, shared, how in damage:
        value = copy.deepcopy(shared)
        node: Any = resource
        try:
            for step in path[:-1]:
                node = node[step]
            if isinstance(node, dict) and isinstance(path[-1], int):
                continue  # earlier damage made an object of this array
            if how == "drop":
                del node[path[-1]]
            elif how == "add" and isinstance(node, dict):
                node[f"_{path[-1]}"] = value
            else:
                node[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue
    fits = validator().is_valid(resource)
    if fits and not suspicious(resource, PLAIN.codes, PLAIN.watched):
        assert not [found for found in inspect(resource) if found.severity is Severity.ERROR]
    issues = problems(resource)
    assert fits or issues
    assert all(issue.place.startswith("Encounter") for issue in issues)


def problems(resource: dict[str, Any]) -> tuple[Issue, ...]:
    try:
        check(resource)
    except Problem as problem:
        return problem.issues
    return ()
