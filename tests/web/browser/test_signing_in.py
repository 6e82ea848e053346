# SPDX-License-Identifier: Apache-2.0
"""People sign in, lose things, come back, and look after their account, in a real browser."""

from __future__ import annotations

from tests.support.served import until
from tests.web.browser.conftest import Visiting
from tests.web.browser.stage import Stage, Visitor


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
    visitor.expect("Keep your recovery codes")
    codes = visitor.page.locator(".salus-codes li").all_inner_texts()
    assert len(set(codes)) == 10
    visitor.page.check("#kept")
    visitor.press("Go on")
    visitor.choose()
    assert visitor.path() == "/"
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.go("/sign-in")
    visitor.press("Use a passkey")
    visitor.page.locator("h1", has_not_text="Sign in").wait_for()
    visitor.choose()
    assert visitor.says().startswith("Welcome")
    visitor.go("/account")
    assert visitor.page.get_by_role("heading", name="My laptop").is_visible()


# A browser whose proposals nobody takes up, and which takes one request at a time, as they all do.
_NOBODY_CHOOSES = """
const get = navigator.credentials.get.bind(navigator.credentials);
navigator.credentials.get = (how) => {
  const state = document.documentElement.dataset;
  if (state.proposing === "yes") return Promise.reject(new DOMException("one request at a time", "OperationError"));
  if (how.mediation !== "conditional") return get(how);
  state.proposing = "yes";
  return new Promise((_, refuse) =>
    how.signal.addEventListener("abort", () => {
      state.proposing = "no";
      refuse(how.signal.reason);
    })
  );
};
"""


def _with_passkey(stage: Stage, visitor: Visitor) -> None:
    """Somebody who was here before: with a passkey of this browser, and signed out."""
    ada = stage.person()
    visitor.key()
    visitor.go("/sign-in/invitation")
    visitor.page.fill("#name", ada.name)
    visitor.page.fill("#code", stage.invite(ada))
    visitor.press("Go on")
    visitor.page.fill("#password", "amber lantern 77 mosses")
    visitor.page.fill("#again", "amber lantern 77 mosses")
    visitor.press("Go on")
    visitor.press("Make a passkey")
    visitor.expect("Keep your recovery codes")
    visitor.page.check("#kept")
    visitor.press("Go on")
    visitor.choose()
    visitor.page.get_by_role("button", name="Sign out").click()


def test_the_browser_proposes_a_passkey_beside_the_user_name(stage: Stage, visiting: Visiting) -> None:
    visitor = visiting(autofill=True)
    _with_passkey(stage, visitor)
    visitor.go("/sign-in?next=%2Faccount%2Fhistory")  # nothing is typed and nothing is pressed
    visitor.page.locator("h1", has_not_text="Sign in").wait_for()
    visitor.choose()
    assert visitor.path() == "/account/history"


def test_the_button_ends_the_waiting_for_a_proposal(stage: Stage, visiting: Visiting) -> None:
    visitor = visiting(autofill=True)
    _with_passkey(stage, visitor)
    visitor.context.add_init_script(_NOBODY_CHOOSES)
    visitor.go("/sign-in")
    visitor.page.locator("html[data-proposing=yes]").wait_for()
    visitor.press("Use a passkey")
    visitor.page.locator("h1", has_not_text="Sign in").wait_for()
    visitor.choose()
    assert visitor.says().startswith("Welcome")


def test_a_page_that_waits_for_a_proposal_ends_no_sign_in_of_another_window(stage: Stage, visiting: Visiting) -> None:
    ada, visitor = stage.person(), visiting(autofill=True)
    visitor.password(ada)
    visitor.expect("Second step")
    other = visitor.context.new_page()
    with other.expect_response(lambda answer: answer.url.endswith("/sign-in/passkey/begin")) as asked:
        other.goto(f"{stage.base}/sign-in")
    assert asked.value.status == 409
    visitor.page.fill("#code", ada.code())
    visitor.press("Go on")
    visitor.choose()
    assert visitor.says().startswith("Welcome")


