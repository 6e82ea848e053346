# SPDX-License-Identifier: Apache-2.0
"""Signing in step by step: what is asked next, and every way in which somebody could skip a step."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from ceremonies import Browser, carry_out, signed_in, with_passkey
from hypothesis import given
from hypothesis import strategies as st
from identity_desk import PASSWORD, Desk, TurnedClock
from tests.support.soft_auth import SoftAuth

from salus.crypto.keyring import Keyring
from salus.identity.accounts.notices import NoticeKind
from salus.identity.ceremonies.flow import Began, FlowKind, Has, State, Step, next_step
from salus.identity.factors import passwords
from salus.identity.factors.assurance import AAL1, AAL2, AAL3, LEVELS, Demand, Factor
from salus.identity.factors.passwords import Cost
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem


def refused(judge: object, *sent: object) -> Problem:
    with pytest.raises(Problem) as caught:
        judge(*sent)  # type: ignore[operator]
    return caught.value


def notices(desk: Desk, name: str = "dr.amara") -> list[NoticeKind]:
    return [notice.kind for notice in desk.people.notices.of_user("default", name)]


def test_password_then_code_begins_a_session(desk: Desk) -> None:
    secret = desk.person()
    browser = Browser(desk).begin(back="/authorize/1")
    assert browser.asked.step is Step.PASSWORD
    assert browser.password().step is Step.SECOND_FACTOR
    assert browser.code(desk.code(secret)).step is Step.DONE
    done = browser.finish()
    assert (done.session.acr, done.session.amr, done.back) == (AAL2, ("pwd", "otp", "mfa"), "/authorize/1")
    assert desk.sessions.lookup("default", done.secret).user.id == "dr.amara"
    assert refused(lambda: browser.asked).kind is Kind.UNAUTHENTICATED  # a ceremony ends once


def test_a_password_alone_gets_nothing(desk: Desk) -> None:
    secret = desk.person()
    browser = Browser(desk).begin()
    browser.password()
    assert refused(browser.finish).kind is Kind.CONFLICT
    assert refused(browser.kept).kind is Kind.CONFLICT
    assert refused(browser.begin_codes).kind is Kind.CONFLICT  # no way round by binding another factor
    assert refused(browser.new_password, "amber lantern 77 mills").kind is Kind.CONFLICT
    assert refused(browser.code, "000000").kind is Kind.UNAUTHENTICATED
    assert refused(browser.finish).kind is Kind.CONFLICT
    assert desk.sessions.of_user("default", "dr.amara") == []
    assert secret


def test_a_code_before_the_password_is_not_asked_for(desk: Desk) -> None:
    secret = desk.person()
    browser = Browser(desk).begin()
    assert refused(browser.code, desk.code(secret)).kind is Kind.CONFLICT
    assert refused(browser.recovery, "ABC").kind is Kind.CONFLICT
    assert refused(browser.finish).kind is Kind.CONFLICT


def test_enumeration_at_the_password_gives_the_same_answer(desk: Desk) -> None:
    desk.person()
    desk.person("nurse.ben")
    desk.service()
    desk.do(lambda unit: desk.users.set_disabled(unit, "default", "nurse.ben", disabled=True))
    told = {
        refused(Browser(desk).begin().password, name, password).public
        for name, password in (
            ("dr.amara", "wrong password here"),
            ("nobody", PASSWORD),
            ("nurse.ben", PASSWORD),
            ("lab-feed", PASSWORD),
            ("", ""),
        )
    }
    assert told == {"Name, password or code is not right."}


def test_enumeration_by_the_work_gives_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever the name is of, one hash of the same cost is computed, and the same rows are written."""
    desk.person()
    desk.person("nurse.ben")
    desk.service()
    carry_out(desk, desk.people.life.invite, "default", "nurse.kim", roles=("nurse",), display="Kim")
    carry_out(desk, desk.people.life.suspend, "default", "nurse.ben")
    costs: list[str] = []
    judge = passwords._verify
    monkeypatch.setattr(
        passwords, "_verify", lambda encoded, secret: costs.append(encoded.rpartition("$")[0]) or judge(encoded, secret)
    )
    statements = set()
    for name in ("dr.amara", "nurse.ben", "nurse.kim", "lab-feed", "nobody", "No Name At All"):
        unit, browser = Unit(), Browser(desk).begin()
        with pytest.raises(Problem):
            asyncio.run(desk.people.sign_in.password(unit, "default", browser.secret, name, "wrong password here"))
        statements.add(tuple(statement.sql for statement in unit.parts["identity"]))
    assert len(costs) == 6
    assert len({cost.rpartition("$")[0] for cost in costs}) == 1
    assert len(statements) == 1


