# SPDX-License-Identifier: Apache-2.0
"""From the invitation to the last day: what each act begins and ends, and what takes two people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ceremonies import Browser, carry_out, signed_in, with_passkey
from identity_desk import PASSWORD, Desk
from tests.support.soft_auth import SoftAuth

from salus.identity.accounts.notices import NoticeKind
from salus.identity.ceremonies.flow import Began, Step
from salus.identity.ceremonies.life import Standing
from salus.identity.factors.assurance import AAL2, AAL3
from salus.identity.sessions import Session
from salus.kernel.errors import Kind, Problem

NEW = "amber lantern 77 mills"
DAY = 24 * 3600


def refused(judge: Callable[..., Any], *sent: Any, **more: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        judge(*sent, **more)
    return caught.value


def invited(desk: Desk, name: str = "nurse.ben", role: str = "nurse") -> str:
    code, _ = carry_out(desk, desk.people.life.invite, "default", name, roles=(role,), display="Ben")
    return str(code)


def enrolled(desk: Desk, code: str, name: str = "nurse.ben", password: str = NEW) -> str:
    """Goes through an invitation with an application for codes; returns its secret."""
    browser = Browser(desk).begin()
    browser.invitation(name, code)
    browser.new_password(password)
    secret = browser.begin_codes()
    browser.confirm(desk.code(secret))
    browser.kept()
    browser.finish()
    desk.clock.later(30)
    return secret


def standing(desk: Desk, name: str) -> Standing:
    return desk.people.life.standing(desk.user(name))


def told(desk: Desk, name: str) -> list[NoticeKind]:
    return [notice.kind for notice in desk.people.notices.of_user("default", name)]


# ── invitations ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_invited_person_chooses_a_password_binds_a_factor_and_is_in(desk: Desk) -> None:
    code = invited(desk)
    assert standing(desk, "nurse.ben") is Standing.INVITED
    browser = Browser(desk).begin()
    assert browser.invitation("nurse.ben", code).step is Step.NEW_PASSWORD
    assert refused(browser.new_password, "short").kind is Kind.INVALID
    asked = browser.new_password(NEW)
    assert (asked.step, asked.offers) == (Step.ENROL, ("passkey", "code"))
    secret = browser.begin_codes()
    asked = browser.confirm(desk.code(secret))
    assert len(asked.codes) == 10
    browser.kept()
    assert browser.finish().session.acr == AAL2
    assert standing(desk, "nurse.ben") is Standing.ACTIVE
    desk.clock.later(30)
    later = Browser(desk).begin()
    later.password("nurse.ben", NEW)
    assert later.code(desk.code(secret)).step is Step.DONE


def test_an_invitation_works_once_and_for_three_days_and_for_its_person(desk: Desk) -> None:
    code = invited(desk)
    invited(desk, "nurse.eve")
    assert refused(Browser(desk).begin().invitation, "nurse.eve", code).kind is Kind.UNAUTHENTICATED
    enrolled(desk, code)
    desk.clock.later(60)
    assert refused(Browser(desk).begin().invitation, "nurse.ben", code).kind is Kind.UNAUTHENTICATED
    late = invited(desk, "nurse.kim")
    desk.clock.later(3 * DAY)
    assert refused(Browser(desk).begin().invitation, "nurse.kim", late).kind is Kind.UNAUTHENTICATED
    fresh, _ = carry_out(desk, desk.people.life.invite_again, "default", "nurse.kim")
    desk.clock.later(60)
    assert Browser(desk).begin().invitation("nurse.kim", fresh).step is Step.NEW_PASSWORD


def test_of_two_who_hold_one_invitation_the_first_to_enrol_keeps_it(desk: Desk) -> None:
    code = invited(desk)
    browsers = [Browser(desk).begin(), Browser(desk).begin()]
    secrets = []
    for browser in browsers:
        browser.invitation("nurse.ben", code)
        browser.new_password(NEW)
        secrets.append(browser.begin_codes())
    browsers[0].confirm(desk.code(secrets[0]))
    assert refused(browsers[1].confirm, desk.code(secrets[1])).kind is Kind.UNAUTHENTICATED


def test_an_invitation_that_was_not_finished_changes_nothing(desk: Desk) -> None:
    code = invited(desk)
    browser = Browser(desk).begin()
    browser.invitation("nurse.ben", code)
    browser.new_password(NEW)
    assert refused(Browser(desk).begin().password, "nurse.ben", NEW).kind is Kind.UNAUTHENTICATED
    desk.clock.later(60)
    assert Browser(desk).begin().invitation("nurse.ben", code).step is Step.NEW_PASSWORD


def test_an_invitation_by_passkey_needs_no_application(desk: Desk) -> None:
    code = invited(desk, "boss", "administrator")
    browser = Browser(desk).begin()
    browser.invitation("boss", code)
    asked = browser.new_password(NEW)
    assert asked.offers == ("passkey",)
    assert browser.enrol_passkey(SoftAuth()).step is Step.DONE
    assert browser.finish().session.acr == AAL3


def test_an_unknown_name_and_a_wrong_code_look_the_same_and_are_slowed(desk: Desk) -> None:
    invited(desk)
    answers = []
    for name in ("nurse.ben", "nobody"):
        browser = Browser(desk).begin()
        answers.append([refused(browser.invitation, name, "0" * 24) for _ in range(2)])
    kinds = [[(p.kind, p.public, p.retry_after) for p in pair] for pair in answers]
    assert kinds[0] == kinds[1]
    assert kinds[0][1][0] is Kind.THROTTLED


def test_no_code_is_in_the_database(desk: Desk) -> None:
    code = invited(desk)
    written = repr(desk.db.execute("select * from invitation").fetchall())
    assert code not in written
    assert code.replace("-", "") not in written


# ── suspension, leaving, coming back ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("act", ["suspend", "leave"])
def test_everything_of_theirs_ends_in_every_process(desk: Desk, second: Desk, act: str) -> None:
    secret = desk.person()
    device = SoftAuth()
    session = signed_in(desk, secret)
    with_passkey(desk, session, device)
    token = desk.token()
    half_way = Browser(desk).begin()
    half_way.password()
    assert second.sessions.alive("default", session.id)
    second.tokens.lookup("default", token)
    carry_out(desk, getattr(desk.people.life, act), "default", "dr.amara")
    desk.clock.later(0.9)
    assert not second.sessions.alive("default", session.id)
    assert refused(second.tokens.lookup, "default", token).kind is Kind.UNAUTHENTICATED
    assert refused(half_way.code, desk.code(secret)).kind is Kind.UNAUTHENTICATED
    assert refused(Browser(desk).begin().password).kind is Kind.UNAUTHENTICATED
    assert refused(Browser(desk).begin().passkey, device).kind is Kind.UNAUTHENTICATED
    assert standing(desk, "dr.amara") is (Standing.SUSPENDED if act == "suspend" else Standing.LEFT)


def test_a_suspended_person_comes_back_with_their_factors_and_nothing_else(desk: Desk) -> None:
    secret = desk.person()
    session = signed_in(desk, secret)
    token = desk.token()
    carry_out(desk, desk.people.life.suspend, "default", "dr.amara")
    assert carry_out(desk, desk.people.life.reinstate, "default", "dr.amara") is None
    assert not desk.sessions.alive("default", session.id)
    assert refused(desk.tokens.lookup, "default", token).kind is Kind.UNAUTHENTICATED
    desk.clock.later(60)
    assert signed_in(desk, secret).acr == AAL2
    assert standing(desk, "dr.amara") is Standing.ACTIVE
    assert refused(carry_out, desk, desk.people.life.reinstate, "default", "dr.amara").kind is Kind.CONFLICT


def test_who_has_left_is_invited_again(desk: Desk) -> None:
    secret = desk.person()
    device = SoftAuth()
    with_passkey(desk, signed_in(desk, secret), device)
    carry_out(desk, desk.people.life.leave, "default", "dr.amara")
    code, _ = carry_out(desk, desk.people.life.reinstate, "default", "dr.amara")
    desk.clock.later(60)
    assert refused(Browser(desk).begin().passkey, device).kind is Kind.UNAUTHENTICATED
    assert refused(Browser(desk).begin().password).kind is Kind.UNAUTHENTICATED
    desk.clock.later(60)
    assert enrolled(desk, code, "dr.amara")


# ── resets ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def reset(desk: Desk, began: Began, name: str = "dr.amara", **more: int) -> str:
    code, _ = carry_out(desk, desk.people.life.reset, "default", name, began, **more)
    return str(code)


def test_a_lost_password_is_set_anew_and_the_second_factor_is_still_asked_for(desk: Desk) -> None:
    secret = desk.person()
    session = signed_in(desk, secret)
    desk.clock.later(60)
    browser = Browser(desk).begin()
    asked = browser.invitation("dr.amara", reset(desk, Began.PASSWORD))
    assert (asked.step, asked.offers) == (Step.SECOND_FACTOR, ("code",))
    assert refused(browser.new_password, NEW).kind is Kind.CONFLICT
    assert refused(browser.recovery, "0" * 24).kind is Kind.UNAUTHENTICATED
    assert browser.code(desk.code(secret)).step is Step.NEW_PASSWORD
    assert refused(browser.finish).kind is Kind.CONFLICT
    browser.new_password(NEW)
    assert browser.finish().session.acr == AAL2
    assert not desk.sessions.alive("default", session.id)
    desk.clock.later(60)
    assert refused(Browser(desk).begin().password).kind is Kind.UNAUTHENTICATED
    assert NoticeKind.PASSWORD_CHANGED in told(desk, "dr.amara")


def test_lost_factors_are_bound_anew_and_the_password_is_still_asked_for(desk: Desk) -> None:
    secret = desk.person()
    device = SoftAuth()
    session = signed_in(desk, secret)
    with_passkey(desk, session, device)
    code = reset(desk, Began.FACTORS)
    assert refused(Browser(desk).begin().invitation, "dr.amara", code).kind is Kind.UNAUTHENTICATED
    desk.clock.later(60)
    browser = Browser(desk).begin()
    browser.password()
    assert browser.recovery(code).step is Step.ENROL
    new = browser.begin_codes()
    browser.confirm(desk.code(new))
    browser.kept()
    browser.finish()
    assert not desk.sessions.alive("default", session.id)  # of whoever has the lost telephone
    assert desk.people.passkeys.of_user("default", "dr.amara") == []
    desk.clock.later(60)
    again = Browser(desk).begin()
    again.password()
    assert refused(again.code, desk.code(secret)).kind is Kind.UNAUTHENTICATED
    desk.clock.later(60)
    assert refused(again.recovery, code).kind is Kind.UNAUTHENTICATED


def test_a_reset_always_leaves_something_to_ask_for(desk: Desk) -> None:
    desk.person()
    desk.db.execute("update account set totp = null")
    assert refused(reset, desk, Began.PASSWORD).kind is Kind.CONFLICT
    desk.db.execute("update account set password = null")
    assert refused(reset, desk, Began.FACTORS).kind is Kind.CONFLICT
    assert reset(desk, Began.ALL)


def test_who_lost_everything_begins_anew(desk: Desk) -> None:
    desk.person()
    enrolled(desk, reset(desk, Began.ALL), "dr.amara")
    assert {NoticeKind.RESET_BEGUN, NoticeKind.PASSWORD_CHANGED, NoticeKind.FACTOR_BOUND} <= set(told(desk, "dr.amara"))
    assert refused(Browser(desk).begin().password).kind is Kind.UNAUTHENTICATED


def test_a_reset_for_aal3_waits_a_day_in_which_its_person_can_object(desk: Desk) -> None:
    secret = desk.person(roles=("administrator",))
    browser = Browser(desk).begin()
    browser.password()
    browser.code(desk.code(secret))
    browser.enrol_passkey(SoftAuth())
    session = browser.finish().session
    asked_ms = desk.clock.ms
    code = reset(desk, Began.ALL, asked_ms=asked_ms)
    desk.clock.later(DAY - 1)
    assert refused(Browser(desk).begin().invitation, "dr.amara", code).kind is Kind.UNAUTHENTICATED
    carry_out(desk, desk.people.account.object, session)
    desk.clock.later(60)
    assert refused(Browser(desk).begin().invitation, "dr.amara", code).kind is Kind.UNAUTHENTICATED
    code = reset(desk, Began.ALL, asked_ms=asked_ms)  # the day is over: it works at once
    desk.clock.later(60)
    assert Browser(desk).begin().invitation("dr.amara", code).step is Step.NEW_PASSWORD


def test_what_takes_two_is_not_approved_by_the_one_who_asked_nor_by_its_person(desk: Desk) -> None:
    desk.person(roles=("administrator",))
    life = desk.people.life
    assert life.takes_two(("administrator",))
    assert not life.takes_two(("nurse",))
    assert life.takes_two(("nurse",), ("nurse", "administrator"))
    assert not life.takes_two(("administrator",), ("administrator", "nurse"))
    id_ = carry_out(desk, life.ask, "default", "boss", "dr.amara", began=Began.ALL)
    assert NoticeKind.RESET_ASKED in told(desk, "dr.amara")
    (asking,) = life.asked("default")
    assert (asking.id, asking.by, asking.name, asking.began) == (id_, "boss", "dr.amara", Began.ALL)
    for who in ("boss", "dr.amara"):
        assert refused(carry_out, desk, life.answer, "default", who, id_).kind is Kind.FORBIDDEN
    assert carry_out(desk, life.answer, "default", "other", id_) == asking
    assert refused(carry_out, desk, life.answer, "default", "other", id_).kind is Kind.NOT_FOUND
    carry_out(desk, life.ask, "default", "boss", "dr.amara", roles=("nurse",))
    desk.clock.later(8 * DAY)
    assert life.asked("default") == []


# ── one's own account ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def session(desk: Desk) -> Session:
    return signed_in(desk, desk.person())


def test_a_changed_password_ends_every_other_session_and_token(desk: Desk, session: Session) -> None:
    desk.clock.later(30)
    token = desk.token()
    account = desk.people.account
    assert refused(carry_out, desk, account.change_password, session, "wrong password here", NEW).public.startswith(
        "Name"
    )
    desk.clock.later(60)
    assert refused(carry_out, desk, account.change_password, session, PASSWORD, "short").kind is Kind.INVALID
    carry_out(desk, account.change_password, session, PASSWORD, NEW)
    assert desk.sessions.alive("default", session.id)
    assert refused(desk.tokens.lookup, "default", token).kind is Kind.UNAUTHENTICATED
    assert NoticeKind.PASSWORD_CHANGED in told(desk, "dr.amara")
    assert Browser(desk).begin().password("dr.amara", NEW).step is Step.SECOND_FACTOR


def test_factors_are_changed_in_a_fresh_session_only(desk: Desk, session: Session) -> None:
    with_passkey(desk, session, SoftAuth())
    (passkey,) = desk.people.passkeys.of_user("default", "dr.amara")
    desk.clock.later(301)
    account = desk.people.account
    for act in (
        lambda: carry_out(desk, account.change_password, session, PASSWORD, NEW),
        lambda: carry_out(desk, account.remove_passkey, session, passkey.id),
        lambda: carry_out(desk, account.remove_code, session),
        lambda: carry_out(desk, account.renew_codes, session),
    ):
        assert "max_age=300" in refused(act).challenge


def test_the_last_second_factor_stays(desk: Desk, session: Session) -> None:
    account = desk.people.account
    assert refused(carry_out, desk, account.remove_code, session).kind is Kind.CONFLICT
    with_passkey(desk, session, SoftAuth())
    (passkey,) = desk.people.passkeys.of_user("default", "dr.amara")
    carry_out(desk, account.remove_code, session)
    assert refused(carry_out, desk, account.remove_passkey, session, passkey.id).kind is Kind.CONFLICT
    assert NoticeKind.FACTOR_UNBOUND in told(desk, "dr.amara")
    assert Browser(desk).begin().password().offers == ("passkey", "recovery")


def test_new_recovery_codes_end_the_old_ones(desk: Desk, session: Session) -> None:
    old = carry_out(desk, desk.people.recovery.renew, "default", "dr.amara")
    new = carry_out(desk, desk.people.account.renew_codes, session)
    assert not set(old) & set(new)
    browser = Browser(desk).begin()
    browser.password()
    assert refused(browser.recovery, old[0]).kind is Kind.UNAUTHENTICATED
    desk.clock.later(60)
    assert browser.recovery(new[0]).step is Step.ENROL


def test_what_the_account_page_shows(desk: Desk, session: Session) -> None:
    with_passkey(desk, session, SoftAuth(), "blue key")
    shown = desk.people.account.overview(session)
    assert (shown.password, shown.code, shown.recovery, shown.recovery_left) == (True, True, True, 10)
    assert [passkey.label for passkey in shown.passkeys] == ["blue key"]
    assert [each.id for each in shown.sessions] == [session.id]
    assert shown.notices[-1].kind is NoticeKind.SIGN_IN
    carry_out(desk, desk.people.account.look, session)
    assert all(notice.seen for notice in desk.people.account.overview(session).notices)


def test_a_sign_in_from_a_new_device_is_told(desk: Desk) -> None:
    secret = desk.person()
    for address, device in (
        ("192.0.2.1", "Firefox on Linux"),
        ("192.0.2.9", "Firefox on Linux"),
        ("203.0.113.1", "curl"),
    ):
        signed_in(desk, secret, address=address, device=device)
        desk.clock.later(60)
    assert told(desk, "dr.amara") == [NoticeKind.NEW_DEVICE, NoticeKind.SIGN_IN, NoticeKind.SIGN_IN]
    waiting = desk.people.notices.waiting("default")
    assert [notice.kind for _, notice in waiting] == [NoticeKind.NEW_DEVICE]
    carry_out(desk, desk.people.notices.sent, "default", waiting[0][1].id)
    assert desk.people.notices.waiting("default") == []


def test_notices_hold_nothing_in_clear_and_do_not_move_to_others(desk: Desk, session: Session) -> None:
    written = repr(desk.db.execute("select * from notice").fetchall())
    assert "Firefox" not in written
    desk.person("mallory")
    assert desk.people.notices.of_user("default", "mallory") == []
