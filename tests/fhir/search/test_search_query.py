# SPDX-License-Identifier: Apache-2.0
"""The grammar of a search: what is read, what is refused, and what the self link says."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.fhir.search.clauses import (
    Base,
    Chain,
    Clause,
    DateValue,
    Include,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    Sort,
    StringValue,
    TokenValue,
    UriValue,
    Value,
)
from salus.fhir.search.query import canonical, parse
from salus.fhir.search.terms import split, unescape
from salus.kernel.errors import Kind, Problem

BASES = ("https://ehr.example/fhir",)
NOW = 1_700_000_000_000


def clause(type_: str, name: str, text: str) -> Clause:
    (found,) = parse(type_, [(name, text)], bases=BASES, now_ms=NOW).clauses
    return found


def refused(type_: str, *pairs: tuple[str, str], lenient: bool = False) -> Problem:
    with pytest.raises(Problem) as caught:
        parse(type_, pairs, lenient=lenient, bases=BASES, now_ms=NOW)
    return caught.value


@pytest.mark.parametrize(
    ("type_", "name", "text", "values"),
    [
        ("Observation", "code", "8480-6", (TokenValue(None, "8480-6"),)),
        ("Observation", "code", "http://loinc.org|8480-6", (TokenValue("http://loinc.org", "8480-6"),)),
        ("Observation", "code", "|8480-6", (TokenValue("", "8480-6"),)),
        ("Observation", "code", "http://loinc.org|", (TokenValue("http://loinc.org", None),)),
        ("Observation", "code", "a,b", (TokenValue(None, "a"), TokenValue(None, "b"))),
        ("Observation", "code", r"a\,b\|c\$d\\", (TokenValue(None, "a,b|c$d\\"),)),
        ("Patient", "family", "MÜLLER  Lüdenscheidt", (StringValue("MÜLLER  Lüdenscheidt", "muller ludenscheidt"),)),
        ("Patient", "family", "a|b", (StringValue("a|b", "a|b"),)),
        ("Observation", "patient", "12", (ReferenceValue("Patient", "12"),)),
        ("Observation", "subject", "12", (ReferenceValue(None, "12"),)),
        ("Observation", "subject", "Group/12", (ReferenceValue("Group", "12"),)),
        ("Observation", "subject", "Patient/12/_history/3", (ReferenceValue("Patient", "12"),)),
        ("Observation", "subject", "https://ehr.example/fhir/Patient/12", (ReferenceValue("Patient", "12"),)),
        (
            "Observation",
            "subject",
            "https://other.example/fhir/Patient/12",
            (ReferenceValue(None, None, "https://other.example/fhir/Patient/12"),),
        ),
        ("Patient", "birthdate", "1970-01-02", (DateValue("eq", 86_400_000, 172_800_000),)),
        ("Patient", "birthdate", "ge1970-01-02", (DateValue("ge", 86_400_000, 172_800_000),)),
        ("Observation", "_profile", "http://x.example/p", (UriValue("http://x.example/p"),)),
        ("Patient", "_id", "abc", (TokenValue(None, "abc"),)),
        ("Patient", "_lastUpdated", "gt1970", (DateValue("gt", 0, 31_536_000_000),)),
        (
            "RiskAssessment",
            "probability",
            "100",
            (NumberValue("eq", Decimal(100), Decimal("99.5"), Decimal("100.5")),),
        ),
        (
            "RiskAssessment",
            "probability",
            "gt0.80",
            (NumberValue("gt", Decimal("0.80"), Decimal("0.795"), Decimal("0.805")),),
        ),
        ("RiskAssessment", "probability", "1e2", (NumberValue("eq", Decimal(100), Decimal(50), Decimal(150)),)),
        (
            "RiskAssessment",
            "probability",
            "ap-10",
            (NumberValue("ap", Decimal(-10), Decimal(-11), Decimal(-9)),),
        ),
        (
            "Observation",
            "value-quantity",
            "le5.4|http://unitsofmeasure.org|mg",
            (
                QuantityValue(
                    *("le", Decimal("5.4"), Decimal("5.35"), Decimal("5.45"), "http://unitsofmeasure.org", "mg"),
                    Base(Decimal("0.0054"), Decimal("0.00535"), Decimal("0.00545"), "g"),
                ),
            ),
        ),
        (
            "Observation",
            "value-quantity",
            "5.4||mg",
            (QuantityValue("eq", Decimal("5.4"), Decimal("5.35"), Decimal("5.45"), None, "mg"),),
        ),
    ],
)
def test_values_are_typed(type_: str, name: str, text: str, values: tuple[Value, ...]) -> None:
    assert clause(type_, name, text).values == values


def test_approximate_dates_reach_a_tenth_of_the_way_to_now() -> None:
    (value,) = clause("Patient", "birthdate", "ap1970-01-01").values
    reach = (NOW - 43_200_000) // 10
    assert value == DateValue("ap", -reach, 86_400_000 + reach)


@pytest.mark.parametrize(
    ("type_", "name", "modifier", "text"),
    [
        ("Patient", "family:exact", "exact", "Ada"),
        ("Patient", "family:contains", "contains", "da"),
        ("Patient", "gender:not", "not", "male"),
        ("Patient", "birthdate:missing", "missing", "true"),
        ("Observation", "code:text", "text", "blood"),
        ("Observation", "subject:identifier", "identifier", "urn:mrn|7"),
        ("Observation", "subject:Patient", "Patient", "7"),
    ],
)
def test_supported_modifiers(type_: str, name: str, modifier: str, text: str) -> None:
    assert clause(type_, name, text).modifier == modifier


def test_a_type_modifier_settles_the_type() -> None:
    found = clause("Observation", "subject:Patient", "7")
    assert found.values == (ReferenceValue("Patient", "7"),)
    assert found.targets == ("Patient",)


@pytest.mark.parametrize(
    ("name", "indexed"),
    [
        *(("code", True), ("code:not", False), ("code:missing", False), ("code:text", False), ("status", False)),
        *(("patient", True), ("value-string", True), ("value-string:contains", False)),
    ],
)
def test_a_clause_says_whether_the_index_can_help(name: str, indexed: bool) -> None:
    assert clause("Observation", name, "true").indexed is indexed


def test_controls_are_read() -> None:
    query = parse(
        "Observation",
        [
            *(("_include", "Observation:subject:Patient"), ("_include", "Observation:encounter")),
            *(("_sort", "-date,_id"), ("_count", "20"), ("_total", "accurate"), ("_summary", "count")),
            *(("_elements", "code,value"), ("_page", "opaque"), ("_format", "json"), ("_pretty", "true")),
        ],
    )
    assert query.include == (
        Include("Observation", "subject", "Patient"),
        Include("Observation", "encounter", None),
    )
    assert query.sort == (Sort("date", True), Sort("_id", False))
    assert (query.count, query.total, query.summary, query.page) == (20, "accurate", "count", "opaque")
    assert query.elements == ("code", "value")
    assert not query.clauses


def test_the_page_size_is_capped() -> None:
    assert parse("Patient", [("_count", "100000")]).count == 1000
    assert parse("Patient", [("_count", "0")]).count == 0
    assert parse("Patient", []).count is None


@pytest.mark.parametrize(
    ("type_", "name", "text"),
    [
        *(("Patient", "frobnicate", "1"), ("Patient", "family", ""), ("Patient", "family", "a,,b")),
        *(("Patient", "family", "  "), ("Patient", "birthdate", "tomorrow"), ("Patient", "birthdate", "2024-02-30")),
        *(
            ("Patient", "birthdate", "2024-1-1"),
            ("Patient", "birthdate", "20240101"),
            ("Patient", "birthdate", "xx2024"),
        ),
        *(("Patient", "birthdate", "２０２４"), ("Patient", "birthdate:exact", "2024")),
        *(("RiskAssessment", "probability", "NaN"), ("RiskAssessment", "probability", "1e9999")),
        *(("RiskAssessment", "probability", "Infinity"), ("RiskAssessment", "probability", "1_0")),
        *(("Observation", "value-quantity", "5|mg"), ("Observation", "value-quantity", "a||mg")),
        *(("Observation", "code", "|"), ("Observation", "code", "a|b|c"), ("Observation", "code:missing", "yes")),
        *(("Observation", "code:above", "x"), ("Observation", "code:in", "x"), ("Observation", "code:", "x")),
        *(("Observation", "subject.nonsense", "x"), ("Observation", "subject:Practitioner.name", "x")),
        *(("Patient", "_has:Observation:encounter:code", "x"), ("Observation", "subject:Practitioner", "x")),
        *(("Observation", "patient", "Group/1"), ("Observation", "subject", "#p1")),
        *(("Patient", "_id:missing", "true"), ("Patient", "_text", "(x"), ("Location", "near", "1|200")),
        *(("Observation", "code-value-quantity", "a$5$6"), ("Patient", "phonetic", "7"), ("Patient", "_list", "$x")),
        *(("Patient", "_revinclude", "Observation:encounter"), ("Patient", "_include:recurse", "Patient:link")),
        *(
            ("Patient", "_include", "Patient:*:Nothing"),
            ("Patient", "_include", "Observation:subject"),
            ("Patient", "_include", "Patient"),
        ),
        *(("Patient", "_include", "Patient:name"), ("Patient", "_include", "Patient:organization:Device")),
        *(("Patient", "_sort", "frobnicate"), ("Patient", "_sort", ""), ("Patient", "_sort", "name,-name")),
        *(("Observation", "_sort", "code-value-quantity"), ("Patient", "_count", "-1"), ("Patient", "_count", "x")),
        *(("Patient", "_count", "٣"), ("Patient", "_total", "maybe"), ("Patient", "_summary", "True")),
        *(("Patient", "_summary", "x"), ("Patient", "_elements", "nothing"), ("Patient", "_elements", "")),
    ],
)
def test_what_is_not_understood_is_refused_by_name(type_: str, name: str, text: str) -> None:
    problem = refused(type_, (name, text))
    assert problem.kind is Kind.INCORRECT
    assert [issue.place for issue in problem.issues] == [f"query.{name}"]


@pytest.mark.parametrize("name", ["subject.nonsense", "_has:Nothing:patient:code", "code:above"])
def test_lenient_never_drops_a_chain_or_a_modifier(name: str) -> None:
    refused("Observation", (name, "x"), lenient=True)


def test_lenient_lists_what_it_passed_over() -> None:
    query = parse("Patient", [("frobnicate", "1"), ("_query", "x"), ("family", "Ada")], lenient=True)
    assert query.ignored == ("frobnicate", "_query")
    assert len(query.clauses) == 1


def test_all_mistakes_are_reported_at_once() -> None:
    problem = refused("Patient", ("frobnicate", "1"), ("birthdate", "x"), ("family", "Ada"), ("_count", "x"))
    assert [issue.place for issue in problem.issues] == ["query.frobnicate", "query.birthdate", "query._count"]
    assert [issue.code for issue in problem.issues] == ["not-supported", "invalid", "invalid"]


@pytest.mark.parametrize(
    ("type_", "sent", "meant"),
    [
        ("Patient", ("birthdate", ">1950"), ("birthdate", "gt1950")),
        ("Patient", ("birthdate", "<=1950,>=1990-05"), ("birthdate", "le1950,ge1990-05")),
        ("RiskAssessment", ("probability", "<0.8"), ("probability", "lt0.8")),
        ("Observation", ("value-quantity", ">=5||mg"), ("value-quantity", "ge5||mg")),
        ("Observation", ("code-value-quantity", "8480-6$>140"), ("code-value-quantity", "8480-6$gt140")),
        ("Observation", ("subject:Patient.birthdate", "<1950"), ("subject:Patient.birthdate", "lt1950")),
        ("Observation", ("date", "ge2026-03-01T10:00 02:00"), ("date", "ge2026-03-01T10:00+02:00")),
        ("Patient", ("_sort:asc", "birthdate"), ("_sort", "birthdate")),
        ("Patient", ("_sort:desc", "birthdate,family"), ("_sort", "-birthdate,-family")),
        ("Patient", ("_elements", "name,id,resourceType"), ("_elements", "name,id")),
        ("Patient", ("_totalMethod", "count"), ("_total", "accurate")),
        ("Patient", ("_totalMethod", "estimate"), ("_total", "estimate")),
    ],
)
def test_what_clients_of_others_send_means_what_they_mean(
    type_: str, sent: tuple[str, str], meant: tuple[str, str]
) -> None:
    def asked(pair: tuple[str, str]) -> object:
        query = parse(type_, [pair], now_ms=NOW)
        chains = [join.step for join in query.joins if isinstance(join.step, Chain)]
        steps = [step for chain in chains for _, step in chain.branches]
        values = [each.values for each in (*query.clauses, *steps) if isinstance(each, Clause)]
        return values, len(steps), query.sort, query.elements, query.total

    assert asked(sent) == asked(meant)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(
            ("birthdate", "1950 02:00"),
            ("birthdate", " 1950"),
            ("birthdate", "=1950"),
            ("birthdate", ">"),
            ("birthdate", "><1950"),
            ("birthdate", "gt>1950"),
        ),
        *(("_sort:down", "birthdate"), ("_sort:desc", "-birthdate"), ("_sort:asc", "nothing"), ("_sort:", "birthdate")),
        *(("_elements", "resourceType"), ("_elements", "resourceType,nothing"), ("_elements", "-name")),
        *(("_totalMethod", "maybe"), ("_totalMethod", ""), ("_totalMethod:count", "count")),
    ],
)
def test_no_more_than_what_they_send_is_understood(name: str, text: str) -> None:
    assert [issue.place for issue in refused("Patient", (name, text)).issues] == [f"query.{name}"]


def test_a_total_is_asked_for_under_one_name() -> None:
    problem = refused("Patient", ("_total", "none"), ("_totalMethod", "count"))
    assert [issue.place for issue in problem.issues] == ["query._totalMethod"]


def test_a_control_may_stand_once() -> None:
    assert refused("Patient", ("_count", "1"), ("_count", "2")).issues[0].place == "query._count"


def test_attack_values_are_not_echoed() -> None:
    secret = "Wolfeschlegelsteinhausen"
    pairs = [
        *(("birthdate", secret), ("_count", secret), ("_sort", secret), ("_elements", secret), ("_total", secret)),
        *(("_include", secret), ("general-practitioner", f"{secret}/1"), ("birthdate:missing", secret)),
        *((f"{secret} says", "x"), (f"<script>{secret}", "x")),
    ]
    problem = refused("Patient", *pairs)
    assert len(problem.issues) == len(pairs)
    for text in (problem.public, problem.detail, *(f"{i.text} {i.place}" for i in problem.issues)):
        assert secret not in text


def test_attack_a_flood_of_parameters_or_values_is_refused() -> None:
    assert refused("Patient", *[("family", "a")] * 101).kind is Kind.TOO_COSTLY
    assert refused("Patient", ("_id", ",".join("a" * 501))).kind is Kind.TOO_COSTLY


def test_the_self_link_says_what_was_applied() -> None:
    pairs = [
        *(("patient", "12"), ("code", r"a\,b,http://loinc.org|1"), ("date:missing", "false"), ("_format", "json")),
        *(("_include", "Observation:subject:Patient"), ("_sort", "-date,_id"), ("_count", "5000"), ("typo", "1")),
        *(("_elements", "code"), ("_total", "none"), ("_summary", "false")),
    ]
    assert canonical(parse("Observation", pairs, lenient=True)) == [
        *(("patient", "12"), ("code", r"a\,b,http://loinc.org|1"), ("date:missing", "false")),
        *(("_include", "Observation:subject:Patient"), ("_sort", "-date,_id"), ("_count", "1000")),
        *(("_elements", "code"), ("_total", "none")),
    ]


def test_the_self_link_asks_the_same_question() -> None:
    pairs = [("subject:Patient", "7"), ("code:not", "a,b"), ("_sort", "date"), ("_include", "Observation:subject")]
    query = parse("Observation", pairs)
    assert parse("Observation", canonical(query)) == query


@given(st.lists(st.text(max_size=8), min_size=1, max_size=5), st.sampled_from(",|"))
def test_escaped_parts_come_back_whole(parts: list[str], sign: str) -> None:
    written = sign.join(
        part.replace("\\", "\\\\").replace(",", "\\,").replace("|", "\\|").replace("$", "\\$") for part in parts
    )
    assert [unescape(part) for part in split(written, sign)] == parts


@given(
    st.sampled_from(["Patient", "Observation", "RiskAssessment", "Encounter", "ValueSet"]),
    st.sampled_from(
        [
            *("family", "birthdate", "gender", "subject", "code", "value-quantity", "probability", "url", "length"),
            *("_id", "_lastUpdated", "_sort", "_count", "_include", "_elements", "code:text", "subject:identifier"),
        ]
    ),
    st.text(max_size=20) | st.from_regex(r"(ap|ge)?[0-9T:.+\-|eE,\\]{0,25}", fullmatch=True),
)
def test_any_value_is_read_or_refused(type_: str, name: str, text: str) -> None:
    with suppress(Problem):
        query = parse(type_, [(name, text)], now_ms=NOW)
        assert parse(type_, canonical(query), now_ms=NOW) == query
