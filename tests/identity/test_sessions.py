# SPDX-License-Identifier: Apache-2.0
"""Sessions: how they begin, how long they last, and everything that ends them; attacks by name."""

from __future__ import annotations

import asyncio

import pytest
from identity_desk import Desk

from salus.identity.factors.assurance import AAL1, AAL2, AAL3, FRESH, Factor, Proof, meets, prove
from salus.identity.sessions import Session
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem

MINUTE, HOUR = 60, 3600


def proof(desk: Desk, *factors: Factor) -> Proof:
    return prove(factors or (Factor.PASSWORD, Factor.CODE), desk.clock.now_ms())


def begin(desk: Desk, name: str = "dr.amara", *factors: Factor) -> tuple[str, Session]:
    user = desk.user(name)
    begun = desk.do(
        lambda unit: desk.sessions.begin(
            unit, user, proof(desk, *factors), purpose="TREAT", device="Firefox on Linux", address="192.0.2.1"
        )
    )
    assert isinstance(begun, tuple)
    return begun


def over(desk: Desk, secret: str, tenant: str = "default") -> bool:
    try:
        desk.sessions.lookup(tenant, secret)
    except Problem as problem:
        return (problem.kind, problem.public) == (Kind.UNAUTHENTICATED, "Please sign in again.")
    return False


def test_a_session_tells_who_how_and_from_where(desk: Desk) -> None:
    desk.person()
    secret, begun = begin(desk)
    found = desk.sessions.lookup("default", secret)
    assert found == begun
    assert (found.user.id, found.acr, found.amr) == ("dr.amara", AAL2, ("pwd", "otp", "mfa"))
    assert (found.device, found.address, found.purpose) == ("Firefox on Linux", "192.0.2.1", "TREAT")
    actor = found.actor
    assert (actor.id, actor.session, actor.acr, actor.proved_ms) == ("dr.amara", begun.id, AAL2, desk.clock.now_ms())


def test_the_secret_is_not_in_the_database(desk: Desk) -> None:
    desk.person()
    secret, _ = begin(desk)
    written = repr(desk.db.execute("select * from session").fetchall())
    assert secret not in written
    assert "Firefox" not in written
    assert "dr.amara" not in written


@pytest.mark.parametrize(("roles", "hours"), [(("physician",), 24), (("physician", "administrator"), 12)])
def test_a_session_ends_after_a_day_or_half_a_day(desk: Desk, roles: tuple[str, ...], hours: int) -> None:
    desk.person(roles=roles)
    secret, _ = begin(desk)
    for _ in range(hours * 6 - 1):
        desk.clock.later(10 * MINUTE)
        assert not over(desk, secret)
    desk.clock.later(10 * MINUTE)
    assert over(desk, secret)


@pytest.mark.parametrize(("roles", "minutes"), [(("physician",), 60), (("administrator",), 15)])
def test_a_session_that_is_idle_ends(desk: Desk, roles: tuple[str, ...], minutes: int) -> None:
    desk.person(roles=roles)
    secret, _ = begin(desk)
    desk.clock.later(minutes * MINUTE - 1)
    assert not over(desk, secret)
    desk.clock.later(minutes * MINUTE)
    assert over(desk, secret)


def test_a_new_role_shortens_the_sessions_that_there_are(desk: Desk) -> None:
    desk.person()
    secret, _ = begin(desk)
    desk.do(lambda unit: desk.users.change(unit, "default", "dr.amara", roles=("administrator",)))
    desk.clock.later(16 * MINUTE)
    assert over(desk, secret)


def test_a_sign_of_life_counts_in_another_process_and_after_a_restart(desk: Desk, second: Desk) -> None:
    desk.person()
    secret, _ = begin(desk)
    assert not over(second, secret)
    desk.clock.later(50 * MINUTE)
    assert not over(desk, secret)
    asyncio.run(desk.commit(Unit()))  # any group takes it along
    desk.clock.later(50 * MINUTE)
    assert not over(second, secret)


