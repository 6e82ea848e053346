# SPDX-License-Identifier: Apache-2.0
"""Attacks around access tokens: sent in the open, asked about or ended by strangers, used for other things."""

from __future__ import annotations

import httpx
import pytest

from salus.audit.event import EventType
from salus.fhir.validate import check
from salus.identity.oauth.scopes import INTROSPECT
from salus.identity.sessions import Session
from salus.kernel.commit import Unit
from tests.attacks.oauth.test_code_attacks import refused, works
from tests.support.clinic import BASE, Clinic
from tests.support.hand_clock import HandClock
from tests.support.smart import FORM, App, noted, signed_in

INACTIVE = {"active": False}


@pytest.mark.parametrize("with_header", [False, True])
def test_a_token_in_an_address_is_refused_and_ended(
    practice: Clinic, portal: App, physician: Session, with_header: bool
) -> None:
    token = portal.tokens(physician)["access_token"]
    headers = {"authorization": f"Bearer {token}"} if with_header else {}
    answer = practice.stranger.get(f"/fhir/Patient/anna?access_token={token}", headers=headers)
    assert answer.status_code == 401
    assert not works(portal, token)
    assert EventType.TOKEN_LEAKED in noted(practice)
    assert token not in answer.text


@pytest.mark.parametrize("name", ["access_token", "token", "authorization", "__Host-sid"])
def test_a_token_in_a_form_or_in_a_cookie_is_no_token(
    practice: Clinic, portal: App, physician: Session, name: str
) -> None:
    token = portal.tokens(physician)["access_token"]
    post = practice.stranger.post("/fhir/Patient/_search", content=f"{name}={token}", headers=FORM)
    cookie = practice.stranger.get("/fhir/Patient/anna", headers={"cookie": f"{name}={token}"})
    assert {post.status_code, cookie.status_code} == {401}


@pytest.mark.requirement("smart@95")
def test_a_token_does_what_its_scopes_say_and_no_more(practice: Clinic, portal: App, physician: Session) -> None:
    token = portal.tokens(physician, "user/Patient.r openid")["access_token"]
    assert portal.get("/fhir/Patient/anna", token).status_code == 200
    assert portal.get("/fhir/Observation/pulse-anna", token).status_code == 403
    for path in ("/fhir/AuditEvent", "/fhir/Condition?patient=anna"):
        assert portal.get(path, token).status_code == 403


def test_scopes_never_give_what_the_roles_do_not(practice: Clinic, portal: App) -> None:
    token = portal.tokens(signed_in(practice, "billing"), "user/*.cruds")["access_token"]
    own = practice.as_("billing")
    for path in ("/fhir/Patient/anna", "/fhir/Observation/pulse-anna", "/fhir/Condition/asthma-anna"):
        assert portal.get(path, token).status_code == own.get(path).status_code


def test_the_log_names_the_application_through_which_somebody_acted(
    practice: Clinic, portal: App, physician: Session
) -> None:
    token = portal.tokens(physician, "user/Patient.r")["access_token"]
    portal.get("/fhir/Patient/anna", token)
    noted(practice)
    entries = practice.as_("auditor").get("/fhir/AuditEvent?_count=10&altid=a-physician").json()["entry"]
    for entry in entries[:3]:
        check(entry["resource"], "AuditEvent")
    who = [agent["who"].get("identifier", {}).get("value") for agent in entries[0]["resource"]["agent"]]
    assert who[:2] == ["a-physician", "portal"]


@pytest.mark.requirement("smart@77", "smart@94", "smart@265")
def test_a_token_that_has_expired(practice: Clinic, portal: App, clock: HandClock) -> None:
    body = portal.tokens(signed_in(practice, "physician"), "user/Patient.r offline_access")
    clock.forward(body["expires_in"] * 1000 - 1)
    assert portal.get("/fhir/Patient/anna", body["access_token"]).status_code == 200
    clock.forward(1)
    assert portal.get("/fhir/Patient/anna", body["access_token"]).status_code == 401
    assert not works(portal, body["access_token"])


@pytest.mark.requirement("smart@96")
def test_a_token_of_one_tenant_at_another(practice: Clinic, portal: App, physician: Session) -> None:
    token = portal.tokens(physician)["access_token"]
    assert portal.get("/t/other/fhir/Patient/anna", token).status_code == 401


# ── introspection ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def watcher(practice: Clinic) -> App:
    """An application that may ask about tokens of others."""
    return App(practice, "watcher", secret=True, scopes=("openid", "user/Patient.r", INTROSPECT))


def ask(app: App, token: str) -> httpx.Response:
    return app.token({"token": token}, "/oauth2/introspect")


def test_introspection_says_what_a_token_is_worth(watcher: App, portal: App, physician: Session) -> None:
    body = portal.tokens(physician, "launch/patient patient/Observation.rs openid fhirUser offline_access")
    told = ask(watcher, body["access_token"]).json()
    assert told["active"] is True
    assert (told["client_id"], told["scope"], told["patient"]) == ("portal", body["scope"], "anna")
    assert told["iss"] == BASE
    assert told["fhirUser"] == f"{BASE}/fhir/Practitioner/physician"
    assert told["exp"] - told["iat"] == body["expires_in"]
    assert told["need_patient_banner"] is True
    refresh = ask(watcher, body["refresh_token"]).json()
    assert (refresh["active"], refresh["client_id"]) == (True, "portal")


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer x"}, {"authorization": "Basic eDp5"}, {"authorization": "Bearer "}]
)
def test_introspection_by_a_stranger(
    practice: Clinic, portal: App, physician: Session, headers: dict[str, str]
) -> None:
    token = portal.tokens(physician)["access_token"]
    answer = practice.stranger.post("/oauth2/introspect", content=f"token={token}", headers={**FORM, **headers})
    assert answer.status_code == 401
    assert answer.json().keys() == {"error", "error_description"}


