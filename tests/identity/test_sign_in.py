# SPDX-License-Identifier: Apache-2.0
"""Signing in: both factors or nothing, one answer for everything that is wrong, and attacks by name."""

from __future__ import annotations

import asyncio

import pytest
from identity_desk import PASSWORD, Desk

from salus.identity.accounts.profile import handle_of
from salus.identity.accounts.users import User
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem


def said(result: User | Problem) -> tuple[Kind, str]:
    assert isinstance(result, Problem)
    return result.kind, result.public


def test_a_person_signs_in_with_password_and_code(desk: Desk) -> None:
    secret = desk.person()
    result = desk.sign_in("dr.amara", PASSWORD, desk.code(secret))
    assert isinstance(result, User)
    assert (result.id, result.tenant) == ("dr.amara", "default")


def test_enumeration_gives_the_same_answer(desk: Desk) -> None:
    secret = desk.person()
    desk.person("nurse.ben")
    desk.service()
    desk.do(lambda unit: desk.users.set_disabled(unit, "default", "nurse.ben", disabled=True))
    tries = [
        ("dr.amara", "wrong password here", desk.code(secret)),
        ("dr.amara", PASSWORD, "000000"),
        ("dr.amara", PASSWORD, ""),
        ("nobody", PASSWORD, desk.code(secret)),
        ("nurse.ben", PASSWORD, "000000"),
        ("lab-feed", PASSWORD, "000000"),
        ("lab-feed", "", ""),
        ("", "", ""),
        ("no\u0000body\ud800".encode("utf-8", "replace").decode(), "\ud800", "１２３４５６"),
    ]
    answers = set()
    for name, password, code in tries:
        desk.clock.later(3600)
        answers.add(said(desk.sign_in(name, password, code)))
    assert answers == {(Kind.UNAUTHENTICATED, "Name, password or code is not right.")}


def test_enumeration_by_the_delay_gives_the_same_answer(desk: Desk) -> None:
    desk.person()
    answers = {}
    for name in ("dr.amara", "nobody"):
        answers[name] = [
            (result.kind, result.retry_after)
            for _ in range(3)
            if isinstance(result := desk.sign_in(name, "wrong password here", "000000"), Problem)
        ]
    assert answers["dr.amara"] == answers["nobody"]
    assert answers["nobody"][1] == (Kind.THROTTLED, 1)


def test_enumeration_by_the_delay_after_a_restart_gives_the_same_answer(desk: Desk, second: Desk) -> None:
    desk.person()
    for name in ("dr.amara", "nobody"):
        desk.sign_in(name, "wrong password here", "000000")
        assert said(second.sign_in(name, "wrong password here", "000000"))[0] is Kind.THROTTLED


def test_totp_replay_is_refused_in_this_and_in_another_process(desk: Desk, second: Desk) -> None:
    secret = desk.person()
    code = desk.code(secret)
    assert isinstance(desk.sign_in("dr.amara", PASSWORD, code), User)
    assert said(second.sign_in("dr.amara", PASSWORD, code))[0] is Kind.UNAUTHENTICATED
    desk.clock.later(2)
    assert said(desk.sign_in("dr.amara", PASSWORD, code))[0] is Kind.UNAUTHENTICATED
    desk.clock.later(30)
    assert isinstance(desk.sign_in("dr.amara", PASSWORD, desk.code(secret)), User)


def test_totp_replay_at_the_same_moment_lets_one_in(desk: Desk, second: Desk) -> None:
    secret = desk.person()
    code = desk.code(secret)

    async def race() -> list[BaseException | None]:
        units = [Unit(), Unit()]
        await desk.judge(units[0], "dr.amara", PASSWORD, code)
        await second.judge(units[1], "dr.amara", PASSWORD, code)
        return await desk.commit(*units)

    outcomes = asyncio.run(race())
    assert outcomes.count(None) == 1
    assert [o.kind for o in outcomes if isinstance(o, Problem)] == [Kind.UNAUTHENTICATED]


def test_parallel_guesses_gain_nothing(desk: Desk) -> None:
    desk.person()

    async def burst() -> list[object]:
        guesses = (desk.judge(Unit(), "dr.amara", f"guess number {n}", "000000") for n in range(10))
        return list(await asyncio.gather(*guesses, return_exceptions=True))

    kinds = [result.kind for result in asyncio.run(burst()) if isinstance(result, Problem)]
    assert kinds.count(Kind.UNAUTHENTICATED) == 1
    assert kinds.count(Kind.THROTTLED) == 9


