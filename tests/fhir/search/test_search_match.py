# SPDX-License-Identifier: Apache-2.0
"""Exact matching and sorting over index rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.fhir.search.clauses import Clause, DateValue
from salus.fhir.search.extract import Extractor
from salus.fhir.search.folding import fold
from salus.fhir.search.match import matcher, matches
from salus.fhir.search.parameters import parameters
from salus.fhir.search.query import parse
from salus.fhir.search.reading import Setting
from salus.fhir.search.sort import sort_key

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "active": True,
    "name": [{"family": "Müller-Lüdenscheidt", "given": ["Ann  Marie", "Zoë"]}],
    "telecom": [{"system": "phone", "value": "555-1"}, {"system": "fax", "value": "555-2"}],
    "gender": "female",
    "birthDate": "1980-05-17",
    "identifier": [{"system": "urn:mrn", "value": "77"}, {"value": "88"}],
    "managingOrganization": {"reference": "Organization/o1"},
}

OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6", "display": "Systolic blood pressure"}]},
    "subject": {"reference": "Patient/p1", "identifier": {"system": "urn:mrn", "value": "77"}},
    "performer": [{"reference": "https://other.example/Practitioner/x"}],
    "effectivePeriod": {"start": "2020-01-10", "end": "2020-01-20"},
    "valueQuantity": {
        "value": Decimal("120.4"),
        "unit": "mm Hg",
        "system": "http://unitsofmeasure.org",
        "code": "mm[Hg]",
    },
    "meta": {"profile": ["http://x.example/p|1"]},
}


def holds(resource: dict[str, Any], name: str, text: str) -> bool:
    query = parse(resource["resourceType"], [(name, text)])
    rows = Extractor().rows_for(resource, query.clauses)
    return matches(query.clauses[0], rows)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("family", "mull", True),
        ("family", "MÜLLER", True),
        ("family", "ludenscheidt", False),  # a hyphen makes no word
        ("given", "marie", True),
        ("given", "ann marie", True),
        ("given", "arie", False),
        ("given", "zoe", True),
        ("name", "zoe", True),
        ("name", "smith,zoe", True),
        ("given:exact", "Zoë", True),
        ("given:exact", "Zoe", False),
        ("given:exact", "zoë", False),
        ("given:contains", "ari", True),
        ("given:contains", "ARI", True),
        ("gender", "female", True),
        ("gender", "http://hl7.org/fhir/administrative-gender|female", True),
        ("gender", "http://hl7.org/fhir/other|female", False),
        ("gender", "male,female", True),
        ("gender:not", "male", True),
        ("gender:not", "male,female", False),
        ("active", "true", True),
        ("deceased", "false", True),
        ("identifier", "77", True),
        ("identifier", "urn:mrn|77", True),
        ("identifier", "|77", False),
        ("identifier", "|88", True),
        ("identifier", "urn:mrn|", True),
        ("identifier", "urn:other|", False),
        ("identifier", "urn:mrn|88", False),
        ("telecom", "555-1", True),
        ("telecom", "555-2", True),
        ("phone", "555-2", False),
        ("phone:missing", "false", True),
        ("email:missing", "true", True),
        ("email:missing", "false", False),
        ("organization", "o1", True),
        ("organization", "Organization/o1", True),
        ("organization", "o2", False),
        ("birthdate", "1980", True),
        ("birthdate", "1980-05-17", True),
        ("birthdate", "gt1980-05-16", True),
        ("birthdate", "lt1980-05-17", False),
    ],
)
def test_patient(name: str, text: str, expected: bool) -> None:
    assert holds(PATIENT, name, text) is expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("code", "http://loinc.org|8480-6", True),
        ("code", "8480-6", True),
        ("code", "8480-7", False),
        ("code:text", "systolic", True),
        ("code:text", "blood pres", True),
        ("code:text", "ystolic", False),
        ("code:text", "8480-6", False),
        ("patient", "p1", True),
        ("subject", "p1", True),
        ("subject", "Patient/p1", True),
        ("subject", "Group/p1", False),
        ("subject:Patient", "p1", True),
        ("subject:Group", "p1", False),
        ("subject:identifier", "urn:mrn|77", True),
        ("subject:identifier", "78", False),
        ("performer", "https://other.example/Practitioner/x", True),
        ("performer", "x", False),
        ("performer:missing", "false", True),
        ("date", "2020-01", True),
        ("date", "2020-01-15", False),
        ("date", "ge2020-01-15", True),
        ("date", "sa2020-01-15", False),
        ("date", "sa2020-01-09", True),
        ("date", "eb2020-01-21", True),
        ("value-quantity", "120.4", True),
        ("value-quantity", "120", True),
        ("value-quantity", "121", False),
        ("value-quantity", "gt120", True),
        ("value-quantity", "ge120.4|http://unitsofmeasure.org|mm[Hg]", True),
        ("value-quantity", "120.4|http://unitsofmeasure.org|kPa", False),
        ("value-quantity", "120.4|http://unitsofmeasure.org|", True),
        ("value-quantity", "120.4||mm[Hg]", True),
        ("value-quantity", "120.4||mm Hg", True),
        ("value-quantity", "ap130", True),
        ("value-quantity", "ap140", False),
        ("value-quantity", "ne121", True),
        ("value-concept:missing", "true", True),
        ("value-quantity:missing", "true", False),
        ("_profile", "http://x.example/p", True),
        ("_profile", "http://x.example/", False),
    ],
)
def test_observation(name: str, text: str, expected: bool) -> None:
    assert holds(OBSERVATION, name, text) is expected


def test_missing_looks_at_the_type_that_is_asked_for() -> None:
    device = {**OBSERVATION, "subject": {"reference": "Device/d1"}}
    assert holds(device, "patient:missing", "true")
    assert not holds(device, "subject:missing", "true")
    assert not holds(device, "patient", "d1")


def test_the_store_s_own_columns_match_as_rows() -> None:
    assert matches(parse("Patient", [("_id", "p1,p2")]).clauses[0], [("_id", "token", "", "p2")])


bounds = st.tuples(st.integers(-12, 12), st.integers(1, 8)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(bounds, bounds, st.sampled_from(PREFIXES))
def test_date_prefixes_follow_the_ranges_of_the_standard(
    found: tuple[int, int], asked: tuple[int, int], prefix: str
) -> None:
    moments, wanted = set(range(*found)), set(range(*asked))
    above, below = any(m > max(wanted) for m in moments), any(m < min(wanted) for m in moments)
    expected = {
        "eq": moments <= wanted,
        "ne": not moments <= wanted,
        "gt": above,
        "lt": below,
        "ge": above or moments <= wanted,
        "le": below or moments <= wanted,
        "sa": min(moments) > max(wanted),
        "eb": max(moments) < min(wanted),
        "ap": bool(moments & wanted),
    }
    clause = Clause("date", "date", ("f",), "", (DateValue(prefix, *asked),), (), True, "")
    assert matches(clause, [("f", "date", *found)]) is expected[prefix]


@given(bounds, st.integers(-12, 12), st.sampled_from(PREFIXES))
def test_an_open_end_is_a_very_distant_one(asked: tuple[int, int], end: int, prefix: str) -> None:
    test = matcher(Clause("date", "date", ("f",), "", (DateValue(prefix, *asked),), (), True, ""))
    assert test([("f", "date", end, None)]) is test([("f", "date", end, 10**15)])
    assert test([("f", "date", None, end)]) is test([("f", "date", -(10**15), end)])


@given(st.decimals(-1000, 1000, places=2), st.decimals(-1000, 1000, places=1))
def test_number_prefixes_divide_the_line(found: Decimal, asked: Decimal) -> None:
    def holds_(prefix: str) -> bool:
        clause = parse("RiskAssessment", [("probability", f"{prefix}{asked}")]).clauses[0]
        return matches(clause, [("prediction.probability", "number", found)])

    assert holds_("gt") + holds_("lt") + (found == asked) == 1
    assert holds_("ge") is not holds_("lt")
    assert holds_("le") is not holds_("gt")
    assert holds_("eq") is not holds_("ne")
    assert holds_("eq") or found != asked


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=18))
def test_a_number_finds_itself_to_the_last_digit(value: Decimal) -> None:
    for text in (f"{value:f}", f"eq{value:f}", f"ap{value:f}", f"ge{value:f}"):
        clause = parse("RiskAssessment", [("probability", text)]).clauses[0]
        assert matches(clause, [("prediction.probability", "number", value)])


@given(st.text())
def test_folding_settles(text: str) -> None:
    assert fold(f"  {fold(text)} ") == fold(fold(text))
    assert "  " not in fold(text)


@pytest.mark.parametrize(
    ("text", "folded"),
    [("  Ann\t Marie ", "ann marie"), ("ŁÓDŹ", "łodz"), ("Straße", "strasse"), ("ＡＢＣ", "abc"), ("Zoe\u0308", "zoe")],
)
def test_case_accents_and_spaces_do_not_count(text: str, folded: str) -> None:
    assert fold(text) == folded


def order(type_: str, code: str, descending: bool, *resources: list[tuple[Any, ...]]) -> list[int]:
    parameter = parameters(type_)[code]
    keys = [sort_key(parameter, rows, descending=descending) for rows in resources]
    return sorted(range(len(keys)), key=keys.__getitem__, reverse=descending)


@pytest.mark.parametrize(("descending", "expected"), [(False, [1, 0, 2]), (True, [0, 1, 2])])
def test_sorting_puts_missing_values_last_either_way(descending: bool, expected: list[int]) -> None:
    rows = [("name.family", "string", "Émile")], [("name.family", "string", "ada")], [("gender", "token", "", "x")]
    assert order("Patient", "family", descending, *rows) == expected


@pytest.mark.parametrize(("descending", "expected"), [(False, [0, 1]), (True, [0, 1])])
def test_sorting_takes_the_lowest_or_highest_of_several(descending: bool, expected: list[int]) -> None:
    wide = [("effective", "date", 0, 1), ("effective", "date", 9, 10)]
    assert order("Observation", "date", descending, wide, [("effective", "date", 5, 6)]) == expected


def test_an_open_start_sorts_first() -> None:
    assert order("Observation", "date", False, [("effective", "date", 5, 6)], [("effective", "date", None, 6)]) == [
        1,
        0,
    ]
    assert order("Patient", "_id", False, [("_id", "token", "", "b")], [("_id", "token", "", "a")]) == [1, 0]


def test_case_counts_unless_the_code_system_says_that_it_does_not() -> None:
    resource = {"resourceType": "Observation", "code": {"coding": [{"system": "urn:loose", "code": "Abc"}]}}
    rows = Extractor().rows(resource)
    loose = Setting(any_case=lambda system: system == "urn:loose")
    for asked, found in (("urn:loose|aBC", True), ("urn:loose|abd", False), ("abc", False), ("Abc", True)):
        (clause,) = parse("Observation", [("code", asked)], setting=loose).clauses
        assert matches(clause, rows) is found, asked
    (strict,) = parse("Observation", [("code", "urn:loose|aBC")]).clauses
    assert not matches(strict, rows)
