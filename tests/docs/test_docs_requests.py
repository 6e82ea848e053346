# SPDX-License-Identifier: Apache-2.0
"""The requests shown on the pages about interactions and formats are answered as the pages say.

A fence `http 200` holds a request line, headers, an empty line and a body; the number is the expected status.
"""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import blocks, rows, sections, text_of
from tests.support.clinic import Clinic

PAGES = ("docs/reference/interactions.md", "docs/reference/binary.md", "docs/reference/formats.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_request_on_the_page_is_answered_as_it_says(clinic: Clinic, page: str) -> None:
    service = clinic.as_("service")
    shown = [block for block in blocks(text_of(page)) if block.info.startswith("http ")]
    assert shown
    for block in shown:
        head, _, body = block.text.partition("\n\n")
        line, *fields = head.splitlines()
        method, _, path = line.partition(" ")
        headers = dict(field.split(": ", 1) for field in fields)
        answer = service.request(
            method, path, content=body.rstrip("\n"), headers={k.lower(): v for k, v in headers.items()}
        )
        assert answer.status_code == int(block.info.split()[1]), (line, answer.text)


def test_every_interaction_has_an_example() -> None:
    page = text_of("docs/reference/interactions.md")
    known = {cells[0].strip("`") for cells in rows(sections(page)[""])}
    shown = re.findall(r"^### (\S+)\n\n```http", page, re.MULTILINE)
    assert sorted(shown) == sorted(known)


def test_the_examples_did_what_they_show(clinic: Clinic) -> None:
    test_every_request_on_the_page_is_answered_as_it_says(clinic, "docs/reference/interactions.md")
    anna = clinic.as_("service").get("/fhir/Patient/anna").json()
    assert anna["name"][0]["given"] == ["Anne"]
    assert anna["telecom"] == [{"system": "phone", "value": "555-0199"}]
    assert anna["contact"] == [{"name": {"text": "Bo"}}]
    assert anna["communication"] == [{"language": {"text": "Swedish"}}]
    assert anna["gender"] == "other"
    who = clinic.as_("service").find("Provenance")[0]["agent"][0]["who"]
    assert who["reference"].endswith("/_history/1")
    assert "extension" not in who
