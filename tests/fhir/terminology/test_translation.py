# SPDX-License-Identifier: Apache-2.0
"""Concept maps: forwards, backwards, and what happens to a code that the map does not have."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.definitions import Held

from salus.fhir.terminology.protocol import Coding
from salus.fhir.terminology.translation import Asked, Match, translate
from salus.kernel.errors import Kind, Problem

JSON = dict[str, Any]
FROM, TO = "http://example.org/from", "http://example.org/to"


def concept_map(url: str = "http://example.org/map", **group: Any) -> JSON:
    elements = [
        {"code": "a", "target": [{"code": "1", "equivalence": "wider"}, {"code": "2", "equivalence": "equivalent"}]},
        {"code": "b", "target": [{"equivalence": "unmatched"}]},
        {
            "code": "c",
            "target": [
                {
                    "code": "3",
                    "equivalence": "equal",
                    "dependsOn": [{"property": "http://example.org/sex", "value": "f"}],
                    "product": [{"property": "http://example.org/site", "system": TO, "value": "9"}],
                }
            ],
        },
    ]
    made = {"source": FROM, "target": TO, "element": elements, **group}
    return {"resourceType": "ConceptMap", "url": url, "version": "1", "status": "active", "group": [made]}


def matches(map_: JSON, code: str, *others: JSON, system: str = FROM, **more: Any) -> list[Match]:
    return translate(Held(map_, *others), map_, Asked(Coding(system, code), **more))


def said(found: list[Match]) -> list[tuple[str, str]]:
    return [(match.equivalence, match.coding.code if match.coding else "") for match in found]


def test_forwards() -> None:
    assert said(matches(concept_map(), "a")) == [("wider", "1"), ("equivalent", "2")]
    assert matches(concept_map(), "a")[0].source == "http://example.org/map|1"
    assert matches(concept_map(), "z") == []
    assert matches(concept_map(), "a", system="http://elsewhere") == []
    assert matches(concept_map(), "a", target="http://elsewhere") == []


def test_backwards_wider_becomes_narrower() -> None:
    assert said(matches(concept_map(), "1", system=TO, reverse=True)) == [("narrower", "a")]
    assert said(matches(concept_map(), "2", system=TO, reverse=True)) == [("equivalent", "a")]


def test_that_there_is_no_translation_is_no_translation() -> None:
    (match,) = matches(concept_map(), "b")
    assert not match.positive


def test_a_mapping_that_depends_needs_what_it_depends_on() -> None:
    assert matches(concept_map(), "c") == []
    (match,) = matches(concept_map(), "c", dependencies={"http://example.org/sex": "f"})
    assert [product.coding.code for product in match.products] == ["9"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"mode": "provided"}, [("equal", "z")]),
        ({"mode": "fixed", "code": "0"}, [("inexact", "0")]),
        ({"mode": "other-map", "url": "http://example.org/other"}, [("equal", "7")]),
        ({"mode": "other-map", "url": "http://example.org/nowhere"}, []),
    ],
)
def test_unmapped_codes(rule: JSON, expected: list[tuple[str, str]]) -> None:
    element = [{"code": "z", "target": [{"code": "7", "equivalence": "equal"}]}]
    other = concept_map("http://example.org/other", element=element)
    assert said(matches(concept_map(unmapped=rule), "z", other)) == expected
    assert said(matches(concept_map(unmapped=rule), "a", other)) == [("wider", "1"), ("equivalent", "2")]


def test_attack_maps_that_hand_on_twice_again_and_again_are_asked_once() -> None:
    """Each of eighteen maps has two groups that hand on to the next one: 262,144 ways lead to the last."""
    element = [{"code": "z", "target": [{"code": "7", "equivalence": "equal"}]}]
    maps = [
        concept_map(f"http://example.org/{n}", unmapped={"mode": "other-map", "url": f"http://example.org/{n + 1}"})
        for n in range(18)
    ]
    for each in maps:
        each["group"] *= 2
    last = concept_map("http://example.org/18", element=element)
    assert said(matches(maps[0], "z", *maps[1:], last)) == [("equal", "7")]


def test_a_circle_of_maps_is_refused() -> None:
    one = concept_map(unmapped={"mode": "other-map", "url": "http://example.org/two"})
    two = concept_map("http://example.org/two", unmapped={"mode": "other-map", "url": one["url"]})
    with pytest.raises(Problem) as refused:
        matches(one, "z", two)
    assert refused.value.kind is Kind.INVALID
