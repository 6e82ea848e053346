# SPDX-License-Identifier: Apache-2.0
"""Paths, which are compiled to few steps, find the same as one step after the other; sets, and constants."""

from __future__ import annotations

from decimal import Decimal
from functools import reduce
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.fhir.fhirpath import Node, compile, root  # noqa: A004
from salus.kernel.errors import Kind, Problem

TEXTS = st.sampled_from(["Ada", "2020", "2020-02-30", ""])
BESIDE = st.sampled_from([{"id": "1"}, {"extension": [{"url": "u", "valueString": "x"}]}, [None, {"id": "1"}]])
# Content as it should be and as it should not.
ANYTHING = st.recursive(
    st.none() | TEXTS | st.booleans() | st.integers(0, 3) | st.just(Decimal("1.10")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["given", "period", "start", "value", "valueString", "coding", "code"]), inner
        )
    ),
    max_leaves=6,
)


def content(**elements: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects that may have these elements, siblings of them, and anything instead of them."""
    fields = {name: st.one_of(inner, ANYTHING) for name, inner in elements.items()}
    return st.fixed_dictionaries({}, optional=fields | {f"_{name}": BESIDE for name in elements})


PERIOD = content(start=TEXTS, end=TEXTS)
CODE = content(coding=st.lists(content(code=TEXTS, system=TEXTS), max_size=2), text=TEXTS)
QUANTITY = content(value=st.integers(0, 3) | st.just(Decimal("1.50")), code=TEXTS)
COMPONENT = content(code=CODE, valueQuantity=QUANTITY, valueString=TEXTS, valuePeriod=PERIOD)
RESOURCES = st.one_of(
    content(
        name=st.lists(content(given=st.lists(TEXTS), period=PERIOD, family=TEXTS), max_size=2), birthDate=TEXTS
    ).map(lambda found: {"resourceType": "Patient"} | found),
    content(code=CODE, component=st.lists(COMPONENT, max_size=2), valueQuantity=QUANTITY, effectivePeriod=PERIOD).map(
        lambda found: {"resourceType": "Observation"} | found
    ),
)
PATHS = [
    *("name.given", "name.period.start", "name.family.id", "name.given.extension.value", "birthDate", "birthDate.id"),
    *("name.family.extension.url", "code.coding.code", "component.value.value", "component.value.start", "value.value"),
    *("component.code.coding", "effective.end", "component.value", "code.text.id", "name", "component.code.text"),
]


def said(node: Node) -> tuple[Any, ...]:
    return node.place, node.type, repr(node.value), repr(node.sibling)


def one_by_one(resource: dict[str, Any], path: str) -> list[Node]:
    """The nodes of a path, each step by itself."""
    return reduce(
        lambda nodes, name: [c for node in nodes for c in node.children_named(name)], path.split("."), [root(resource)]
    )


@settings(max_examples=200)
@given(RESOURCES, st.sampled_from(PATHS))
def test_a_path_finds_what_one_step_after_the_other_finds(resource, path):
    assert [said(node) for node in compile(path).evaluate(resource)] == [said(n) for n in one_by_one(resource, path)]


@settings(max_examples=200)
@given(RESOURCES, st.sampled_from(PATHS))
def test_the_values_of_a_path_are_what_its_nodes_say(resource, path):
    nodes = compile(path).evaluate(resource)
    wanted = [value for node in nodes for value in compile("$this").values(node)]
    assert compile(path).values(resource) == wanted
    assert compile(f"({path}).count()").values(resource) == [len(nodes)]
    assert compile(f"{path}.exists()").values(resource) == [bool(nodes)]
    assert compile(f"{path}.empty()").values(resource) == [not nodes]


@settings(max_examples=100)
@given(RESOURCES)
def test_a_path_from_elements_of_many_types_finds_what_each_of_them_has(resource):
    nodes = compile("descendants()").evaluate(resource)
    for name in ("code", "value", "start", "id", "given"):
        wanted = [said(child) for node in nodes for child in node.children_named(name)]
        assert [said(node) for node in compile(f"descendants().{name}").evaluate(resource)] == wanted


OBSERVATION = {
    "resourceType": "Observation",
    "code": {"coding": [{"system": "s", "code": "a"}], "text": "A"},
    "valueQuantity": {"value": Decimal("1.50"), "system": "http://unitsofmeasure.org", "code": "g"},
    "component": [
        {"code": {"text": "A", "coding": [{"code": "a", "system": "s"}]}, "valueString": "x"},
        {
            "code": {"coding": [{"code": "a", "system": "t"}]},
            "valueQuantity": {"value": 1500, "system": "http://unitsofmeasure.org", "code": "mg"},
        },
        {"code": {"coding": [{"code": "a", "system": "t"}, {"code": "b"}]}, "valueBoolean": True},
    ],
    "contained": [{"resourceType": "Patient", "id": "p", "birthDate": "1980"}, {"resourceType": "Group", "id": "g"}],
}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        # A type narrows the step before it, also one that names a kind of types or none that is there.
        ("component.value.ofType(string)", ["x"]),
        ("component.value.ofType(Quantity).code", ["mg"]),
        ("(component.value as Quantity).code", ["mg"]),
        ("component.value.ofType(Period).start", []),
        ("component.value.ofType(Element).code", ["mg"]),
        ("component.code.ofType(Quantity)", []),
        ("contained.ofType(Patient).birthDate.toString()", ["1980"]),
        ("contained.id", ["p", "g"]),
        ("Observation.contained.birthDate.count()", [1]),
        ("Resource.code.text", ["A"]),
        ("DomainResource.code.text", ["A"]),
        ("Patient.code.text", []),
        # Plain values come through functions that hand on a part of what they get.
        ("component.code.coding.code.first().upper()", ["A"]),
        ("component.code.coding.code[1].extension.empty()", [True]),
        ("component.value.ofType(boolean).not()", [False]),
        # Sets tell elements apart by all that they hold, whatever the order of names.
        ("(code | component.code).count()", [3]),
        ("(code | code).count()", [1]),
        ("component.code.coding.distinct().count()", [3]),
        ("component.code.coding.isDistinct()", [False]),
        ("component.code.isDistinct()", [True]),
        # Amounts are the same in every unit.
        ("(value.ofType(Quantity) | component.value.ofType(Quantity)).count()", [1]),
        ("repeat(component).code.text", ["A"]),
        # Constants are worked out once.
        ("component.code.coding.where(code in ('a' | 'c' | 'b')).count()", [4]),
        ("2 + 3 * 4", [14]),
        ("('a' & 'b') & 'c'", ["abc"]),
        ("1 = 1 and 2 > 1", [True]),
    ],
)
def test_expressions_on_an_observation(text, values):
    assert compile(text).values(OBSERVATION) == values


def test_elements_with_true_and_with_one_are_different():
    both = {"resourceType": "Patient", "name": [{"text": True}, {"text": 1}, {"text": Decimal("1.0")}]}
    assert compile("name.distinct().count()").values(both) == [2]


def test_a_constant_that_cannot_be_worked_out_fails_where_it_is_needed():
    never = compile("iif(true, 1, 'a' + 1)")
    assert never.values([]) == [1]
    with pytest.raises(Problem) as caught:
        compile("'a' + 1").values([])
    assert caught.value.kind == Kind.INCORRECT


def test_attack_a_path_of_thousands_of_names_is_read_in_a_moment_and_finds_nothing():
    deep = {"resourceType": "Patient", "extension": [{"url": "u", "extension": [{"url": "v"}]}]}
    assert compile("extension" + ".extension" * 1_900).values(deep) == []
    assert compile("$this" + ".value.extension" * 1_200).values(deep) == []