def test_introspection_by_a_token_without_the_scope(practice: Clinic, portal: App, physician: Session) -> None:
    token = portal.tokens(physician)["access_token"]
    headers = {**FORM, "authorization": f"Bearer {token}"}
    answer = practice.stranger.post("/oauth2/introspect", content=f"token={token}", headers=headers)
    assert answer.status_code == 403


def test_introspection_by_a_service_with_the_scope(practice: Clinic, app: App, portal: App, physician: Session) -> None:
    house, unit = practice.house, Unit()
    account = house.users.find("default", "service")
    assert account is not None
    given = house.oauth.issuance.for_service(unit, portal.client, account, "TREAT", (INTROSPECT,), "", 60_000)[1]
    practice.run(practice._commit(unit))
    headers = {**FORM, "authorization": f"Bearer {given['access_token']}"}
    for asked in (app.tokens(physician), portal.tokens(physician)):
        answer = practice.stranger.post("/oauth2/introspect", content=f"token={asked['access_token']}", headers=headers)
        assert answer.json()["active"] is True


def test_no_person_can_give_the_scope_for_introspection(watcher: App, physician: Session) -> None:
    assert INTROSPECT not in watcher.tokens(physician, f"user/Patient.r {INTROSPECT}")["scope"]


def test_introspection_by_a_public_application(app: App, physician: Session) -> None:
    assert refused(ask(app, app.tokens(physician)["access_token"]), "invalid_client", 401)


def test_introspection_of_what_is_none_of_ones_business(
    practice: Clinic, app: App, portal: App, watcher: App, physician: Session
) -> None:
    others = app.tokens(physician)
    assert ask(portal, others["access_token"]).json() == INACTIVE
    assert ask(portal, others["refresh_token"]).json() == INACTIVE
    assert ask(watcher, others["access_token"]).json()["active"] is True


@pytest.mark.requirement("smart@272")
def test_introspection_of_what_does_not_work(practice: Clinic, portal: App, watcher: App, physician: Session) -> None:
    body = portal.tokens(physician)
    portal.token({"token": body["access_token"]}, "/oauth2/revoke")
    own = practice.token("physician")  # a token that belongs to no application
    for token in ("x", body["access_token"], own, "salus_" + "A" * 43, body["id_token"]):
        answer = ask(watcher, token)
        assert (answer.status_code, answer.json()) == (200, INACTIVE)


# ── revocation ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_ending_an_access_token_leaves_the_grant(portal: App, physician: Session) -> None:
    body = portal.tokens(physician)
    assert portal.token({"token": body["access_token"]}, "/oauth2/revoke").status_code == 200
    assert not works(portal, body["access_token"])
    assert portal.refresh(body["refresh_token"]).status_code == 200


def test_ending_a_refresh_token_ends_all(portal: App, physician: Session) -> None:
    body = portal.tokens(physician)
    assert portal.token({"token": body["refresh_token"]}, "/oauth2/revoke").status_code == 200
    assert portal.get("/fhir/Patient/anna", body["access_token"]).status_code == 401
    assert refused(portal.refresh(body["refresh_token"]))


def test_ending_tokens_of_others(app: App, portal: App, physician: Session) -> None:
    body = portal.tokens(physician)
    for token in (body["access_token"], body["refresh_token"]):
        assert app.token({"token": token}, "/oauth2/revoke").status_code == 200  # and says nothing
    assert works(portal, body["access_token"])
    assert portal.refresh(body["refresh_token"]).status_code == 200


@pytest.mark.parametrize("token", ["x", "salus_" + "A" * 43, "é"])
def test_ending_what_there_is_not(portal: App, token: str) -> None:
    assert portal.token({"token": token, "token_type_hint": "made_up"}, "/oauth2/revoke").status_code == 200


def test_ending_without_saying_who_or_what(portal: App) -> None:
    assert refused(portal.token({"token": ""}, "/oauth2/revoke"), "invalid_request")
    assert refused(portal.token({"token": "x", "client_secret": "wrong"}, "/oauth2/revoke"), "invalid_client", 401)


# ── userinfo ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_userinfo_is_for_tokens_with_openid(practice: Clinic, portal: App, physician: Session) -> None:
    who = portal.tokens(physician, "openid fhirUser user/Patient.r")["access_token"]
    told = portal.get("/oauth2/userinfo", who).json()
    assert told.keys() == {"sub", "fhirUser"}
    assert told["fhirUser"].endswith("/Practitioner/physician")
    assert "physician" not in told["sub"]
    assert portal.get("/oauth2/userinfo", portal.tokens(physician, "user/Patient.r")["access_token"]).status_code == 403
    assert portal.get("/oauth2/userinfo", practice.token("physician")).status_code == 403
    assert practice.stranger.get("/oauth2/userinfo").status_code == 401
