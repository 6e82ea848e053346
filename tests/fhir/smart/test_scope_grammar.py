# SPDX-License-Identifier: Apache-2.0
"""The grammar of SMART scopes: what is understood, what is refused, and that nothing grows on the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.fhir.smart.scopes import LONGEST, Scope, Word, normalise, parse, written_list
from salus.kernel.errors import Problem

LAB = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("patient/Observation.rs", Scope("patient", "Observation", "rs")),
        ("user/*.cruds", Scope("user", "*", "cruds")),
        ("system/Patient.cud", Scope("system", "Patient", "cud")),
        ("patient/Observation.read", Scope("patient", "Observation", "rs", v1=True)),
        ("user/Observation.write", Scope("user", "Observation", "cud", v1=True)),
        ("patient/*.*", Scope("patient", "*", "cruds", v1=True)),
        (f"patient/Observation.rs?category={LAB}", Scope("patient", "Observation", "rs", (("category", LAB),))),
        (
            "user/Observation.rs?date=ge2020&category=a,b",
            Scope("user", "Observation", "rs", (("category", "a,b"), ("date", "ge2020"))),
        ),
        (
            "patient/Observation.r?category=http%3A%2F%2Fa%7Cb",
            Scope("patient", "Observation", "r", (("category", "http://a|b"),)),
        ),
        ("openid", Word("openid")),
        ("launch/patient", Word("launch/patient")),
        ("launch/encounter?role=launch", Word("launch/encounter")),
    ],
)
def test_what_is_understood(text: str, expected: Scope | Word) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "patient/Observation",
        "patient/Observation.",
        "patient/Observation.sr",  # out of order
        "patient/Observation.rr",
        "patient/Observation.dus",
        "patient/observation.r",
        "patient/Dragon.r",  # no resource type
        "patient/Resource.r",
        "Patient/Observation.r",
        "patients/Observation.r",
        " patient/Observation.r",
        "patient/Observation.r\n",
        "patient/Observation.rs?",
        "patient/Observation.rs?category",
        "patient/Observation.rs?category=",
        "patient/Observation.rs?category=a&",
        "patient/Observation.rs?nonsense=a",
        "patient/Observation.read?category=a",  # version 1 has no conditions
        "patient/*.rs?category=a",  # not every type has the parameter
        "patient/Observation.rs?category=a%26_id=1",  # a hidden second parameter
        "patient/Observation.rs?category=a%2526_id",  # decoded twice
        "patient/Observation.rs?category=a%",
        "patient/Observation.rs?category=a%00",
        "patient/Observation.rs?category:in=http://example.org/vs",
        "patient/Observation.rs?category:not=laboratory",
        "patient/Observation.rs?category:missing=true",
        "patient/Observation.rs?patient.birthdate=1990",
        "patient/Observation.rs?subject:Patient.name=x",
        "patient/Observation.rs?_has:Provenance:target:agent=x",
        "patient/Observation.rs?_filter=category%20eq%20a",
        "patient/Observation.rs?_id=1",
        "patient/Observation.rs?_count=0",
        "patient/Observation.rs?_include=Observation:subject",
        "patient/Observation.rs?date=ap2020",  # would mean another period every day
        "patient/Observation.rs?category=a?b=c",
        "patient/Observation.rs?code-value-quantity=a$b",
        "user/Location.rs?near=1|1",
        "patient/Observation.rs?" + "&".join(f"code=c{i}" for i in range(20)),
        "patient/Observation.rs?code=" + "a" * 5_000,
        "launch/patient?role=other",
        "launch/diagnosticreport",
        "fhiruser",
        "*/*.*",
    ],
)
def test_what_is_not_understood_is_nothing(text: str) -> None:
    assert parse(text) is None


def test_a_list_keeps_its_order_and_loses_what_is_not_understood() -> None:
    asked = "openid patient/Observation.rs patient/Observation.sr launch/patient  openid"
    assert written_list(normalise(asked)) == "openid patient/Observation.rs launch/patient"


@pytest.mark.parametrize(
    "text", ["patient/*.rs " * 4000, "a" * (LONGEST + 1), "user/*.r\nuser/*.u", 'user/*.r "', "é", "a\\b"]
)
def test_a_list_that_is_too_long_or_holds_other_characters_is_refused_whole(text: str) -> None:
    with pytest.raises(Problem):
        normalise(text)


LETTERS = st.sets(st.sampled_from("cruds"), min_size=1).map(lambda s: "".join(c for c in "cruds" if c in s))
CODES = st.sampled_from(["laboratory", "http://a|b", "a,b", "survey"])
PARAMS = st.one_of(st.just(()), st.tuples(st.tuples(st.just("category"), CODES)))
TYPED = st.builds(
    Scope, st.sampled_from(["patient", "user"]), st.sampled_from(["Observation", "Condition"]), LETTERS, PARAMS
)
SCOPES = st.one_of(
    TYPED,
    st.builds(Scope, st.sampled_from(["patient", "user"]), st.just("*"), LETTERS),
    st.builds(
        lambda c, t, letters: Scope(c, t, letters, v1=True),
        st.sampled_from(["patient", "user"]),
        st.sampled_from(["*", "Observation"]),
        st.sampled_from(["rs", "cud", "cruds"]),
    ),
)


@given(SCOPES)
def test_what_is_written_is_read_as_the_same(scope: Scope) -> None:
    read = parse(scope.text)
    assert isinstance(read, Scope)
    assert (read.context, read.type, read.letters, read.params) == (
        scope.context,
        scope.type,
        scope.letters,
        scope.params,
    )


@given(SCOPES, SCOPES)
def test_what_two_scopes_share_is_covered_by_each_of_them_even_after_it_was_written_out(
    one: Scope, other: Scope
) -> None:
    shared = one.within(other)
    if shared is None:
        return
    read = parse(shared.text)
    assert isinstance(read, Scope)
    assert one.covers(read)
    assert other.covers(read)
    assert other.within(one) is not None


@given(SCOPES, SCOPES)
def test_a_scope_that_covers_another_shares_all_of_it(one: Scope, other: Scope) -> None:
    if one.covers(other):
        shared = one.within(other)
        assert shared is not None
        assert shared.covers(other)
