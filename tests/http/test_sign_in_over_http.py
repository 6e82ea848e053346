# SPDX-License-Identifier: Apache-2.0
"""Signing in over HTTP with a real password hash and real one-time codes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pyotp
import pytest
from tests.support.clinic import BASE, Client, Clinic
from tests.support.hand_clock import HandClock

from salus.audit.event import EventType, Outcome
from salus.audit.reading import Filter
from salus.kernel.commit import Unit

PASSWORD = "correct horse battery staple 9"
NAME = "dr.who"


class Forgetful(dict[object, object]):
    """What another process has counted and not written yet."""

    def get(self, key: object, default: object = None) -> object:
        return default


class Desk:
    """A clinic with one person who signs in with password and code.

    Attributes:
        clinic, clock: where and when.
        codes: the person's authenticator.
    """

    def __init__(self, clinic: Clinic, clock: HandClock) -> None:
        self.clinic, self.clock = clinic, clock
        unit = Unit()
        uri = clinic.run(
            clinic.house.users.add_user(unit, "default", NAME, PASSWORD, roles=("physician",), display="Dr Who")
        )
        clinic.run(clinic._commit(unit))
        self.codes = pyotp.parse_uri(uri)
        assert isinstance(self.codes, pyotp.TOTP)

    def code(self) -> str:
        """The code of the present moment."""
        return self.codes.generate_otp(self.clock.now_ms() // 30_000)

    def try_(self, **changed: object) -> httpx.Response:
        """Send the right things, but for what is changed."""
        sent = {"user": NAME, "password": PASSWORD, "code": self.code(), "purpose": "TREAT"} | changed
        answer = self.clinic.stranger.post("/auth/token", sent, headers={"content-type": "application/json"})
        self.clock.forward(20 * 60_000)  # past any wait that a failure brings, and past the code
        return answer


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One desk for all tests: nothing that they do lasts, since the clock moves on."""
    clock = HandClock()
    clinic = Clinic(tmp_path_factory.mktemp("desk") / "data", clock=clock)
    yield Desk(clinic, clock)
    clinic.close()
    clinic.loop.close()


def test_password_and_code_open_the_record(desk: Desk) -> None:
    answer = desk.try_()
    assert answer.status_code == 200
    body = answer.json()
    assert body["token_type"] == "Bearer"
    assert 0 < body["expires_in"] <= 12 * 3600
    who = Client(desk.clinic, {"authorization": f"Bearer {body['access_token']}"})
    assert who.get("/fhir/Patient/anna").status_code == 200


def test_everything_that_can_be_wrong_looks_the_same(desk: Desk) -> None:
    used = desk.code()
    assert desk.try_(code=used).status_code == 200
    desk.clock.forward(-20 * 60_000)
    wrong = [
        desk.try_(code=used),
        desk.try_(code="000000"),
        desk.try_(code=""),
        desk.try_(code="not a code"),
        desk.try_(password="something else entirely"),
        desk.try_(password=""),
        desk.try_(user="nobody.here"),
        desk.try_(user=""),
        desk.try_(user="physician"),  # a service: has no password
        desk.try_(user=NAME.upper()),
        desk.try_(user="x" * 10_000, password="y" * 100_000),
        desk.try_(user="Дурак\u0000", password="\u0000"),
    ]
    assert {answer.status_code for answer in wrong} == {401}
    assert len({answer.content for answer in wrong}) == 1
    assert {answer.headers["www-authenticate"] for answer in wrong} == {'Bearer realm="salus"'}


def test_a_code_of_the_former_step_is_not_taken_after_a_later_one(desk: Desk) -> None:
    now = desk.clock.now_ms() // 30_000
    assert desk.try_(code=desk.codes.generate_otp(now)).status_code == 200
    desk.clock.forward(-20 * 60_000)
    assert desk.try_(code=desk.codes.generate_otp(now - 1)).status_code == 401


def test_a_disabled_account_looks_the_same_too(desk: Desk) -> None:
    unknown = desk.try_(user="nobody.here")

    def switch(*, disabled: bool) -> None:
        unit = Unit()
        desk.clinic.house.users.set_disabled(unit, "default", NAME, disabled=disabled)
        desk.clinic.run(desk.clinic._commit(unit))

    switch(disabled=True)
    try:
        refused = desk.try_()
    finally:
        switch(disabled=False)
    assert refused.status_code == 401
    assert refused.content == unknown.content