def test_an_application_for_codes_is_set_up_and_without_javascript_everything_works(
    stage: Stage, visiting: Visiting
) -> None:
    ada, visitor = stage.person(), visiting(javascript=False, width=390)
    visitor.go("/sign-in/invitation")
    visitor.page.fill("#name", ada.name)
    visitor.page.fill("#code", stage.invite(ada).lower().replace("-", " "))
    visitor.press("Go on")
    visitor.page.fill("#password", "amber lantern 77 mosses")
    visitor.page.fill("#again", "amber lantern 77 mosse")
    visitor.press("Go on")
    assert visitor.page.locator("#again-error").is_visible()
    visitor.page.fill("#password", "amber lantern 77 mosses")
    visitor.page.fill("#again", "amber lantern 77 mosses")
    visitor.press("Go on")
    assert not visitor.page.get_by_role("button", name="Make a passkey").is_visible()
    visitor.press("Use an app")
    assert visitor.page.locator("svg.salus-qr path").count() == 2
    ada.secret, ada.used = visitor.page.locator("#key").inner_text().replace(" ", ""), set()
    visitor.page.fill("#code", "000000")
    visitor.press("Go on")
    assert visitor.page.locator("#code-error").is_visible()
    visitor.page.fill("#code", ada.code())
    visitor.press("Go on")
    assert visitor.says() == "Keep your recovery codes"
    with visitor.page.expect_download() as saved:
        visitor.press("Save them as a file")
    kept = saved.value.path().read_text()
    assert all(code in kept for code in visitor.page.locator(".salus-codes li").all_inner_texts())
    visitor.press("Go on")
    assert visitor.page.get_by_text("Keep the codes first").first.is_visible()
    visitor.page.check("#kept")
    visitor.press("Go on")
    visitor.choose()
    assert visitor.says().startswith("Welcome")
    visitor.go("/account/history")
    assert visitor.page.get_by_text("You signed in.").first.is_visible()


def test_a_lost_telephone_a_recovery_code_and_a_new_factor(stage: Stage, visiting: Visiting) -> None:
    ada, visitor = stage.person(), visiting()
    visitor.sign_in(ada)
    visitor.go("/account/recovery")
    visitor.press("Make new codes")
    code = visitor.page.locator(".salus-codes li").first.inner_text()
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.password(ada)
    visitor.press("I have lost my phone or key")
    visitor.page.fill("#code", code.lower())
    visitor.press("Go on")
    visitor.expect("Set up a second step")
    visitor.key()
    visitor.press("Make a passkey")
    visitor.expect("Keep your recovery codes")
    visitor.page.check("#kept")
    visitor.press("Go on")
    visitor.choose()
    visitor.go("/account")
    assert not visitor.page.get_by_role("heading", name="Authenticator app").is_visible()
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.password(ada)
    assert visitor.page.get_by_role("button", name="Use a passkey").is_visible()


def test_a_stale_session_shows_its_factors_again_before_a_factor_is_bound(stage: Stage, visiting: Visiting) -> None:
    ada, visitor = stage.person(), visiting()
    visitor.sign_in(ada)
    stage.age(ada)

    def noticed() -> bool:  # what another process did
        visitor.go("/account/password")
        return visitor.path().startswith("/step-up")

    until(noticed)
    visitor.go("/account/factors/new")
    assert visitor.path() == "/step-up?next=%2Faccount%2Ffactors%2Fnew"
    before = {cookie["name"]: cookie["value"] for cookie in visitor.context.cookies()}
    visitor.page.fill("#password", "violet harbour 42 kites")
    visitor.press("Go on")
    visitor.page.fill("#code", ada.code())
    visitor.press("Go on")
    visitor.expect("Add a way to sign in")
    after = {cookie["name"]: cookie["value"] for cookie in visitor.context.cookies()}
    assert after["__Host-salus.default"] != before["__Host-salus.default"]
    visitor.key()
    visitor.page.fill("#label", "Blue key")
    visitor.press("Make a passkey")
    visitor.expect("Keep your recovery codes")
    visitor.page.check("#kept")
    visitor.press("Go on")
    visitor.expect("Your account")
    assert visitor.page.get_by_role("heading", name="Blue key").is_visible()
    visitor.page.get_by_role("link", name="Remove Blue key").click()
    visitor.press("Remove it")
    visitor.expect("Your account")
    assert not visitor.page.get_by_role("heading", name="Blue key").is_visible()


def test_a_device_is_signed_out_from_another_one(stage: Stage, visiting: Visiting) -> None:
    ada, here, there = stage.person(), visiting(), visiting()
    there.sign_in(ada)
    here.sign_in(ada)
    here.go("/account/sessions")
    assert here.page.locator(".salus-list > li").count() == 2
    here.page.locator(".salus-list").get_by_role("button", name="Sign out").click()
    here.page.locator(".nhsuk-notification-banner").wait_for()
    assert here.page.locator(".salus-list > li").count() == 1
    there.go("/account")
    assert there.path() == "/sign-in?next=%2Faccount"
    here.go("/account")
    assert here.says() == "Your account"
