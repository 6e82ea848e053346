# SPDX-License-Identifier: Apache-2.0
"""The page about scopes: its example is understood, its letters and words are those of the program."""

from __future__ import annotations

import re

import pytest

from salus.fhir.smart.scopes import LETTERS, LONGEST, MOST, WORDS, Scope, parse
from salus.identity.oauth.scopes import INTROSPECT
from salus.identity.smart.words import CATEGORIES
from tests.docs.pages import rows, sections, text_of

PAGE = sections(text_of("docs/reference/scopes.md"))


def test_the_example_is_understood() -> None:
    (example,) = re.findall(r"```text\n(.+)\n```", PAGE["Form"])
    assert isinstance(parse(example), Scope)


def test_every_letter_and_every_word_has_its_line() -> None:
    assert set(LETTERS) <= {cells[0] for cells in rows(PAGE["Form"])}
    named = {name.strip("`") for cells in rows(PAGE["Other scopes"]) for name in cells[0].split(", ")}
    assert named == {*WORDS, INTROSPECT}
    assert f"{LONGEST} characters and {MOST} scopes" in PAGE["Form"]


@pytest.mark.requirement("smart@139")
def test_it_says_what_links_between_patients_mean_for_access() -> None:
    assert "`Patient.link` gives nothing" in PAGE["The patient of a launch"]


def test_types_that_can_be_given_by_category_are_named() -> None:
    assert all(type_ in PAGE["Conditions"] for type_ in CATEGORIES)
