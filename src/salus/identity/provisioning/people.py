# SPDX-License-Identifier: Apache-2.0
"""Provisioned people: each has an account that was made for them, or that an operator handed over.

The wall: a directory sees and changes these accounts and no other. Accounts that people made by hand, service
accounts, its own among them, are not there for it, and a name that one of them has is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec

from salus.crypto.tenant_keys import TenantKeys
from salus.identity.accounts.profile import handle_of
from salus.identity.accounts.store import Guard, Statement, Values, add
from salus.identity.accounts.users import KeysOf, User, Users
from salus.identity.provisioning.mappings import name_of
from salus.identity.provisioning.person import Person, logins, roles_after
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Issue, Kind, Problem
from salus.kernel.ids import uuid7

_BY_ID = "select 1 from scim_user where tenant = ? and id = ?"
_BY_NAME = "select 1 from scim_user where tenant = ? and name = ?"
_BY_ACCOUNT = "select 1 from scim_user where tenant = ? and handle = ?"


class Standing(Protocol):
    """Ending and giving back what an account can do; everything of theirs ends within a second."""

    def expect(self, unit: Unit, tenant: str, name: str, *, display: str, suspended: bool) -> None:
        """Make an account for a person who is on their way, without a role."""
        ...

    def suspend(self, unit: Unit, tenant: str, name: str) -> None:
        """The account does nothing until `resume`."""
        ...

    def resume(self, unit: Unit, tenant: str, name: str) -> None:
        """The account is used again; what ended stays ended."""
        ...

    def leave(self, unit: Unit, tenant: str, name: str) -> None:
        """The person is gone for good."""
        ...


class People:
    """Provisioned people of all tenants.

    Args:
        db: connection for reading.
        keys_of: keys of a tenant by its name.
        users: the accounts.
        standing: ends and gives back what they can do.
        clock: the time.
    """

    def __init__(self, db: Connection, keys_of: KeysOf, users: Users, standing: Standing, clock: Clock) -> None:
        self._db = db
        self._keys_of = keys_of
        self._users = users
        self._standing = standing
        self._clock = clock

    # ── finding ─────────────────────────────────────────────────────────────────────────────────────────────

    def find(self, tenant: str, id_: str) -> Person | None:
        """The person of this id, or None."""
        return next(self._read(tenant, "id = ?", (id_,)), None)

    def named(self, tenant: str, user_name: str) -> Person | None:
        """The person of this userName, however it is written, or None."""
        name = name_of(self._keys_of(tenant), "scim-user", user_name)
        return next(self._read(tenant, "name = ?", (name,)), None)

    def external(self, tenant: str, external_id: str) -> Iterator[Person]:
        """Those to whom the directory gave this externalId."""
        return self._read(tenant, "external = ?", (external_of(self._keys_of(tenant), external_id),))

    def all(self, tenant: str) -> Iterator[Person]:
        """Everyone, in the order in which they came."""
        return self._read(tenant, "true order by id", ())

    def _read(self, tenant: str, condition: str, values: Values) -> Iterator[Person]:
        keys = self._keys_of(tenant)
        rows = self._db.execute(f"select id, sealed from scim_user where tenant = ? and {condition}", (tenant, *values))
        for id_, sealed in list(rows):
            yield _open(keys, id_, sealed)

    def account(self, tenant: str, person: Person) -> User:
        """The account of somebody; FAULT when it has gone, which nothing here can do."""
        user = self._users.find(tenant, person.login)
        if user is None:
            raise Problem(
                Kind.FAULT, "Something went wrong on our side.", "the account of a provisioned person is gone"
            )
        return user

    # ── changing ────────────────────────────────────────────────────────────────────────────────────────────

    def add(
        self, unit: Unit, tenant: str, *, user_name: str, external_id: str, display: str, active: bool, document: bytes
    ) -> Person:
        """Make somebody an account, without a password and without a role.

        Args:
            unit: takes the change.
            tenant: name of the tenant.
            user_name, external_id, display, active, document: as in `Person`.

        Raises:
            Problem: CONFLICT (`uniqueness`) when the name is taken, by an account of any kind.
        """
        login = self._free_login(tenant, user_name)
        now = self._clock.now_ms()
        person = Person(
            id=uuid7(),
            login=login,
            user_name=user_name,
            external_id=external_id,
            display=display,
            active=active,
            document=document,
            created_ms=now,
            modified_ms=now,
        )
        self._standing.expect(unit, tenant, login, display=display, suspended=not active)
        self._insert(unit, tenant, person)
        return person

    def adopt(self, unit: Unit, tenant: str, user: User, *, user_name: str, external_id: str) -> Person:
        """Hand an account that is there over to the directory; its roles stay.

        Raises:
            Problem: INVALID for an account of a service; CONFLICT when it is provisioned, or the name is taken.
        """
        if user.kind != "user":
            raise Problem(Kind.INVALID, "Accounts of services are not for a directory to keep.")
        now = self._clock.now_ms()
        person = Person(
            id=uuid7(),
            login=user.id,
            user_name=user_name,
            external_id=external_id,
            display=user.display,
            active=not user.disabled,
            document=msgspec.json.encode({"displayName": user.display}),
            created_ms=now,
            modified_ms=now,
        )
        self._insert(unit, tenant, person)
        return person

    def change(self, unit: Unit, tenant: str, before: Person, after: Person) -> Person:
        """Write what the directory changed about somebody; login, id and roles stay.

        Args:
            unit: takes the change.
            tenant: name of the tenant.
            before: as it was read.
            after: as it should be; `version` and times are seen to here.

        Raises:
            Problem: CONFLICT when the name is taken; the commit fails with CONFLICT when somebody else was first.
        """
        after = self._next(after, before)
        if after.user_name != before.user_name:
            other = self.named(tenant, after.user_name)
            if other is not None and other.id != before.id:
                raise taken()
        if after.display != before.display:
            self._users.change(unit, tenant, before.login, display=after.display)
        if before.active and not after.active:
            self._standing.suspend(unit, tenant, before.login)
        elif after.active and not before.active:
            self._standing.resume(unit, tenant, before.login)
        self._update(unit, tenant, before, after)
        return after

    def grant(self, unit: Unit, tenant: str, before: Person, grants: Iterable[str]) -> None:
        """Give the account the roles of its groups, and take those away that came from groups before."""
        granted = tuple(sorted(set(grants)))
        user = self.account(tenant, before)
        roles = roles_after(user.roles, before.granted, granted)
        if roles != user.roles:
            self._users.change(unit, tenant, before.login, roles=roles)
        after = msgspec.structs.replace(before, granted=granted)
        self._update(unit, tenant, before, self._next(after, before))

    def remove(self, unit: Unit, tenant: str, person: Person) -> None:
        """Let go of somebody: the account ends for good, and its login name is not given to anybody else.

        Raises:
            Problem: the commit fails with CONFLICT when somebody else was first.
        """
        keys = self._keys_of(tenant)
        user = self.account(tenant, person)
        if user.roles:
            self._users.change(unit, tenant, person.login, roles=())
        self._standing.leave(unit, tenant, person.login)
        where: Values = (tenant, person.id, person.version)
        condition = "tenant = ? and id = ? and version = ?"
        guard = Guard(f"select 1 from scim_user where {condition}", where, changed())
        add(
            unit,
            Statement(f"delete from scim_user where {condition}", where, guard),
            Statement("delete from scim_member where tenant = ? and person = ?", (tenant, person.id)),
            Statement(
                "insert or ignore into scim_gone(tenant, handle) values(?,?)", (tenant, handle_of(keys, person.login))
            ),
        )

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────

    def _free_login(self, tenant: str, user_name: str) -> str:
        if self.named(tenant, user_name) is not None:
            raise taken()
        keys = self._keys_of(tenant)
        for login in logins(user_name):
            if self._users.find(tenant, login) is None:
                return login
            gone = self._db.execute(
                "select 1 from scim_gone where tenant = ? and handle = ?", (tenant, handle_of(keys, login))
            ).fetchone()
            if gone is None:
                break
        raise taken()

    def _next(self, after: Person, before: Person) -> Person:
        return msgspec.structs.replace(
            after,
            id=before.id,
            login=before.login,
            version=before.version + 1,
            created_ms=before.created_ms,
            modified_ms=self._clock.now_ms(),
        )

    def _insert(self, unit: Unit, tenant: str, person: Person) -> None:
        keys = self._keys_of(tenant)
        name, handle = name_of(keys, "scim-user", person.user_name), handle_of(keys, person.login)
        other = f"select 1 where not exists ({_BY_NAME}) and not exists ({_BY_ACCOUNT})"
        add(
            unit,
            Statement(
                "insert or ignore into scim_user(tenant, id, handle, name, external, version, sealed) "
                "values(?,?,?,?,?,?,?)",
                (tenant, person.id, handle, name, external_of(keys, person.external_id), 1, _seal(keys, person)),
                Guard(other, (tenant, name, tenant, handle), taken()),
            ),
        )

    def _update(self, unit: Unit, tenant: str, before: Person, after: Person) -> None:
        keys = self._keys_of(tenant)
        name = name_of(keys, "scim-user", after.user_name)
        where: Values = (tenant, before.id, before.version)
        add(
            unit,
            Statement(
                "update or ignore scim_user set name = ?, external = ?, version = ?, sealed = ? "
                "where tenant = ? and id = ? and version = ?",
                (name, external_of(keys, after.external_id), after.version, _seal(keys, after), *where),
                Guard(_BY_ID + " and version = ?", where, changed()),
            ),
        )


def external_of(keys: TenantKeys, external_id: str) -> bytes:
    """The surrogate of an externalId, which is case exact; empty for none."""
    return keys.surrogate("scim-external", external_id) if external_id else b""


def taken() -> Problem:
    """RFC 7644 section 3.3."""
    words = "There is an account or a group of this name already."
    return Problem(Kind.CONFLICT, words, issues=(Issue("uniqueness", words),))


def changed() -> Problem:
    """Somebody else changed it since it was read."""
    return Problem(Kind.CONFLICT, "It was changed by someone else.")


def _seal(keys: TenantKeys, person: Person) -> bytes:
    return keys.sealer("identity").seal(msgspec.msgpack.encode(person), ("scim-user", keys.name, person.id))


def _open(keys: TenantKeys, id_: str, sealed: bytes) -> Person:
    plain = keys.sealer("identity").open(sealed, ("scim-user", keys.name, id_))
    return msgspec.msgpack.decode(plain, type=Person)
