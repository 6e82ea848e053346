# SPDX-License-Identifier: Apache-2.0
"""What an account has to be recognised by, read and replaced: password hash, secret of codes, last code.

A replacement holds only if nothing of it has changed since it was read: the row of the password is its witness.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from salus.identity.accounts.profile import handle_of, seal, unseal
from salus.identity.accounts.store import Guard, Statement, Values, add
from salus.identity.accounts.users import KeysOf, User, user_from
from salus.identity.factors import totp
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem

_STILL = "tenant = ? and handle = ? and disabled = 0 and password is ?"
_READ = "select sealed, disabled, created, password, totp, totp_step from account where tenant = ? and handle = ?"


@dataclass(frozen=True, slots=True)
class Held:
    """What somebody may be recognised by.

    Attributes:
        handle: under which the account is found, if there is one.
        user: the account; None when there is none, it is disabled, or it is a service.
        encoded: hash of the password; None without one.
        secret: of codes; one that nobody knows when there is none.
        code: whether there is a secret of codes.
        last_step: of the last code that was accepted.
        row: the password as it lies in the database, sealed.
    """

    handle: bytes
    user: User | None
    encoded: str | None
    secret: str
    code: bool
    last_step: int
    row: bytes | None

    @property
    def digest(self) -> bytes:
        """Names this password, to notice another in its place."""
        return hashlib.sha256(self.row or b"").digest()


class Credentials:
    """Passwords and codes of all tenants, read for judging.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name.
    """

    def __init__(self, db: Connection, keys_of: KeysOf) -> None:
        self._db = db
        self._keys_of = keys_of
        self._decoy = totp.new_secret()

    def held(self, tenant: str, name: str) -> Held:
        """What there is under a name, known or not; an unknown one costs the same work later on.

        Raises:
            Problem: FAULT when a stored value was altered or moved.
        """
        return self._held(tenant, handle_of(self._keys_of(tenant), name))

    def held_by(self, tenant: str, handle: bytes) -> Held:
        """The same by the account's handle."""
        return self._held(tenant, handle)

    def _held(self, tenant: str, handle: bytes) -> Held:
        keys = self._keys_of(tenant)
        row = self._db.execute(_READ, (tenant, handle)).fetchone()
        if row is None:
            return Held(handle, None, None, self._decoy, False, 0, None)
        profile, disabled, created, password, secret, last_step = row
        user = user_from(keys, handle, profile, disabled, created)
        encoded = None if password is None else unseal(keys, "password", handle, password).decode()
        known = self._decoy if secret is None else unseal(keys, "totp", handle, secret).decode()
        usable = user if user.kind == "user" and not user.disabled else None
        return Held(handle, usable, encoded, known, secret is not None, last_step, password)

    def use_code(self, unit: Unit, tenant: str, held: Held, step: int) -> None:
        """A code was right: it, and those before it, work no more.

        The commit fails with UNAUTHENTICATED when it was used at the same moment, the password was changed meanwhile or
        the account disabled.
        """
        where: Values = (tenant, held.handle, held.row, step)
        condition = f"{_STILL} and totp_step < ?"
        guard = Guard(f"select 1 from account where {condition}", where, refused())
        add(unit, Statement(f"update account set totp_step = ? where {condition}", (step, *where), guard))

    def unchanged(self, unit: Unit, tenant: str, held: Held) -> None:
        """Let the commit fail with UNAUTHENTICATED unless the account is still as it was read."""
        where: Values = (tenant, held.handle, held.row)
        guard = Guard(f"select 1 from account where {_STILL}", where, refused())
        add(unit, Statement(f"update account set disabled = 0 where {_STILL}", where, guard))

    def replace(
        self,
        unit: Unit,
        tenant: str,
        held: Held,
        *,
        encoded: str | None = None,
        secret: str | None = None,
        step: int = 0,
        without_code: bool = False,
    ) -> Held:
        """Put a password hash, a secret of codes or both in place of what was read.

        Args:
            encoded: the new hash; None leaves the password.
            secret: of codes; None leaves it, or takes it away with `without_code`.
            step: of the code that confirmed the secret.

        Returns:
            What is held once this is durable. The commit fails with UNAUTHENTICATED when it was changed meanwhile.
        """
        keys, handle = self._keys_of(tenant), held.handle
        row = held.row if encoded is None else seal(keys, "password", handle, encoded)
        sets, values = ["password = ?"], [row]
        if secret is not None or without_code:
            sets += ["totp = ?", f"totp_step = {int(step)}"]
            values.append(None if secret is None else seal(keys, "totp", handle, secret))
        where: Values = (tenant, handle, held.row)
        guard = Guard(f"select 1 from account where {_STILL}", where, refused())
        update = f"update account set {', '.join(sets)} where {_STILL}"
        add(unit, Statement(update, (*values, *where), guard, revokes=True))
        code = held.code if secret is None and not without_code else secret is not None
        return Held(handle, held.user, encoded or held.encoded, secret or held.secret, code, step, row)


def refused() -> Problem:
    """One answer for whatever was wrong with a name, password or code."""
    return Problem(Kind.UNAUTHENTICATED, "Name, password or code is not right.", "sign-in refused")