def test_a_used_code_of_another_ceremony_is_refused(desk: Desk) -> None:
    secret = desk.person()
    signed_in(desk, secret)
    browser = Browser(desk).begin()
    browser.password()
    assert refused(browser.code, desk.code(secret)).kind is Kind.UNAUTHENTICATED


@pytest.mark.parametrize("steps", [-2, 2, 3])
def test_a_code_of_another_time_is_refused(desk: Desk, steps: int) -> None:
    secret = desk.person()
    browser = Browser(desk).begin()
    browser.password()
    desk.clock.later(30 * steps)
    code = desk.code(secret)
    desk.clock.later(-30 * steps)
    assert refused(browser.code, code).kind is Kind.UNAUTHENTICATED


def test_two_requests_with_one_code_at_the_same_moment_let_one_on(desk: Desk) -> None:
    secret = desk.person()
    browsers = [Browser(desk).begin(), Browser(desk).begin()]
    for browser in browsers:
        browser.password()

    async def race() -> list[BaseException | None]:
        units = [Unit(), Unit()]
        for unit, browser in zip(units, browsers, strict=True):
            desk.people.sign_in.code(unit, "default", browser.secret, desk.code(secret))
        return await desk.commit(*units)

    outcomes = asyncio.run(race())
    assert outcomes.count(None) == 1
    assert sorted(browser.asked.step for browser in browsers) == sorted([Step.DONE, Step.SECOND_FACTOR])


def test_one_ceremony_begins_one_session(desk: Desk) -> None:
    secret = desk.person()
    browser = Browser(desk).begin()
    browser.password()
    browser.code(desk.code(secret))

    async def race() -> list[BaseException | None]:
        units = [Unit(), Unit()]
        for unit in units:
            desk.people.sign_in.finish(unit, "default", browser.secret)
        return await desk.commit(*units)

    assert asyncio.run(race()).count(None) == 1
    assert len(desk.sessions.of_user("default", "dr.amara")) == 1


def test_guessing_codes_is_slowed_across_ceremonies_networks_and_right_passwords(desk: Desk) -> None:
    """Keycloak 49960: neither a new ceremony, nor another network, nor the right password sets the count back."""
    desk.person()
    tried = 0
    for number in range(20):
        browser = Browser(desk, address=f"203.0.{number}.9").begin()
        browser.password()
        problem = refused(browser.code, "000000")
        tried += problem.kind is Kind.UNAUTHENTICATED
        desk.clock.later(2)
    assert tried < 8


def test_hundred_wrong_codes_close_codes_and_not_the_person(desk: Desk) -> None:
    secret = desk.person()
    device = SoftAuth()
    with_passkey(desk, signed_in(desk, secret), device)
    for _ in range(100):
        browser = Browser(desk).begin()
        browser.password()
        refused(browser.code, "000000")
        desk.clock.later(901)
    browser = Browser(desk).begin()
    browser.password()
    assert refused(browser.code, desk.code(secret)).kind is Kind.THROTTLED
    assert browser.passkey(device).step is Step.DONE


def test_an_account_without_a_second_factor_binds_one_at_its_first_sign_in(desk: Desk) -> None:
    desk.person()
    desk.db.execute("update account set totp = null")
    browser = Browser(desk).begin()
    asked = browser.password()
    assert (asked.step, asked.offers) == (Step.ENROL, ("passkey", "code"))
    assert refused(browser.finish).kind is Kind.CONFLICT
    secret = browser.begin_codes()
    assert browser.begin_codes() == secret  # the page may be drawn again
    assert refused(browser.confirm, "000000").kind is Kind.INVALID
    asked = browser.confirm(desk.code(secret))
    assert asked.step is Step.RECOVERY_CODES
    assert len(set(asked.codes)) == 10
    assert browser.asked.codes == asked.codes
    assert refused(browser.finish).kind is Kind.CONFLICT
    assert browser.kept().step is Step.DONE
    assert browser.finish().session.acr == AAL2
    assert NoticeKind.FACTOR_BOUND in notices(desk)
    later = Browser(desk).begin()
    later.password()
    assert refused(later.code, desk.code(secret)).kind is Kind.UNAUTHENTICATED  # the confirming code is used up
    desk.clock.later(30)
    assert later.code(desk.code(secret)).step is Step.DONE


