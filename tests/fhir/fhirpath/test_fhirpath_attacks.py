# SPDX-License-Identifier: Apache-2.0
"""Expressions come from strangers: none may cost more than its budget, and none may crash."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.fhir.fhirpath import Environment, compile  # noqa: A004
from salus.kernel.errors import Kind, Problem

PATIENT = {"resourceType": "Patient", "name": [{"given": ["Ada", "Eve"], "family": "Nero"}], "birthDate": "1980"}
WIDE = {"resourceType": "Patient", "name": [{"given": [str(n) for n in range(300)]} for _ in range(20)]}

COSTLY = {
    "every pair, and again": "%resource.descendants().select(%resource.descendants().select(%resource.descendants()))",
    "a text that doubles": "(%resource.descendants()).aggregate($total & $total & 'xxxx', 'xxxx')",
    "a text that explodes": "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'"
    + ".replace('a', 'aaaaaaaaaaaaaaaaaaaa')" * 6,
    "repeat that makes new values for ever": "1.repeat($this + 1)",
    "repeatAll in a circle": "%resource.repeatAll(%resource)",
    "a sum as long as an expression may be": f"%resource.descendants().where({' and '.join(['true'] * 1_000)})",
    "a new pattern each time": "%resource.descendants().where('x'.matches('(a{0,500}){0,2}' & $index.toString()))",
    "many replacements": f"%resource.descendants().where('{'ab' * 500}'.replaceMatches('a', 'b') = 'x')",
    "long series": "%resource.descendants().where((1.5).exp() + 2.5.power(0.3) + 3.ln() = 0)",
    "comparing the whole with itself": "%resource.descendants().where(%resource = %resource)",
}


@pytest.mark.parametrize("text", COSTLY.values(), ids=COSTLY)
def test_attack_a_costly_expression_ends_with_a_problem(text):
    with pytest.raises(Problem) as caught:
        compile(text).evaluate(WIDE, environment=Environment(most_nodes=50_000))
    assert caught.value.kind == Kind.TOO_COSTLY


def test_attack_a_regular_expression_that_explodes_elsewhere_does_not_here():
    # Who goes back and tries again does not end before the stars do.
    assert compile("('a' & $this).matches('^(a+)+$')").values("a" * 40_000 + "!") == [False]
    assert compile("$this.replaceMatches('(a|aa)+$', 'x')").values("a" * 20_000 + "!") == ["a" * 20_000 + "!"]


@pytest.mark.parametrize("pattern", ["(?=a)", "(a)\\\\1", "a{1,99999}", "(", "x" * 3_000])
def test_attack_patterns_that_cannot_be_read_once_are_refused(pattern):
    with pytest.raises(Problem) as caught:
        compile(f"'a'.matches('{pattern}')").evaluate([])
    assert caught.value.kind == Kind.INCORRECT


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5_000 + "1" + ")" * 5_000,
        "-" * 5_000 + "1",
        "where(" * 500 + "true" + ")" * 500,
        "name" * 10_000,
        "a.where(" * 70 + "b" + ")" * 70,
    ],
    ids=["parentheses", "signs", "functions", "length", "criteria"],
)
def test_attack_nesting_without_end_is_refused_when_it_is_read(text):
    with pytest.raises(Problem) as caught:
        compile(text)
    assert caught.value.kind == Kind.INCORRECT


def test_a_long_chain_is_not_a_deep_one():
    assert compile(" + ".join(["1"] * 3_000)).values([]) == [3_000]
    assert compile("$this" + ".trim()" * 2_500).values(" x ") == ["x"]
    assert compile(" | ".join(["name.given"] * 1_000)).values(PATIENT) == ["Ada", "Eve"]


PIECES = st.sampled_from(
    [
        *(
            "name",
            "given",
            ".",
            "(",
            ")",
            "where",
            "exists()",
            "first()",
            "=",
            "'Ada'",
            "1",
            "1.5",
            "and",
            "or",
            "|",
            "~",
        ),
        *(
            "$this",
            "$index",
            "%resource",
            "%x",
            "@2020",
            "@T10",
            "4 days",
            "5 'mg'",
            "+",
            "-",
            "*",
            "/",
            "div",
            "is",
            "as",
        ),
        *("Patient", "String", "[", "]", "{}", ",", "birthDate", "toString()", "iif", "not()", "<", "in", "resolve()"),
        *("descendants()", "ofType", "matches", "'['", "round", "-", "lowBoundary()", "sort", "substring", "memberOf"),
    ]
)


def kind_of_end(text: str, *, most: int = 5_000) -> Kind | None:
    """None for an answer, else the kind of the Problem; anything else that is raised fails the test."""
    try:
        compile(text).evaluate(PATIENT, environment=Environment(most_nodes=most))
    except Problem as problem:
        return problem.kind
    return None


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=12))
def test_whatever_is_sent_there_is_an_answer_or_a_problem(pieces):
    assert kind_of_end(" ".join(pieces)) in (None, Kind.INCORRECT, Kind.TOO_COSTLY)


OPERATORS = ["+", "-", "*", "/", "div", "mod", "=", "~", "<", ">=", "|", "in", "&", "and", "xor", "implies"]
OPERANDS = [
    *(
        "1",
        "-1",
        "0",
        "2147483647",
        "1.10",
        "0.0",
        "'a'",
        "''",
        "true",
        "{}",
        "@2020",
        "@2020-02-29T10:00:00Z",
        "@T23:59",
    ),
    *("3 'mg'", "2 'g'", "1 'Cel'", "1 year", "1 'a'", "1 'nonsense'", "name", "name.given", "birthDate", "%resource"),
]


@settings(max_examples=300)
@given(st.sampled_from(OPERATORS), st.sampled_from(OPERANDS), st.sampled_from(OPERANDS))
def test_any_two_operands_have_an_answer_or_a_problem(operator, left, right):
    assert kind_of_end(f"({left}) {operator} ({right})") in (None, Kind.INCORRECT)


JUNK: list[Any] = ["x", 7, True, None, [], {}, [None], [[1]], {"reference": 7}, [{"url": 5}], {"coding": ["x", None]}]
CURIOUS = [
    *("descendants().resolve()", "descendants().distinct()", "descendants() ~ descendants()", "descendants().sort()"),
    *("descendants().where($this = $this)", "descendants().extension('x')", "descendants().select(toString())"),
    *("descendants().select(lowBoundary())", "descendants().select(htmlChecks())", "descendants().select(abs())"),
    *("descendants().select(type().name)", "descendants().select($this < $this)", "descendants().select(hasValue())"),
]


@settings(max_examples=200)
@given(st.sampled_from(CURIOUS), st.sampled_from(JUNK), st.sampled_from(JUNK), st.integers(0, 5))
def test_content_that_is_no_fhir_never_makes_a_fault(text, junk, other, spot):
    resource = {**PATIENT, "managingOrganization": {"reference": "#o"}, "_birthDate": junk, "name": [junk, other]}
    entry = {"fullUrl": other, "resource": junk if spot == 0 else {**resource, "contained": [junk], "contact": other}}
    for whole in (resource, {"resourceType": "Bundle", "entry": [entry, junk]}):
        try:
            compile(text).evaluate(whole)
        except Problem as problem:
            assert problem.kind in (Kind.INCORRECT, Kind.TOO_COSTLY)  # noqa: PT017 - anything else fails by itself


def test_words_of_a_problem_repeat_nothing_of_what_was_sent():
    for text in ("name.secret(", "secret()", "Patient.is(secret)", "%secret", "'a'.matches('(secret')", "@2020-99-99"):
        with pytest.raises(Problem) as caught:
            compile(text).evaluate(PATIENT)
        said = caught.value.public + "".join(issue.text for issue in caught.value.issues)
        assert "secret" not in said
        assert "99" not in said
