# SPDX-License-Identifier: Apache-2.0
"""The rooms that deal with directories of others, wired: identity providers, and provisioning through SCIM."""

from __future__ import annotations

from salus.identity.accounts.users import KeysOf
from salus.identity.ceremonies.life import Life
from salus.identity.federation.federation import Federation
from salus.identity.federation.links import Links
from salus.identity.federation.logout import Logout
from salus.identity.federation.providers import Providers
from salus.identity.federation.relying_party import RelyingParty
from salus.identity.federation.upstream import Upstream
from salus.identity.federation.wire import GuardedWire
from salus.identity.people import People
from salus.identity.provisioning.desk import desk
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.fetch import Fetcher
from salus.records.context import fhir_base


class Directories:
    """What one process needs to deal with directories of others.

    Attributes:
        federation: identity providers; `providers`, `links` and `party` are three of its parts.
        provisioning: people and groups that a directory keeps.
    """

    def __init__(
        self,
        base_url: str,
        db: Connection,
        keys_of: KeysOf,
        people: People,
        fetcher: Fetcher,
        clock: Clock,
    ) -> None:
        self.providers = Providers(db, keys_of, clock)
        self.links = Links(db, keys_of, clock)
        people.life.when_leaving.append(self.links.end_all)
        upstream = Upstream(GuardedWire(fetcher), clock)

        def address_of(tenant: str) -> str:
            return fhir_base(base_url, tenant).removesuffix("/fhir")

        self.party = RelyingParty(self.providers, upstream, keys_of, address_of, clock)
        logout = Logout(db, self.providers, self.links, upstream, keys_of, clock)
        self.federation = Federation(self.providers, self.links, self.party, logout)
        self.provisioning = desk(db, keys_of, people.users, _Standing(people.life), clock)


class _Standing:
    """The life of an account that a directory keeps (`salus.identity.provisioning.people.Standing`)."""

    def __init__(self, life: Life) -> None:
        self._life = life

    def expect(self, unit: Unit, tenant: str, name: str, *, display: str, suspended: bool) -> None:
        self._life.expect(unit, tenant, name, roles=(), display=display, suspended=suspended)

    def suspend(self, unit: Unit, tenant: str, name: str) -> None:
        self._life.suspend(unit, tenant, name)

    def resume(self, unit: Unit, tenant: str, name: str) -> None:
        self._life.reinstate(unit, tenant, name)  # a code that it may make is given to nobody: `salus user invite` does

    def leave(self, unit: Unit, tenant: str, name: str) -> None:
        self._life.leave(unit, tenant, name)
