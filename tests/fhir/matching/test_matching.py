# SPDX-License-Identifier: Apache-2.0
"""Two descriptions of one person agree, those of two persons do not, and the verdict says why."""

from __future__ import annotations

from typing import Any

import pytest
from bench.match import MISTAKES, measure, population
from hypothesis import given
from hypothesis import strategies as st
from tests.docs.pages import rows, sections, text_of

from salus.fhir.matching.fields import COMPARE, birth_date, family
from salus.fhir.matching.fields import given as given_name
from salus.fhir.matching.judge import WEIGHTS, judge
from salus.fhir.matching.words import letters, similarity, sound

Json = dict[str, Any]
MRN = "urn:mrn"


def person(**more: Any) -> Json:
    return {
        "resourceType": "Patient",
        "name": [{"family": "Meier", "given": ["Sofia", "Anna"]}],
        "birthDate": "1980-03-12",
        "gender": "female",
        "telecom": [{"system": "phone", "value": "+49 (30) 555-0101"}],
        "address": [{"line": ["12 Elm Street"], "city": "Wexley", "postalCode": "01996"}],
        "identifier": [{"system": MRN, "value": "A-17"}],
        **more,
    }


def named(family_: str, given_: str = "Sofia") -> Json:
    return person(name=[{"family": family_, "given": [given_]}])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Meier", "MEIER", "same"),
        ("Müller", "Muller", "same"),
        ("O'Neil", "ONeil", "same"),
        ("van der Berg", "Vanderberg", "same"),
        ("Meier", "Meyer", "sounds alike"),
        ("Schmidt", "Schmitt", "sounds alike"),
        ("Catherine", "Katherine", "sounds alike"),
        ("Meier", "Okafor", "different"),
    ],
)
def test_family_names_agree_by_letters_and_sound(one: str, other: str, expected: str) -> None:
    assert family(named(one), named(other)) == expected
    assert family(named(other), named(one)) == expected


def test_an_initial_stands_for_a_given_name() -> None:
    assert given_name(named("x", "S."), named("x", "Sofia")) == "initial"
    assert given_name(named("x", "Sofia"), named("x", "Tom")) == "different"


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ("1980-03-12", "same"),
        ("1980-12-03", "swapped"),
        ("1980-03-13", "one digit"),
        ("1980-03-21", "one digit"),
        ("1980-03-29", "month"),
        ("1980-03", "month"),
        ("1980", "year"),
        ("1980-07-30", "year"),
        ("1990-03-12", "one digit"),
        ("1955-07-01", "different"),
    ],
)
def test_birth_dates_agree_as_far_as_they_do(other: str, expected: str) -> None:
    assert birth_date(person(), person(birthDate=other)) == expected


@given(st.text(max_size=12), st.text(max_size=12))
def test_similarity_is_symmetric_enough_and_within_bounds(one: str, other: str) -> None:
    a, b = letters(one), letters(other)
    assert 0.0 <= similarity(a, b) <= 1.0
    assert (similarity(a, b) == 1.0) == (a == b)
    assert sound(a) == sound(a.upper())


def test_the_same_person_is_certain_and_a_sister_is_not() -> None:
    assert judge(person(), person()).grade == "certain"
    sister = person(name=[{"family": "Meier", "given": ["Marta"]}], birthDate="1983-09-01", identifier=[])
    assert judge(person(), sister).grade in {"certainly-not", "possible"}
    twin = person(multipleBirthInteger=2, identifier=[{"system": MRN, "value": "A-18"}])
    twin["name"] = [{"family": "Meier", "given": ["Marta"]}]
    assert judge(person(multipleBirthInteger=1), twin).grade not in {"certain", "probable"}


@pytest.mark.parametrize(
    "contradiction",
    [
        {"birthDate": "1980-03-13"},
        {"gender": "male"},
        {"name": [{"family": "Okafor", "given": ["Sofia"]}]},
        {"identifier": [{"system": MRN, "value": "B-99"}]},
        {"telecom": [], "address": [], "identifier": []},
    ],
)
def test_nothing_is_certain_that_is_contradicted_or_rests_on_a_name_alone(contradiction: Json) -> None:
    assert judge(person(), person(**contradiction)).grade != "certain"


def test_what_is_not_said_weighs_nothing_and_nothing_is_named() -> None:
    verdict = judge({"resourceType": "Patient", "birthDate": "1980-03-12"}, person())
    assert [field for field, _, _ in verdict.evidence] == ["birthDate"]
    words = judge(person(), named("Meyer")).words
    assert "sounds alike" in words
    for value in ("Meier", "Meyer", "Sofia", "1980", "A-17", "Elm", "555"):
        assert value not in words


def test_every_agreement_has_its_weight_and_its_line() -> None:
    assert WEIGHTS.keys() == COMPARE.keys()
    documented = sections(text_of("docs/reference/operations.md"))["Patient/$match"]
    listed = {row[0]: row[1] for row in rows(documented) if row[0] in WEIGHTS}
    expected = {
        field: ", ".join(f"{agreement} {weight:+.1f}" for agreement, weight in weights.items())
        for field, weights in WEIGHTS.items()
    }
    assert listed == expected


@pytest.mark.parametrize("mistake", MISTAKES)
def test_invented_people_are_found_again_in_spite_of_mistakes(mistake: str) -> None:
    found = measure(population(11, 120), 12, 3, mistake)
    assert found["best"].recall >= 0.9
    assert found["probable"].recall >= 0.8
    assert found["probable"].precision >= 0.9
    assert found["certain"].precision == 1.0
