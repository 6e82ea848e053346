# SPDX-License-Identifier: Apache-2.0
"""The requests on the page about SCIM are answered as it says, one after another; `ID` is the person of the first."""

from __future__ import annotations

from salus.http.scim_api.messages import WORDS
from salus.http.scim_api.models import SomeUser
from tests.docs.pages import blocks, rows, sections, text_of
from tests.support.clinic import Clinic
from tests.support.scim import directory

PAGE = "docs/reference/scim.md"


def test_every_request_on_the_page_is_answered_as_it_says(clinic: Clinic) -> None:
    client, id_, found = directory(clinic).client, "ID", {}
    for block in (block for block in blocks(text_of(PAGE)) if block.info.startswith("http ")):
        head, _, body = block.text.replace("ID", id_).partition("\n\n")
        line, *fields = head.strip().splitlines()
        method, _, path = line.partition(" ")
        headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
        answer = client.request(method, path, content=body.rstrip("\n"), headers=headers)
        assert answer.status_code == int(block.info.split()[1]), (line, answer.text)
        found[method, path.partition("?")[0]] = answer
        id_ = answer.json()["id"] if id_ == "ID" else id_
    listed = found["GET", "/scim/v2/Users"].json()
    assert [each["active"] for each in listed["Resources"]] == [False]
    assert found["POST", "/scim/v2/.search"].json()["totalResults"] == 2


def test_the_attributes_on_the_page_are_those_of_the_schema() -> None:
    kept = next(row[1] for row in rows(sections(text_of(PAGE))["Resources"]) if "User" in row[0])
    for attribute in SomeUser.to_schema().attributes or ():
        assert f"`{attribute.name}`" in kept, attribute.name


def test_the_kinds_of_errors_on_the_page_are_known() -> None:
    named = {
        word.strip(" `") for row in rows(sections(text_of(PAGE))["Errors"]) for word in row[1].split(";")[0].split(",")
    }
    assert {word for word in named if not word.startswith("none")} <= WORDS.keys()
