# SPDX-License-Identifier: Apache-2.0
"""Services that act for themselves (SMART App Launch 2.2, Backend Services; RFC 6749 section 4.4).

The application was authenticated by a signed assertion before. It gets a token for its service account, whose roles
decide, narrowed to scopes of `system/` that were registered; for five minutes, and never a refresh token.
"""

from __future__ import annotations

from salus.identity.accounts.users import Users
from salus.identity.clients.registry import Clients
from salus.identity.oauth.errors import OAuthError
from salus.identity.oauth.exchange import Issued, TokenRequest
from salus.identity.oauth.issuance import Issuance
from salus.identity.oauth.request import scope_tokens
from salus.identity.oauth.scopes import permitted
from salus.kernel.commit import Unit

GRANT_TYPE = "client_credentials"
LIFETIME_MS = 300 * 1000
"""SMART App Launch 2.2: the lifetime should not exceed five minutes."""


class BackendServices:
    """The grant type `client_credentials`, for `Exchange.offers`.

    Args:
        clients: the registry.
        users: accounts.
        issuance: makes tokens.
    """

    def __init__(self, clients: Clients, users: Users, issuance: Issuance) -> None:
        self._clients = clients
        self._users = users
        self._issuance = issuance

    async def grant(self, unit: Unit, asked: TokenRequest) -> Issued:
        """Give a service its token.

        Raises:
            OAuthError: `invalid_scope` when nothing of what is asked for was registered, `unauthorized_client` when it
                is no backend service or its account is not active.
        """
        client = self._clients.find(asked.tenant, asked.client.id)
        if client is None or client.profile != "backend" or client.auth_method != "private_key_jwt":
            raise OAuthError("unauthorized_client", "The application is not registered as a backend service.")
        scopes = permitted(scope_tokens(asked.form.get("scope", "")), client.scopes, service=True)
        if not scopes:
            text = "scope has to name scopes of system/ that were registered for this service."
            raise OAuthError("invalid_scope", text, detail="nothing of what was asked for is registered")
        account = self._users.find(asked.tenant, client.account)
        if account is None or account.disabled or account.kind != "service":
            text = "The account of this service is not active."
            raise OAuthError("unauthorized_client", text, detail="the service account is disabled or gone")
        grant, answer = self._issuance.for_service(
            unit, client, account, client.purpose, scopes, asked.jkt, LIFETIME_MS
        )
        return Issued(answer, account, grant, f"backend service {client.id}")