def test_asking_whether_a_session_lives_is_no_sign_of_life(desk: Desk) -> None:
    desk.person()
    secret, session = begin(desk)
    for _ in range(7):
        desk.clock.later(9 * MINUTE)
        alive = desk.sessions.alive("default", session.id)
    assert not alive
    assert over(desk, secret)


@pytest.mark.parametrize("what", ["end", "end_all", "disable", "password"])
def test_whatever_ends_a_session_ends_it_in_every_process(desk: Desk, second: Desk, what: str) -> None:
    desk.person()
    secret, session = begin(desk)
    assert not over(second, secret)
    assert second.sessions.alive("default", session.id)
    desk.do(
        {
            "end": lambda unit: desk.sessions.end(unit, "default", session.id),
            "end_all": lambda unit: desk.sessions.end_all(unit, "default", "dr.amara"),
            "disable": lambda unit: desk.users.set_disabled(unit, "default", "dr.amara", disabled=True),
            "password": lambda unit: desk.users.set_password(unit, "default", "dr.amara", "amber lantern 77 mills"),
        }[what]
    )
    assert over(desk, secret)
    desk.clock.later(0.2)
    assert over(second, secret)
    assert not second.sessions.alive("default", session.id)


def test_what_was_disabled_does_not_come_back(desk: Desk) -> None:
    desk.person()
    secret, _ = begin(desk)
    for disabled in (True, False):
        desk.do(lambda unit, disabled=disabled: desk.users.set_disabled(unit, "default", "dr.amara", disabled=disabled))
    assert over(desk, secret)


def test_a_session_of_another_tenant_and_any_garbage_is_refused(desk: Desk) -> None:
    desk.person()
    desk.person(tenant="other")
    secret, _ = begin(desk)
    assert over(desk, secret, "other")
    for wrong in ("", "x", secret[:-1], secret + "A", "\ud800", "é" * 43):
        assert over(desk, wrong)


def test_session_fixation_a_step_up_rotates_the_secret(desk: Desk) -> None:
    desk.person()
    old, session = begin(desk)
    desk.clock.later(10 * MINUTE)
    rotated = desk.do(lambda unit: desk.sessions.strengthen(unit, session, proof(desk, Factor.BOUND_PASSKEY)))
    assert isinstance(rotated, tuple)
    secret, stronger = rotated
    assert over(desk, old)
    found = desk.sessions.lookup("default", secret)
    assert (found.id, found.acr, found.proved_ms) == (session.id, AAL3, desk.clock.now_ms())
    assert found.signed_in_ms == session.signed_in_ms
    assert found.ends_ms == session.ends_ms
    assert found == stronger


def test_a_weaker_proof_does_not_make_a_stronger_session_look_fresh(desk: Desk) -> None:
    desk.person()
    _, session = begin(desk, "dr.amara", Factor.BOUND_PASSKEY)
    with pytest.raises(Problem) as caught:
        desk.sessions.strengthen(Unit(), session, proof(desk))
    assert "insufficient_user_authentication" in caught.value.challenge


@pytest.mark.parametrize("factors", [(Factor.PASSWORD,), (Factor.CODE,), (Factor.PASSWORD, Factor.RECOVERY)])
def test_one_factor_alone_begins_no_session(desk: Desk, factors: tuple[Factor, ...]) -> None:
    desk.person()
    with pytest.raises(Problem) as caught:
        desk.sessions.begin(Unit(), desk.user(), proof(desk, *factors), purpose="TREAT")
    assert caught.value.kind is Kind.UNAUTHENTICATED


def test_an_account_of_a_test_laboratory_begins_one_and_is_told_apart(desk: Desk) -> None:
    desk.person("robot")
    secret, _ = begin(desk, "robot", Factor.PASSWORD)
    assert desk.sessions.lookup("default", secret).acr == AAL1