def test_the_delay_doubles_up_to_a_quarter_of_an_hour_and_ends_with_a_success(desk: Desk) -> None:
    secret = desk.person()
    waits = []
    for _ in range(12):
        desk.sign_in("dr.amara", "wrong password here", "000000")
        locked = desk.sign_in("dr.amara", PASSWORD, desk.code(secret))
        assert isinstance(locked, Problem)
        assert locked.kind is Kind.THROTTLED
        assert locked.retry_after
        waits.append(locked.retry_after)
        desk.clock.later(locked.retry_after)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    assert isinstance(desk.sign_in("dr.amara", PASSWORD, desk.code(secret)), User)
    desk.sign_in("dr.amara", "wrong password here", "000000")
    again = desk.sign_in("dr.amara", PASSWORD, "000000")
    assert isinstance(again, Problem)
    assert again.retry_after == 1


def test_hundred_failures_close_the_account_until_an_administrator_opens_it(desk: Desk) -> None:
    secret = desk.person()
    for _ in range(100):
        desk.sign_in("dr.amara", "wrong password here", "000000")
        desk.clock.later(901)
    desk.clock.later(30 * 24 * 3600)
    desk.writes.idle(desk.db)
    assert said(desk.sign_in("dr.amara", PASSWORD, desk.code(secret)))[0] is Kind.THROTTLED
    desk.do(lambda unit: desk.users.unlock(unit, "default", "dr.amara"))
    assert isinstance(desk.sign_in("dr.amara", PASSWORD, desk.code(secret)), User)


def test_failures_of_a_day_ago_are_forgotten(desk: Desk) -> None:
    desk.sign_in("nobody", "wrong password here", "000000")
    desk.clock.later(25 * 3600)
    desk.writes.idle(desk.db)
    assert desk.db.execute("select count(*) from attempt").fetchone() == (0,)


def test_disabled_account_is_refused_even_between_judgement_and_commit(desk: Desk) -> None:
    secret = desk.person()
    unit = Unit()
    asyncio.run(desk.judge(unit, "dr.amara", PASSWORD, desk.code(secret)))
    desk.do(lambda change: desk.users.set_disabled(change, "default", "dr.amara", disabled=True))
    (outcome,) = asyncio.run(desk.commit(unit))
    assert isinstance(outcome, Problem)
    assert outcome.kind is Kind.UNAUTHENTICATED


def test_old_password_is_refused_even_between_judgement_and_commit(desk: Desk) -> None:
    secret = desk.person()
    unit = Unit()
    asyncio.run(desk.judge(unit, "dr.amara", PASSWORD, desk.code(secret)))
    desk.do(lambda change: desk.users.set_password(change, "default", "dr.amara", "amber lantern 77 mills"))
    (outcome,) = asyncio.run(desk.commit(unit))
    assert isinstance(outcome, Problem)
    assert isinstance(desk.sign_in("dr.amara", "amber lantern 77 mills", desk.code(secret)), User)
    desk.clock.later(60)
    assert said(desk.sign_in("dr.amara", PASSWORD, desk.code(secret)))[0] is Kind.UNAUTHENTICATED


def test_credentials_of_another_tenant_are_refused(desk: Desk) -> None:
    secret = desk.person(tenant="other")
    result = desk.sign_in("dr.amara", PASSWORD, desk.code(secret), tenant="default")
    assert said(result)[0] is Kind.UNAUTHENTICATED


def test_tampered_hash_does_not_open(desk: Desk) -> None:
    desk.person()
    secret = desk.person("mallory")
    keys = desk.keyring.tenant("default")
    places = (handle_of(keys, "mallory"), handle_of(keys, "dr.amara"))
    # Someone who can write the file gives another account his own password and secret for codes.
    for column in ("password", "totp"):
        copied = f"(select {column} from account where handle = ?)"
        desk.db.execute(f"update account set {column} = {copied} where handle = ?", places)
    with pytest.raises(Problem) as caught:
        asyncio.run(desk.judge(Unit(), "dr.amara", PASSWORD, desk.code(secret)))
    assert caught.value.kind is Kind.FAULT