def test_a_second_guess_has_to_wait_known_or_not(desk: Desk) -> None:
    assert desk.try_().status_code == 200  # clears what other tests have left
    answers = []
    for name in (NAME, "nobody.there"):
        for _ in range(2):
            answers.append(desk.try_(user=name, code="000000"))
            desk.clock.forward(-20 * 60_000)
        desk.clock.forward(20 * 60_000)
    assert [answer.status_code for answer in answers] == [401, 429, 401, 429]
    assert answers[1].content == answers[3].content
    assert answers[1].headers["retry-after"] == answers[3].headers["retry-after"] == "1"


def test_signing_out_ends_the_token(desk: Desk) -> None:
    token = desk.try_().json()["access_token"]
    who = Client(desk.clinic, {"authorization": f"Bearer {token}"})
    assert who.get("/fhir/Patient/anna").status_code == 200
    assert who.post("/auth/sign-out").status_code == 204
    assert who.get("/fhir/Patient/anna").status_code == 401
    assert who.post("/auth/sign-out").status_code == 401


def test_a_purpose_that_the_role_does_not_serve_opens_nothing(desk: Desk) -> None:
    """A physician's account asking for another purpose gets a token that no role stands behind."""
    answer = desk.try_(purpose="HPAYMT")
    assert answer.status_code == 200
    who = Client(desk.clinic, {"authorization": f"Bearer {answer.json()['access_token']}"})
    assert who.get("/fhir/Patient/anna").status_code == 403
    assert desk.try_(purpose="WHATEVER").status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"user":"a"}',
        b'{"user":1,"password":"a","code":"b","purpose":"c"}',
        b'{"user":"a","password":"a","code":"b","purpose":"c","admin":true}',
        b'{"user":"\xff","password":"a","code":"b","purpose":"c"}',
        b'{"user":"a","password":"a","password":"b","code":"b","purpose":"c"}',
        b'{"user":"\\ud800","password":"a","code":"b","purpose":"c"}',
        b'{"user":' + b"[" * 100_000,
    ],
)
def test_a_malformed_sign_in_is_400(desk: Desk, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = desk.clinic.stranger.request("POST", "/auth/token", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_a_sign_in_at_an_unknown_tenant_looks_like_a_wrong_password(desk: Desk) -> None:
    there = desk.try_(user="nobody.at.all")
    sent = {"user": NAME, "password": PASSWORD, "code": desk.code(), "purpose": "TREAT"}
    nowhere = desk.clinic.stranger.post("/t/nowhere/auth/token", sent, headers={"content-type": "application/json"})
    assert nowhere.status_code == 401
    assert nowhere.content == there.content


def test_a_race_with_one_code_lets_one_in_and_writes_both_down(desk: Desk) -> None:
    sent = {"user": NAME, "password": PASSWORD, "code": desk.code(), "purpose": "TREAT"}
    clinic = desk.clinic

    async def twice() -> list[httpx.Response]:
        return list(await asyncio.gather(*(clinic.http.post(f"{BASE}/auth/token", json=sent) for _ in range(2))))

    lockout = clinic.house.people.lockout
    lockout._recent = Forgetful()  # the two are in two processes
    answers = clinic.run(twice())
    lockout._recent = {}
    desk.clock.forward(20 * 60_000)
    assert sorted(answer.status_code for answer in answers) == [200, 401]
    page = clinic.log().page(
        "default", Filter(types=frozenset({EventType.AUTH_SIGNIN, EventType.AUTH_REFUSED})), limit=2
    )
    assert {entry.event.type for _, entry in page.entries} == {EventType.AUTH_SIGNIN, EventType.AUTH_REFUSED}


def test_sign_ins_are_audited_and_hold_no_secret(desk: Desk) -> None:
    desk.try_(password="swordfish-swordfish")
    token = desk.try_().json()["access_token"]
    reader = desk.clinic.log()
    entries = [entry.event for _, entry in reader.page("default", Filter(), limit=3).entries]
    assert [(event.type, event.outcome) for event in entries] == [
        (EventType.TOKEN_ISSUE, Outcome.GRANTED),
        (EventType.AUTH_SIGNIN, Outcome.GRANTED),
        (EventType.AUTH_REFUSED, Outcome.REFUSED),
    ]
    assert {event.actor.id for event in entries[:2]} == {NAME}
    written = repr(entries)
    for secret in ("swordfish", PASSWORD, token, token[6:]):
        assert secret not in written