def test_a_session_that_loses_the_race_against_a_suspension_is_not_begun(desk: Desk) -> None:
    desk.person()
    unit = Unit()
    secret, _ = desk.sessions.begin(unit, desk.user(), proof(desk), purpose="TREAT")
    desk.do(lambda change: desk.users.set_disabled(change, "default", "dr.amara", disabled=True))
    (outcome,) = asyncio.run(desk.commit(unit))
    assert isinstance(outcome, Problem)
    assert over(desk, secret)


def test_a_person_ends_the_sessions_of_other_devices_and_only_theirs(desk: Desk) -> None:
    desk.person()
    desk.person("nurse.ben")
    here, mine = begin(desk)
    there, _ = begin(desk)
    foreign, bens = begin(desk, "nurse.ben")
    assert {each.id for each in desk.sessions.of_user("default", "dr.amara")} == {
        mine.id,
        desk.sessions.lookup("default", there).id,
    }
    with pytest.raises(Problem) as caught:
        desk.do(lambda unit: desk.sessions.end(unit, "default", bens.id, name="dr.amara"))
    assert caught.value.kind is Kind.NOT_FOUND
    desk.do(lambda unit: desk.sessions.end_all(unit, "default", "dr.amara", but=mine.id))
    assert over(desk, there)
    assert not over(desk, here)
    assert not over(desk, foreign)


def test_a_row_pointed_at_another_account_does_not_open(desk: Desk) -> None:
    desk.person()
    desk.person("mallory")
    secret, _ = begin(desk, "mallory")
    desk.db.execute(
        "update session set handle = (select handle from account where handle not in (select handle from session))"
    )
    with pytest.raises(Problem) as caught:
        desk.sessions.lookup("default", secret)
    assert caught.value.kind is Kind.FAULT


def test_a_token_of_a_sign_in_without_a_browser_lives_and_dies_with_its_session(desk: Desk) -> None:
    desk.person()
    _, session = begin(desk)
    token = desk.token(session=session)
    for _ in range(10):  # its use is the session's sign of life
        desk.clock.later(50 * MINUTE)
        actor = desk.tokens.lookup("default", token)
    assert (actor.session, actor.acr, actor.proved_ms) == (session.id, AAL2, session.proved_ms)
    desk.do(lambda unit: desk.sessions.end(unit, "default", session.id, name="dr.amara"))
    with pytest.raises(Problem):
        desk.tokens.lookup("default", token)


def test_a_token_of_a_sign_in_without_a_browser_is_idle_as_its_session(desk: Desk) -> None:
    desk.person()
    _, session = begin(desk)
    token = desk.token(session=session)
    desk.tokens.lookup("default", token)
    desk.clock.later(61 * MINUTE)
    with pytest.raises(Problem):
        desk.tokens.lookup("default", token)


def test_a_csrf_token_belongs_to_one_secret(desk: Desk) -> None:
    assert desk.sessions.csrf("one") == desk.sessions.csrf("one") != desk.sessions.csrf("other")
    assert "one" not in desk.sessions.csrf("one")


def test_freshness_is_judged_by_level_and_age() -> None:
    now = 1_000_000_000
    assert meets(FRESH, AAL2, now - 300_000, now)
    assert not meets(FRESH, AAL2, now - 300_001, now)
    assert not meets(FRESH, AAL2, now + 1, now)
    assert not meets(FRESH, AAL1, now, now)
    assert not meets(FRESH, "", now, now)
    assert not meets(FRESH, "urn:salus:aal9", now, now)
    assert meets(FRESH, AAL3, now, now)


def test_ended_sessions_leave_the_database(desk: Desk) -> None:
    desk.person()
    begin(desk)
    desk.clock.later(25 * HOUR)
    desk.writes.idle(desk.db)
    assert desk.db.execute("select count(*) from session").fetchone() == (0,)
    assert desk.user().id == "dr.amara"
