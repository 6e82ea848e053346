# SPDX-License-Identifier: Apache-2.0
"""The authorization server, wired: accounts, applications and settings in; addresses of each tenant."""

from __future__ import annotations

from collections.abc import Mapping

from salus.app.applications import Applications
from salus.identity.accounts.users import KeysOf, Users
from salus.identity.clients.backend import GRANT_TYPE, BackendServices
from salus.identity.clients.client import ALGORITHMS, Client
from salus.identity.oauth.grants import Lifetimes
from salus.identity.oauth.server import AuthorizationServer
from salus.identity.sessions import Sessions
from salus.identity.tokens import Tokens
from salus.kernel.clock import Clock
from salus.kernel.db import Connection
from salus.kernel.settings import Settings
from salus.records.context import fhir_base

_MINUTE_MS = 60 * 1000
_DAY_MS = 24 * 60 * _MINUTE_MS


def authorization_of(
    settings: Settings,
    db: Connection,
    keys_of: KeysOf,
    clock: Clock,
    users: Users,
    tokens: Tokens,
    sessions: Sessions,
    apps: Applications,
) -> AuthorizationServer:
    """Build it over the rooms of one house."""

    def issuer_of(tenant: str) -> str:
        return fhir_base(settings.base_url, tenant).removesuffix("/fhir")

    async def authenticate(tenant: str, form: Mapping[str, str], authorization: str) -> Client:
        issuer = issuer_of(tenant)
        return await apps.authenticator.authenticate(tenant, form, authorization, (f"{issuer}/oauth2/token", issuer))

    oauth = settings.oauth
    made = AuthorizationServer(
        db,
        keys_of,
        clock,
        users,
        tokens,
        apps.clients,
        apps.launches,
        authenticate,
        sessions.alive,
        issuer_of,
        lambda tenant: fhir_base(settings.base_url, tenant),
        ALGORITHMS,
        Lifetimes(
            min(oauth.access_minutes, settings.identity.token_hours * 60) * _MINUTE_MS,
            oauth.refresh_days * _DAY_MS,
            oauth.grant_days * _DAY_MS,
        ),
        oauth.signing_key_days * _DAY_MS,
    )
    apps.clients.ends(made.grants.end_client)
    made.exchange.offers(GRANT_TYPE, BackendServices(apps.clients, users, made.issuance).grant)
    return made
