# SPDX-License-Identifier: Apache-2.0
"""The search parameters of each tenant, as this process knows them; read anew when any process changes them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from salus.crypto.keyring import TenantKeys
from salus.fhir.search.parameters import STANDARD, Custom, Registry
from salus.fhir.search.table import Definition
from salus.kernel.db import Connection
from salus.records.store.defined import Define, Kept, State, kept, state

_PURPOSE = "search-parameter"


class _Body(msgspec.Struct, frozen=True, array_like=True):
    definition: Definition
    engine: bool


class Registries:
    """One registry for each tenant.

    Args:
        db: the records.
        keys: the keys of a tenant.
    """

    def __init__(self, db: Connection, keys: Callable[[str], TenantKeys]) -> None:
        self._db = db
        self._keys = keys
        self._known: dict[str, tuple[State, Registry]] = {}

    def of(self, tenant: str) -> tuple[State, Registry]:
        """Where the tenant's index stands, and its search parameters; a few microseconds when nothing has changed."""
        now = state(self._db, tenant)
        known = self._known.get(tenant)
        if known is None or known[0] != now:
            known = self._known[tenant] = (now, self._read(tenant, now))
        return known

    def kept(self, tenant: str) -> list[tuple[Kept, Custom]]:
        """Every definition with what the table says of it."""
        return [(row, self._open(tenant, row)) for row in kept(self._db, tenant)]

    def change(self, tenant: str, name: bytes, custom: Custom | None) -> Define:
        """The change that defines a parameter, or (None) takes it away."""
        if custom is None:
            return Define(tenant, name, None)
        plain = msgspec.msgpack.encode(_Body(custom.definition, custom.engine))
        return Define(tenant, name, self._keys(tenant).sealer(_PURPOSE).seal(plain, _bound(tenant, name)))

    def _read(self, tenant: str, now: State) -> Registry:
        customs = [custom for _, custom in self.kept(tenant)] if now.definitions else []
        return Registry(customs, now.stamp) if customs else STANDARD

    def _open(self, tenant: str, row: Kept) -> Custom:
        plain = self._keys(tenant).sealer(_PURPOSE).open(row.body, _bound(tenant, row.name))
        body = msgspec.msgpack.decode(plain, type=_Body)
        return Custom(body.definition, row.ready, body.engine)


def _bound(tenant: str, name: bytes) -> tuple[bytes | str | int, ...]:
    return ("salus.search-parameter.1", tenant, name)
