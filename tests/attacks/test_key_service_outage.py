# SPDX-License-Identifier: Apache-2.0
"""The key service is away, hangs, is slow or refuses: for a while nobody notices, then nothing is given out.

A real OpenBao server, a clinic over it, and a clock that is turned by hand.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from salus.audit.verify import verify
from salus.crypto.kms.guard import Guarded
from salus.kernel.errors import Kind, Problem
from tests.attacks.test_fail_closed import DOORS, count_of, nothing_is_released
from tests.support.clinic import Clinic, heart_rate
from tests.support.hand_clock import HandElapsed
from tests.support.openbao import FailingBao, bao

__all__ = ["bao"]

SOFT, HARD = 300, 3600
LONGEST_PAUSE = 20  # of the breaker
FAILURES = {
    "sealed": ("seal", "unseal"),
    "killed": ("kill", "start"),
    "stopped": ("freeze", "thaw"),
    "policy revoked": ("revoke", "allow"),
    "key disabled": ("disable", "enable"),
}


@pytest.fixture(scope="module")
def elapsed() -> HandElapsed:
    return HandElapsed()


@pytest.fixture(scope="module")
def clinic(bao: FailingBao, elapsed: HandElapsed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """A clinic whose keys OpenBao wraps."""
    keys = msgspec.structs.replace(bao.keys(str(bao.folder)), timeout_seconds=30, soft_seconds=SOFT, hard_seconds=HARD)
    made = Clinic(tmp_path_factory.mktemp("clinic") / "data", keys=keys, elapsed=elapsed)
    yield made
    made.close()
    made.loop.close()


@contextmanager
def impatient(clinic: Clinic) -> Iterator[None]:
    """Nobody waits long for a service that does not answer; one that does has all the time that it needs."""
    guard = clinic.house._provider
    assert isinstance(guard, Guarded)
    before, guard._seconds = guard._seconds, 0.2
    try:
        yield
    finally:
        guard._seconds = before


def everything_works(clinic: Clinic) -> None:
    who = clinic.as_("physician")
    for method, path, body in DOORS:
        if method in {"GET", "PUT"} and "nobody" not in path:
            answer = who.request(method, path, json=body)
            assert answer.status_code in {200, 201}, (method, path, answer.text)


@pytest.mark.parametrize("failure", FAILURES)
def test_until_the_hard_limit_nobody_notices_then_nothing_is_given_out(
    bao: FailingBao, clinic: Clinic, elapsed: HandElapsed, failure: str
) -> None:
    begin, end = FAILURES[failure]
    elapsed.forward(SOFT)
    everything_works(clinic)  # the leases are fresh
    getattr(bao, begin)()
    try:
        elapsed.forward(SOFT / 2)
        everything_works(clinic)
        elapsed.forward(SOFT)  # past the soft limit: asked again, in vain
        with impatient(clinic):
            everything_works(clinic)
        versions = count_of(clinic)
        elapsed.forward(HARD)
        with impatient(clinic):
            nothing_is_released(clinic)
            nothing_is_released(clinic)  # the second time as well, and without asking the service each time
        assert count_of(clinic) == versions
        assert clinic.house.keyring._leases == {}
        assert clinic.stranger.get("/health").status_code == 200  # alive, not ready
        with impatient(clinic):
            assert clinic.stranger.get("/health/ready").status_code == 503
    finally:
        getattr(bao, end)()
    elapsed.forward(LONGEST_PAUSE)
    everything_works(clinic)
    report = verify(clinic.house.db, clinic.house.keyring.tenant("default"), clinic.folder / "checkpoints")
    assert report.ok
    assert clinic.as_("service").post("/fhir/Observation", heart_rate("anna", 61)).status_code == 201


def test_a_slow_service_is_waited_for_within_its_time(bao: FailingBao, clinic: Clinic, elapsed: HandElapsed) -> None:
    elapsed.forward(HARD)
    bao.freeze()
    thaw = threading.Timer(0.1, bao.thaw)
    thaw.start()
    try:
        everything_works(clinic)
    finally:
        thaw.join()


def test_a_breaker_spares_everyone_the_wait(
    bao: FailingBao, clinic: Clinic, elapsed: HandElapsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything_works(clinic)
    service = clinic.house._provider._provider  # type: ignore[attr-defined]
    asked: list[object] = []
    real = service.unwrap
    monkeypatch.setattr(service, "unwrap", lambda blob, context: asked.append(context) or real(blob, context))
    bao.freeze()
    try:
        elapsed.forward(2 * HARD)
        with impatient(clinic):
            for _ in range(4):
                assert clinic.stranger.get("/fhir/Patient/anna").status_code == 503
        before = len(asked)
        for _ in range(20):
            answer = clinic.as_("physician").get("/fhir/Patient/anna")
            assert answer.status_code == 503
            assert 1 <= int(answer.headers["retry-after"]) <= LONGEST_PAUSE
        assert 1 <= before <= 4
        assert len(asked) == before  # none of the twenty waited for an answer
    finally:
        bao.thaw()
    elapsed.forward(LONGEST_PAUSE)
    everything_works(clinic)


def test_nothing_starts_while_the_service_is_away(bao: FailingBao, clinic: Clinic) -> None:
    from salus.app.house import House

    hurried = msgspec.structs.replace(clinic.settings.keys, timeout_seconds=0.2)
    bao.freeze()
    try:
        with pytest.raises(Problem) as refused:
            House(msgspec.structs.replace(clinic.settings, keys=hurried))
        assert refused.value.kind is Kind.UNAVAILABLE
    finally:
        bao.thaw()


def test_the_key_of_another_service_opens_nothing(
    clinic: Clinic, tmp_path: Path, elapsed: HandElapsed, bao: FailingBao
) -> None:
    """A Transit key of the same name, made anew, is another key."""
    root = bao.root()
    root.write_data("transit/keys/other", data={"derived": True})
    policy = 'path "transit/*" { capabilities = ["update", "read"] }'
    root.sys.create_or_update_policy("salus", policy)
    from salus.app.house import House

    try:
        other = msgspec.structs.replace(clinic.settings.keys, key="other")
        with pytest.raises(Problem) as refused:
            House(msgspec.structs.replace(clinic.settings, keys=other))
        assert refused.value.kind is Kind.UNAVAILABLE
    finally:
        bao.allow()
