# SPDX-License-Identifier: Apache-2.0
"""What a query takes out of one record: fields, filters, fragments, variables, FHIR's directives, and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from salus.fhir.graphql import document, introspection, shape
from salus.fhir.graphql.select import Found, Selecting
from salus.kernel.errors import Kind, Problem

Json = dict[str, Any]
CLINIC = {"resourceType": "Organization", "id": "o", "name": "Clinic"}
PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "active": True,
    "contained": [{"resourceType": "Practitioner", "id": "gp", "name": [{"family": "Inside"}]}],
    "name": [
        {"use": "official", "family": "Chalmers", "given": ["Peter", "James"]},
        {"use": "usual", "given": ["Jim"]},
    ],
    "birthDate": "1974-12-25",
    "_birthDate": {"extension": [{"url": "urn:time", "valueDateTime": "1974-12-25T14:35:45-05:00"}]},
    "generalPractitioner": [{"reference": "#gp"}, {"reference": "Practitioner/hidden"}],
    "managingOrganization": {"reference": "Organization/o"},
}


# Each fragment holds the next ten times.
BOMB = "{...F0} fragment F8 on Patient{id}" + "".join(
    f"fragment F{n} on Patient{{{f' ...F{n + 1}' * 10}}}" for n in range(8)
)


class Shelf:
    """A source with one organization."""

    def record(self, type_: str, id_: str) -> Json:
        return self.target(f"{type_}/{id_}")

    def target(self, reference: str) -> Json:
        if reference == "Organization/o":
            return CLINIC
        raise Problem(Kind.NOT_FOUND, "There is no such record.")

    def search(self, type_: str, arguments: Mapping[str, Any], *, counted: bool) -> Found:
        return Found([CLINIC], 1 if counted else None, 0, 10, "")


def asked(query: str, variables: Json | None = None) -> Json:
    selections = document.read(query, variables)
    shape.check(selections, "Patient")
    answer = Selecting(Shelf()).instance(selections, PATIENT)
    assert answer.errors == []
    return answer.data


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{id active gender}", {"id": "p", "active": True, "gender": None}),
        ("{n: name{f: family}}", {"n": [{"f": "Chalmers"}, {"f": None}]}),
        ("{resourceType __typename name{__typename}}",
         {"resourceType": "Patient", "__typename": "Patient", "name": [{"__typename": "HumanName"}] * 2}),
        ("{_birthDate{extension{url valueDateTime}}}",
         {"_birthDate": {"extension": [{"url": "urn:time", "valueDateTime": "1974-12-25T14:35:45-05:00"}]}}),
        ('{name(use: "official"){family}}', {"name": [{"family": "Chalmers"}]}),
        ('{name(use: official){family}}', {"name": [{"family": "Chalmers"}]}),
        ('{name(fhirpath: "given.count() = 1"){use}}', {"name": [{"use": "usual"}]}),
        ("{name(_offset: 1){use}}", {"name": [{"use": "usual"}]}),
        ("{name(_count: 1){use}}", {"name": [{"use": "official"}]}),
        ("{name @first {use}}", {"name": [{"use": "official"}]}),
        ("{name @first @singleton {use}}", {"name": {"use": "official"}}),
        ("{name @flatten {given family}}", {"given": ["Peter", "James", "Jim"], "family": ["Chalmers"]}),
        ("{name @flatten {given @first family @singleton}}", {"given": ["Peter", "Jim"], "family": "Chalmers"}),
        ('{name @flatten @slice(path: "use") {given @first @singleton}}',
         {"given.official": "Peter", "given.usual": "Jim"}),
        ('{name @slice(path: "$index") {use}}', {"name.0": [{"use": "official"}], "name.1": [{"use": "usual"}]}),
        ("{managingOrganization{reference resource{... on Organization{name}}}}",
         {"managingOrganization": {"reference": "Organization/o", "resource": {"name": "Clinic"}}}),
        ("{managingOrganization @flatten {resource @flatten {... on Organization{name}}}}", {"name": "Clinic"}),
        ('{managingOrganization{resource(type: "Patient"){id}}}', {"managingOrganization": {"resource": None}}),
        ("{generalPractitioner{resource(optional: true){... on Practitioner{name{family}}}}}",
         {"generalPractitioner": [{"resource": {"name": [{"family": "Inside"}]}}, {"resource": None}]}),
        ("{OrganizationList(_reference: x){name}}", {"OrganizationList": [{"name": "Clinic"}]}),
        ("{c: OrganizationConnection(_reference: x){count edges{mode resource{id}}}}",
         {"c": {"count": 1, "edges": [{"mode": "match", "resource": {"id": "o"}}]}}),
        ("{... on Patient{id} ...F} fragment F on Resource{meta{versionId}}", {"id": "p", "meta": None}),
        ("{name{use} name{family}}",
         {"name": [{"use": "official", "family": "Chalmers"}, {"use": "usual", "family": None}]}),
        ("{id @skip(if: true) active @include(if: false) birthDate}", {"birthDate": "1974-12-25"}),
    ],
)  # fmt: skip
def test_a_query_takes_what_it_asks_for(query: str, expected: Json) -> None:
    assert asked(query) == expected


def test_variables_stand_for_values_and_have_types() -> None:
    query = 'query($use: String = "usual", $no: Boolean!){name(use: $use){use} id @skip(if: $no)}'
    assert asked(query, {"no": True}) == {"name": [{"use": "usual"}]}
    assert asked(query, {"no": False, "use": "official"})["id"] == "p"
    for variables in ({}, {"no": "yes"}, {"no": True, "use": 5}):
        with pytest.raises(Problem):
            asked(query, variables)


def test_what_is_not_there_is_null_with_an_error() -> None:
    selections = document.read("{generalPractitioner{resource{id}}}")
    answer = Selecting(Shelf()).instance(selections, PATIENT)
    assert answer.data == {"generalPractitioner": [{"resource": {"id": "gp"}}, {"resource": None}]}
    (error,) = answer.errors
    assert error["path"] == ["generalPractitioner", 1, "resource"]
    assert error["extensions"] == {"code": "not-found"}


@pytest.mark.parametrize(
    "query",
    [
        "{nothing}",
        "{id{x}}",
        "{name}",
        "{active(x: 1)}",
        "{name(period: 1){use}}",
        "{id id: active}",
        "{managingOrganization{resource{name}}}",
        "{managingOrganization{resource(type: Nonsense){id}}}",
        "{... on Observation{status}}",
        "{...F}",
        "{...F} fragment F on Patient{...F}",
        "{id @defer}",
        "{name @slice {use}}",
        "{name(_count: -1){use}}",
        '{name(fhirpath: "(("){use}}',
        "{name(use: $x){use}}",
        "{id",
        "",
        "mutation{id}",
        "subscription{id}",
        "query a{id} query b{id}",
        "{OrganizationList{name}}",
    ],
)
def test_a_query_that_does_not_fit_is_refused_without_its_values(query: str) -> None:
    with pytest.raises(Problem) as caught:
        asked(query)
    assert caught.value.kind is Kind.INCORRECT


@pytest.mark.parametrize(
    "query",
    [
        "{" + "extension{" * 20 + "url" + "}" * 21,
        "{" + " ".join(f"a{n}: id" for n in range(2000)) + "}",
        BOMB,
        "{id}" + "#" * 30_000,
        "{" * 5_000,
    ],
    ids=["deep", "wide", "bomb", "long", "brackets"],
)  # fmt: skip
def test_what_is_too_costly_is_refused_before_anything_is_read(query: str) -> None:
    with pytest.raises(Problem) as caught:
        asked(query)
    assert caught.value.kind in {Kind.TOO_COSTLY, Kind.INCORRECT}


def test_types_are_described_one_by_one() -> None:
    def described(query: str) -> Json:
        selections = document.read(query)
        assert introspection.asks_for_types(selections)
        return introspection.described(selections)

    patient = described('{__type(name: "Patient"){kind fields{name args{name} type{name kind ofType{name}}}}}')[
        "__type"
    ]
    fields = {each["name"]: each for each in patient["fields"]}
    assert fields["name"]["type"] == {"name": None, "kind": "LIST", "ofType": {"name": "HumanName"}}
    assert fields["birthDate"]["type"]["name"] == "date"
    assert {"ObservationList", "contact"} <= fields.keys()
    assert described('{__type(name: "Nonsense"){name}}') == {"__type": None}
    names = {each["name"] for each in described("{__schema{types{name kind}}}")["__schema"]["types"]}
    assert {"Patient", "PatientContact", "Query", "date"} <= names
    for query in ("{__schema{types{fields{name}}}}", '{__type(name: "Patient"){nothing}}'):
        with pytest.raises(Problem):
            described(query)
    with pytest.raises(Problem):
        introspection.asks_for_types(document.read('{id __type(name: "Patient"){name}}'))


def test_the_root_says_its_type() -> None:
    selections = document.read("{__typename}", {})
    shape.check(selections, shape.QUERY)
    assert Selecting(Shelf()).system(selections).data == {"__typename": "Query"}