def test_a_recovery_code_leads_to_a_new_factor_and_works_once(desk: Desk) -> None:
    old = desk.person()
    codes = carry_out(desk, desk.people.recovery.renew, "default", "dr.amara")
    browser = Browser(desk).begin()
    browser.password()
    asked = browser.recovery(codes[3].lower().replace("-", " "))
    assert asked.step is Step.ENROL
    assert refused(browser.finish).kind is Kind.CONFLICT
    new = browser.begin_codes()
    browser.confirm(desk.code(new))
    browser.kept()
    assert browser.finish().session.amr == ("pwd", "otp", "rc", "mfa")
    assert NoticeKind.RECOVERY_USED in notices(desk)
    desk.clock.later(60)
    again = Browser(desk).begin()
    again.password()
    assert refused(again.recovery, codes[3]).kind is Kind.UNAUTHENTICATED
    desk.clock.later(60)
    assert refused(again.recovery, codes[4]).kind is Kind.UNAUTHENTICATED  # a new set was made
    desk.clock.later(60)
    assert refused(again.code, desk.code(old)).kind is Kind.UNAUTHENTICATED
    desk.clock.later(60)
    assert again.code(desk.code(new)).step is Step.DONE


def test_two_requests_with_one_recovery_code_let_one_on(desk: Desk) -> None:
    desk.person()
    code = carry_out(desk, desk.people.recovery.renew, "default", "dr.amara")[0]
    browsers = [Browser(desk).begin(), Browser(desk).begin()]
    for browser in browsers:
        browser.password()

    async def race() -> list[BaseException | None]:
        units = [Unit(), Unit()]
        for unit, browser in zip(units, browsers, strict=True):
            desk.people.sign_in.recovery(unit, "default", browser.secret, code)
        return await desk.commit(*units)

    assert asyncio.run(race()).count(None) == 1


def test_recovery_codes_of_somebody_else_are_refused_and_none_is_in_the_database(desk: Desk) -> None:
    desk.person()
    desk.person("mallory")
    codes = carry_out(desk, desk.people.recovery.renew, "default", "mallory")
    written = repr(desk.db.execute("select * from recovery_code").fetchall())
    assert not [code for code in codes if code in written or code.replace("-", "") in written]
    browser = Browser(desk).begin()
    browser.password("dr.amara")
    assert refused(browser.recovery, codes[0]).kind is Kind.UNAUTHENTICATED


def test_a_hash_of_former_days_is_made_anew_at_the_next_sign_in(
    tmp_path: Path, keyring: Keyring, clock: TurnedClock, desk: Desk
) -> None:
    secret = desk.person()
    later = Desk(tmp_path, keyring, clock, Cost(passes=1, memory_kib=128))
    try:
        for process, hashed in ((desk, "m=64"), (later, "m=128"), (later, "m=128")):
            browser = Browser(process).begin()
            browser.password()
            browser.code(process.code(secret))
            assert browser.finish().session.acr == AAL2
            assert hashed in str(process.people.credentials.held("default", "dr.amara").encoded)
            clock.later(30)
    finally:
        later.close()


def test_a_password_changed_meanwhile_ends_the_ceremony(desk: Desk) -> None:
    secret = desk.person()
    browser = Browser(desk).begin()
    browser.password()
    desk.do(lambda unit: desk.users.set_password(unit, "default", "dr.amara", "amber lantern 77 mills"))
    assert refused(browser.code, desk.code(secret)).kind is Kind.UNAUTHENTICATED


def test_a_person_suspended_meanwhile_does_not_come_in(desk: Desk) -> None:
    secret = desk.person()
    browser = Browser(desk).begin()
    browser.password()
    browser.code(desk.code(secret))
    unit = Unit()
    desk.people.sign_in.finish(unit, "default", browser.secret)
    desk.do(lambda change: desk.users.set_disabled(change, "default", "dr.amara", disabled=True))
    (outcome,) = asyncio.run(desk.commit(unit))
    assert isinstance(outcome, Problem)
    assert refused(browser.finish).kind is Kind.UNAUTHENTICATED


def test_a_ceremony_is_over_after_half_an_hour_and_its_secret_is_not_in_the_database(desk: Desk) -> None:
    desk.person()
    browser = Browser(desk).begin()
    browser.password()
    assert browser.secret not in repr(desk.db.execute("select * from flow").fetchall())
    desk.clock.later(30 * 60)
    assert refused(lambda: browser.asked).kind is Kind.UNAUTHENTICATED
    desk.writes.idle(desk.db)
    assert desk.db.execute("select count(*) from flow").fetchone() == (0,)


def test_a_ceremony_in_a_session_is_over_after_ten_minutes(desk: Desk) -> None:
    session = signed_in(desk, desk.person())
    browser = Browser(desk).again(session, bind=True)
    desk.clock.later(10 * 60)
    assert refused(browser.begin_codes).kind is Kind.UNAUTHENTICATED


def test_a_ceremony_of_another_tenant_is_refused(desk: Desk) -> None:
    browser = Browser(desk).begin()
    browser.tenant = "other"
    assert refused(lambda: browser.asked).kind is Kind.UNAUTHENTICATED


