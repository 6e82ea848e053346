# SPDX-License-Identifier: Apache-2.0
"""Attacks with authorization codes: theft, injection, replay, races; and whoever may not come to the token endpoint."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

import httpx
import msgspec
import pytest

from salus.audit.event import EventType
from salus.identity.sessions import Session
from salus.kernel.commit import Unit
from tests.support.clinic import Clinic
from tests.support.hand_clock import HandClock
from tests.support.second_house import second_house
from tests.support.smart import CALLBACK, FORM, App, noted, signed_in


def refused(answer: httpx.Response, error: str = "invalid_grant", status: int = 400) -> bool:
    """An error of OAuth that nobody keeps."""
    kept = "no-store" not in answer.headers["cache-control"] or answer.headers["pragma"] != "no-cache"
    return (answer.status_code, answer.json()["error"], kept) == (status, error, False)


def works(app: App, token: str) -> bool:
    """Whether an access token opens anything."""
    return app.token({"token": token}, "/oauth2/introspect").json()["active"] is True


def test_the_answer_is_whole_and_nobody_keeps_it(portal: App, physician: Session) -> None:
    answer = portal.redeem(portal.code(physician))
    body = answer.json()
    assert body.keys() >= {"access_token", "token_type", "expires_in", "scope", "patient", "refresh_token", "id_token"}
    assert (body["token_type"], body["expires_in"], body["patient"]) == ("Bearer", 3600, "anna")
    assert "no-store" in answer.headers["cache-control"]
    assert answer.headers["pragma"] == "no-cache"


@pytest.mark.requirement("smart@31", "g10@AUT-PAT-31")
@pytest.mark.parametrize(
    ("verifier", "error"),
    [
        ("wrong" * 10, "invalid_grant"),
        ("", "invalid_request"),
        ("a" * 42, "invalid_grant"),
        ("é" * 43, "invalid_grant"),
    ],
)
def test_a_stolen_code_without_its_verifier(portal: App, physician: Session, verifier: str, error: str) -> None:
    assert refused(portal.redeem(portal.code(physician), code_verifier=verifier), error)


def test_a_guess_at_the_verifier_costs_the_code(portal: App, physician: Session) -> None:
    code = portal.code(physician)
    assert refused(portal.redeem(code, code_verifier="guess" * 10))
    assert refused(portal.redeem(code))


def test_a_code_of_another_application(app: App, portal: App, physician: Session) -> None:
    code = portal.code(physician)
    assert refused(app.redeem(code, code_verifier=portal.verifier))
    assert refused(portal.redeem(code))  # somebody else has it, so nobody may use it


@pytest.mark.parametrize("address", ["", f"{CALLBACK}/", "https://evil.example/callback"])
def test_a_code_with_another_redirect_address(portal: App, physician: Session, address: str) -> None:
    error = "invalid_request" if not address else "invalid_grant"
    assert refused(portal.redeem(portal.code(physician), redirect_uri=address), error)


def test_a_code_lives_for_a_minute(portal: App, practice: Clinic, clock: HandClock) -> None:
    session = signed_in(practice, "physician")
    late, soon = portal.code(session), portal.code(session)
    clock.forward(59_999)
    assert portal.redeem(soon).status_code == 200
    clock.forward(1)
    assert refused(portal.redeem(late))


@pytest.mark.parametrize("code", ["", "x", "salus-code_" + "A" * 43, "\u0000", "x" * 9000])
def test_codes_that_nobody_gave(portal: App, code: str) -> None:
    assert refused(portal.redeem(code, code_verifier="v" * 43), "invalid_request" if not code else "invalid_grant")


def test_a_code_shown_twice_ends_what_it_gave(practice: Clinic, portal: App, physician: Session) -> None:
    code = portal.code(physician)
    body = portal.redeem(code).json()
    assert works(portal, body["access_token"])
    assert refused(portal.redeem(code))
    assert not works(portal, body["access_token"])
    assert (
        practice.stranger.get(
            "/fhir/Patient/anna", headers={"authorization": f"Bearer {body['access_token']}"}
        ).status_code
        == 401
    )
    assert refused(portal.refresh(body["refresh_token"]))


def test_a_code_shown_twice_is_in_the_log(practice: Clinic, portal: App, physician: Session) -> None:
    code = portal.code(physician)
    portal.redeem(code)
    portal.redeem(code)
    assert EventType.OAUTH_REUSE in noted(practice)


def test_a_code_redeemed_by_two_processes_at_the_same_moment(practice: Clinic, portal: App, physician: Session) -> None:
    with second_house(practice) as beside:
        for _ in range(3):
            form = {
                "grant_type": "authorization_code",
                "code": portal.code(physician),
                "redirect_uri": CALLBACK,
                "code_verifier": portal.verifier,
                **portal.proof_of_itself(),
            }

            async def race(form: dict[str, str] = form) -> list[httpx.Response]:
                calls = (practice.http, beside, practice.http, beside)
                content = urlencode(form)
                return await asyncio.gather(*(c.post("/oauth2/token", content=content, headers=FORM) for c in calls))

            answers = practice.run(race())
            won = [answer.json() for answer in answers if answer.status_code == 200]
            assert len(won) == 1
            assert all(refused(answer) for answer in answers if answer.status_code != 200)
            assert not works(portal, won[0]["access_token"])  # the others were a second use


def test_a_code_after_its_person_left(practice: Clinic, portal: App) -> None:
    unit = Unit()
    practice.house.users.add_service(unit, "default", "leaver", roles=("physician",), display="leaver")
    practice.run(practice._commit(unit))
    code = portal.code(signed_in(practice, "leaver", purpose="TREAT"))
    unit = Unit()
    practice.house.users.set_disabled(unit, "default", "a-leaver", disabled=True)
    practice.run(practice._commit(unit))
    assert refused(portal.redeem(code))


def test_a_code_without_offline_access_after_signing_out(practice: Clinic, portal: App) -> None:
    session = signed_in(practice, "physician")
    code = portal.code(session, "patient/Observation.rs openid")
    unit = Unit()
    practice.house.sessions.end(unit, "default", session.id)
    practice.run(practice._commit(unit))
    assert refused(portal.redeem(code))


# ── the token endpoint ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("form", "error", "status"),
    [
        ({}, "invalid_request", 400),
        ({"grant_type": "password", "username": "dr", "password": "x"}, "unsupported_grant_type", 400),
        ({"grant_type": "implicit"}, "unsupported_grant_type", 400),
        ({"grant_type": "refresh_token"}, "invalid_request", 400),
        ({"grant_type": "authorization_code", "client_secret": "wrong"}, "invalid_client", 401),
        ({"grant_type": "authorization_code", "client_secret": ""}, "invalid_client", 401),
        ({"grant_type": "authorization_code", "client_id": "nobody"}, "invalid_client", 401),
    ],
)
def test_token_requests_of_strangers_and_of_other_kinds(
    portal: App, form: dict[str, str], error: str, status: int
) -> None:
    assert refused(portal.token(form), error, status)


def test_a_token_request_that_is_no_form_or_says_things_twice(practice: Clinic, portal: App) -> None:
    post = practice.stranger.post
    assert refused(post("/oauth2/token", {"grant_type": "authorization_code"}), "invalid_request")
    twice = urlencode([("grant_type", "refresh_token"), ("grant_type", "authorization_code"), ("client_id", "app")])
    assert refused(post("/oauth2/token", content=twice, headers=FORM), "invalid_request")
    query = "/oauth2/token?" + urlencode({"grant_type": "refresh_token", **portal.proof_of_itself()})
    assert refused(post(query, content="", headers=FORM), "invalid_client", 401)


def test_an_application_that_was_shut_out(practice: Clinic, physician: Session) -> None:
    going = App(practice, "going", secret=True)
    body = going.tokens(physician)
    unit = Unit()
    practice.house.apps.clients.change(unit, going.client, msgspec.structs.replace(going.client, disabled=True))
    practice.run(practice._commit(unit))
    assert going.authorize(going.parameters()).status_code == 400
    assert refused(going.refresh(body["refresh_token"]), "invalid_client", 401)
    answer = going.get("/fhir/Patient/anna", body["access_token"])
    assert answer.status_code == 401
    assert practice.house.oauth.grants.of_client("default", "going") == []


def test_a_leak_of_the_database_opens_nothing(practice: Clinic, portal: App, physician: Session) -> None:
    """Codes and tokens are nowhere in what is kept, not even for a moment."""
    code = portal.code(physician)
    body = portal.redeem(code).json()
    again = portal.refresh(body["refresh_token"]).json()
    shown = [code, body["access_token"], body["refresh_token"], again["access_token"], again["refresh_token"], "anna"]
    tables = ("oauth_code", "oauth_grant", "oauth_refresh", "oauth_request", "token")
    kept = b"".join(
        value if isinstance(value, bytes) else str(value).encode()
        for table in tables
        for row in practice.house.db.execute(f"select * from {table}")
        for value in row
    )
    assert not [secret for secret in shown if secret.encode() in kept]
