# SPDX-License-Identifier: Apache-2.0
"""Delays after wrong guesses, made so that a stranger who guesses does not keep the right person out.

- One place (a name from one network) waits 1 s, 2 s, 4 s … 15 min after each wrong password.
- A name waits in the same way wherever the guesses come from, once five were wrong, but not in a network from which its
  person has signed in before: there only the first rule counts.
- After 100 wrong passwords in a row the password does not sign in any more until it is set anew or an administrator
  unlocks it (NIST SP 800-63B-4 section 3.2.2). Passkeys are not asked about any of this: whoever has one comes in.
- Codes have a count of their own, from the first wrong one, wherever it comes from; only a right password leads to
  them, and it does not set their count back.

The wait starts before the work does, so guesses in parallel gain nothing. Unknown names count like known ones.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from salus.crypto.tenant_keys import TenantKeys
from salus.identity.accounts.profile import code_key, handle_of
from salus.identity.accounts.store import MAX_FAILURES, Statement, add
from salus.identity.accounts.users import KeysOf
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem

LONGEST_WAIT_MS = 15 * 60 * 1000
FREE_FAILURES = 5
"""Wrong passwords of a name, from everywhere together, before the name itself has to wait."""

_REMEMBERED = 10_000
_SETTLED_MS = 10_000  # by then a failure is in the database, and perhaps cleared there by someone else
_V4_PREFIX, _V6_PREFIX = 24, 48

Key = tuple[str, bytes]


class Secret(StrEnum):
    """What is guessed at."""

    PASSWORD = "password"  # noqa: S105  the name of a thing
    CODE = "code"


_SHOWN = {Secret.PASSWORD: {"pwd"}, Secret.CODE: {"otp", "rc"}}


@dataclass(frozen=True, slots=True)
class Charge:
    """A failure that was counted in advance: by key, the failures before it."""

    tenant: str
    before: tuple[tuple[bytes, int], ...]


def wait_after(failures: int, free: int = 0) -> int:
    """Milliseconds to wait after the last of so many failures in a row, of which the first few are free."""
    counted = failures - free
    return 0 if counted < 1 else min(1000 << min(counted - 1, 20), LONGEST_WAIT_MS)


def network_of(address: str) -> str:
    """The network of an address: /24 for IPv4, /48 for IPv6; anything else stands for itself."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    prefix = _V4_PREFIX if ip.version == 4 else _V6_PREFIX
    return str(ipaddress.ip_network((ip, prefix), strict=False))


def place_of(keys: TenantKeys, name: str, place: str) -> bytes:
    """The surrogate of a network or device of an account."""
    return keys.surrogate("familiar", f"{name}|{place}")


class Lockout:
    """Counts failures of names, known or not.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name.
        clock: the time.
    """

    def __init__(self, db: Connection, keys_of: KeysOf, clock: Clock) -> None:
        self._db = db
        self._keys_of = keys_of
        self._clock = clock
        # Failures that are maybe not in the database yet: (failures, locked until, since).
        self._recent: dict[Key, tuple[int, int, int]] = {}

    def charge(self, tenant: str, name: str, address: str, what: Secret) -> Charge:
        """Count a failure in advance.

        Raises:
            Problem: THROTTLED while the name or the place has to wait.
        """
        now, keys = self._clock.now_ms(), self._keys_of(tenant)
        counted = [(key, free, self._count(tenant, key, now)) for key, free in self._keys(keys, name, address, what)]
        if any(failures >= MAX_FAILURES for _, _, (failures, _) in counted):
            raise _throttled(LONGEST_WAIT_MS)
        locked_until = max(until if failures > free else 0 for _, free, (failures, until) in counted)
        if now < locked_until:
            raise _throttled(locked_until - now)
        for number, (key, free, (failures, _)) in enumerate(counted):
            if len(self._recent) >= _REMEMBERED:
                del self._recent[next(iter(self._recent))]
            # A place never closes for good: its count stays below the last one.
            more = failures + 1 if number == 0 else min(failures + 1, MAX_FAILURES - 1)
            self._recent[tenant, key] = (more, now + wait_after(more, free), now)
        return Charge(tenant, tuple((key, failures) for key, _, (failures, _) in counted))

    def discharge(self, charge: Charge) -> None:
        """Take a failure back that was none, or was not the person's."""
        for key, failures in charge.before:
            self._recent[charge.tenant, key] = (failures, 0, self._clock.now_ms())

    def failed(self, unit: Unit, charge: Charge) -> bool:
        """Keep a failure; true when it is the one that closes the authenticator."""
        for key, before in charge.before:
            fallback = (before + 1, self._clock.now_ms() + 1000, 0)
            failures, locked_until, _ = self._recent.get((charge.tenant, key), fallback)
            add(
                unit,
                Statement(
                    "insert into attempt(tenant, handle, failures, locked_until) values(?,?,?,?) "
                    "on conflict do update set failures = max(failures, excluded.failures), "
                    "locked_until = max(locked_until, excluded.locked_until)",
                    (charge.tenant, key, failures, locked_until),
                ),
            )
        return charge.before[0][1] + 1 == MAX_FAILURES

    def cleared(self, unit: Unit, tenant: str, name: str, address: str, amr: Iterable[str]) -> None:
        """Somebody proved who they are: forget the failures of what they proved it with, and those of this place.

        A passkey sets no count back: whoever guesses at a password must not gain by its person coming in otherwise.
        """
        keys, shown = self._keys_of(tenant), set(amr)
        for what in (secret for secret, words in _SHOWN.items() if shown & words):
            for key, _ in self._keys(keys, name, address, what):
                self._recent.pop((tenant, key), None)
                add(unit, Statement("delete from attempt where tenant = ? and handle = ?", (tenant, key)))

    def closed(self, tenant: str, name: str) -> bool:
        """Whether a password does not sign in any more after too many failures."""
        row = self._db.execute(
            "select failures from attempt where tenant = ? and handle = ?",
            (tenant, handle_of(self._keys_of(tenant), name)),
        ).fetchone()
        return row is not None and row[0] >= MAX_FAILURES

    def _keys(self, keys: TenantKeys, name: str, address: str, what: Secret) -> list[tuple[bytes, int]]:
        """Under which keys a failure counts, the account's first, and how many failures are free there."""
        if what is Secret.CODE:
            return [(code_key(keys, name), 0)]
        network = network_of(address)
        account, free = handle_of(keys, name), FREE_FAILURES
        known = "select 1 from familiar where tenant = ? and handle = ? and place = ?"
        if self._db.execute(known, (keys.name, account, place_of(keys, name, network))).fetchone() is not None:
            free = MAX_FAILURES
        return [(account, free), (keys.surrogate("attempt-place", f"{name}|{network}"), 0)]

    def _count(self, tenant: str, key: bytes, now: int) -> tuple[int, int]:
        row = self._db.execute(
            "select failures, locked_until from attempt where tenant = ? and handle = ?", (tenant, key)
        ).fetchone()
        stored = row or (0, 0)
        recent = self._recent.get((tenant, key), (0, 0, 0))
        if now - recent[2] > _SETTLED_MS:
            recent = (0, 0, 0)
        return max(stored[0], recent[0]), max(stored[1], recent[1])


def _throttled(wait_ms: int) -> Problem:
    seconds = -(-wait_ms // 1000)
    return Problem(Kind.THROTTLED, "Too many failed sign-ins. Please wait.", "sign-in delayed", retry_after=seconds)
