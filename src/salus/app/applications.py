# SPDX-License-Identifier: Apache-2.0
"""The rooms that know applications and services, wired: registry, proofs, keys of strangers."""

from __future__ import annotations

from salus.access.purposes import PURPOSES
from salus.identity.accounts.users import Users
from salus.identity.clients.authenticate import Authenticator
from salus.identity.clients.client_secrets import ClientSecrets
from salus.identity.clients.keysets import KeySets
from salus.identity.clients.launch import Launches
from salus.identity.clients.registration import Registration
from salus.identity.clients.registry import Clients, KeysOf
from salus.identity.clients.uses import Uses
from salus.kernel.clock import Clock
from salus.kernel.commit import Writer
from salus.kernel.db import Connection
from salus.kernel.fetch import Fetcher
from salus.kernel.settings import Settings


class Applications:
    """What one process needs to deal with clients.

    Attributes:
        fetcher: fetches documents from addresses that others named.
        clients, secrets: who is registered, and their secrets.
        uses: when what people allow was last used.
        authenticator: how they prove who they are.
        registration: programs that register themselves.
        launches: applications that were started from within the record.
    """

    def __init__(
        self,
        settings: Settings,
        db: Connection,
        keys_of: KeysOf,
        users: Users,
        writer: Writer,
        clock: Clock,
        uses: Uses,
    ) -> None:
        self.uses = uses
        self.fetcher = fetcher_of(settings)
        self.clients = Clients(db, keys_of, users, clock, PURPOSES)
        self.secrets = ClientSecrets(db, keys_of, clock)
        self.registration = Registration(db, keys_of, self.clients, self.secrets, clock)
        self.launches = Launches(db, keys_of, clock)
        keysets = KeySets(self.fetcher, clock)
        self.authenticator = Authenticator(self.clients, self.secrets, keysets, keys_of, writer, clock)


def fetcher_of(settings: Settings) -> Fetcher:
    """What fetches documents from addresses that others named."""
    hosts = frozenset(host.strip().lower() for host in settings.fetch.private_hosts.split(",") if host.strip())
    return Fetcher(hosts, settings.path(settings.fetch.ca_file) if settings.fetch.ca_file else None)
