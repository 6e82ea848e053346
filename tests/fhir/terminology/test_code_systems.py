# SPDX-License-Identifier: Apache-2.0
"""Code systems: what is a code, what is below what, and what a part of a system may say."""

from __future__ import annotations

import pytest
from tests.support.definitions import ANIMALS, Held, animals, engine

from salus.fhir.terminology.code_system import ResourceSystem
from salus.fhir.terminology.lookup import lookup
from salus.fhir.terminology.protocol import Cause, Coding, Subsumption
from salus.kernel.errors import Kind, Problem


@pytest.mark.parametrize(
    ("a", "b", "outcome"),
    [
        ("dog", "dog", Subsumption.EQUIVALENT),
        ("animal", "dog", Subsumption.SUBSUMES),
        ("dog", "animal", Subsumption.SUBSUMED_BY),
        ("dog", "cat", Subsumption.NOT_SUBSUMED),
        ("dog", "unicorn", Subsumption.UNKNOWN),
    ],
)
def test_subsumption(a: str, b: str, outcome: Subsumption) -> None:
    assert engine(animals()).subsumes(ANIMALS, a, b) is outcome


def test_a_hierarchy_of_parts_says_nothing_about_kinds() -> None:
    parts = engine(animals(hierarchyMeaning="part-of"))
    assert parts.subsumes(ANIMALS, "animal", "dog") is Subsumption.UNKNOWN
    assert parts.descendants(ANIMALS, "animal") is None
    assert parts.subsumes(ANIMALS, "dog", "dog") is Subsumption.EQUIVALENT


def test_parents_that_are_properties_make_a_hierarchy_with_two_roofs() -> None:
    concepts = [
        {"code": "toy"},
        {"code": "dog"},
        {"code": "plush-dog", "property": [{"code": "parent", "valueCode": c} for c in ("toy", "dog")]},
        {"code": "thing", "property": [{"code": "child", "valueCode": "toy"}]},
    ]
    asked = engine(animals(concept=concepts))
    assert asked.ancestors(ANIMALS, "plush-dog") == {"plush-dog", "toy", "dog", "thing"}
    assert asked.descendants(ANIMALS, "thing") == {"thing", "toy", "plush-dog"}


def test_a_circle_in_the_hierarchy_ends() -> None:
    concepts = [{"code": c, "property": [{"code": "parent", "valueCode": p}]} for c, p in (("a", "b"), ("b", "a"))]
    assert engine(animals(concept=concepts)).descendants(ANIMALS, "a") == {"a", "b"}


def test_too_many_descendants_are_a_refusal_and_no_shorter_list() -> None:
    with pytest.raises(Problem) as refused:
        engine(animals()).descendants(ANIMALS, "animal", limit=3)
    assert refused.value.kind is Kind.TOO_COSTLY
    assert len(engine(animals()).descendants(ANIMALS, "animal", limit=7) or ()) == 7


@pytest.mark.parametrize("content", ["fragment", "example", "not-present"])
def test_a_part_of_a_system_never_says_no(content: str) -> None:
    asked = engine(animals(content=content))
    assert asked.validate_in_system(Coding(ANIMALS, "dog")).result is True
    missing = asked.validate_in_system(Coding(ANIMALS, "unicorn"))
    assert (missing.result, missing.cause) == (None, Cause.INCOMPLETE)


def test_an_unknown_system_and_an_unknown_version_are_told_apart() -> None:
    asked = engine(animals())
    assert asked.validate_in_system(Coding("http://elsewhere", "x")).cause is Cause.UNKNOWN_SYSTEM
    assert asked.validate_in_system(Coding(ANIMALS, "dog", "", "9")).cause is Cause.UNKNOWN_VERSION
    assert asked.validate_in_system(Coding(ANIMALS, "unicorn")).cause is Cause.UNKNOWN_CODE
    assert asked.validate_in_system(Coding("", "dog")).result is None


@pytest.mark.parametrize(
    ("display", "right"), [("", True), ("Dog", True), ("dOG  ", True), ("Hund", True), ("Cat", False), ("Do", False)]
)
def test_displays_are_compared_with_every_name(display: str, right: bool) -> None:
    verdict = engine(animals()).validate_in_system(Coding(ANIMALS, "dog", display))
    assert verdict.result is right
    assert verdict.display == "Dog"
    assert verdict.cause is (Cause.NONE if right else Cause.WRONG_DISPLAY)


def test_case_counts_unless_the_system_says_otherwise() -> None:
    assert engine(animals()).validate_in_system(Coding(ANIMALS, "DOG")).result is False
    folded = engine(animals(caseSensitive=False))
    assert folded.validate_in_system(Coding(ANIMALS, "DOG")).result is True
    assert folded.subsumes(ANIMALS, "Animal", "DOG") is Subsumption.SUBSUMES


def test_no_message_repeats_what_was_sent() -> None:
    asked = engine(animals())
    for coding in (Coding(ANIMALS, "Zebrafisch"), Coding("urn:Zebrafisch", "x"), Coding(ANIMALS, "dog", "Zebrafisch")):
        assert "Zebrafisch" not in asked.validate_in_system(coding).message
        assert asked.validate_in_system(coding).message


def test_a_supplement_adds_names_and_no_codes() -> None:
    supplement = {
        "resourceType": "CodeSystem",
        "url": "http://example.org/animals-fr",
        "content": "supplement",
        "supplements": f"{ANIMALS}|1",
        "status": "active",
        "concept": [
            {"code": "dog", "designation": [{"language": "fr", "value": "Chien"}]},
            {"code": "unicorn", "display": "Licorne"},
        ],
    }
    asked = engine(animals(), supplement)
    assert asked.validate_in_system(Coding(ANIMALS, "dog", "Chien")).result is True
    assert asked.validate_in_system(Coding(ANIMALS, "unicorn")).result is False


def test_looking_up_gives_names_properties_and_neighbours() -> None:
    source = ResourceSystem(animals())
    dog = source.find("dog")
    assert dog is not None
    outputs = lookup(source, dog, language="de")
    assert ("display", "string", "Hund") in outputs
    stated = [value for name, _, value in outputs if name == "property"]
    assert [("code", "code", "legs"), ("value", "integer", 4)] in stated
    assert [("code", "code", "parent"), ("value", "code", "mammal")] in stated
    only = lookup(source, dog, wanted=["parent"])
    assert [name for name, _, _ in only].count("property") == 1
    assert "designation" not in [name for name, _, _ in only]


@pytest.mark.parametrize(
    ("system", "good", "bad"),
    [
        ("http://unitsofmeasure.org", "mg/dL", "mg/dLL"),
        ("urn:ietf:bcp:47", "de-CH-1996", "d-"),
        ("urn:ietf:bcp:47", "x-ours", "toolonglanguage"),
        ("urn:ietf:bcp:13", "text/plain; charset=utf-8", "text"),
        ("urn:ietf:rfc:3986", "urn:oid:1.2.3", "no uri"),
    ],
)
def test_systems_with_a_grammar(system: str, good: str, bad: str) -> None:
    from salus.fhir.terminology.grammar import GRAMMARS

    class Grammars(Held):
        def source(self, url: str, version: str = "") -> object:  # type: ignore[override]
            return GRAMMARS.get(url)

    from salus.fhir.terminology.engine import Engine

    asked = Engine(Grammars())  # type: ignore[arg-type]
    assert asked.validate_in_system(Coding(system, good)).result is True
    assert asked.validate_in_system(Coding(system, bad)).result is False
    assert asked.validate_in_system(Coding(system, "a" * 100_000)).result is False
