# SPDX-License-Identifier: Apache-2.0
"""Requirements of SMART and (g)(10): tests name those that there are, and the page says what is true."""

from __future__ import annotations

import csv

import pytest
from tools.requirements import PAGE, covered, page, requirements

from tests.docs.pages import ROOT

LISTS = ROOT.parent / "shared" / "data" / "requirements"
SMART = "hl7.fhir.uv.smart-app-launch_2.2.0"


def test_tests_name_requirements_that_there_are() -> None:
    assert set(covered()) <= {one.id for one in requirements()}


def test_every_requirement_has_a_test_or_a_reason() -> None:
    tested = covered()
    assert [one.id for one in requirements() if one.id not in tested and not one.reason] == []


def test_a_reason_is_for_what_has_no_test() -> None:
    tested = covered()
    assert [one.id for one in requirements() if one.id in tested and one.reason] == []


def test_the_page_is_made_from_the_tests() -> None:
    assert PAGE.read_text("utf-8") == page(), "run `python tools/requirements.py`"


def test_every_requirement_of_smart_on_servers_is_listed() -> None:
    path = LISTS / "smart_app_launch_test_kit_requirements.csv"
    if not path.exists():
        pytest.skip("the requirement lists of the test kits are not here")
    with path.open(encoding="utf-8-sig", newline="") as file:
        binding = {
            row["ID"]
            for row in csv.DictReader(file)
            if row["Req Set"] == SMART and row["Conformance"].startswith("SHALL") and "Server" in row["Actors"]
        }
    listed = {one.id.removeprefix("smart@") for one in requirements() if one.id.startswith("smart@")}
    assert listed == binding


def test_every_requirement_of_certification_about_authorization_is_listed() -> None:
    path = LISTS / "onc_certification_g10_test_kit_requirements.csv"
    if not path.exists():
        pytest.skip("the requirement lists of the test kits are not here")
    with path.open(encoding="utf-8-sig", newline="") as file:
        ids = {row["ID"] for row in csv.DictReader(file)}
    about = {
        id_ for id_ in ids if id_.startswith(("APP-REG", "SEC-CNN", "AUT-", "PAR-", "TOK-INTRO")) or id_ == "DAT-PAT-9"
    }
    assert {one.id.removeprefix("g10@") for one in requirements() if one.id.startswith("g10@")} == about
