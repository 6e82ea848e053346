# SPDX-License-Identifier: Apache-2.0
"""Every page, looked at in three widths: accessible by axe, nothing beside the window, the focus always in view.

WCAG 2.2 AA as far as a machine can tell; the keyboard alone does the whole way.
"""

from __future__ import annotations

import pytest

from salus.identity.ceremonies.flow import Began
from tests.web.browser.conftest import Visiting
from tests.web.browser.stage import AXE, WIDTHS, Stage, Visitor

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
JUDGE = """async tags => (await axe.run(document, {runOnly: tags, resultTypes: ['violations']})).violations
    .map(found => found.id + ': ' + found.nodes.map(node => node.target + ' ' + node.failureSummary).join(' | '))"""
SIDEWAYS = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture
def axe() -> str:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed (tests/clients/install.sh says why)")
    return AXE.read_text("utf-8")


class Look:
    """Looks at pages and remembers their titles."""

    def __init__(self, visitor: Visitor, axe: str) -> None:
        self.visitor = visitor
        self.axe = axe
        self.titles: list[str] = []

    def __call__(self, heading: str) -> None:
        page = self.visitor.page
        self.visitor.expect(heading)
        title = page.title()
        assert title.endswith(" – Salus"), title
        self.titles.append(title)
        assert page.evaluate("document.documentElement.lang") == "en"
        assert page.locator("h1").count() == 1
        page.evaluate(self.axe)
        for width in (320, *WIDTHS):
            page.set_viewport_size({"width": width, "height": 900})
            assert not page.evaluate(SIDEWAYS), (title, width)
            if width in WIDTHS:
                assert page.evaluate(JUDGE, TAGS) == [], (title, width)


def test_every_page_is_accessible_at_every_width(stage: Stage, visiting: Visiting, axe: str) -> None:
    ada, visitor = stage.person(), visiting()
    look = Look(visitor, axe)
    visitor.key()
    visitor.go("/")
    look("Health records")
    visitor.go("/no-such-page")
    look("Page not found")
    visitor.password(ada, password="wrong and wrong again")
    look("Sign in")
    assert look.titles[-1].startswith("Error: ")
    visitor.go("/sign-in/invitation")
    look("Use your invitation")
    visitor.page.fill("#name", ada.name)
    visitor.page.fill("#code", stage.invite(ada, Began.ALL))
    visitor.press("Go on")
    look("Choose a password")
    visitor.page.fill("#password", "amber lantern 77 mosses")
    visitor.page.fill("#again", "amber lantern 77 mosses")
    visitor.press("Go on")
    look("Set up a second step")
    visitor.press("Use an app")
    look("Set up your authenticator app")
    visitor.press("Make a passkey")
    look("Keep your recovery codes")
    visitor.page.check("#kept")
    visitor.press("Go on")
    look("What are you here for?")
    visitor.choose()
    look("Welcome")
    for path, heading in (
        ("/account", "Your account"),
        ("/account/sessions", "Where you are signed in"),
        ("/account/history", "History of your account"),
        ("/account/password", "Change your password"),
        ("/account/recovery", "Make new recovery codes"),
        ("/step-up?next=/account", "Show that it is you"),
    ):
        visitor.go(path)
        look(heading)
    visitor.go("/account")
    visitor.press("Rename")
    look("Rename a passkey")
    visitor.go("/account")
    visitor.press("Remove")
    look("Remove")
    assert visitor.page.evaluate(
        "[...document.fonts].some(f => f.family.includes('Atkinson') && f.status === 'loaded')"
    )
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.password(ada, password="amber lantern 77 mosses")
    look("Second step")
    visitor.press("I have lost my")
    look("Use a recovery code")


def test_the_keyboard_alone_signs_in_and_the_focus_is_seen(stage: Stage, visiting: Visiting) -> None:
    ada, visitor = stage.person(), visiting(width=390)
    visitor.go("/sign-in")
    page = visitor.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to main content"
    assert _seen(visitor)
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "maincontent"
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        assert _seen(visitor), page.evaluate("document.activeElement.outerHTML")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        if reached[-1] == "password":
            break
    assert "name" in reached
    assert "Use a passkey" in reached
    page.keyboard.type("no such password")
    page.keyboard.press("Enter")
    page.locator(".nhsuk-error-summary").wait_for()
    assert page.evaluate("document.activeElement.classList.contains('nhsuk-error-summary')")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "name"
    page.keyboard.type(ada.name)
    page.keyboard.press("Tab")
    page.keyboard.type("violet harbour 42 kites")
    page.keyboard.press("Enter")
    visitor.expect("Second step")


def _seen(visitor: Visitor) -> bool:
    """Whether what has the focus is in view, uncovered, marked and large enough (WCAG 2.4.7, 2.4.11, 2.5.8)."""
    seen: bool = visitor.page.evaluate(
        """() => {
            const it = document.activeElement, box = it.getBoundingClientRect(), style = getComputedStyle(it);
            const x = box.x + box.width / 2, y = box.y + box.height / 2;
            const top = document.elementFromPoint(x, y);
            const line = style.outlineStyle !== 'none' && style.outlineWidth !== '0px';
            const marked = style.boxShadow !== 'none' || line;
            const large = box.height >= 24 || style.display === 'inline';
            return marked && large && box.y >= 0 && box.bottom <= innerHeight && (it === top || it.contains(top));
        }"""
    )
    return seen
