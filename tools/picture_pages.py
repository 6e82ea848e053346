# SPDX-License-Identifier: Apache-2.0
"""Takes the pictures of the pages in `docs/images`: a served clinic of one person, in Chromium.

usage: python -m tools.picture_pages      (after `make setup`; Chromium has to be installed)
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from urllib.parse import quote

from tests.web.browser.records import fill
from tests.web.browser.stage import Stage, Visitor, why_not
from tests.web.browser.test_how_application_pages_look import register, request

from salus.identity.ceremonies.flow import Began

IMAGES = Path(__file__).parents[1] / "docs" / "images"
NARROW, WIDE = 390, 960


def take(visitor: Visitor, name: str) -> None:
    """Keep what is on the screen."""
    visitor.page.evaluate("() => document.fonts.ready.then(() => true)")
    visitor.page.screenshot(path=str(IMAGES / f"{name}.png"), full_page=True, animations="disabled")


def first_sign_in(stage: Stage) -> None:
    """From the invitation to the account, on a telephone."""
    ada = stage.person()
    visitor = Visitor(stage, width=NARROW)
    visitor.key()
    visitor.go("/sign-in")
    take(visitor, "sign-in")
    visitor.go("/sign-in/invitation")
    visitor.page.fill("#name", ada.name)
    visitor.page.fill("#code", stage.invite(ada, Began.ALL))
    visitor.press("Go on")
    visitor.page.fill("#password", "amber lantern 77 mosses")
    visitor.page.fill("#again", "amber lantern 77 mosses")
    visitor.press("Go on")
    visitor.expect("Set up a second step")
    take(visitor, "second-step")
    visitor.page.fill("#label", "My laptop")
    visitor.press("Make a passkey")
    visitor.expect("Keep your recovery codes")
    visitor.page.check("#kept")
    visitor.press("Go on")
    visitor.choose()
    visitor.page.set_viewport_size({"width": WIDE, "height": 700})
    for path, name in (("/account", "account"), ("/account/sessions", "devices")):
        visitor.go(path)
        take(visitor, name)
    visitor.close()


def applications(stage: Stage) -> None:
    """A person answers an application, on a telephone and at a desk."""
    fill(stage)
    register(stage)
    visitor = Visitor(stage, width=NARROW)
    visitor.sign_in(stage.person(), at=f"/sign-in?next={quote('/launch')}")
    visitor.go(request(stage))
    visitor.page.fill("#name", "ång")
    visitor.press("Search")
    visitor.page.get_by_label("Ångström").check()
    take(visitor, "choose-a-patient")
    visitor.press("Go on")
    visitor.expect("Allow")
    visitor.page.locator("summary").first.click()
    visitor.page.get_by_label("Vital signs", exact=True).check()
    take(visitor, "allow-an-application")
    visitor.page.get_by_role("button", name="Allow", exact=True).click()
    visitor.page.wait_for_url("**/health?**")
    visitor.page.set_viewport_size({"width": WIDE, "height": 700})
    visitor.go("/account/apps")
    take(visitor, "applications")
    visitor.close()


def main() -> None:
    """Take all pictures anew."""
    if why_not():
        raise SystemExit(why_not())
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        stage = Stage(Path(place))
        try:
            stage.play(lambda: first_sign_in(stage))
            stage.play(lambda: applications(stage))
        finally:
            stage.close()


if __name__ == "__main__":
    main()
