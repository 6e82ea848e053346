# SPDX-License-Identifier: Apache-2.0
"""The whole way: a passkey, an application over npm `fhirclient`, a part of what it asks for, and the end of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.served import salus
from tests.web.browser.records import fill
from tests.web.browser.smart_app import LIBRARY, SmartApp
from tests.web.browser.stage import PASSWORD, Person, Stage, Visitor

SCOPE = "launch/patient openid fhirUser patient/Patient.r patient/Observation.rs patient/Condition.rs"


def _enrol(stage: Stage, visitor: Visitor, person: Person) -> None:
    """Accept an invitation with a passkey, and go away."""
    page = visitor.page
    visitor.go("/sign-in/invitation")
    page.fill("#name", person.name)
    page.fill("#code", stage.invite(person))
    visitor.press("Go on")
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    visitor.press("Go on")
    page.fill("#label", "Security key")
    visitor.press("Make a passkey")
    page.check("#kept")
    visitor.press("Go on")
    visitor.choose()
    page.get_by_role("button", name="Sign out").click()


@pytest.fixture
def smart_app(stage: Stage, tmp_path: Path) -> SmartApp:
    if not LIBRARY.exists():
        pytest.skip("the clients from npm are not installed (tests/clients/install.sh)")
    fill(stage)
    app = SmartApp(tmp_path / "app", stage.folder / "tls", f"{stage.base}/fhir", SCOPE)
    words = ("--name", "Growth chart", "--redirect", f"{app.base}/index.html", "--origin", app.base)
    scopes = [part for scope in SCOPE.split() for part in ("--scope", scope)]
    salus("client", "add", "growth", *words, *scopes, "--data-dir", stage.folder)
    return app


def test_from_a_passkey_to_the_end_of_its_access(stage: Stage, smart_app: SmartApp) -> None:
    ada, visitor = stage.person(), Visitor(stage)
    page = visitor.page
    try:
        visitor.key()
        _enrol(stage, visitor, ada)
        page.goto(f"{smart_app.base}/launch.html")  # nobody is signed in: a passkey is asked for on the way
        page.wait_for_url("**/sign-in**")
        visitor.press("Use a passkey")
        page.wait_for_url(re.compile(r"/(sign-in/step|authorize/[\w-]+)$"))
        expect(page.locator("h1")).not_to_have_text("Sign in")
        visitor.choose()
        page.wait_for_url(re.compile(r"/authorize/[\w-]+$"))
        assert visitor.says().endswith("Choose a patient")
        page.fill("#name", "ång")
        visitor.press("Search")
        page.get_by_label("Ångström").check()
        visitor.press("Go on")
        assert visitor.says() == "Allow Growth chart?"
        page.get_by_label("Read name, birth date, address and contact details").check()
        page.locator("summary", has_text="Only a part of it").first.click()
        page.get_by_label("Vital signs", exact=True).check()
        visitor.press("Allow")

        page.wait_for_url(f"{smart_app.base}/index.html**")
        expect(page.locator("#patient")).to_have_text("Ångström")
        expect(page.locator("#vitals")).to_have_text("1 vital signs")
        expect(page.locator("#problems")).to_have_text("403")

        beside = visitor.context.new_page()
        beside.goto(f"{stage.base}/account/apps")
        beside.get_by_role("button", name="Take it back").click()
        expect(beside.get_by_text("You have not allowed any application")).to_be_visible()
        page.click("#again")
        expect(page.locator("#failed")).to_have_text("401")
    finally:
        visitor.close()
        smart_app.close()
