# SPDX-License-Identifier: Apache-2.0
"""Every search on the page about kinds and modifiers finds what the page says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from salus.app.indexing import bring_up_to_date
from salus.fhir.search.filters import OPERATORS
from tests.docs.pages import blocks, rows, sections, text_of
from tests.support.clinic import Client, Clinic, put_all

PAGE = text_of("docs/reference/search-values.md")
SHAPES = [
    (cells[0].strip("`"), *cells[1:]) for cells in rows(sections(text_of("docs/reference/search.md"))["Examples"])
]
JOINS = text_of("docs/reference/search-joins.md")
EXAMPLES = [
    (cells[0].strip("`").replace("\\|", "|"), cells[1])
    for cells in rows(PAGE)
    if "?" in cells[0] and cells[0].strip("`")[0].isupper()
]
BEYOND = [(cells[0].strip("`").replace("\\|", "|"), cells[1]) for cells in rows(sections(JOINS)["Examples"])]


def _only(client: Client, page: str) -> None:
    """Take away who is in every clinic, and keep the records of a page."""
    for who in ("anna", "bert"):
        client.delete(f"/fhir/Condition/asthma-{who}")
        client.delete(f"/fhir/Observation/pulse-{who}")
    for old in ("CareTeam/team-anna", "Patient/anna", "Patient/bert"):
        client.delete(f"/fhir/{old}")
    (bundle,) = [block.text for block in blocks(page) if block.info == "json"]
    put_all(client, *(entry["resource"] for entry in json.loads(bundle)["entry"]))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    clinic = Clinic(tmp_path_factory.mktemp("searches") / "data")
    try:
        client = clinic.as_("service")
        _only(client, PAGE)
        yield client
    finally:
        clinic.close()
        clinic.loop.close()


@pytest.mark.parametrize(("search", "finds"), EXAMPLES, ids=[search for search, _ in EXAMPLES])
def test_a_search_of_the_page_finds_what_it_says(service: Client, search: str, finds: str) -> None:
    path, _, query = search.partition("?")
    answered = service.get(f"/fhir/{path}?{quote(query, safe='=&')}".replace("/?", "?"))
    assert answered.status_code == 200, answered.text
    expected = set() if finds == "nothing" else set(finds.split(", "))
    assert {entry["resource"]["id"] for entry in answered.json().get("entry", ())} == expected
    again = service.get(answered.json()["link"][0]["url"].partition(":8443")[2])  # the self link asks the same
    assert {entry["resource"]["id"] for entry in again.json().get("entry", ())} == expected


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The same records and those of the page on searches beyond one type, in a clinic of their own."""
    clinic = Clinic(tmp_path_factory.mktemp("joined") / "data")
    try:
        client = clinic.as_("service")
        _only(client, PAGE)
        (bundle,) = [json.loads(block.text) for block in blocks(JOINS) if block.info == "json"]
        put_all(client, *(entry["resource"] for entry in bundle["entry"]))
        for name in ("physician", "nurse", "laboratory", "pharmacist"):
            client.delete(f"/fhir/Practitioner/{name}")
        yield client
    finally:
        clinic.close()
        clinic.loop.close()


@pytest.mark.parametrize(("search", "finds"), BEYOND, ids=[search for search, _ in BEYOND])
def test_a_search_beyond_one_type_finds_what_the_page_says(joined: Client, search: str, finds: str) -> None:
    test_a_search_of_the_page_finds_what_it_says(joined, search, finds)


@pytest.mark.parametrize(("search", "entries", "total", "following", "members"), SHAPES, ids=[row[0] for row in SHAPES])
def test_an_answer_has_the_shape_that_the_page_shows(
    service: Client, search: str, entries: str, total: str, following: str, members: str
) -> None:
    bundle = service.get(f"/fhir/{search}").json()
    found = [entry["resource"] for entry in bundle.get("entry", ())]
    assert ", ".join(resource["id"] for resource in found) == entries.replace("nothing", "")
    assert str(bundle.get("total", "none")) == total
    assert any(link["relation"] == "next" for link in bundle["link"]) is (following == "yes")
    shown = sorted(set(found[0]) - {"resourceType", "id", "meta"}) if found else []
    assert ", ".join(shown) == members.replace("nothing", "")


def test_the_page_lists_every_operator_of_a_filter() -> None:
    listed = {row[0]: row[1] for row in rows(sections(PAGE)["Filter"]) if len(row[0]) == 2}
    assert listed == OPERATORS


@pytest.mark.parametrize(
    ("search", "code"),
    [
        ("Observation?code:in=http://nowhere.example/vs", "not-found"),
        ("Observation?code:not-in=http://nowhere.example/vs", "not-found"),
        ("Observation?code:below=http://clinic.example/colours|pink", "not-found"),
        ("Observation?code:below=http://nowhere.example|x", "not-found"),
        ("Observation?code:below=navy", "invalid"),
        ("Observation?subject:below=Patient/ada", "invalid"),
        ("ValueSet?url:below=urn:oid:1.2", "invalid"),
        ("Observation?component-code-value-quantity=8480-6", "invalid"),
        ("Location?near=91|0", "invalid"),
        ("Patient?_filter=name", "invalid"),
        ("Patient?_filter=name xx y", "invalid"),
        ("Patient?_filter=name eq y)", "invalid"),
        ("Patient?_filter=(name eq y", "invalid"),
        ("Patient?_filter=birthdate co 19", "invalid"),
        ("Patient?_filter=link[type eq x].other pr true", "not-supported"),
        ("Patient?_filter=nothing eq y", "not-supported"),
        ("Patient?_text=(", "invalid"),
        ("Patient?phonetic=1", "invalid"),
        ("Patient?_sort=phonetic", "invalid"),
        ("Patient?_sort=_text", "invalid"),
        ("Patient?_filter=_text eq x", "not-supported"),
        ("Patient?birthdate:below=1980", "not-supported"),
        ("Patient?identifier:of-type=MR|123", "invalid"),
    ],
)
def test_what_is_not_understood_is_an_error_and_never_an_empty_answer(service: Client, search: str, code: str) -> None:
    path, _, query = search.partition("?")
    answered = service.get(f"/fhir/{path}?{quote(query, safe='=&')}".replace("/?", "?"))
    assert answered.status_code == 400, answered.text
    assert answered.json()["issue"][0]["code"] == code, answered.text


def test_the_composite_of_the_page_finds_a_relative(clinic: Clinic) -> None:
    (shown,) = [json.loads(block.text) for block in blocks(PAGE) if block.info == "json parameter"]
    service = clinic.as_("service")
    contact = {"name": {"family": "Berg"}, "telecom": [{"system": "phone", "value": "555-0100"}]}
    put_all(service, {**shown, "id": "contact-phone"}, {"resourceType": "Patient", "id": "p", "contact": [contact]})
    clinic.run(bring_up_to_date(clinic.house, "default"))
    assert [found["id"] for found in service.find("Patient?contact-phone=berg$555-0100")] == ["p"]
    assert "`Patient?contact-phone=berg$555-0100`" in PAGE
