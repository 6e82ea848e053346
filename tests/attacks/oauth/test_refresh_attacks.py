# SPDX-License-Identifier: Apache-2.0
"""Attacks with refresh tokens: theft, replay, widening, races between processes; and what must outlive none of them."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.audit.event import EventType
from salus.identity.sessions import Session
from salus.kernel.commit import Unit
from tests.attacks.oauth.test_code_attacks import refused, works
from tests.support.clinic import Clinic
from tests.support.hand_clock import HandClock
from tests.support.second_house import second_house
from tests.support.smart import FORM, App, noted, signed_in

DAY_MS = 24 * 3600 * 1000
JSON = dict[str, Any]


def test_a_refresh_keeps_the_context_and_ends_the_former_token(
    portal: App, physician: Session, clock: HandClock
) -> None:
    body = portal.tokens(physician)
    clock.forward(5_000)
    again = portal.refresh(body["refresh_token"])
    assert again.status_code == 200
    assert "no-store" in again.headers["cache-control"]
    new = again.json()
    assert (new["patient"], new["scope"], new["need_patient_banner"]) == ("anna", body["scope"], True)
    assert new["refresh_token"] != body["refresh_token"]
    clock.forward(10_000)
    assert refused(portal.refresh(body["refresh_token"]))


def test_a_stolen_refresh_token_ends_everything_under_the_grant(
    practice: Clinic, portal: App, physician: Session, clock: HandClock
) -> None:
    body = portal.tokens(physician)
    new = portal.refresh(body["refresh_token"]).json()
    clock.forward(10_000)
    assert refused(portal.refresh(body["refresh_token"]))
    assert not works(portal, new["access_token"])
    assert not works(portal, body["access_token"])
    assert refused(portal.refresh(new["refresh_token"]))
    assert EventType.OAUTH_REUSE in noted(practice)


def test_an_answer_that_was_lost_is_given_again(portal: App, physician: Session, clock: HandClock) -> None:
    body = portal.tokens(physician)
    first = portal.refresh(body["refresh_token"]).json()
    clock.forward(9_000)
    second = portal.refresh(body["refresh_token"]).json()
    assert {**second, "expires_in": 0} == {**first, "expires_in": 0}
    assert second["expires_in"] <= first["expires_in"] - 9
    assert portal.refresh(second["refresh_token"]).status_code == 200


def test_the_grace_is_for_the_same_program_alone(portal: App, physician: Session) -> None:
    body = portal.tokens(physician)
    sent = {"grant_type": "refresh_token", "refresh_token": body["refresh_token"]}
    first = portal.token(sent, headers={"user-agent": "chart/1"})
    assert first.status_code == 200
    assert refused(portal.token(sent, headers={"user-agent": "thief/1"}))
    assert not works(portal, first.json()["access_token"])


@pytest.mark.requirement("smart@104")
@pytest.mark.parametrize(
    "scope",
    ["patient/*.rs", "patient/Observation.cruds", "user/Observation.rs", "patient/Observation.*", "fhirUser", "evil"],
)
def test_widening_with_a_refresh_token(portal: App, physician: Session, scope: str) -> None:
    body = portal.tokens(physician)
    assert refused(portal.refresh(body["refresh_token"], scope=scope), "invalid_scope")
    assert portal.refresh(body["refresh_token"]).status_code == 200  # a mistake of the application costs nothing


def test_narrowing_with_a_refresh_token(portal: App, physician: Session) -> None:
    body = portal.tokens(physician)
    new = portal.refresh(body["refresh_token"], scope="patient/Observation.r").json()
    assert new["scope"] == "patient/Observation.r"
    assert portal.refresh(new["refresh_token"]).json()["scope"] == body["scope"]  # the grant is as wide as before


@pytest.mark.requirement("smart@103")
def test_a_refresh_token_of_another_application(app: App, portal: App, physician: Session) -> None:
    body = portal.tokens(physician)
    assert refused(app.refresh(body["refresh_token"]))
    assert not works(portal, body["access_token"])
    assert refused(portal.refresh(body["refresh_token"]))


@pytest.mark.requirement("g10@AUT-PAT-23")
@pytest.mark.parametrize("token", ["x", "salus-refresh_" + "A" * 43, "\u0000" * 20])
def test_refresh_tokens_that_nobody_gave(portal: App, token: str) -> None:
    assert refused(portal.refresh(token))


def test_an_access_token_is_no_refresh_token_nor_the_other_way_round(portal: App, physician: Session) -> None:
    body = portal.tokens(physician)
    assert refused(portal.refresh(body["access_token"]))
    assert portal.get("/fhir/Patient/anna", body["refresh_token"]).status_code == 401


# ── races ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _leaves(practice: Clinic, grant: str) -> int:
    row = practice.house.db.execute(
        "select count(*) from oauth_refresh where grant_id = ? and used = 0", (grant,)
    ).fetchone()
    assert row is not None
    return int(row[0])


def _at_once(practice: Clinic, doors: list[httpx.AsyncClient], form: JSON) -> list[httpx.Response]:
    async def run() -> list[httpx.Response]:
        content = urlencode(form)
        return await asyncio.gather(*(door.post("/oauth2/token", content=content, headers=FORM) for door in doors))

    return practice.run(run())


@settings(max_examples=8)
@given(turns=st.lists(st.booleans(), min_size=2, max_size=9))
def test_any_number_of_refreshes_at_once_leave_one_live_leaf(
    practice: Clinic, portal: App, physician: Session, turns: list[bool]
) -> None:
    body = portal.tokens(physician)
    grant = practice.house.oauth.grants.of_user("default", "a-physician")[0].id
    form = {"grant_type": "refresh_token", "refresh_token": body["refresh_token"], **portal.proof_of_itself()}
    with second_house(practice) as beside:
        answers = _at_once(practice, [practice.http if first else beside for first in turns], form)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert _leaves(practice, grant) == 1
    assert portal.refresh(answers[0].json()["refresh_token"]).status_code == 200
    assert _leaves(practice, grant) == 1


def test_a_second_tab_does_not_end_the_first(practice: Clinic, portal: App, physician: Session) -> None:
    """Two grants of one application and person stand side by side."""
    first, second = portal.tokens(physician), portal.tokens(physician)
    portal.refresh(first["refresh_token"])
    assert portal.refresh(second["refresh_token"]).status_code == 200


# ── what ends a grant ────────────────────────────────────────────────────────────────────────────────────────────────


def _refused_everywhere(practice: Clinic, portal: App, body: JSON) -> bool:
    with second_house(practice) as beside:
        headers = {"authorization": f"Bearer {body['access_token']}"}
        there = practice.run(beside.get("/fhir/Patient/anna", headers=headers))
    here = portal.get("/fhir/Patient/anna", body["access_token"])
    return (here.status_code, there.status_code) == (401, 401) and refused(portal.refresh(body["refresh_token"]))


def test_another_process_notices_within_a_second(
    practice: Clinic, portal: App, physician: Session, clock: HandClock
) -> None:
    body = portal.tokens(physician, "patient/*.rs launch/patient offline_access")
    headers = {"authorization": f"Bearer {body['access_token']}"}
    with second_house(practice) as beside:
        assert practice.run(beside.get("/fhir/Patient/anna", headers=headers)).status_code != 401  # it remembers now
        portal.token({"token": body["refresh_token"]}, "/oauth2/revoke")
        clock.forward(1000)
        assert practice.run(beside.get("/fhir/Patient/anna", headers=headers)).status_code == 401


@pytest.mark.requirement("g10@PAR-1")
def test_taken_away_by_the_person(practice: Clinic, portal: App, physician: Session) -> None:
    body = portal.tokens(physician)
    mine = practice.house.oauth.grants.of_user("default", "a-physician")
    assert mine[0].allowed.client == "portal"
    unit = Unit()
    practice.house.oauth.grants.revoke(unit, "default", mine[0].id, user="a-physician")
    practice.run(practice._commit(unit))
    assert _refused_everywhere(practice, portal, body)


def test_nobody_takes_away_what_somebody_else_allows(practice: Clinic, portal: App, physician: Session) -> None:
    body = portal.tokens(physician)
    grant = practice.house.oauth.grants.of_user("default", "a-physician")[0].id
    unit = Unit()
    practice.house.oauth.grants.revoke(unit, "default", grant, user="nurse")
    with pytest.raises(Exception, match="no such permission"):
        practice.run(practice._commit(unit))
    assert works(portal, body["access_token"])


def test_disabled_and_enabled_again(practice: Clinic, portal: App) -> None:
    unit = Unit()
    practice.house.users.add_service(unit, "default", "pauser", roles=("physician",), display="pauser")
    practice.run(practice._commit(unit))
    body = portal.tokens(signed_in(practice, "pauser", purpose="TREAT"))
    for disabled in (True, False):
        unit = Unit()
        practice.house.users.set_disabled(unit, "default", "a-pauser", disabled=disabled)
        practice.run(practice._commit(unit))
        assert _refused_everywhere(practice, portal, body)


@pytest.mark.requirement("smart@100", "smart@366")
def test_without_offline_access_it_ends_with_the_session(practice: Clinic, portal: App) -> None:
    session = signed_in(practice, "physician")
    online = portal.tokens(session, "patient/*.rs launch/patient online_access")
    neither = portal.tokens(session, "patient/*.rs launch/patient")
    offline = portal.tokens(session, "patient/*.rs launch/patient offline_access")
    assert "refresh_token" not in neither
    online = portal.refresh(online["refresh_token"]).json()
    unit = Unit()
    practice.house.sessions.end(unit, "default", session.id)
    practice.run(practice._commit(unit))
    assert _refused_everywhere(practice, portal, online)
    assert portal.get("/fhir/Patient/anna", neither["access_token"]).status_code == 401
    assert portal.refresh(offline["refresh_token"]).status_code == 200


def test_without_offline_access_it_ends_with_an_idle_session(practice: Clinic, portal: App, clock: HandClock) -> None:
    body = portal.tokens(signed_in(practice, "physician"), "patient/*.rs launch/patient online_access")
    for _ in range(3):  # the application is busy, the person is not there
        clock.forward(19 * 60 * 1000)
        answer = portal.refresh(body["refresh_token"])
        assert answer.status_code == 200
        body = answer.json()
    clock.forward(4 * 60 * 1000)
    assert _refused_everywhere(practice, portal, body)


def test_nothing_outlives_the_patient_it_is_about(practice: Clinic, portal: App, physician: Session) -> None:
    ours, others = portal.tokens(physician), portal.tokens(physician, "user/Patient.rs offline_access")
    unit = Unit()
    practice.house.oauth.grants.end_patient(unit, "default", "anna")
    practice.run(practice._commit(unit))
    assert _refused_everywhere(practice, portal, ours)
    assert portal.refresh(others["refresh_token"]).status_code == 200


def test_nothing_outlives_a_restore(practice: Clinic, portal: App, physician: Session) -> None:
    body = portal.tokens(physician)
    unit = Unit()
    practice.house.oauth.grants.end_all(unit)
    practice.run(practice._commit(unit))
    assert _refused_everywhere(practice, portal, body)


@pytest.mark.requirement("g10@AUT-PAT-21", "g10@AUT-PAT-22")
def test_time_ends_it_by_not_being_used_and_in_all(practice: Clinic, portal: App, clock: HandClock) -> None:
    unused = portal.tokens(signed_in(practice, "physician"))
    clock.forward(100 * DAY_MS)
    assert refused(portal.refresh(unused["refresh_token"]))
    body = portal.tokens(signed_in(practice, "physician"))
    for _ in range(4):
        clock.forward(96 * DAY_MS)
        answer = portal.refresh(body["refresh_token"])
        assert answer.status_code == 200
        body = answer.json()
    clock.forward(12 * DAY_MS)  # 396 days since the person agreed
    assert refused(portal.refresh(body["refresh_token"]))
