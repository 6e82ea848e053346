# SPDX-License-Identifier: Apache-2.0
"""Passkeys, and every wrong or wicked device; named after what it tries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from ceremonies import Browser, carry_out, signed_in, with_passkey
from hypothesis import given
from hypothesis import strategies as st
from identity_desk import PASSWORD, Desk
from tests.support.soft_auth import SoftAuth, b64, unb64

from salus.identity.accounts.notices import NoticeKind
from salus.identity.ceremonies.flow import Step
from salus.identity.factors.assurance import AAL2, AAL3
from salus.identity.factors.passkey_ceremony import party_of, read_answer
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem

WORDS = "This passkey was not accepted."


@pytest.fixture
def device(desk: Desk) -> SoftAuth:
    """Dr Amara's security key."""
    made = SoftAuth(aaguid=bytes(range(16)))
    with_passkey(desk, signed_in(desk, desk.person()), made, "blue key")
    return made


def refused(judge: Callable[..., Any], *sent: Any, **more: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        judge(*sent, **more)
    return caught.value


def test_a_passkey_signs_in_without_a_name(desk: Desk, device: SoftAuth) -> None:
    browser = Browser(desk).begin()
    options = browser.options()
    assert options["userVerification"] == "required"
    assert options["allowCredentials"] == []
    assert len(unb64(options["challenge"])) == 32
    assert browser.answer(device.get(options)).step is Step.DONE
    done = browser.finish()
    assert (done.session.user.id, done.session.acr, done.session.amr) == ("dr.amara", AAL3, ("hwk", "user", "mfa"))


def test_a_passkey_is_a_second_factor(desk: Desk, device: SoftAuth) -> None:
    browser = Browser(desk).begin()
    asked = browser.password()
    assert asked.offers == ("passkey", "code", "recovery")
    assert [each["id"] for each in browser.options()["allowCredentials"]] == [b64(next(iter(device.keys)))]
    assert browser.passkey(device).step is Step.DONE


def test_a_synced_passkey_reaches_aal2(desk: Desk) -> None:
    synced = SoftAuth(synced=True, backed_up=True, counts=False)
    with_passkey(desk, signed_in(desk, desk.person()), synced)
    for _ in range(2):  # one that never counts is no copy
        browser = Browser(desk).begin()
        browser.passkey(synced)
        assert browser.finish().session.acr == AAL2


def test_what_is_asked_for_when_one_is_made(desk: Desk, device: SoftAuth) -> None:
    browser = Browser(desk).again(signed_in_with(desk, device), bind=True)
    options = browser.options()
    chosen = options["authenticatorSelection"]
    assert (chosen["residentKey"], chosen["requireResidentKey"], chosen["userVerification"]) == (
        "required",
        True,
        "required",
    )
    assert len(unb64(options["challenge"])) == 32
    assert b"amara" not in unb64(options["user"]["id"])
    assert [each["id"] for each in options["excludeCredentials"]] == [b64(next(iter(device.keys)))]
    assert (options["rp"]["id"], options["attestation"]) == ("clinic.example", "none")


def signed_in_with(desk: Desk, device: SoftAuth) -> Any:
    browser = Browser(desk).begin()
    browser.passkey(device)
    return browser.finish().session


def test_what_is_kept_of_a_passkey(desk: Desk, device: SoftAuth) -> None:
    (kept,) = desk.people.passkeys.of_user("default", "dr.amara")
    assert (kept.label, kept.transports, kept.synced, kept.backed_up) == ("blue key", ("usb",), False, False)
    assert kept.aaguid == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert (kept.created_ms, kept.used_ms) == (desk.clock.ms, 0)
    written = repr(desk.db.execute("select * from passkey").fetchall())
    assert "blue key" not in written
    assert repr(next(iter(device.keys)))[2:20] not in written


WICKED: dict[str, Callable[[SoftAuth], None]] = {
    "user not verified": lambda d: setattr(d, "verified", False),
    "user not present": lambda d: setattr(d, "present", False),
    "origin of a phisher": lambda d: setattr(d, "origin", "https://clinic.example.evil.example"),
    "origin with another port": lambda d: setattr(d, "origin", "https://clinic.example:444"),
    "origin in clear": lambda d: setattr(d, "origin", "http://clinic.example"),
    "origin of a subdomain": lambda d: setattr(d, "origin", "https://sub.clinic.example"),
    "inside a frame of another origin": lambda d: setattr(d, "cross_origin", True),
    "another relying party": lambda d: setattr(d, "party", "evil.example"),
    "another ceremony": lambda d: setattr(d, "type_", "payment.get"),
    "backed up but not able to be": lambda d: setattr(d, "backed_up", True),
}


@pytest.mark.parametrize("wicked", WICKED)
def test_using_a_passkey_wrongly_is_refused(desk: Desk, device: SoftAuth, wicked: str) -> None:
    WICKED[wicked](device)
    problem = refused(Browser(desk).begin().passkey, device)
    assert (problem.kind, problem.public) == (Kind.UNAUTHENTICATED, WORDS)


@pytest.mark.parametrize("wicked", WICKED)
def test_making_a_passkey_wrongly_is_refused(desk: Desk, wicked: str) -> None:
    secret = desk.person()
    device = SoftAuth()
    WICKED[wicked](device)
    browser = Browser(desk).again(signed_in(desk, secret), bind=True)
    problem = refused(browser.enrol_passkey, device)
    assert (problem.kind, problem.public) == (Kind.UNAUTHENTICATED, WORDS)
    assert desk.people.passkeys.of_user("default", "dr.amara") == []
    assert browser.asked.step is Step.ENROL


def test_cross_origin_by_the_top_origin_is_refused(desk: Desk, device: SoftAuth) -> None:
    browser = Browser(desk).begin()
    assert refused(browser.passkey, device, topOrigin="https://evil.example").public == WORDS
    assert refused(browser.passkey, device, crossOrigin="true").public == WORDS
    assert browser.passkey(device).step is Step.DONE


def test_a_challenge_works_once_even_if_the_answer_was_wrong(desk: Desk, device: SoftAuth) -> None:
    browser = Browser(desk).begin()
    options = browser.options()
    device.verified = False
    refused(browser.answer, device.get(options))
    device.verified = True
    assert refused(browser.answer, device.get(options)).public == WORDS
    assert browser.passkey(device).step is Step.DONE


def test_a_replayed_answer_is_refused_in_its_own_and_in_another_ceremony(desk: Desk, device: SoftAuth) -> None:
    first = Browser(desk).begin()
    answer = device.get(first.options())
    first.answer(answer)
    second = Browser(desk).begin()
    second.options()
    assert refused(second.answer, answer).public == WORDS
    assert refused(first.answer, answer).kind is Kind.CONFLICT


def test_a_challenge_is_over_after_five_minutes(desk: Desk, device: SoftAuth) -> None:
    browser = Browser(desk).begin()
    options = browser.options()
    desk.clock.later(300)
    assert refused(browser.answer, device.get(options)).public == WORDS


def test_one_challenge_at_the_same_moment_lets_one_on(desk: Desk, device: SoftAuth) -> None:
    browser = Browser(desk).begin()
    options = browser.options()
    answers = [device.get(options), device.get(options)]

    async def race() -> list[BaseException | None]:
        units = [Unit(), Unit()]
        for unit, answer in zip(units, answers, strict=True):
            desk.people.sign_in.passkey(unit, "default", browser.secret, answer)
        return await desk.commit(*units)

    assert asyncio.run(race()).count(None) == 1


def test_a_counter_that_goes_back_is_noticed_told_and_ends_the_passkey(desk: Desk, device: SoftAuth) -> None:
    device.counter = 40
    signed_in_with(desk, device)
    device.counter = 20  # the copy has been used less often
    problem = refused(Browser(desk).begin().passkey, device)
    assert problem.public == WORDS
    assert "copied" in problem.detail
    (marked,) = desk.people.passkeys.of_user("default", "dr.amara")
    assert marked.suspect
    assert NoticeKind.PASSKEY_COPIED in [n.kind for n in desk.people.notices.of_user("default", "dr.amara")]
    device.counter = 90
    assert refused(Browser(desk).begin().passkey, device).public == WORDS
    browser = Browser(desk).begin()
    assert browser.password().offers == ("code", "recovery")


def test_a_copy_used_at_the_same_moment_lets_one_on(desk: Desk, device: SoftAuth) -> None:
    browsers = [Browser(desk).begin(), Browser(desk).begin()]
    answers = []
    for browser in browsers:
        device.counter = 10
        answers.append(device.get(browser.options()))

    async def race() -> list[BaseException | None]:
        units = [Unit(), Unit()]
        for unit, browser, answer in zip(units, browsers, answers, strict=True):
            desk.people.sign_in.passkey(unit, "default", browser.secret, answer)
        return await desk.commit(*units)

    assert asyncio.run(race()).count(None) == 1


def test_a_passkey_of_somebody_else_is_no_second_factor(desk: Desk, device: SoftAuth) -> None:
    theirs = SoftAuth()
    with_passkey(desk, signed_in(desk, desk.person("mallory"), "mallory"), theirs)
    browser = Browser(desk).begin()
    browser.password("dr.amara")
    options = browser.options() | {"allowCredentials": []}
    assert refused(browser.answer, theirs.get(options)).public == WORDS


def test_a_handle_of_somebody_else_is_refused(desk: Desk, device: SoftAuth) -> None:
    desk.person("nurse.ben")
    other = desk.people.credentials.held("default", "nurse.ben").handle
    assert refused(Browser(desk).begin().passkey, device, handle=other).public == WORDS
    browser = Browser(desk).begin()
    answer = device.get(browser.options())
    answer["response"]["userHandle"] = None
    assert refused(browser.answer, answer).public == WORDS


def test_an_unknown_passkey_and_one_of_another_tenant_look_the_same(desk: Desk, device: SoftAuth) -> None:
    stranger = SoftAuth(keys=dict(SoftAuth().keys))
    browser = Browser(desk).begin()
    stranger.create({"user": {"id": b64(b"x" * 16)}, "challenge": "AA", "rp": {"id": "clinic.example"}})
    assert refused(browser.passkey, stranger).public == WORDS
    assert refused(Browser(desk, tenant="other").begin().passkey, device).public == WORDS


def test_a_passkey_of_a_suspended_person_is_refused(desk: Desk, device: SoftAuth) -> None:
    desk.do(lambda unit: desk.users.set_disabled(unit, "default", "dr.amara", disabled=True))
    assert refused(Browser(desk).begin().passkey, device).public == WORDS


def test_a_passkey_that_can_be_copied_is_refused_for_aal3(desk: Desk) -> None:
    secret = desk.person(roles=("administrator",))
    browser = Browser(desk).begin()
    browser.password()
    asked = browser.code(desk.code(secret))
    assert (asked.step, asked.offers, asked.device_bound) == (Step.ENROL, ("passkey",), True)
    problem = refused(browser.enrol_passkey, SoftAuth(synced=True))
    assert problem.kind is Kind.INVALID
    assert refused(browser.begin_codes).kind is Kind.INVALID
    key = SoftAuth()
    assert browser.enrol_passkey(key).step is Step.DONE  # no recovery codes: they never lead to AAL3
    assert browser.finish().session.acr == AAL3
    assert signed_in_with(desk, key).acr == AAL3


def test_codes_do_not_lead_past_a_passkey_of_aal3(desk: Desk) -> None:
    """Who has stolen the password and the telephone of an administrator does not bind a passkey of their own."""
    secret = desk.person(roles=("administrator",))
    browser = Browser(desk).begin()
    browser.password()
    browser.code(desk.code(secret))
    browser.enrol_passkey(SoftAuth())
    browser.finish()
    codes = desk.do(lambda unit: desk.people.recovery.renew(unit, "default", "dr.amara"))
    desk.clock.later(60)
    thief = Browser(desk, address="203.0.113.9").begin()
    thief.password()
    assert refused(thief.recovery, codes[0]).kind is Kind.UNAUTHENTICATED  # type: ignore[index]
    desk.clock.later(60)
    assert thief.code(desk.code(secret)).step is Step.PASSKEY
    assert refused(thief.enrol_answer, {}).kind is Kind.CONFLICT
    assert refused(thief.finish).kind is Kind.CONFLICT


def test_an_eleventh_passkey_is_refused(desk: Desk) -> None:
    session = signed_in(desk, desk.person())
    for _ in range(10):
        with_passkey(desk, session, SoftAuth())
    assert refused(Browser(desk).again(session, bind=True).enrol_passkey, SoftAuth()).kind is Kind.INVALID


def test_a_passkey_that_was_taken_away_is_refused(desk: Desk, device: SoftAuth) -> None:
    (kept,) = desk.people.passkeys.of_user("default", "dr.amara")
    desk.do(lambda unit: desk.people.passkeys.remove(unit, "default", "dr.amara", kept.id))
    assert refused(Browser(desk).begin().passkey, device).public == WORDS
    desk.person("mallory")
    with pytest.raises(Problem):
        desk.do(lambda unit: desk.people.passkeys.remove(unit, "default", "mallory", kept.id))


def test_a_row_moved_to_another_account_does_not_open_for_it(desk: Desk, device: SoftAuth) -> None:
    """Who can write the file gives the physician's account his own passkey: the account is sealed into it."""
    theirs = SoftAuth()
    with_passkey(desk, signed_in(desk, desk.person("mallory"), "mallory"), theirs)
    handles = [desk.people.credentials.held("default", name).handle for name in ("dr.amara", "mallory")]
    desk.db.execute("update passkey set handle = ? where handle = ?", handles)
    browser = Browser(desk).begin()
    browser.password("dr.amara")
    assert refused(browser.answer, theirs.get(browser.options())).public == WORDS


# ── lockout that is no denial of service ─────────────────────────────────────────────────────────────────────────────


def test_a_nurse_locked_out_by_thousand_bad_passwords_still_comes_in_with_her_passkey(
    desk: Desk, device: SoftAuth
) -> None:
    for number in range(1000):
        with pytest.raises(Problem):
            Browser(desk, address=f"203.{number % 250}.113.9").begin().password("dr.amara", "wrong password here")
        desk.clock.later(120)
    assert desk.people.lockout.closed("default", "dr.amara")
    assert refused(Browser(desk).begin().password).kind is Kind.THROTTLED
    session = signed_in_with(desk, device)
    assert session.acr == AAL3
    assert desk.people.lockout.closed("default", "dr.amara")  # the guesses count on, whoever comes in otherwise
    new = "amber lantern 77 mills"
    carry_out(desk, desk.people.account.change_password, session, "", new)  # she came with a passkey
    desk.clock.later(60)
    assert Browser(desk).begin().password("dr.amara", new).step is Step.SECOND_FACTOR
    assert NoticeKind.PASSWORD_CLOSED in [n.kind for n in desk.people.notices.of_user("default", "dr.amara", 500)]


def test_guesses_from_elsewhere_do_not_slow_the_network_that_somebody_uses(desk: Desk) -> None:
    secret = desk.person()
    signed_in(desk, secret, address="198.51.100.20")
    desk.clock.later(60)
    for number in range(30):
        with pytest.raises(Problem):
            Browser(desk, address=f"203.{number}.113.9").begin().password("dr.amara", "wrong password here")
    assert refused(Browser(desk, address="203.99.1.1").begin().password).kind is Kind.THROTTLED
    browser = Browser(desk, address="198.51.100.77").begin()  # the same network, another desk
    browser.password("dr.amara", PASSWORD)
    assert browser.code(desk.code(secret)).step is Step.DONE


def test_a_network_that_guesses_waits_though_its_addresses_change(desk: Desk) -> None:
    desk.person()
    for host, kind in ((1, Kind.UNAUTHENTICATED), (2, Kind.THROTTLED), (200, Kind.THROTTLED)):
        browser = Browser(desk, address=f"203.0.113.{host}").begin()
        assert refused(browser.password, "dr.amara", "wrong password here").kind is kind


# ── garbage ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.data())
def test_no_answer_of_a_browser_is_a_fault_of_ours(data: st.DataObject) -> None:
    from salus.identity.factors.passkey_ceremony import Party, credential_of, judge_creation, judge_use

    device = SoftAuth()
    made = device.create({"user": {"id": b64(b"x" * 16)}, "challenge": b64(b"c" * 32), "rp": {"id": "clinic.example"}})
    used = device.get({"challenge": b64(b"c" * 32), "rpId": "clinic.example"})
    party = Party("clinic.example", "https://clinic.example")
    for answer in (made, used):
        bent = json.loads(json.dumps(answer))
        holder = data.draw(st.sampled_from([bent, bent["response"]]))
        holder[data.draw(st.sampled_from(sorted(holder)))] = data.draw(_JSON)
        for judge in (
            lambda bent: judge_creation(party, b"d" * 32, bent),
            lambda bent: judge_use(party, b"d" * 32, bent, b""),
            credential_of,
        ):
            try:
                judge(bent)
            except Problem as problem:
                told = problem.kind
            else:
                told = Kind.UNAUTHENTICATED
            assert told is Kind.UNAUTHENTICATED


@pytest.mark.parametrize("text", ["", "[]", "1", "{", "[" * 100_000, "{" + " " * 100_000 + "}"])
def test_an_answer_that_is_no_object_is_refused(text: str) -> None:
    assert refused(read_answer, text).kind is Kind.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("base", "id_", "origin", "possible"),
    [
        ("https://Clinic.Example/", "clinic.example", "https://clinic.example", True),
        ("https://clinic.example:443", "clinic.example", "https://clinic.example", True),
        ("https://localhost:8443", "localhost", "https://localhost:8443", True),
        ("https://127.0.0.1:8443", "127.0.0.1", "https://127.0.0.1:8443", False),
        ("https://[::1]:8443", "::1", "https://[::1]:8443", False),
    ],
)
def test_the_relying_party_is_the_servers_address(base: str, id_: str, origin: str, possible: bool) -> None:
    party = party_of(base)
    assert (party.id, party.origin, party.possible) == (id_, origin, possible)
