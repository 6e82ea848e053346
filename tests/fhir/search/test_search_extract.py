# SPDX-License-Identifier: Apache-2.0
"""Index rows: each kind of parameter over each data type it reads."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from salus.fhir.definitions import resource_types
from salus.fhir.search.extract import Extractor, source
from salus.fhir.search.leaves import Hop, Leaf
from salus.fhir.search.parameters import Spot
from salus.kernel.errors import Problem

BASES = ("https://ehr.example/fhir",)
DAY = 86_400_000


def rows(resource: dict[str, Any], *families: str, texts: bool = False) -> list[tuple[Any, ...]]:
    return [row for row in Extractor(BASES).rows(resource, texts=texts) if row[0] in families]


def observation(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": "o1", "status": "final", **elements}


def test_tokens_of_a_concept_carry_system_and_code() -> None:
    code = {"coding": [{"system": "http://loinc.org", "code": "8480-6"}, {"code": "bp"}, {"display": "x"}]}
    assert rows(observation(code=code), "code") == [
        ("code", "token", "http://loinc.org", "8480-6"),
        ("code", "token", "", "bp"),
    ]


def test_a_code_and_a_boolean_carry_their_implicit_system() -> None:
    patient = {"resourceType": "Patient", "gender": "female", "active": False}
    assert rows(patient, "gender") == [("gender", "token", "http://hl7.org/fhir/administrative-gender", "female")]
    assert rows(patient, "active")[0][3] == "false"


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({}, "false"),
        ({"deceasedBoolean": False}, "false"),
        ({"deceasedBoolean": True}, "true"),
        ({"deceasedDateTime": "2020-01-01"}, "true"),
    ],
)
def test_deceased_is_true_when_there_and_not_false(elements: dict[str, Any], expected: str) -> None:
    assert rows({"resourceType": "Patient", **elements}, "deceased[true]")[0][3] == expected


def test_a_phone_is_indexed_once_and_other_contacts_under_the_plain_family() -> None:
    patient = {
        "resourceType": "Patient",
        "telecom": [
            {"system": "phone", "value": "555-1"},
            {"system": "email", "value": "a@b.example"},
            {"system": "fax", "value": "555-2"},
            {"value": "555-3"},
            {"system": "phone"},
        ],
    }
    found = rows(patient, "telecom", "telecom[system=phone]", "telecom[system=email]")
    assert found == [
        ("telecom[system=phone]", "token", "", "555-1"),
        ("telecom[system=email]", "token", "", "a@b.example"),
        ("telecom", "token", "", "555-2"),
        ("telecom", "token", "", "555-3"),
    ]


def test_a_filtered_path_goes_on_below_the_filter() -> None:
    library = {
        "resourceType": "Library",
        "relatedArtifact": [
            {"type": "depends-on", "resource": "http://x.example/Library/a|2"},
            {"type": "successor", "resource": "http://x.example/Library/b"},
            {"type": "citation", "resource": "http://x.example/Library/c"},
        ],
    }
    assert [row for row in Extractor().rows(library) if row[0].startswith("relatedArtifact")] == [
        ("relatedArtifact[type=depends-on].resource", "reference", "http://x.example/Library/a|2"),
        ("relatedArtifact[type=depends-on].resource", "reference", "http://x.example/Library/a"),
        ("relatedArtifact[type=successor].resource", "reference", "http://x.example/Library/b"),
    ]


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ("Patient/1", "Patient/1"),
        ("Patient/1/_history/7", "Patient/1"),
        ("https://ehr.example/fhir/Patient/1", "Patient/1"),
        ("https://ehr.example/fhir/Patient/1/_history/2", "Patient/1"),
        ("https://other.example/fhir/Patient/1", "https://other.example/fhir/Patient/1"),
        ("urn:uuid:6f1e0c3a-6c33-4a3e-9d0c-0a5a4c1d9b11", "urn:uuid:6f1e0c3a-6c33-4a3e-9d0c-0a5a4c1d9b11"),
        ("#p1", "#p1"),
    ],
)
def test_a_reference_is_indexed_under_its_target(written: str, target: str) -> None:
    assert rows(observation(subject={"reference": written}), "subject") == [("subject", "reference", target)]


def test_a_logical_reference_is_indexed_by_its_identifier() -> None:
    subject = {"identifier": {"system": "urn:mrn", "value": "77"}, "display": "somebody"}
    assert rows(observation(subject=subject), "subject") == [("subject", "identifier", "urn:mrn", "77")]


def test_all_datatypes_of_a_date_share_the_family() -> None:
    assert rows(observation(effectiveDateTime="1970-01-02"), "effective") == [("effective", "date", DAY, 2 * DAY)]
    period = {"start": "1970-01-02", "end": "1970-01-03"}
    assert rows(observation(effectivePeriod=period), "effective") == [("effective", "date", DAY, 3 * DAY)]
    assert rows(observation(effectivePeriod={"end": "1970-01-03"}), "effective") == [
        ("effective", "date", None, 3 * DAY)
    ]
    timing = {"event": ["1970-01-05", "1970-01-02"], "repeat": {"boundsPeriod": {"start": "1970-01-03"}}}
    assert rows(observation(effectiveTiming=timing), "effective") == [("effective", "date", DAY, None)]
    assert rows(observation(effectiveTiming={"code": {"text": "daily"}}), "effective") == []
    assert rows(observation(effectiveInstant="1970-01-01T00:00:00.005Z"), "effective") == [("effective", "date", 5, 6)]


def test_quantities_keep_exact_decimals_and_units() -> None:
    value = {
        "value": Decimal("1.10"),
        "unit": "mg/dL",
        "system": "http://unitsofmeasure.org",
        "code": "mg/dL",
    }
    (row,) = rows(observation(valueQuantity=value), "value")
    assert row[:6] == ("value", "quantity", Decimal("1.10"), "http://unitsofmeasure.org", "mg/dL", "mg/dL")
    assert str(row[2]) == "1.10"
    assert row[6:] == (pytest.approx(11.0), "g.m-3")
    assert rows(observation(valueQuantity={"value": 7}), "value") == [
        ("value", "quantity", Decimal(7), "", "", "", None, "")
    ]


def test_ranges_and_money_are_quantities() -> None:
    condition = {
        "resourceType": "Condition",
        "onsetRange": {"low": {"value": 40, "code": "a"}, "high": {"value": 50, "code": "a"}},
    }
    assert rows(condition, "onset") == [("onset", "range", Decimal(40), Decimal(50), "", "a", "")]
    del condition["onsetRange"]["low"]
    assert rows(condition, "onset") == [("onset", "range", None, Decimal(50), "", "a", "")]
    charge = {"resourceType": "ChargeItem", "priceOverride": {"value": Decimal("9.5"), "currency": "EUR"}}
    assert rows(charge, "priceOverride") == [
        ("priceOverride", "quantity", Decimal("9.5"), "urn:iso:std:iso:4217", "EUR", "", None, "")
    ]


def test_names_are_indexed_by_part_and_nulls_are_skipped() -> None:
    name = {"family": "Muster", "given": ["Ada", None], "_given": [None, {"extension": []}], "prefix": ["Dr"]}
    patient = {"resourceType": "Patient", "name": [name], "_birthDate": {"extension": [{"url": "x"}]}}
    assert [row for row in Extractor().rows(patient) if row[0].startswith("name")] == [
        ("name[sound]", "sound", frozenset({"mstr", "at"})),
        ("name.family", "string", "Muster"),
        ("name.given", "string", "Ada"),
        ("name.prefix", "string", "Dr"),
    ]
    assert rows(patient, "birthDate") == []


def test_words_of_tokens_come_only_on_request() -> None:
    code = {"coding": [{"code": "8480-6", "display": "Systolic"}], "text": "blood pressure"}
    resource = observation(code=code)
    assert all(row[1] != "text" for row in Extractor().rows(resource))
    assert rows(resource, "code", texts=True)[1:] == [
        ("code", "text", "blood pressure"),
        ("code", "text", "Systolic"),
    ]


def test_profiles_are_found_with_and_without_version() -> None:
    resource = observation(meta={"profile": ["http://x.example/p|1.0"]})
    assert [row[2] for row in rows(resource, "meta.profile")] == [
        "http://x.example/p|1.0",
        "http://x.example/p",
    ]


def test_an_empty_resource_of_every_type_yields_rows_without_error() -> None:
    extractor = Extractor()
    for type_ in resource_types():
        for texts in (False, True):
            assert all(len(row) >= 3 for row in extractor.rows({"resourceType": type_, "id": "x"}, texts=texts))


def test_a_position_reads_only_the_item_that_stands_there() -> None:
    spot = Spot(Leaf((Hop("item", True, position=0), Hop("name", False)), "item[0].name", "string"), "string", "")
    names: dict[str, Any] = {}
    exec(source([spot]), names)  # noqa: S102
    assert names["rows"]({"item": [{"name": "a"}, {"name": "b"}]}) == [("item[0].name", "string", "a")]
    assert names["rows"]({"item": []}) == []


def test_attack_invented_resource_type_is_not_compiled() -> None:
    with pytest.raises(Problem):
        Extractor().rows({"resourceType": "Patient'):\n import os"})
