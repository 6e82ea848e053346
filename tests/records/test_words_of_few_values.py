# SPDX-License-Identifier: Apache-2.0
"""Words and codes of few values are not in the index, and are found all the same."""

from __future__ import annotations

from typing import Any

import pytest

from salus.fhir.search.extract import Extractor
from salus.records.terms import terms_of
from tests.support.clinic import Clinic, put_all

STATUS = "http://terminology.hl7.org/CodeSystem/condition-clinical"


def condition(id_: str, status: str, text: str, said: str) -> dict[str, Any]:
    """A Condition whose status is said in its display and in its narrative."""
    return {
        "resourceType": "Condition",
        "id": id_,
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{said}</div>'},
        "clinicalStatus": {"coding": [{"system": STATUS, "code": status.lower(), "display": status}]},
        "code": {"text": text},
        "subject": {"reference": "Patient/anna"},
    }


@pytest.fixture
def two(clinic: Clinic) -> Clinic:
    """An active and a resolved Condition of a patient who speaks Spanish."""
    put_all(
        clinic.as_("service"),
        condition("asthma", "Active", "Asthma of a zephyr", "She has wheezing"),
        condition("gout", "Resolved", "Gout of a zephyr", "He had pain"),
        {
            "resourceType": "Patient",
            "id": "speaker",
            "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "es"}]}}],
        },
    )
    return clinic


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ("_content=zephyr active", ["asthma"]),
        ("_content=active AND zephyr", ["asthma"]),
        ("_content=zephyr AND (active OR resolved)", ["asthma", "gout"]),
        ("_content=zephyr NOT active", ["gout"]),
        ("_content=resolved&subject=Patient/anna", ["gout"]),
        ('_text="she has wheezing"', ["asthma"]),
        ("_text=she&subject=Patient/anna", ["asthma"]),
    ],
)
def test_words_of_few_values_are_found(two: Clinic, asked: str, ids: list[str]) -> None:
    assert sorted(each["id"] for each in two.as_("physician").find(f"Condition?{asked}")) == ids


def test_languages_are_found(two: Clinic) -> None:
    assert [each["id"] for each in two.as_("physician").find("Patient?language=es")] == ["speaker"]


def test_status_said_in_words_changes_no_token(clinic: Clinic) -> None:
    index, extractor = clinic.house.keyring.tenant("default").index(), Extractor()
    one = terms_of([index], extractor, condition("one", "Active", "Asthma", "She has wheezing"))
    other = terms_of([index], extractor, condition("one", "Resolved", "Asthma", "He has wheezing"))
    assert set(one.split()) == set(other.split())
