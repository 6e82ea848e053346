# SPDX-License-Identifier: Apache-2.0
"""The registry of identity providers. Secrets are sealed with everything else about them."""

from __future__ import annotations

import msgspec
from joserfc.jwk import ECKey

from salus.identity.accounts.store import Guard, Statement, Values, add
from salus.identity.accounts.users import KeysOf
from salus.identity.federation.provider import Provider, check_provider
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem

_EXISTS = "select 1 from idp where tenant = ? and id = ?"


class Providers:
    """Identity providers of all tenants.

    Args:
        db: connection for reading.
        keys_of: keys of a tenant by its name; NOT_FOUND for an unknown one.
        clock: the time.
    """

    def __init__(self, db: Connection, keys_of: KeysOf, clock: Clock) -> None:
        self._db = db
        self._keys_of = keys_of
        self._clock = clock

    def add(self, unit: Unit, tenant: str, provider: Provider) -> None:
        """Register a provider.

        Raises:
            Problem: INVALID for what is not fit; the commit fails with CONFLICT when the name is taken.
        """
        made = msgspec.structs.replace(check_provider(provider), created_ms=self._clock.now_ms())
        where: Values = (tenant, made.id)
        taken = Problem(Kind.CONFLICT, "There is an identity provider of this name already.")
        add(
            unit,
            Statement(
                "insert or ignore into idp(tenant, id, sealed) values(?,?,?)",
                (*where, self._seal(tenant, made)),
                Guard(f"select 1 where not exists ({_EXISTS})", where, taken),
            ),
        )

    def replace(self, unit: Unit, tenant: str, provider: Provider) -> None:
        """Change a provider. The issuer stays: people are linked to it.

        Raises:
            Problem: INVALID; NOT_FOUND; the commit fails with CONFLICT when it was changed in between.
        """
        check_provider(provider)
        row = self._db.execute("select sealed from idp where tenant = ? and id = ?", (tenant, provider.id)).fetchone()
        if row is None:
            raise _none()
        if self._open(tenant, provider.id, row[0]).issuer != provider.issuer:
            raise Problem(Kind.INVALID, "The issuer of a provider does not change. Register another one.")
        where: Values = (tenant, provider.id, row[0])
        conflict = Problem(Kind.CONFLICT, "The identity provider was changed by someone else.")
        add(
            unit,
            Statement(
                "update idp set sealed = ? where tenant = ? and id = ? and sealed = ?",
                (self._seal(tenant, provider), *where),
                Guard(_EXISTS + " and sealed = ?", where, conflict),
            ),
        )

    def remove(self, unit: Unit, tenant: str, id_: str) -> None:
        """Remove a provider with the links to it; accounts stay.

        Raises:
            Problem: the commit fails with NOT_FOUND without such a provider.
        """
        where: Values = (tenant, id_)
        add(unit, Statement("delete from idp where tenant = ? and id = ?", where, Guard(_EXISTS, where, _none())))
        for name in ("idp_link", "idp_sid"):
            add(unit, Statement(f"delete from {name} where tenant = ? and idp = ?", where))

    def find(self, tenant: str, id_: str) -> Provider | None:
        """The provider of this name, or None."""
        row = self._db.execute("select sealed from idp where tenant = ? and id = ?", (tenant, id_)).fetchone()
        return None if row is None else self._open(tenant, id_, row[0])

    def known(self, tenant: str, id_: str) -> Provider:
        """The provider of this name, for administrators.

        Raises:
            Problem: NOT_FOUND.
        """
        found = self.find(tenant, id_)
        if found is None:
            raise _none()
        return found

    def all(self, tenant: str) -> list[Provider]:
        """All providers of a tenant by name."""
        rows = self._db.execute("select id, sealed from idp where tenant = ? order by id", (tenant,))
        return [self._open(tenant, id_, sealed) for id_, sealed in rows]

    def offered(self, tenant: str) -> list[tuple[str, str]]:
        """Name and title of those that people can sign in with, for the page."""
        return [(provider.id, provider.title) for provider in self.all(tenant) if not provider.disabled]

    def _seal(self, tenant: str, provider: Provider) -> bytes:
        return (
            self._keys_of(tenant)
            .sealer("identity")
            .seal(msgspec.msgpack.encode(provider), ("idp", tenant, provider.id))
        )

    def _open(self, tenant: str, id_: str, sealed: bytes) -> Provider:
        plain = self._keys_of(tenant).sealer("identity").open(sealed, ("idp", tenant, id_))
        return msgspec.msgpack.decode(plain, type=Provider)


def new_private_key() -> str:
    """Our own key for `private_key_jwt`, as a JWK: P-256, drawn now."""
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
    return msgspec.json.encode(key.as_dict(private=True)).decode()


def public_key(secret: str) -> dict[str, object]:
    """The public half of `new_private_key`, to be registered at the provider."""
    return dict(ECKey.import_key(msgspec.json.decode(secret)).as_dict(private=False))


def _none() -> Problem:
    return Problem(Kind.NOT_FOUND, "There is no identity provider of this name.")
