# SPDX-License-Identifier: Apache-2.0
"""Keeps a server's keys alive from a thread of its own, so that no request ever waits for a key provider on the
event loop.

It renews every lease before its soft limit, fetches the keys of tenants that are asked for and not held (many requests
at once make one call), has expired keys let go on the loop's thread, where nobody is in the middle of using them, and
goes on trying while the provider is away: recovery needs no restart.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Protocol

from salus.kernel.clock import Elapsed
from salus.kernel.errors import Problem

_log = logging.getLogger(__name__)

_LONGEST_NAP = 30.0  # seconds
_SHORTEST_NAP = 0.02
_PAUSE = 5.0  # most seconds between two tries for one key; the breaker may refuse them meanwhile


class Leased(Protocol):
    """What the keeper needs of the keyring. A key is named by its tenant; the page key by the empty name."""

    def due(self, now: float) -> list[str]:
        """Keys that are to be renewed, and those that were let go and are to be fetched again."""
        ...

    def next_due(self) -> float:
        """Elapsed seconds of the next renewal or end of a lease."""
        ...

    def holds(self, name: str) -> bool:
        """Whether a tenant's keys can be used."""
        ...

    def renew(self, name: str) -> None:
        """Ask the provider for a key; raises Problem."""
        ...

    def expired(self, now: float) -> bool:
        """Whether a lease has ended that still holds its key."""
        ...

    def let_go(self) -> None:
        """Wipe the keys of ended leases."""
        ...


class Keeper:
    """The thread, and what it was asked for.

    Args:
        keys: the keyring.
        elapsed: its clock.
        in_loop: runs a function on the thread that uses the keys, e.g. `loop.call_soon_threadsafe`.
        told: called there with the reason when the provider went away, with nothing when it came back.
    """

    def __init__(
        self,
        keys: Leased,
        elapsed: Elapsed,
        in_loop: Callable[[Callable[[], None]], object],
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._keys = keys
        self._elapsed = elapsed
        self._in_loop = in_loop
        self._told = told
        self._bell = threading.Condition()
        self._wanted: dict[str, Future[None]] = {}
        self._try_at: dict[str, float] = {}
        self._away = False
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="key-keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; does not wait for a call that the provider has not answered."""
        with self._bell:
            self._stopped = True
            self._bell.notify()

    def want(self, name: str) -> Future[None]:
        """Ask for the keys of a tenant; everyone who asks meanwhile gets the same future.

        Returns:
            Done when the keyring holds the keys; or with the Problem that the provider is away or refuses.
        """
        with self._bell:
            future = self._wanted.get(name)
            if future is None:
                future = self._wanted[name] = Future()
                self._bell.notify()
            return future

    def turn(self) -> float:
        """Do what is due; returns the seconds until there is more."""
        with self._bell:
            wanted = dict(self._wanted)
        for name, future in wanted.items():
            # Somebody may have asked in the moment in which the keys for those before came.
            problem = None if self._keys.holds(name) else self._renewed(name)
            with self._bell:
                del self._wanted[name]
            if problem is None:
                future.set_result(None)
            else:
                future.set_exception(problem)
        now = self._elapsed()
        for name in self._keys.due(now):
            if now >= self._try_at.get(name, 0.0):
                self._renewed(name)
        now = self._elapsed()
        if self._keys.expired(now):
            _log.error("the keys are let go: the key provider did not answer within the hard limit")
            self._in_loop(self._keys.let_go)
            return _PAUSE
        waits = [at for name in self._keys.due(now) if (at := self._try_at.get(name, now)) > now]
        return min([self._keys.next_due(), *waits], default=now + _LONGEST_NAP) - now

    def _renewed(self, name: str) -> Problem | None:
        try:
            self._keys.renew(name)
        except Problem as problem:
            self._try_at[name] = self._elapsed() + min(problem.retry_after or _PAUSE, _PAUSE)
            if not self._away:
                _log.error("the key provider is away or refuses: %s", problem.detail)
                self._in_loop(partial(self._told, f"the key provider is away or refuses: {problem.detail}"))
            self._away = True
            return problem
        self._try_at.pop(name, None)
        if self._away:
            _log.warning("the key provider answers again")
            self._in_loop(partial(self._told, ""))
        self._away = False
        return None

    def _run(self) -> None:
        while not self._stopped:
            try:
                nap = self.turn()
            except Exception as error:  # noqa: BLE001  the keeper must outlive whatever it meets
                _log.error("keeping keys: %s", type(error).__name__)
                nap = _PAUSE
            with self._bell:
                if not self._wanted and not self._stopped:
                    self._bell.wait(max(_SHORTEST_NAP, min(nap, _LONGEST_NAP)))
