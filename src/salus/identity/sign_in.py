# SPDX-License-Identifier: Apache-2.0
"""Signing in with password and one-time code.

Rules kept:
- both factors are asked for and judged together; there is one answer for whatever was wrong;
- an unknown, disabled or service name costs the same work, counts its failures the same way and gets the
same answer; - after each failure the name has to wait, 1 s, 2 s, 4 s … 15 min, whoever tries; the wait
starts before the work does, so
  guesses in parallel gain nothing. After 100 failures in a row only an administrator opens the account again
  (NIST SP 800-63B-4 section 3.2.2);
- a code works once, even for two requests at the same moment.
"""

from __future__ import annotations

from salus.crypto.tenant_keys import TenantKeys
from salus.identity import totp
from salus.identity.passwords import PasswordHasher
from salus.identity.profile import handle_of, pepper_of, unseal
from salus.identity.store import MAX_FAILURES, Guard, Statement, add
from salus.identity.users import KeysOf, User, Users
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem

_LONGEST_WAIT_MS = 15 * 60 * 1000
_REMEMBERED = 10_000
_SETTLED_MS = 10_000  # by then a failure is in the database, and perhaps cleared there by someone else

Name = tuple[str, bytes]


class SignIn:
    """Judges sign-ins.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name.
        users: the accounts.
        hasher: verifies passwords.
        clock: the time.
    """

    def __init__(self, db: Connection, keys_of: KeysOf, users: Users, hasher: PasswordHasher, clock: Clock) -> None:
        self._db = db
        self._keys_of = keys_of
        self._users = users
        self._hasher = hasher
        self._clock = clock
        # Failures of names, known or not, maybe not in the database yet: (failures, locked until, since).
        self._recent: dict[Name, tuple[int, int, int]] = {}
        self._decoy = totp.new_secret()

    async def sign_in(self, unit: Unit, tenant: str, name: str, password: str, code: str) -> User:
        """Judge a name, a password and a code.

        Args:
            unit: takes what has to be remembered, of a success (the code was used) or of a failure. Commit
                it together
                with the audit entry in both cases, and let nobody in before it is durable.
            tenant: name of the tenant.
            name: login name.
            password: as typed.
            code: six digits.

        Returns:
            The account. The commit fails with UNAUTHENTICATED when the same code was used at the same moment.

        Raises:
            Problem: UNAUTHENTICATED, the same for everything that can be wrong; THROTTLED while the name
                has to wait or too many sign in at once.
        """
        keys = self._keys_of(tenant)
        handle = handle_of(keys, name)
        failures = self._charge(tenant, handle)
        row = self._db.execute(
            "select password, totp, totp_step, disabled from account where tenant = ? and handle = ?",
            (tenant, handle),
        ).fetchone()
        encoded, secret, last_step, disabled = self._secrets(keys, handle, row)
        try:
            fits = await self._hasher.verify(pepper_of(keys), encoded, password)
        except Problem:
            self._discharge(tenant, handle, failures)
            raise
        step = totp.accepted_step(secret, code, self._clock.now_ms(), last_step)
        user = self._users.find(tenant, name)
        if row is None or user is None or step is None or disabled or not fits:
            self._remember_failure(unit, tenant, handle)
            raise _refused()
        self._recent.pop((tenant, handle), None)
        self._remember_success(unit, (tenant, handle, step, row[0]))
        return user

    def _secrets(
        self, keys: TenantKeys, handle: bytes, row: tuple[bytes | None, bytes | None, int, int] | None
    ) -> tuple[str | None, str, int, bool]:
        if row is None or row[0] is None or row[1] is None:
            return None, self._decoy, 0, True
        encoded = unseal(keys, "password", handle, row[0]).decode()
        return encoded, unseal(keys, "totp", handle, row[1]).decode(), row[2], bool(row[3])

    def _charge(self, tenant: str, handle: bytes) -> int:
        """Count a failure in advance; returns the failures before it."""
        now = self._clock.now_ms()
        row = self._db.execute(
            "select failures, locked_until from attempt where tenant = ? and handle = ?", (tenant, handle)
        ).fetchone()
        stored = row or (0, 0)
        recent = self._recent.get((tenant, handle), (0, 0, 0))
        if now - recent[2] > _SETTLED_MS:
            recent = (0, 0, 0)
        failures, locked_until = max(stored[0], recent[0]), max(stored[1], recent[1])
        if failures >= MAX_FAILURES:
            raise _throttled(_LONGEST_WAIT_MS)
        if now < locked_until:
            raise _throttled(locked_until - now)
        if len(self._recent) >= _REMEMBERED:
            del self._recent[next(iter(self._recent))]
        wait = min(1000 << min(failures, 20), _LONGEST_WAIT_MS)
        self._recent[tenant, handle] = (failures + 1, now + wait, now)
        return failures

    def _discharge(self, tenant: str, handle: bytes, failures: int) -> None:
        """Take a failure back that was not the person's: nothing was judged."""
        self._recent[tenant, handle] = (failures, 0, self._clock.now_ms())

    def _remember_failure(self, unit: Unit, tenant: str, handle: bytes) -> None:
        fallback = (1, self._clock.now_ms() + 1000, 0)
        failures, locked_until, _ = self._recent.get((tenant, handle), fallback)
        add(
            unit,
            Statement(
                "insert into attempt(tenant, handle, failures, locked_until) values(?,?,?,?) "
                "on conflict do update set failures = max(failures, excluded.failures), "
                "locked_until = max(locked_until, excluded.locked_until)",
                (tenant, handle, failures, locked_until),
            ),
        )

    def _remember_success(self, unit: Unit, judged: tuple[str, bytes, int, bytes]) -> None:
        tenant, handle, step, _ = judged
        # Judged a moment ago, and still so at the commit: code unused, password unchanged, account enabled.
        still = "tenant = ? and handle = ? and totp_step < ? and password = ? and disabled = 0"
        add(
            unit,
            Statement(
                f"update account set totp_step = ? where {still}",
                (step, *judged),
                Guard(f"select 1 from account where {still}", judged, _refused()),
            ),
            Statement("delete from attempt where tenant = ? and handle = ?", (tenant, handle)),
        )


def _refused() -> Problem:
    return Problem(Kind.UNAUTHENTICATED, "Name, password or code is not right.", "sign-in refused")


def _throttled(wait_ms: int) -> Problem:
    seconds = -(-wait_ms // 1000)
    return Problem(Kind.THROTTLED, "Too many failed sign-ins. Please wait.", "sign-in delayed", retry_after=seconds)