# ── showing factors again ────────────────────────────────────────────────────────────────────────────────────────────


def test_step_up_proves_presence_anew_and_only_for_its_own_person(desk: Desk) -> None:
    secret = desk.person()
    other = desk.person("mallory")
    session = signed_in(desk, secret)
    desk.clock.later(600)
    browser = Browser(desk).again(session)
    assert (browser.asked.step, browser.asked.name) == (Step.PASSWORD, "dr.amara")
    assert refused(browser.password, "mallory", "wrong password here").kind is Kind.UNAUTHENTICATED
    desk.clock.later(60)
    browser.password("mallory")  # the name is the session's, whatever is typed
    assert browser.asked.name == "dr.amara"
    assert refused(browser.code, desk.code(other)).kind is Kind.UNAUTHENTICATED
    desk.clock.later(60)
    browser.code(desk.code(secret))
    done = browser.finish()
    assert done.session.id == session.id
    assert done.session.proved_ms == desk.clock.ms
    assert desk.sessions.lookup("default", done.secret).proved_ms == desk.clock.ms


def test_step_up_of_a_session_that_was_ended_is_over(desk: Desk) -> None:
    secret = desk.person()
    session = signed_in(desk, secret)
    browser = Browser(desk).again(session)
    desk.do(lambda unit: desk.sessions.end(unit, "default", session.id))
    assert refused(browser.password).kind is Kind.UNAUTHENTICATED


def test_step_up_to_aal3_asks_for_a_passkey_of_one_device(desk: Desk) -> None:
    secret = desk.person()
    bound, synced = SoftAuth(), SoftAuth(synced=True, backed_up=True)
    session = signed_in(desk, secret)
    for device in (bound, synced):
        with_passkey(desk, session, device)
    desk.clock.later(60)
    browser = Browser(desk).again(session, Demand(AAL3, 300))
    browser.password()
    browser.code(desk.code(secret))
    assert browser.asked.step is Step.PASSKEY
    assert refused(browser.passkey, synced).kind is Kind.UNAUTHENTICATED
    assert browser.passkey(bound).step is Step.DONE
    assert browser.finish().session.acr == AAL3


def test_a_factor_is_bound_in_a_fresh_session_only(desk: Desk) -> None:
    secret = desk.person()
    session = signed_in(desk, secret)
    desk.clock.later(301)
    problem = refused(lambda: Browser(desk).again(session, bind=True))
    assert "insufficient_user_authentication" in problem.challenge
    assert "max_age=300" in problem.challenge


# ── the rules, without a database ────────────────────────────────────────────────────────────────────────────────────

_STATES = st.builds(
    State,
    kind=st.sampled_from(FlowKind),
    created=st.just(0),
    ends=st.just(1),
    acr=st.sampled_from(["", AAL1, AAL2, AAL3]),
    name=st.sampled_from(["", "dr.amara"]),
    shown=st.lists(st.sampled_from(Factor), unique=True).map(tuple),
    began=st.sampled_from(Began),
    new_password=st.sampled_from(["", "$argon2id$"]),
    enrolled=st.booleans(),
    codes=st.sampled_from([(), ("code",)]),
)
_HAS = st.builds(
    Has,
    code=st.booleans(),
    passkeys=st.booleans(),
    bound=st.booleans(),
    level=st.sampled_from([2, 3]),
    laboratory=st.just(False),
)


@given(_STATES, _HAS)
def test_nobody_is_done_below_aal2_nor_below_what_is_asked(state: State, has: Has) -> None:
    if next_step(state, has) is Step.DONE and state.kind is not FlowKind.BIND and not state.enrolled:
        reached = LEVELS[state.proof.acr]
        assert reached >= 2
        assert reached >= LEVELS[state.acr]
        if state.kind is FlowKind.SIGN_IN:
            assert reached >= has.level


@given(_STATES, _HAS)
def test_nobody_binds_a_factor_with_a_password_alone_where_there_is_one_already(state: State, has: Has) -> None:
    fresh = state.began is Began.NOTHING and state.kind is not FlowKind.BIND
    if fresh and set(state.shown) <= {Factor.PASSWORD} and (has.code or has.passkeys):
        assert next_step(state, has) in {Step.PASSWORD, Step.SECOND_FACTOR}


@given(_STATES, _HAS)
def test_a_reset_password_does_not_drop_the_second_factor(state: State, has: Has) -> None:
    shown = set(state.shown) & {Factor.CODE, Factor.BOUND_PASSKEY, Factor.SYNCED_PASSKEY}
    if state.began is Began.PASSWORD and state.name and not shown and state.kind is not FlowKind.BIND:
        assert next_step(state, has) is Step.SECOND_FACTOR
