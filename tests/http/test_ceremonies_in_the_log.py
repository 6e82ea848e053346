# SPDX-License-Identifier: Apache-2.0
"""What the pages call: every step is durable and in the log before it is told, and names nobody who proved nothing."""

from __future__ import annotations

import pyotp
import pytest
from tests.support.clinic import Clinic
from tests.support.hand_clock import HandClock
from tests.support.soft_auth import SoftAuth

from salus.audit.event import EventType, Outcome
from salus.audit.reading import Filter
from salus.http.ceremonies import Ceremonies
from salus.identity.ceremonies.flow import Step
from salus.kernel.actor import Actor
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context

ORIGIN = "https://localhost:8443"
NEW = "amber lantern 77 mills"


class Reception:
    """A clinic with an invited nurse, and a browser in front of it."""

    def __init__(self, clinic: Clinic, clock: HandClock) -> None:
        self.clinic, self.clock = clinic, clock
        self.steps = Ceremonies(clinic.house.people)
        unit = Unit()
        self.code, _ = clinic.house.people.life.invite(unit, "default", "nurse.kim", roles=("nurse",), display="Kim")
        clinic.run(clinic._commit(unit))

    def context(self, tenant: str = "default") -> Context:
        """Of a stranger's request."""
        return Context(self.clinic.house.services, Actor(tenant, "anonymous", "user", (), ""), "request", "192.0.2.1")

    def begun(self) -> str:
        return self.clinic.run(self.steps.begin(self.context(), device="Firefox on Linux", back="/"))[0]

    def log(self, count: int) -> list[tuple[EventType, Outcome, str]]:
        """The newest entries, oldest of them first."""
        page = self.clinic.log().page("default", Filter(), limit=count)
        return [(e.event.type, e.event.outcome, e.event.actor.id) for _, e in page.entries][::-1]


@pytest.fixture
def reception(clinic: Clinic) -> Reception:
    clinic.close()
    clinic.clock = HandClock()
    clinic.open()
    return Reception(clinic, clinic.clock)


def test_from_the_invitation_to_the_session_in_the_log(reception: Reception) -> None:
    run, steps, secret = reception.clinic.run, reception.steps, reception.begun()
    run(steps.invitation(reception.context(), secret, "nurse.kim", reception.code))
    run(steps.new_password(reception.context(), secret, NEW))
    device = SoftAuth(origin=ORIGIN)
    made = device.create(run(steps.passkey_options(reception.context(), secret)))
    run(steps.bind_passkey(reception.context(), secret, made, "blue key"))
    assert run(steps.codes_kept(reception.context(), secret)).step is Step.DONE
    ctx = reception.context()
    done = run(steps.finish(ctx, secret))
    assert (ctx.actor.id, ctx.actor.session) == ("nurse.kim", done.session.id)
    assert reception.log(4) == [
        (EventType.AUTH_RECOVERY, Outcome.GRANTED, "nurse.kim"),
        (EventType.USER_CHANGE, Outcome.GRANTED, "nurse.kim"),
        (EventType.FACTOR_BIND, Outcome.GRANTED, "nurse.kim"),
        (EventType.AUTH_SIGNIN, Outcome.GRANTED, "nurse.kim"),
    ]
    secret = reception.begun()
    used = device.get(run(steps.passkey_options(reception.context(), secret)))
    assert run(steps.passkey(reception.context(), secret, used)).step is Step.DONE
    assert run(steps.finish(reception.context(), secret)).session.user.id == "nurse.kim"


def test_what_is_refused_is_in_the_log_and_names_nobody(reception: Reception) -> None:
    secret = reception.begun()
    for judging in (
        reception.steps.password(reception.context(), secret, "nurse.kim", "wrong password here"),
        reception.steps.password(reception.context(), secret, "nurse.kim", "wrong password here"),
        reception.steps.invitation(reception.context(), secret, "nurse.kim", "0" * 24),
        reception.steps.passkey(reception.context(), secret, {}),
    ):
        with pytest.raises(Problem):
            reception.clinic.run(judging)
    assert reception.log(4) == [(EventType.AUTH_REFUSED, Outcome.REFUSED, "anonymous")] * 4


def test_a_password_that_is_not_fit_is_no_attack(reception: Reception) -> None:
    secret = reception.begun()
    reception.clinic.run(reception.steps.invitation(reception.context(), secret, "nurse.kim", reception.code))
    before = reception.log(1)
    with pytest.raises(Problem) as caught:
        reception.clinic.run(reception.steps.new_password(reception.context(), secret, "password password"))
    assert caught.value.kind is Kind.INVALID
    assert reception.log(1) == before


def test_the_failures_of_one_request_count_in_the_next(reception: Reception) -> None:
    """Refused or not, what has to be remembered is committed."""
    secret = reception.begun()
    kinds = []
    for _ in range(2):
        with pytest.raises(Problem) as caught:
            reception.clinic.run(reception.steps.password(reception.context(), secret, "nobody", "wrong password here"))
        kinds.append(caught.value.kind)
        reception.clinic.house.people.lockout._recent.clear()  # as another process sees it
    assert kinds == [Kind.UNAUTHENTICATED, Kind.THROTTLED]


def test_no_secret_of_a_ceremony_is_in_the_log(reception: Reception) -> None:
    run, steps, secret = reception.clinic.run, reception.steps, reception.begun()
    run(steps.invitation(reception.context(), secret, "nurse.kim", reception.code))
    run(steps.new_password(reception.context(), secret, NEW))
    uri = run(steps.begin_code(reception.context(), secret)).uri
    codes = pyotp.parse_uri(uri)
    assert isinstance(codes, pyotp.TOTP)
    shown = run(steps.confirm_code(reception.context(), secret, codes.generate_otp(reception.clock.now_ms() // 30_000)))
    run(steps.codes_kept(reception.context(), secret))
    cookie = run(steps.finish(reception.context(), secret)).secret
    page = reception.clinic.log().page("default", Filter(), limit=20)
    written = repr([entry.event for _, entry in page.entries])
    for hidden in (secret, NEW, reception.code, codes.secret, cookie, *shown.codes):
        assert hidden not in written
