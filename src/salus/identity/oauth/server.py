# SPDX-License-Identifier: Apache-2.0
"""The authorization server in one piece: its parts wired, for `salus.app` to make and `salus.http` to use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from salus.identity.accounts.users import KeysOf, Users
from salus.identity.oauth import discovery
from salus.identity.oauth.authorize import AuthorizationRequests
from salus.identity.oauth.codes import Codes
from salus.identity.oauth.exchange import Exchange
from salus.identity.oauth.grants import Grants, Lifetimes
from salus.identity.oauth.interaction import Interactions
from salus.identity.oauth.issuance import AddressOf, Issuance
from salus.identity.oauth.parties import Client, Clients, Launches, SessionAlive
from salus.identity.oauth.proofs import Proofs
from salus.identity.oauth.refresh import RefreshTokens
from salus.identity.oauth.signing import SigningKeys
from salus.identity.oauth.standing import Standing
from salus.identity.tokens import Tokens
from salus.kernel.clock import Clock
from salus.kernel.db import Connection

Authenticate = Callable[[str, Mapping[str, str], str], Awaitable[Client]]
"""(tenant, form, header `Authorization`): the application that shows this; raises OAuthError(invalid_client)."""


class AuthorizationServer:
    """All of it.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name.
        clock: the time.
        users, tokens: accounts and their tokens.
        clients, launches, authenticate: applications, and how they prove who they are.
        session_alive: whether a person is still signed in.
        issuer_of, base_of: issuer and FHIR base of a tenant.
        algorithms: under which assertions of applications may be signed.
        lifetimes: how long tokens live.
        rotate_ms: age at which a signing key is replaced.

    Attributes:
        requests, interactions: from the browser to the person's answer.
        exchange: the token endpoint.
        proofs: of possession of keys.
        standing: introspection and revocation.
        grants: what people allow; for lists, and to take it away.
        signing: keys that sign id_tokens.
        issuance: what is given out.
    """

    def __init__(
        self,
        db: Connection,
        keys_of: KeysOf,
        clock: Clock,
        users: Users,
        tokens: Tokens,
        clients: Clients,
        launches: Launches,
        authenticate: Authenticate,
        session_alive: SessionAlive,
        issuer_of: AddressOf,
        base_of: AddressOf,
        algorithms: tuple[str, ...],
        lifetimes: Lifetimes,
        rotate_ms: int,
    ) -> None:
        self.tokens = tokens
        self.users = users
        self.clients = clients
        self.authenticate = authenticate
        self.issuer_of = issuer_of
        self._algorithms = algorithms
        self.grants = Grants(db, keys_of, clock, clients)
        self.signing = SigningKeys(db, keys_of, clock, rotate_ms)
        self.issuance = Issuance(keys_of, clock, tokens, self.grants, self.signing, lifetimes, issuer_of, base_of)
        codes = Codes(db, keys_of, clock, self.grants)
        refresh = RefreshTokens(db, keys_of, clock, self.grants, lifetimes)
        self.interactions = Interactions(db, keys_of, clock, clients, codes, self.grants, issuer_of)
        self.requests = AuthorizationRequests(
            db, keys_of, clock, clients, launches, self.interactions, issuer_of, base_of
        )
        self.exchange = Exchange(clock, users, codes, refresh, self.grants, self.issuance, session_alive, lifetimes)
        self.proofs = Proofs(db, keys_of, clock)
        self.standing = Standing(tokens, refresh, self.grants, self.issuance, users)

    def described(self, tenant: str) -> dict[str, Any]:
        """Everything that discovery says about the server of a tenant."""
        return discovery.described(self.issuer_of(tenant), self.exchange.grant_types, self._algorithms)
