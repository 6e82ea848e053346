# SPDX-License-Identifier: Apache-2.0
"""The keeper: keys are renewed apart from requests, fetched once for many, let go in time, and fetched again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from salus.crypto.keeper import Keeper
from salus.crypto.keyring import Keyring, create_keyring, open_keyring
from salus.crypto.kms.guard import Guarded
from salus.crypto.kms.local import LocalKeyProvider
from salus.crypto.kms.provider import away, cannot
from salus.crypto.leases import Limits
from salus.kernel.errors import Kind, Problem
from tests.support.hand_clock import HandElapsed

SOFT, HARD = 100.0, 1000.0


class Service(LocalKeyProvider):
    """A provider that can be away, and that notes who asked."""

    def __init__(self) -> None:
        super().__init__(bytes(range(32)))
        self.away = False
        self.hang: threading.Event | None = None
        self.asked: list[tuple[str, str]] = []

    def unwrap(self, blob: bytes, context: Mapping[str, str]) -> bytearray:
        self.asked.append((context.get("tenant", ""), threading.current_thread().name))
        if self.hang is not None:
            self.hang.wait()
        if self.away:
            raise away("gone")
        return super().unwrap(blob, context)


class Ring:
    """A keyring with a keeper whose thread does not run: `turn` is called by hand."""

    def __init__(self, keyring: Keyring, service: Service, elapsed: HandElapsed) -> None:
        self.keyring, self.service, self.elapsed = keyring, service, elapsed
        self.in_loop: list[Callable[[], None]] = []
        self.told: list[str] = []
        self.keeper = keyring._keeper = Keeper(keyring, elapsed, self.in_loop.append, self.told.append)

    def turn(self) -> float:
        nap = self.keeper.turn()
        while self.in_loop:
            self.in_loop.pop()()
        return nap

    def refused(self, tenant: str = "default") -> Problem:
        with pytest.raises(Problem) as caught:
            self.keyring.tenant(tenant)
        assert caught.value.kind is Kind.UNAVAILABLE
        assert caught.value.retry_after
        return caught.value


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Ring]:
    service, elapsed = Service(), HandElapsed()
    with closing(create_keyring(tmp_path / "keys", service)) as made:
        made.create_tenant("default")
        made.create_tenant("north")
    service.asked.clear()
    with closing(open_keyring(tmp_path / "keys", service, Limits(SOFT, HARD), elapsed)) as keyring:
        keyring.tenant("default")
        yield Ring(keyring, service, elapsed)


def test_leases_are_renewed_before_the_soft_limit_and_never_by_a_request(ring: Ring) -> None:
    keys = ring.keyring.tenant("default")
    for _ in range(20):
        nap = ring.turn()
        assert 0 < nap <= SOFT
        ring.elapsed.forward(min(nap, SOFT * 0.95))
        ring.service.asked.clear()
        assert ring.keyring.tenant("default") is keys  # the same object, with its caches warm
        assert ring.service.asked == []
        assert ring.keyring.warming("default") is None


def test_between_the_limits_the_held_keys_go_on_working(ring: Ring) -> None:
    ring.service.away = True
    keys = ring.keyring.tenant("default")
    ring.elapsed.forward(SOFT)
    for _ in range(8):
        ring.turn()
        ring.elapsed.forward(HARD / 10)
        assert ring.keyring.tenant("default") is keys
        assert len(keys.derived("x")) == 32


def test_at_the_hard_limit_keys_are_wiped_and_come_back_by_themselves(ring: Ring) -> None:
    ring.service.away = True
    keys = ring.keyring.tenant("default")
    before = bytes(keys.derived("x"))
    ring.elapsed.forward(HARD)
    ring.turn()
    assert not any(keys._root)
    for use in (lambda: keys.derived("y"), lambda: keys.surrogate("a", "b"), keys.index, lambda: keys.sealer("new")):
        with pytest.raises(Problem) as caught:
            use()
        assert caught.value.kind is Kind.UNAVAILABLE
    ring.refused()
    ring.service.away = False
    ring.elapsed.forward(60)
    ring.turn()
    assert bytes(ring.keyring.tenant("default").derived("x")) == before


def test_without_a_turn_of_the_keeper_the_hard_limit_holds_all_the_same(ring: Ring) -> None:
    """The thread may hang in a call; whether a key may be used does not depend on it."""
    keys = ring.keyring.tenant("default")
    ring.elapsed.forward(HARD)
    ring.refused()
    assert not any(keys._root)


def test_many_requests_for_a_cold_tenant_make_one_call(ring: Ring) -> None:
    ring.service.asked.clear()
    with ThreadPoolExecutor(8) as pool:
        futures = [future for future in pool.map(lambda _: ring.keyring.warming("north"), range(50)) if future]
    assert len({id(future) for future in futures}) == 1
    ring.refused("north")  # nobody is kept waiting on the way of a request
    ring.turn()
    assert all(future.result(0) is None for future in futures)
    assert [tenant for tenant, _ in ring.service.asked] == ["north"] * 2  # root key and wrapping key
    assert ring.keyring.tenant("north").name == "north"


def test_those_who_wait_hear_that_the_provider_is_away(ring: Ring) -> None:
    ring.service.away = True
    waiting = ring.keyring.warming("north")
    assert isinstance(waiting, Future)
    ring.turn()
    with pytest.raises(Problem) as caught:
        waiting.result(0)
    assert caught.value.kind is Kind.UNAVAILABLE


def test_an_outage_is_told_once_and_its_end_as_well(ring: Ring) -> None:
    for _ in range(2):
        ring.service.away = True
        for _ in range(5):
            ring.elapsed.forward(SOFT)
            ring.turn()
        ring.service.away = False
        for _ in range(3):
            ring.elapsed.forward(SOFT)
            ring.turn()
    assert ring.told == ["the key provider is away or refuses: gone", ""] * 2


def test_an_unknown_tenant_is_not_asked_for(ring: Ring) -> None:
    ring.service.asked.clear()
    assert ring.keyring.warming("nowhere") is None
    with pytest.raises(Problem) as caught:
        ring.keyring.tenant("nowhere")
    assert caught.value.kind is Kind.NOT_FOUND
    ring.turn()
    assert ring.service.asked == []


def test_the_page_key_alone_refused_stops_all_tenants(ring: Ring) -> None:
    real = ring.service.unwrap

    def refusing(blob: bytes, context: Mapping[str, str]) -> bytearray:
        if context.get("purpose") == "page-key":
            raise away("refused")
        return real(blob, context)

    ring.service.unwrap = refusing  # type: ignore[method-assign]
    for _ in range(12):
        ring.elapsed.forward(HARD / 10)
        ring.turn()
    ring.refused()


def test_a_real_keeper_asks_in_a_thread_of_its_own(tmp_path: Path) -> None:
    service = Service()
    with closing(create_keyring(tmp_path / "keys", service)) as made:
        made.create_tenant("default")
    with closing(open_keyring(tmp_path / "keys", service)) as keyring:
        keyring.keep(lambda function: function())
        service.asked.clear()
        waiting = keyring.warming("default")
        assert waiting is not None
        waiting.result(60)
        assert keyring.tenant("default").name == "default"
        assert service.asked == [("default", "key-keeper")] * 2  # root key and wrapping key


# ── the guard ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_call_that_is_not_answered_is_given_up() -> None:
    service = Service()
    blob = service.wrap(bytes(32), {"tenant": "a"})
    service.hang = threading.Event()
    guarded = Guarded(service, 0.05)
    with pytest.raises(Problem) as caught:
        guarded.unwrap(blob, {"tenant": "a"})
    assert "no answer" in caught.value.detail
    service.hang.set()


def test_the_breaker_opens_lets_one_through_and_closes() -> None:
    service, elapsed = Service(), HandElapsed()
    blob = service.wrap(bytes(32), {"tenant": "a"})
    guarded = Guarded(service, 5.0, elapsed)

    def ask() -> bool:
        try:
            guarded.unwrap(blob, {"tenant": "a"})
        except Problem as problem:
            return problem.kind is not Kind.UNAVAILABLE
        return True

    service.away = True
    assert [ask() for _ in range(10)] == [False] * 10
    assert len(service.asked) == 3  # then nobody was asked
    pauses = []
    for _ in range(6):
        waited = 0
        while len(service.asked) == 3 + len(pauses):
            elapsed.forward(1)
            waited += 1
            ask()
        pauses.append(waited)
    assert pauses == [1, 2, 4, 8, 15, 15]
    service.away = False
    elapsed.forward(15)
    assert [ask() for _ in range(5)] == [True] * 5


def test_what_a_provider_cannot_do_is_no_failure() -> None:
    class Unable(Service):
        def destroy_version(self, version: str) -> str:
            raise cannot("It cannot.")

    guarded = Guarded(Unable(), 5.0)
    for _ in range(5):
        with pytest.raises(Problem) as caught:
            guarded.destroy_version("7")
        assert caught.value.kind is Kind.INCORRECT
    guarded.health()
