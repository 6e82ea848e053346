# SPDX-License-Identifier: Apache-2.0
"""People sign in, lose things, come back, and look after their account, in a real browser."""

from __future__ import annotations

import re

from tests.web.browser.conftest import Visiting
from tests.web.browser.stage import Stage


def test_with_password_and_code_to_the_page_that_was_asked_for(stage: Stage, visiting: Visiting) -> None:
    ada, visitor = stage.person(), visiting()
    visitor.go("/account/history")
    assert visitor.path() == "/sign-in?next=%2Faccount%2Fhistory"
    visitor.sign_in(ada, at="/sign-in?next=%2Faccount%2Fhistory")
    assert visitor.path() == "/account/history"
    assert visitor.says() == "History of your account"
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.go("/account")
    assert visitor.path() == "/sign-in?next=%2Faccount"


def test_an_invitation_a_passkey_and_the_next_sign_in_with_it(stage: Stage, visiting: Visiting) -> None:
    ada, visitor = stage.person(), visiting()
    visitor.key()
    visitor.go("/sign-in/invitation")
    visitor.page.fill("#name", ada.name)
    visitor.page.fill("#code", stage.invite(ada))
    visitor.press("Go on")
    assert visitor.says() == "Choose a password"
    visitor.page.fill("#password", "amber lantern 77 mosses")
    visitor.page.fill("#again", "amber lantern 77 mosses")
    visitor.press("Go on")
    assert visitor.says() == "Set up a second step"
    visitor.page.fill("#label", "My laptop")
    visitor.press("Make a passkey")
    visitor.page.wait_for_url("**/sign-in/step")
    assert visitor.says() == "Keep your recovery codes"
    codes = visitor.page.locator(".salus-codes li").all_inner_texts()
    assert len(set(codes)) == 10
    visitor.page.check("#kept")
    visitor.press("Go on")
    visitor.choose()
    assert visitor.path() == "/"
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.go("/sign-in")
    visitor.press("Use a passkey")
    visitor.page.wait_for_url(re.compile(r"/(sign-in/step)?$"))
    visitor.choose()
    assert visitor.says().startswith("Welcome")
    visitor.go("/account")
    assert visitor.page.get_by_role("heading", name="My laptop").is_visible()
