# SPDX-License-Identifier: Apache-2.0
"""Who at an identity provider is which account here: by issuer and subject, and by nothing else.

An e-mail address or a login name that is the same on both sides links nothing: it is often chosen by its holder, and
it is given to somebody else later (OpenID Connect Core 1.0 section 5.7). A link is made by the person, signed in here,
or by an administrator.
"""

from __future__ import annotations

import msgspec

from salus.crypto.tenant_keys import TenantKeys
from salus.identity.accounts.profile import handle_of
from salus.identity.accounts.store import Guard, Statement, Values, add
from salus.identity.accounts.users import KeysOf, no_account
from salus.identity.federation.refusal import linked_elsewhere
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem

_TAKEN = "select 1 from idp_link where tenant = ? and person = ?"


class Link(msgspec.Struct, frozen=True, array_like=True):
    """That somebody at an identity provider is an account here.

    Attributes:
        provider: name of the identity provider.
        issuer: its issuer.
        subject: the person there.
        user: login name of the account here.
        created_ms: milliseconds since the epoch.
    """

    provider: str
    issuer: str
    subject: str
    user: str
    created_ms: int


class Links:
    """Links of all tenants.

    Args:
        db: connection for reading.
        keys_of: keys of a tenant by its name.
        clock: the time.
    """

    def __init__(self, db: Connection, keys_of: KeysOf, clock: Clock) -> None:
        self._db = db
        self._keys_of = keys_of
        self._clock = clock

    def find(self, tenant: str, issuer: str, subject: str) -> Link | None:
        """The link of somebody at an identity provider, or None."""
        keys = self._keys_of(tenant)
        return self.of_person(tenant, person_of(keys, issuer, subject))

    def of_person(self, tenant: str, person: bytes) -> Link | None:
        """The same by the surrogate of `person_of`."""
        row = self._db.execute(
            "select handle, sealed from idp_link where tenant = ? and person = ?", (tenant, person)
        ).fetchone()
        return None if row is None else _open(self._keys_of(tenant), person, *row)

    def of_user(self, tenant: str, name: str) -> list[Link]:
        """The links of an account, oldest first."""
        keys = self._keys_of(tenant)
        return self._read(keys, "handle = ?", (handle_of(keys, name),))

    def of_provider(self, tenant: str, provider: str) -> list[Link]:
        """The links to an identity provider, oldest first."""
        return self._read(self._keys_of(tenant), "idp = ?", (provider,))

    def link(
        self, unit: Unit, tenant: str, *, provider: str, issuer: str, subject: str, name: str, new: bool = False
    ) -> None:
        """Link somebody at an identity provider to an account.

        Args:
            new: the account is made in the same unit.

        Raises:
            Problem: INVALID for a subject that is none; the commit fails with CONFLICT when they are linked already,
                and with NOT_FOUND without such an account.
        """
        if not 0 < len(subject) <= 255 or not subject.isascii():
            raise Problem(Kind.INVALID, "A subject has 1 to 255 ASCII characters.")
        keys = self._keys_of(tenant)
        person, handle = person_of(keys, issuer, subject), handle_of(keys, name)
        link = Link(provider, issuer, subject, name, self._clock.now_ms())
        sealed = keys.sealer("identity").seal(msgspec.msgpack.encode(link), _place(keys, person, handle))
        account: Values = (tenant, handle)
        if not new:  # changes nothing: its guard says whether there is such an account
            there = Guard("select 1 from account where tenant = ? and handle = ?", account, no_account())
            touch = "update account set disabled = disabled where tenant = ? and handle = ?"
            add(unit, Statement(touch, account, there))
        add(
            unit,
            Statement(
                "insert or ignore into idp_link(tenant, person, handle, idp, sealed) values(?,?,?,?,?)",
                (tenant, person, handle, provider, sealed),
                Guard(f"select 1 where not exists ({_TAKEN})", (tenant, person), linked_elsewhere()),
            ),
        )

    def unlink(self, unit: Unit, tenant: str, name: str, provider: str) -> None:
        """Take away the links of an account to an identity provider.

        Raises:
            Problem: NOT_FOUND when there is none.
        """
        keys = self._keys_of(tenant)
        found = [link for link in self.of_user(tenant, name) if link.provider == provider]
        if not found:
            raise Problem(Kind.NOT_FOUND, "The account is not linked to this identity provider.")
        for link in found:
            person = person_of(keys, link.issuer, link.subject)
            add(unit, Statement("delete from idp_link where tenant = ? and person = ?", (tenant, person)))

    def end_all(self, unit: Unit, tenant: str, name: str) -> None:
        """Take away every link of an account, as when the person leaves."""
        handle = handle_of(self._keys_of(tenant), name)
        add(unit, Statement("delete from idp_link where tenant = ? and handle = ?", (tenant, handle)))

    def _read(self, keys: TenantKeys, condition: str, values: Values) -> list[Link]:
        rows = self._db.execute(
            f"select person, handle, sealed from idp_link where tenant = ? and {condition}", (keys.name, *values)
        )
        return sorted((_open(keys, *row) for row in rows), key=lambda link: (link.created_ms, link.user))


def person_of(keys: TenantKeys, issuer: str, subject: str) -> bytes:
    """The surrogate of somebody at an identity provider. An issuer has no line break, so no two people share one."""
    return keys.surrogate("idp-person", f"{issuer}\n{subject}")


def _place(keys: TenantKeys, person: bytes, handle: bytes) -> tuple[str, str, bytes, bytes]:
    return ("idp-link", keys.name, person, handle)


def _open(keys: TenantKeys, person: bytes, handle: bytes, sealed: bytes) -> Link:
    """Bound to person and account: a row that was pointed at another account does not open."""
    return msgspec.msgpack.decode(keys.sealer("identity").open(sealed, _place(keys, person, handle)), type=Link)
