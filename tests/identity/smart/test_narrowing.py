# SPDX-License-Identifier: Apache-2.0
"""What is granted of what is asked, and how it is told to the person who decides."""

from __future__ import annotations

import pytest

from salus.identity.smart.scopes import (
    Scope,
    describe,
    granular,
    narrow,
    normalise,
    parse,
    patient_wanted,
    written_list,
)

LAB = "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"


def granted(asked: str, registered: str, chosen: str | None = None) -> str:
    return written_list(narrow(normalise(asked), normalise(registered), None if chosen is None else normalise(chosen)))


@pytest.mark.parametrize(
    ("asked", "registered", "expected"),
    [
        ("patient/Observation.rs openid", "patient/*.cruds openid", "patient/Observation.rs openid"),
        ("patient/*.cruds", "patient/Observation.rs patient/Patient.r", "patient/Observation.rs patient/Patient.r"),
        ("patient/Observation.cruds", "patient/*.rs", "patient/Observation.rs"),
        ("user/Observation.rs", "patient/*.rs", ""),
        ("system/Observation.rs", "user/*.rs", ""),
        ("openid fhirUser", "openid", "openid"),
        ("patient/*.rs", "patient/*.rs patient/Observation.rs", "patient/*.rs"),
        ("patient/Observation.read", "patient/*.rs", "patient/Observation.read"),
        ("patient/Observation.*", "patient/*.read", "patient/Observation.read"),
        ("patient/Observation.*", "patient/*.cru", "patient/Observation.cru"),  # no word of version 1 says this
        ("patient/Observation.read", LAB, LAB),  # nor this
        ("patient/*.read", LAB, LAB),
        (LAB, "patient/Observation.read", LAB),
        (LAB, "patient/Observation.rs?code=1", LAB + "&code=1"),
        ("patient/Observation.u", "patient/Observation.rs", ""),
    ],
)
def test_a_grant_is_never_more_than_what_is_registered(asked: str, registered: str, expected: str) -> None:
    assert granted(asked, registered) == expected


def test_a_grant_is_never_more_than_what_the_person_chose() -> None:
    asked = "launch/patient offline_access patient/Observation.rs patient/Condition.rs patient/Patient.rs"
    assert (
        granted(asked, asked, f"launch/patient {LAB} patient/Patient.rs") == f"launch/patient {LAB} patient/Patient.rs"
    )
    assert granted(asked, asked, "patient/*.cruds user/*.cruds openid") == (
        "patient/Observation.rs patient/Condition.rs patient/Patient.rs"
    )
    assert granted(asked, asked, "") == ""


@pytest.mark.parametrize("text", ["patient/Observation.rs", "patient/Condition.read", "user/Observation.cruds"])
def test_the_parts_from_which_a_person_chooses_are_narrower_than_the_whole(text: str) -> None:
    scope = parse(text)
    assert isinstance(scope, Scope)
    parts = granular(scope)
    assert len(parts) >= 3
    for part in parts:
        assert parse(part.text) == part
        assert scope.covers(part)
        assert not part.covers(scope)
        assert granular(part) == []
    assert granted(text, text, " ".join(part.text for part in parts)) == written_list(parts)


def test_types_without_categories_have_no_parts() -> None:
    for text in ("patient/Patient.rs", "patient/*.rs"):
        scope = parse(text)
        assert isinstance(scope, Scope)
        assert granular(scope) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("patient/Observation.rs", "Read and search measurements and results of this patient only"),
        (LAB, "Read and search laboratory results of this patient only"),
        (
            "user/Condition.cruds",
            "Add, read, change, delete and search problems and diagnoses of everyone whose record you may see",
        ),
        ("system/SupplyDelivery.r", "Read supply delivery entries of everyone, without a person present"),
        (
            "patient/Observation.rs?code=http://loinc.org|1-2,http://loinc.org|3-4",
            "Read and search measurements and results with code 1-2 or 3-4 of this patient only",
        ),
        ("openid", "Know who you are"),
    ],
)
def test_scopes_in_words(text: str, expected: str) -> None:
    scope = parse(text)
    assert scope is not None
    assert describe(scope).sentence == expected


def test_a_wildcard_says_that_it_holds_for_what_does_not_exist_yet() -> None:
    scope = parse("patient/*.rs")
    assert scope is not None
    assert "do not exist yet" in describe(scope).note


def test_a_patient_must_be_in_context_for_patient_scopes() -> None:
    assert patient_wanted(normalise("openid patient/*.rs"))
    assert patient_wanted(normalise("launch/patient user/*.rs"))
    assert not patient_wanted(normalise("openid user/*.rs"))
