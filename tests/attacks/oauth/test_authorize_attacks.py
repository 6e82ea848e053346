# SPDX-License-Identifier: Apache-2.0
"""Attacks on the authorization endpoint: open redirects, downgrades, wrong audiences, launches of others, replays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.identity.oauth.errors import OAuthError
from salus.identity.oauth.interaction import Step
from salus.identity.sessions import Session
from salus.identity.smart.context import LaunchContext
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.kernel.ids import uuid7
from tests.support.clinic import BASE, Clinic
from tests.support.hand_clock import HandClock
from tests.support.smart import AUDIENCE, CALLBACK, App, returned, signed_in

BOTH = pytest.mark.parametrize("post", [False, True], ids=["GET", "POST"])


def refused_here(answer: httpx.Response) -> bool:
    """Words for the person, plain ones where the assets of pages were not built; nothing is sent anywhere."""
    page = answer.headers["content-type"].startswith(("text/html", "text/plain"))
    return answer.status_code == 400 and "location" not in answer.headers and page


def sent_back(answer: httpx.Response) -> str:
    """The error that the application is told."""
    assert answer.status_code == 303, answer.text
    told = returned(answer.headers["location"])
    assert "code" not in told
    assert told["iss"] == BASE
    error: str = told["error"]
    return error


@pytest.mark.requirement("smart@18")
@BOTH
@pytest.mark.parametrize(
    "address",
    [
        f"{CALLBACK}/../evil",
        f"{CALLBACK}%2f..",
        f"{CALLBACK}?x",
        f"{CALLBACK}#",
        f"{CALLBACK}/",
        "https://app.example./callback",
        "https://app.example@evil.example/callback",
        "https://evil.example/callback",
        "https://APP.example/callback",
        "http://app.example/callback",
        "https://app.example:443/callback",
        "https://app.example/callback ",
        "//app.example/callback",
        "javascript:alert(1)",
        "data:text/html,x",
        "",
    ],
)
def test_redirect_to_an_address_that_is_not_registered(app: App, address: str, post: bool) -> None:
    assert refused_here(app.authorize(app.parameters(redirect_uri=address), post=post))


@BOTH
@pytest.mark.parametrize(
    "wrong",
    [
        {"response_type": "token"},
        {"scope": "openid token"},
        {"code_challenge_method": "plain"},
        {"aud": "https://evil.example/fhir"},
        {"prompt": "none"},
    ],
)
def test_no_error_of_another_kind_opens_the_way_to_an_address(app: App, wrong: dict[str, str], post: bool) -> None:
    asked = app.parameters(redirect_uri="https://evil.example/", **wrong)
    assert refused_here(app.authorize(asked, post=post))


def test_an_address_given_twice_is_no_address(app: App) -> None:
    asked = [*app.parameters().items(), ("redirect_uri", "https://evil.example/")]
    assert refused_here(app.authorize(asked))


@pytest.mark.parametrize("client", ["", "nobody", "app\x00", "a" * 3000, "portal"])
def test_an_application_that_is_unknown_or_somebody_elses_address(app: App, portal: App, client: str) -> None:
    asked = app.parameters(client_id=client, redirect_uri="https://app.example/other")
    assert refused_here(app.authorize(asked))


def test_the_port_is_free_for_loopback_addresses_alone(practice: Clinic) -> None:
    native = App(practice, "native", redirect_uris=("http://127.0.0.1/cb", "http://[::1]:1/cb"))
    for address in ("http://127.0.0.1:50123/cb", "http://[::1]:7/cb"):
        assert native.authorize(native.parameters(redirect_uri=address)).status_code == 303
    for address in (
        "http://127.0.0.1:50123/cb/",
        "http://127.0.0.1:99999/cb",
        "http://127.0.0.2:80/cb",
        "http://localhost:80/cb",
        "http://127.0.0.1:80@evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
    ):
        assert refused_here(native.authorize(native.parameters(redirect_uri=address)))


@pytest.mark.requirement("smart@15", "smart@394")
@BOTH
@pytest.mark.parametrize("method", ["plain", "", "s256", "S512"])
def test_downgrade_of_the_proof_key(app: App, portal: App, method: str, post: bool) -> None:
    for each in (app, portal):  # confidential applications as well
        assert sent_back(each.authorize(each.parameters(code_challenge_method=method), post=post)) == "invalid_request"


@pytest.mark.parametrize("challenge", ["", "short", "x" * 44, "é" * 43])
def test_a_proof_key_that_is_missing_or_none(app: App, challenge: str) -> None:
    assert sent_back(app.authorize(app.parameters(code_challenge=challenge))) == "invalid_request"


@pytest.mark.requirement("smart@96", "g10@AUT-PAT-13", "g10@AUT-PAT-37")
@BOTH
@pytest.mark.parametrize(
    ("audiences", "error"),
    [
        ([], "invalid_request"),
        ([("aud", "https://evil.example/fhir")], "invalid_target"),
        ([("aud", f"{BASE}/t/other/fhir")], "invalid_target"),
        ([("aud", BASE)], "invalid_target"),
        ([("aud", AUDIENCE), ("aud", "https://evil.example/fhir")], "invalid_target"),
        ([("aud", AUDIENCE), ("aud", AUDIENCE)], "invalid_target"),
        ([("aud", AUDIENCE), ("resource", "https://evil.example/fhir")], "invalid_target"),
        ([("resource", f"{AUDIENCE}/../x")], "invalid_target"),
    ],
)
def test_a_token_for_somebody_else(app: App, audiences: list[tuple[str, str]], error: str, post: bool) -> None:
    asked = [*app.parameters(aud="").items(), *audiences]
    assert sent_back(app.authorize(asked, post=post)) == error


def test_resource_is_a_synonym_of_aud(app: App) -> None:
    assert app.waiting(app.authorize(app.parameters(aud="", resource=AUDIENCE)))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": ""}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
        ({"state": ""}, "invalid_request"),
        ({"scope": ""}, "invalid_scope"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "everything"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "1e3"}, "invalid_request"),
        ({"nonce": "n" * 1001}, "invalid_request"),
        ({"dpop_jkt": "x"}, "invalid_request"),
    ],
)
def test_what_is_wrong_goes_back_to_the_application(app: App, wrong: dict[str, str], error: str) -> None:
    assert sent_back(app.authorize(app.parameters(**wrong))) == error


@pytest.mark.requirement("smart@59")
@settings(max_examples=25)
@given(state=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=80))
def test_state_comes_back_as_it_was(practice: Clinic, app: App, physician: Session, state: str) -> None:
    waiting = app.waiting(app.authorize(app.parameters(state=state)))
    assert app.approve(waiting, physician)["state"] == state
    refused = app.authorize(app.parameters(state=state, aud="https://evil.example"))
    assert returned(refused.headers["location"])["state"] == state


def test_a_page_cannot_be_framed_and_says_nothing_of_what_was_sent(app: App) -> None:
    answer = app.authorize(app.parameters(redirect_uri="https://evil.example/<script>alert(1)</script>"))
    assert answer.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "evil" not in answer.text
    assert "no-store" in answer.headers["cache-control"]


@BOTH
def test_never_a_redirect_that_repeats_what_was_posted(app: App, post: bool) -> None:
    good = app.authorize(app.parameters(), post=post)
    bad = app.authorize(app.parameters(scope=""), post=post)
    assert {good.status_code, bad.status_code} == {303}


# ── scopes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "scope",
    [
        "user/Observation.rs?category=laboratory%26_id=secret",
        "user/Observation.rs?patient.birthdate=1990",
        "user/Observation.rs?category:in=http://evil.example/vs",
        "user/Observation.rs?_filter=code eq 1",
        "user/Observation.sr",
        "user/Observation.dus",
        "user/observation.rs",
        "user/Nothing.rs",
        "user/Observation.",
        "USER/Observation.rs",
        "user/Observation.rs?",
        "system/Observation.rs",
        "user/*.rs\x00",
        "unknown",
        "x" * 50_000,
        " ".join(f"user/Observation.r?_id={number}" for number in range(300)),
    ],
)
def test_scopes_that_nobody_understands_give_nothing(app: App, scope: str) -> None:
    assert sent_back(app.authorize(app.parameters(scope))) == "invalid_scope"


def test_what_is_not_understood_is_dropped_and_never_widens(app: App, physician: Session) -> None:
    asked = app.parameters("user/Observation.rs?category=laboratory%26_id=x user/Patient.r openid evil")
    waiting = app.waiting(app.authorize(asked))
    assert waiting.scopes == ("user/Patient.r", "openid")


@pytest.mark.requirement("smart@78")
def test_an_application_gets_no_more_than_it_is_registered_for(practice: Clinic, physician: Session) -> None:
    small = App(practice, "small", scopes=("user/Patient.r", "openid"))
    assert small.waiting(small.authorize(small.parameters("user/*.cruds openid offline_access"))).scopes == (
        "user/Patient.r",
        "openid",
    )
    assert sent_back(small.authorize(small.parameters("user/Observation.rs"))) == "invalid_scope"


@pytest.mark.parametrize("more", [("user/*.rs",), ("patient/Observation.cruds",), ("offline_access",), ("",), ()])
def test_a_person_cannot_be_made_to_agree_to_more_than_was_asked(
    app: App, physician: Session, more: tuple[str, ...]
) -> None:
    waiting = app.waiting(app.authorize(app.parameters("patient/Observation.rs openid")))
    with pytest.raises(Problem) as raised:
        app.approve(waiting, physician, more)
    assert raised.value.kind is Kind.INCORRECT


@pytest.mark.requirement("smart@164", "g10@AUT-PAT-29")
def test_a_patient_scope_without_a_patient(app: App, physician: Session) -> None:
    waiting = app.waiting(app.authorize(app.parameters("patient/Observation.rs")))
    assert waiting.needs_patient
    with pytest.raises(Problem) as raised:
        app.approve(waiting, physician, patient="")
    assert raised.value.kind is Kind.INCORRECT
    body = app.redeem(app.approve(waiting, physician, patient="anna")["code"]).json()
    assert body["patient"] == "anna"


# ── the person's answer ──────────────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_counts_once(app: App, physician: Session) -> None:
    waiting = app.waiting(app.authorize(app.parameters()))
    app.approve(waiting, physician)
    with pytest.raises(Problem) as raised:
        app.approve(waiting, physician)
    assert raised.value.kind is Kind.CONFLICT
    with pytest.raises(Problem) as raised:
        app.clinic.house.oauth.interactions.find("default", waiting.id)
    assert raised.value.kind is Kind.NOT_FOUND


def test_a_request_waits_for_half_an_hour(app: App, clock: HandClock) -> None:
    waiting = app.waiting(app.authorize(app.parameters()))
    clock.forward(30 * 60 * 1000)
    with pytest.raises(Problem) as raised:
        app.clinic.house.oauth.interactions.find("default", waiting.id)
    assert raised.value.kind is Kind.NOT_FOUND


def test_somebody_of_another_tenant_answers(practice: Clinic, app: App, physician: Session) -> None:
    waiting = app.waiting(app.authorize(app.parameters()))
    stranger = replace(physician, user=replace(physician.user, tenant="other"))
    assert practice.house.oauth.interactions.next_step(waiting, stranger)[0] is Step.SIGN_IN
    with pytest.raises(Problem) as raised:
        app.approve(waiting, stranger)
    assert raised.value.kind is Kind.FORBIDDEN


@pytest.mark.requirement("smart@54")
def test_no_is_no(app: App) -> None:
    waiting = app.waiting(app.authorize(app.parameters()))
    unit = Unit()
    told = returned(app.clinic.house.oauth.interactions.refuse(unit, waiting))
    assert (told["error"], told["state"], told["iss"]) == ("access_denied", waiting.state, BASE)


def _next(app: App, session: Session | None, **asked: Any) -> tuple[Step, OAuthError | None]:
    waiting = app.waiting(app.authorize(app.parameters(**asked)))
    return app.clinic.house.oauth.interactions.next_step(waiting, session)


def test_how_fresh_and_how_sure_a_sign_in_is_asked_to_be(practice: Clinic, app: App, clock: HandClock) -> None:
    session = signed_in(practice, "physician", ago_s=600)
    clock.forward(1000)
    assert _next(app, None)[0] is Step.SIGN_IN
    assert _next(app, session)[0] is Step.CHOOSE
    assert _next(app, session, prompt="login")[0] is Step.SIGN_IN
    assert _next(app, session, max_age="60")[0] is Step.STEP_UP
    assert _next(app, session, max_age="0")[0] is Step.STEP_UP
    assert _next(app, session, max_age="3600")[0] is Step.CHOOSE
    assert _next(app, session, acr_values="urn:salus:aal3")[0] is Step.STEP_UP
    assert _next(app, session, acr_values="urn:salus:aal3 urn:salus:aal2")[0] is Step.CHOOSE
    assert _next(app, session, acr_values="unheard-of")[0] is Step.CHOOSE


@pytest.mark.parametrize("asked", [{"prompt": "login"}, {"max_age": "0"}, {"acr_values": "urn:salus:aal3"}])
def test_agreeing_without_the_proof_that_was_asked_for(
    practice: Clinic, app: App, clock: HandClock, asked: dict[str, str]
) -> None:
    session = signed_in(practice, "physician")
    clock.forward(5000)
    waiting = app.waiting(app.authorize(app.parameters(**asked)))
    with pytest.raises(Problem) as raised:
        app.approve(waiting, session)
    assert raised.value.kind is Kind.FORBIDDEN


def test_prompt_none_never_asks_and_never_gives_what_was_not_allowed(practice: Clinic, clock: HandClock) -> None:
    quiet = App(practice, "quiet")
    session = signed_in(practice, "nurse")

    def error(session: Session | None, **more: str) -> str:
        step, found = _next(quiet, session, prompt="none", **more)
        assert step is Step.REFUSED
        assert found is not None
        return found.error

    assert error(None) == "login_required"
    assert error(session) == "consent_required"
    quiet.tokens(session)
    assert _next(quiet, session, prompt="none")[0] is Step.DONE
    assert error(session, scope="patient/*.cruds launch/patient openid") == "consent_required"
    clock.forward(5000)
    assert error(session, max_age="1") == "login_required"
    assert error(session, acr_values="urn:salus:aal3") == "insufficient_user_authentication"


# ── launches ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _launched(app: App, session: Session, **more: Any) -> str:
    unit = Unit()
    launchable = App(app.clinic, f"launched-{uuid7()}", launch_uri="https://app.example/launch")
    app.client = launchable.client
    context = LaunchContext(session.user.id, session.id, "anna", **more)
    handle = app.clinic.house.apps.launches.start(unit, launchable.client, context, AUDIENCE).handle
    app.clinic.run(app.clinic._commit(unit))
    return handle


@pytest.fixture
def chart(practice: Clinic) -> App:
    """An application of its own for each launch."""
    app = App.__new__(App)
    app.clinic, app.secret, app.key, app.verifier = practice, "", None, ""
    return app


def test_a_launch_brings_its_patient_and_context(chart: App, physician: Session) -> None:
    handle = _launched(chart, physician, encounter="visit", intent="reconcile", need_patient_banner=False)
    asked = chart.parameters("launch patient/Observation.rs", launch=handle)
    body = chart.redeem(chart.approve(chart.waiting(chart.authorize(asked)), physician, patient="bert")["code"]).json()
    assert (body["patient"], body["encounter"], body["intent"]) == ("anna", "visit", "reconcile")
    assert body["need_patient_banner"] is False
    assert body["smart_style_url"].startswith(BASE)


def test_an_encounter_that_the_person_chose(app: App, physician: Session) -> None:
    waiting = app.waiting(app.authorize(app.parameters("launch/encounter launch/patient patient/Observation.rs")))
    assert waiting.needs_encounter
    body = app.redeem(app.approve(waiting, physician, encounter="visit")["code"]).json()
    assert (body["patient"], body["encounter"]) == ("anna", "visit")


def test_a_launch_used_twice(chart: App, physician: Session) -> None:
    handle = _launched(chart, physician)
    chart.waiting(chart.authorize(chart.parameters("launch user/Patient.r", launch=handle)))
    assert sent_back(chart.authorize(chart.parameters("launch user/Patient.r", launch=handle))) == "invalid_request"


def test_a_launch_of_another_application_or_too_old(app: App, chart: App, physician: Session, clock: HandClock) -> None:
    handle = _launched(chart, physician)
    assert sent_back(app.authorize(app.parameters("launch user/Patient.r", launch=handle))) == "invalid_request"
    clock.forward(5 * 60 * 1000)
    assert sent_back(chart.authorize(chart.parameters("launch user/Patient.r", launch=handle))) == "invalid_request"
    assert sent_back(chart.authorize(chart.parameters("launch user/Patient.r", launch="x"))) == "invalid_request"


def test_a_launch_of_another_person(practice: Clinic, chart: App, physician: Session) -> None:
    handle = _launched(chart, physician)
    waiting = chart.waiting(chart.authorize(chart.parameters("launch user/Patient.r", launch=handle)))
    other = signed_in(practice, "nurse")
    assert practice.house.oauth.interactions.next_step(waiting, other)[0] is Step.SIGN_IN
    with pytest.raises(Problem) as raised:
        chart.approve(waiting, other)
    assert raised.value.kind is Kind.FORBIDDEN


# ── pushed requests ──────────────────────────────────────────────────────────────────────────────────────────────────


def _pushed(app: App, **more: str) -> str:
    answer = app.token(app.parameters(**more), "/oauth2/par")
    assert answer.status_code == 201, answer.text
    assert answer.json()["expires_in"] == 60
    address: str = answer.json()["request_uri"]
    return address


def test_a_pushed_request_is_used_once(portal: App) -> None:
    brought = {"client_id": "portal", "request_uri": _pushed(portal)}
    assert portal.waiting(portal.authorize(brought))
    assert refused_here(portal.authorize(brought))


def test_a_pushed_request_of_another_application(app: App, portal: App) -> None:
    address = _pushed(portal)
    assert refused_here(app.authorize({"client_id": "app", "request_uri": address}))
    assert refused_here(app.authorize({"request_uri": address}))
    assert portal.waiting(portal.authorize({"client_id": "portal", "request_uri": address}))


def test_a_pushed_request_that_is_too_old(portal: App, clock: HandClock) -> None:
    address = _pushed(portal)
    clock.forward(60_000)
    assert refused_here(portal.authorize({"client_id": "portal", "request_uri": address}))


def test_parameters_beside_a_pushed_request_count_for_nothing(portal: App) -> None:
    beside = portal.parameters("user/*.cruds", redirect_uri="https://evil.example/", state="evil")
    brought = {**beside, "request_uri": _pushed(portal, scope="user/Patient.r", state="good")}
    waiting = portal.waiting(portal.authorize(brought))
    assert (waiting.scopes, waiting.redirect_uri, waiting.state) == (("user/Patient.r",), CALLBACK, "good")


def test_a_request_address_of_somebody_else_is_never_fetched(app: App) -> None:
    for address in (
        "https://evil.example/request.jwt",
        "urn:ietf:params:oauth:request_uri:unknown",
        "file:///etc/passwd",
    ):
        assert refused_here(app.authorize(app.parameters(request_uri=address)))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
        ({"aud": "https://evil.example"}, "invalid_target"),
        ({"scope": "unknown"}, "invalid_scope"),
    ],
)
def test_a_pushed_request_is_judged_at_once(portal: App, wrong: dict[str, str], error: str) -> None:
    answer = portal.token(portal.parameters(**wrong), "/oauth2/par")
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_pushing_without_proof_of_who_one_is(portal: App) -> None:
    answer = portal.token({**portal.parameters(), "client_secret": "wrong"}, "/oauth2/par")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_an_application_that_has_to_push_cannot_go_round(practice: Clinic) -> None:
    strict = App(practice, "strict", secret=True, require_par=True)
    assert sent_back(strict.authorize(strict.parameters())) == "invalid_request"
    assert strict.waiting(strict.authorize({"client_id": "strict", "request_uri": _pushed(strict)}))
