# SPDX-License-Identifier: Apache-2.0
"""A person answers an application on a page: which patient, what it may do, or no."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import httpx
import pytest

from tests.support.clinic import BASE, Clinic
from tests.support.smart import App, returned
from tests.web.visitor import Forms, Visitor

pytestmark = pytest.mark.usefixtures("assets")

ASKED = "launch/patient openid fhirUser patient/Observation.rs patient/Condition.rs patient/Patient.r offline_access"
VITALS = "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|vital-signs"


def _asked(app: App, scope: str = ASKED, **more: str) -> str:
    answer = app.authorize(app.parameters(scope, **more))
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].removeprefix(BASE)


def _chosen(visitor: Visitor, path: str, patient: str = "anna") -> httpx.Response:
    page = visitor.get(path)
    assert "Choose a patient" in page.text
    page = visitor.submit(page, f"{path}/patient", ("name", ""))
    return visitor.submit(page, f"{path}/patient", ("patient", patient))


def test_whoever_is_not_signed_in_comes_back_after_it(clinic: Clinic) -> None:
    path = _asked(App(clinic))
    answer = Visitor(clinic).get(path)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/sign-in?next={path}"


def _proposed(page: httpx.Response) -> list[str]:
    """What stands in the field of the user name."""
    forms = Forms(page.text).found
    return [value for action, fields in forms if action == "/sign-in" for name, value, _ in fields if name == "name"]


def test_the_login_name_that_an_application_hints_at_is_filled_in(clinic: Clinic) -> None:
    visitor = Visitor(clinic)
    path = _asked(App(clinic), login_hint="dr.amara")
    page = visitor.get(visitor.get(path).headers["location"])
    assert _proposed(page) == ["dr.amara"]
    for other in ("", "/account", "/authorize/nobody-knows", f"{path}/patient", f"/t/else{path}"):
        assert _proposed(visitor.get(f"/sign-in?{urlencode({'next': other})}")) == [""], other


@pytest.mark.parametrize(
    "hint", ["Call 555 0199 to unlock your account", '"><script>alert(1)</script>', "DR.AMARA", "a" * 100]
)
def test_an_application_cannot_put_words_of_its_own_on_the_page(clinic: Clinic, hint: str) -> None:
    visitor = Visitor(clinic)
    page = visitor.get(visitor.get(_asked(App(clinic), login_hint=hint)).headers["location"])
    assert _proposed(page) == [""]
    assert hint not in page.text


def test_what_cannot_be_sent_to_an_application_is_told_on_a_page_like_the_others(clinic: Clinic) -> None:
    app = App(clinic)
    for wrong in ({"client_id": "nobody"}, {"redirect_uri": "https://evil.example/callback"}):
        answer = app.authorize(app.parameters(**wrong))
        assert (answer.status_code, "location" in answer.headers) == (400, False)
        assert "Skip to main content" in answer.text
        assert "Go back to the application that sent you here" in answer.text
        assert answer.headers["x-request-id"] in answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "evil.example" not in answer.text


def test_a_physician_chooses_a_patient_and_allows_a_part(clinic: Clinic) -> None:
    app, visitor = App(clinic), Visitor(clinic, "physician")
    path = _asked(app)
    page = _chosen(visitor, path)
    assert "Ångström" in page.text
    assert not any(on for action, fields in Forms(page.text).found for name, _, on in fields if name == "scope")
    answer = visitor.submit(page, path, ("scope", VITALS), ("scope", "patient/Patient.r"), ("answer", "allow"))
    assert answer.status_code == 303
    tokens = app.redeem(returned(answer.headers["location"])["code"]).json()
    assert tokens["patient"] == "anna"
    assert set(tokens["scope"].split()) == {"launch/patient", "openid", "fhirUser", VITALS, "patient/Patient.r"}
    assert "refresh_token" not in tokens
    token = tokens["access_token"]
    assert app.get("/fhir/Patient/anna", token).status_code == 200
    assert app.get("/fhir/Condition?patient=anna", token).status_code == 403
    assert app.get("/fhir/Patient/bert", token).status_code == 404


def test_markup_in_the_name_of_an_application_stays_text_and_its_picture_is_not_loaded(clinic: Clinic) -> None:
    app = App(clinic, name="<img src=x onerror=alert(1)>", logo_uri="https://pictures.example/logo.png")
    page = _chosen(Visitor(clinic, "physician"), _asked(app))
    assert "<img" not in page.text
    assert "&lt;img src=x onerror=alert(1)&gt;" in page.text
    assert "pictures.example" not in page.text


def test_no_goes_back_as_no(clinic: Clinic) -> None:
    app, visitor = App(clinic), Visitor(clinic, "physician")
    path = _asked(app)
    page = _chosen(visitor, path)
    told = returned(visitor.submit(page, path, ("answer", "refuse")).headers["location"])
    assert told["error"] == "access_denied"
    assert told["iss"] == BASE
    assert visitor.get(path).status_code == 404  # a request is answered once


def test_nothing_ticked_is_asked_again(clinic: Clinic) -> None:
    app, visitor = App(clinic), Visitor(clinic, "physician")
    path = _asked(app)
    page = visitor.submit(_chosen(visitor, path), path, ("answer", "allow"))
    assert page.status_code == 422
    assert "There is a problem" in page.text
    assert "Ångström" in page.text
    assert visitor.submit(page, path, ("scope", "patient/Patient.r"), ("answer", "allow")).status_code == 303


def test_a_patient_answers_for_their_own_record_alone(clinic: Clinic) -> None:
    app, visitor = App(clinic), Visitor(clinic, "anna")
    path = _asked(app)
    page = visitor.get(path)
    assert "about your own record" in page.text
    spoofed = [(n, v) for a, fields in Forms(page.text).found if a == path for n, v, on in fields if on]
    spoofed = [(n, "bert" if n == "patient" else v) for n, v in spoofed]
    answer = visitor.post(path, [*spoofed, ("scope", "patient/Patient.r"), ("answer", "allow")])
    assert app.redeem(returned(answer.headers["location"])["code"]).json()["patient"] == "anna"


def test_only_patients_whom_the_person_may_see_can_be_chosen(clinic: Clinic) -> None:
    app, visitor = App(clinic), Visitor(clinic, "nurse")
    path = _asked(app)
    page = visitor.submit(visitor.get(path), f"{path}/patient", ("name", ""))
    assert "Ångström" in page.text
    assert "Brown" not in page.text
    fields = [(n, v) for a, found in Forms(page.text).found if a == f"{path}/patient" for n, v, on in found if on]
    token = next(value for name, value in fields if name == "csrf")
    refused = visitor.post(f"{path}/patient", [("csrf", token), ("patient", "bert")])
    absent = visitor.post(f"{path}/patient", [("csrf", token), ("patient", "nobody")])
    assert refused.status_code == absent.status_code == 422
    strip = re.compile(r"nonce-?[^ ]*")
    assert strip.sub("", refused.text) == strip.sub("", absent.text)


def test_attack_a_wider_scope_than_asked_is_not_given(clinic: Clinic) -> None:
    app, visitor = App(clinic), Visitor(clinic, "physician")
    path = _asked(app, "launch/patient patient/Observation.rs")
    page = _chosen(visitor, path)
    answer = visitor.submit(page, path, ("scope", "patient/*.cruds"), ("answer", "allow"))
    assert answer.status_code == 422  # as if nothing were ticked


@pytest.mark.parametrize("forged", ["other site", "no token", "token of another request"])
def test_attack_nobody_else_can_press_allow(clinic: Clinic, forged: str) -> None:
    app, visitor = App(clinic), Visitor(clinic, "physician")
    path, other = _asked(app), _asked(app)
    page = _chosen(visitor, path)
    fields = [(n, v) for a, found in Forms(page.text).found if a == path for n, v, on in found if on]
    fields += [("scope", "patient/Patient.r"), ("answer", "allow")]
    if forged == "other site":
        answer = visitor.post(path, fields, origin="https://evil.example", **{"sec-fetch-site": "cross-site"})
    elif forged == "no token":
        answer = visitor.post(path, [pair for pair in fields if pair[0] != "csrf"])
    else:
        answer = visitor.post(other, fields)
    assert answer.status_code == 403
    assert visitor.get(path).status_code == 200


def test_the_list_of_applications_ends_one_at_once(clinic: Clinic) -> None:
    app, visitor = App(clinic), Visitor(clinic, "physician")
    path = _asked(app)
    boxes = [("scope", "patient/Patient.r"), ("scope", "offline_access"), ("answer", "allow")]
    answer = visitor.submit(_chosen(visitor, path), path, *boxes)
    tokens = app.redeem(returned(answer.headers["location"])["code"]).json()
    assert "Not used yet." in visitor.get("/account/apps").text
    assert app.get("/fhir/Patient/anna", tokens["access_token"]).status_code == 200
    page = visitor.get("/account/apps")
    assert "Last used on" in page.text
    assert "Growth chart" in page.text
    (end,) = [action for action, _ in Forms(page.text).found if action.startswith("/account/apps/")]
    assert Visitor(clinic, "nurse").get("/account/apps").text.count("Growth chart") == 0
    assert visitor.submit(page, end).status_code == 303
    assert app.get("/fhir/Patient/anna", tokens["access_token"]).status_code == 401
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert "Growth chart" not in visitor.get("/account/apps").text


def test_what_was_allowed_before_is_ticked_the_next_time(clinic: Clinic) -> None:
    app, visitor = App(clinic), Visitor(clinic, "physician")
    path = _asked(app)
    answer = visitor.submit(_chosen(visitor, path), path, ("scope", "patient/Patient.r"), ("answer", "allow"))
    assert app.redeem(returned(answer.headers["location"])["code"]).status_code == 200
    again = _chosen(visitor, _asked(app))
    ticked = {value for _, fields in Forms(again.text).found for name, value, on in fields if on and name == "scope"}
    assert ticked == {"patient/Patient.r"}
