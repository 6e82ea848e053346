# SPDX-License-Identifier: Apache-2.0
"""User accounts: people who sign in with password and code, and services that only have tokens.

Login name, display name and FHIR reference are personal data: they are sealed, and an account is found by
the keyed surrogate of its name (the handle). Role names are checked by `salus.access`, which refuses
unknown ones; this room does not know what a role means.

Functions that change something add to the caller's `Unit` and change nothing themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from salus.crypto.tenant_keys import TenantKeys
from salus.identity.accounts.profile import (
    Profile,
    UserKind,
    code_key,
    handle_of,
    make_profile,
    open_profile,
    pepper_of,
    seal,
)
from salus.identity.accounts.store import Guard, Statement, Values, add
from salus.identity.factors import totp
from salus.identity.factors.passwords import PasswordHasher
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem

KeysOf = Callable[[str], TenantKeys]
_EXISTS = "select 1 from account where tenant = ? and handle = ?"


@dataclass(frozen=True, slots=True)
class User:
    """An account, without its secrets.

    Attributes:
        tenant: name of the tenant.
        id: login name, such as `dr.amara` or `lab-feed`.
        kind: `user` or `service`.
        roles: names of policy roles.
        display: name of the person or service for people.
        party: FHIR reference that stands for them, e.g. `Practitioner/123`; empty if none.
        disabled: may not sign in, and their tokens do not work.
        created_ms: milliseconds since the epoch.
    """

    tenant: str
    id: str
    kind: UserKind
    roles: tuple[str, ...]
    display: str
    party: str
    disabled: bool
    created_ms: int


class Users:
    """Accounts of all tenants.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name; NOT_FOUND for an unknown one.
        hasher: hashes passwords.
        clock: the time.
    """

    def __init__(self, db: Connection, keys_of: KeysOf, hasher: PasswordHasher, clock: Clock) -> None:
        self._db = db
        self._keys_of = keys_of
        self._hasher = hasher
        self._clock = clock

    async def add_user(
        self,
        unit: Unit,
        tenant: str,
        name: str,
        password: str,
        *,
        roles: tuple[str, ...],
        display: str,
        party: str = "",
        code: bool = True,
    ) -> str:
        """Add a person, who from then on signs in with this password and codes.

        Args:
            unit: takes the change.
            tenant: name of the tenant.
            name: login name: lower-case letters, digits, `.`, `_` and `-`, 1 to 64.
            password: see `passwords.check_new`.
            roles: names of policy roles, at least one.
            display: name for people.
            party: FHIR reference `Type/id`, or "".
            code: make a secret for codes; without one a second factor is bound at the first sign-in.

        Returns:
            The `otpauth://` address to enrol an authenticator application; shown once, kept only sealed. Empty without
            a secret.

        Raises:
            Problem: INVALID for a value that is not fit; the commit fails with CONFLICT when the name is
                taken.
        """
        profile = make_profile(name, "user", roles, display, party)
        self._hasher.check_new(password, (tenant, name, display))
        keys = self._keys_of(tenant)
        handle = handle_of(keys, name)
        hashed = await self._hasher.hash(pepper_of(keys), password)
        secret = totp.new_secret() if code else ""
        sealed = seal(keys, "password", handle, hashed), seal(keys, "totp", handle, secret) if secret else None
        self._insert(unit, keys, profile, sealed)
        return totp.enrolment_uri(secret, tenant, name) if secret else ""

    def add_person(
        self,
        unit: Unit,
        tenant: str,
        name: str,
        *,
        roles: tuple[str, ...],
        display: str,
        party: str = "",
        disabled: bool = False,
    ) -> None:
        """Add a person who chooses a password and binds a factor with an invitation. Arguments and errors as above."""
        profile = make_profile(name, "user", roles, display, party)
        self._insert(unit, self._keys_of(tenant), profile, (None, None), disabled=disabled)

    def add_service(
        self, unit: Unit, tenant: str, name: str, *, roles: tuple[str, ...], display: str, party: str = ""
    ) -> None:
        """Add a service, which has no password but works with tokens. Arguments and errors as `add_user`."""
        profile = make_profile(name, "service", roles, display, party)
        keys = self._keys_of(tenant)
        self._insert(unit, keys, profile, (None, None))

    def find(self, tenant: str, name: str) -> User | None:
        """The account with this login name, or None."""
        keys = self._keys_of(tenant)
        row = self._db.execute(
            "select handle, sealed, disabled, created from account where tenant = ? and handle = ?",
            (tenant, handle_of(keys, name)),
        ).fetchone()
        return None if row is None else user_from(keys, *row)

    def of_handle(self, tenant: str, handle: bytes) -> User | None:
        """The account with this handle, or None."""
        row = self._db.execute(
            "select sealed, disabled, created from account where tenant = ? and handle = ?", (tenant, handle)
        ).fetchone()
        return None if row is None else user_from(self._keys_of(tenant), handle, *row)

    def all_users(self, tenant: str) -> list[User]:
        """All accounts of a tenant by login name."""
        keys = self._keys_of(tenant)
        rows = self._db.execute("select handle, sealed, disabled, created from account where tenant = ?", (tenant,))
        return sorted((user_from(keys, *row) for row in rows), key=lambda user: user.id)

    def change(
        self,
        unit: Unit,
        tenant: str,
        name: str,
        *,
        roles: tuple[str, ...] | None = None,
        display: str | None = None,
        party: str | None = None,
    ) -> None:
        """Change roles, display name or reference; None leaves as it is. Tokens see it within a second.

        Raises:
            Problem: NOT_FOUND without such an account, INVALID for a value that is not fit; the commit
                fails with
                CONFLICT when the account was changed by someone else in between.
        """
        keys = self._keys_of(tenant)
        handle = handle_of(keys, name)
        row = self._db.execute(
            "select sealed from account where tenant = ? and handle = ?", (tenant, handle)
        ).fetchone()
        if row is None:
            raise no_account()
        old = open_profile(keys, handle, row[0])
        new = make_profile(
            old.name,
            old.kind,
            old.roles if roles is None else roles,
            old.display if display is None else display,
            old.party if party is None else party,
        )
        sealed = seal(keys, "profile", handle, msgspec.msgpack.encode(new))
        where: Values = (tenant, handle, row[0])
        conflict = Problem(Kind.CONFLICT, "The account was changed by someone else.")
        add(
            unit,
            Statement(
                "update account set sealed = ? where tenant = ? and handle = ? and sealed = ?",
                (sealed, *where),
                Guard(_EXISTS + " and sealed = ?", where, conflict),
                revokes=True,
            ),
        )

    def set_disabled(self, unit: Unit, tenant: str, name: str, *, disabled: bool) -> None:
        """Disable or enable an account. Disabling ends its tokens, and enabling does not bring them back.

        Raises:
            Problem: the commit fails with NOT_FOUND without such an account.
        """
        self._update(unit, tenant, name, "disabled = ?", (int(disabled),))
        if disabled:
            self.end_access(unit, tenant, name)

    async def set_password(self, unit: Unit, tenant: str, name: str, password: str) -> None:
        """Set a new password, forget failed sign-ins, and end all tokens of the account.

        Raises:
            Problem: INVALID for a password that is not fit, NOT_FOUND without such a person.
        """
        keys = self._keys_of(tenant)
        user = self._person(tenant, name)
        self._hasher.check_new(password, (tenant, name, user.display))
        handle = handle_of(keys, name)
        hashed = await self._hasher.hash(pepper_of(keys), password)
        self._update(unit, tenant, name, "password = ?", (seal(keys, "password", handle, hashed),))
        self.unlock(unit, tenant, name)
        self.end_access(unit, tenant, name)

    def unlock(self, unit: Unit, tenant: str, name: str) -> None:
        """Forget failed sign-ins with this name: passwords and codes."""
        keys = self._keys_of(tenant)
        for key in (handle_of(keys, name), code_key(keys, name)):
            add(unit, Statement("delete from attempt where tenant = ? and handle = ?", (tenant, key)))

    def end_access(self, unit: Unit, tenant: str, name: str, *, but: str = "") -> None:
        """End tokens, sessions and what applications were allowed, but for one session and its token."""
        where: Values = (tenant, handle_of(self._keys_of(tenant), name))
        for what in ("token", "session"):
            delete = f"delete from {what} where tenant = ? and handle = ? and id <> ?"
            add(unit, Statement(delete, (*where, but), revokes=True))
        for what in ("oauth_grant", "oauth_code"):
            add(unit, Statement(f"delete from {what} where tenant = ? and handle = ?", where, revokes=True))

    def strip(self, unit: Unit, tenant: str, name: str) -> None:
        """Take password and codes away from an account."""
        self._update(unit, tenant, name, "password = null, totp = null, totp_step = 0", ())

    def has_password(self, tenant: str, name: str) -> bool:
        """Whether an account has a password."""
        row = self._db.execute(
            "select 1 from account where tenant = ? and handle = ? and password is not null",
            (tenant, handle_of(self._keys_of(tenant), name)),
        ).fetchone()
        return row is not None

    def _person(self, tenant: str, name: str) -> User:
        user = self.find(tenant, name)
        if user is None or user.kind != "user":
            raise no_account()
        return user

    def _insert(
        self,
        unit: Unit,
        keys: TenantKeys,
        profile: Profile,
        factors: tuple[bytes | None, bytes | None],
        *,
        disabled: bool = False,
    ) -> None:
        handle = handle_of(keys, profile.name)
        taken = Problem(Kind.CONFLICT, "There is already an account with this name.")
        sealed = seal(keys, "profile", handle, msgspec.msgpack.encode(profile))
        add(
            unit,
            Statement(
                "insert or ignore into account(tenant, handle, sealed, password, totp, totp_step, disabled, "
                "created) values(?,?,?,?,?,0,?,?)",
                (keys.name, handle, sealed, *factors, int(disabled), self._clock.now_ms()),
                Guard(f"select 1 where not exists ({_EXISTS})", (keys.name, handle), taken),
            ),
        )

    def _update(self, unit: Unit, tenant: str, name: str, change: str, values: Values) -> None:
        where: Values = (tenant, handle_of(self._keys_of(tenant), name))
        add(
            unit,
            Statement(
                f"update account set {change} where tenant = ? and handle = ?",
                (*values, *where),
                Guard(_EXISTS, where, no_account()),
                revokes=True,
            ),
        )


def no_account() -> Problem:
    """For administrators only: a sign-in never says so."""
    return Problem(Kind.NOT_FOUND, "There is no such account.")


def user_from(keys: TenantKeys, handle: bytes, sealed: bytes, disabled: int, created: int) -> User:
    """The account of a row; FAULT when the row was altered or moved."""
    profile = open_profile(keys, handle, sealed)
    return User(
        tenant=keys.name,
        id=profile.name,
        kind=profile.kind,
        roles=profile.roles,
        display=profile.display,
        party=profile.party,
        disabled=bool(disabled),
        created_ms=created,
    )
