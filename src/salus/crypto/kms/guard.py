# SPDX-License-Identifier: Apache-2.0
"""A time limit and a circuit breaker around a key provider.

A call that is not answered in time is given up, whatever the provider's library does with it: it runs in a thread of
its own, and a late answer is wiped. After some failures in a row the breaker opens: calls fail at once, with the
seconds until the next try, so that a provider that is away costs nobody a wait. Then one call at a time is let
through; each failure doubles the pause, a success closes the breaker.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

from salus.crypto.kms.provider import PUBLIC_WORDS, Capabilities, KeyProvider, away
from salus.crypto.wiping import Secret, wipe
from salus.kernel.clock import Elapsed, elapsed_seconds
from salus.kernel.errors import Kind, Problem

T = TypeVar("T")

_FAILURES = 3  # in a row
_PAUSE, _LONGEST_PAUSE = 1.0, 15.0  # seconds


class Guarded:
    """A key provider that answers in time or not at all. Safe to share between threads.

    Args:
        provider: the one that does the work.
        seconds: the longest that a call may take.
        elapsed: a clock that only goes forward.
    """

    def __init__(self, provider: KeyProvider, seconds: float, elapsed: Elapsed = elapsed_seconds) -> None:
        self._provider = provider
        self._seconds = seconds
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._failures = 0
        self._pause = _PAUSE
        self._closed_until = 0.0  # elapsed seconds of the next try, while open
        self._trying = False

    @property
    def name(self) -> str:
        """The provider's name."""
        return self._provider.name

    @property
    def capabilities(self) -> Capabilities:
        """What the provider can do."""
        return self._through(lambda: self._provider.capabilities)

    def wrap(self, key: Secret, context: Mapping[str, str]) -> bytes:
        """See `KeyProvider.wrap`."""
        return self._through(lambda: self._provider.wrap(key, context))

    def unwrap(self, blob: bytes, context: Mapping[str, str]) -> bytearray:
        """See `KeyProvider.unwrap`."""
        return self._through(lambda: self._provider.unwrap(blob, context))

    def rewrap(self, blob: bytes, context: Mapping[str, str]) -> bytes:
        """See `KeyProvider.rewrap`."""
        return self._through(lambda: self._provider.rewrap(blob, context))

    def rotate(self) -> str:
        """See `KeyProvider.rotate`."""
        return self._through(self._provider.rotate)

    def destroy_version(self, version: str) -> str:
        """See `KeyProvider.destroy_version`."""
        return self._through(lambda: self._provider.destroy_version(version))

    def sign(self, message: bytes) -> bytes:
        """See `KeyProvider.sign`."""
        return self._through(lambda: self._provider.sign(message))

    def verification_key(self) -> bytes:
        """See `KeyProvider.verification_key`."""
        return self._through(self._provider.verification_key)

    def health(self) -> None:
        """See `KeyProvider.health`."""
        self._through(self._provider.health)

    def close(self) -> None:
        """Let go of the provider; does not wait for it."""
        self._provider.close()

    # ── the breaker ─────────────────────────────────────────────────────────────────────────────────────────

    def _through(self, call: Callable[[], T]) -> T:
        self._enter()
        try:
            result = self._in_time(call)
        except Problem as problem:
            if problem.kind is Kind.UNAVAILABLE:
                raise self._failed(problem) from None
            self._answered()
            raise
        self._answered()
        return result

    def _enter(self) -> None:
        with self._lock:
            if self._failures < _FAILURES:
                return
            left = self._closed_until - self._elapsed()
            if left > 0 or self._trying:
                raise Problem(
                    Kind.UNAVAILABLE,
                    PUBLIC_WORDS,
                    f"{self._provider.name}: {self._failures} failures in a row; not asked for now",
                    retry_after=max(1, math.ceil(left)),
                )
            self._trying = True

    def _answered(self) -> None:
        with self._lock:
            self._failures, self._pause, self._trying = 0, _PAUSE, False

    def _failed(self, problem: Problem) -> Problem:
        with self._lock:
            self._failures += 1
            self._trying = False
            if self._failures >= _FAILURES:
                self._closed_until = self._elapsed() + self._pause
                problem.retry_after = max(1, math.ceil(self._pause))
                self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        return problem

    def _in_time(self, call: Callable[[], T]) -> T:
        answer: list[T] = []
        failure: list[BaseException] = []
        done = threading.Event()
        late = False

        def ask() -> None:
            try:
                answer.append(call())
            except BaseException as error:  # noqa: BLE001  it is raised again where the answer is waited for
                failure.append(error)
            if late:
                _discard(answer)
            done.set()

        threading.Thread(target=ask, name="key-provider", daemon=True).start()
        if not done.wait(self._seconds):
            late = True
            _discard(answer)
            raise away(f"{self._provider.name}: no answer in {self._seconds:g} seconds")
        if failure:
            raise failure[0]
        return answer[0]


def _discard(answer: list[T]) -> None:
    for value in answer:
        if isinstance(value, bytearray):
            wipe(value)
