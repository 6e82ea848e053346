# SPDX-License-Identifier: Apache-2.0
"""The pages about applications, looked at like all others: `test_how_pages_look`."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from tests.support.served import salus
from tests.support.smart import challenge_of
from tests.web.browser.conftest import Visiting
from tests.web.browser.records import fill
from tests.web.browser.stage import Stage
from tests.web.browser.test_how_pages_look import Look, axe

__all__ = ["axe"]

SCOPE = "launch/patient openid fhirUser patient/Patient.r patient/Observation.rs patient/*.rs offline_access"


def back(stage: Stage) -> str:
    """Where the application would be: any address of this server will do."""
    return f"{stage.base}/health"


def register(stage: Stage) -> None:
    """The application of these pages."""
    words = ("--name", "Growth chart", "--redirect", back(stage), "--launch", "https://app.example/launch")
    scopes = [part for scope in SCOPE.split() for part in ("--scope", scope)]
    salus("client", "add", "looked-at", *words, *scopes, "--data-dir", stage.folder)


def request(stage: Stage) -> str:
    """The address of an authorization request, made fresh."""
    asked = {
        "response_type": "code",
        "client_id": "looked-at",
        "redirect_uri": back(stage),
        "scope": SCOPE,
        "state": "0123456789",
        "aud": f"{stage.base}/fhir",
        "code_challenge": challenge_of("v" * 43),
        "code_challenge_method": "S256",
    }
    return f"/oauth2/authorize?{urlencode(asked)}"


def test_every_page_about_applications_is_accessible_at_every_width(stage: Stage, visiting: Visiting, axe: str) -> None:
    fill(stage)
    register(stage)
    ada, visitor = stage.person(), visiting()
    look, page = Look(visitor, axe), visitor.page
    visitor.sign_in(ada, at=f"/sign-in?next={quote('/launch')}")
    look("Open an application")
    visitor.press("Growth chart")
    look("Choose a patient")
    visitor.go(request(stage))
    look("Choose a patient")
    page.fill("#name", "nobody of this name")
    visitor.press("Search")
    look("Choose a patient")
    page.fill("#name", "ång")
    visitor.press("Search")
    look("Choose a patient")
    page.get_by_label("Ångström").check()
    visitor.press("Go on")
    look("Allow Growth chart?")
    visitor.press("Allow")
    look("Allow Growth chart?")
    assert look.titles[-1].startswith("Error: ")
    for summary in page.locator("summary").all():
        summary.click()
    look("Allow Growth chart?")
    page.get_by_label("Read name, birth date, address and contact details").check()
    page.get_by_role("button", name="Allow", exact=True).click()
    page.wait_for_url(f"{back(stage)}**")
    visitor.go("/account/apps")
    look("Your applications")
    visitor.go("/account/links")
    look("")
