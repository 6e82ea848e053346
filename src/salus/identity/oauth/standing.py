# SPDX-License-Identifier: Apache-2.0
"""What a token is worth, told to those who may know (RFC 7662), and its end at the application's wish (RFC 7009)."""

from __future__ import annotations

from typing import Any

from salus.identity.accounts.users import Users
from salus.identity.oauth.grants import Grant, Grants
from salus.identity.oauth.issuance import Issuance
from salus.identity.oauth.refresh import RefreshTokens
from salus.identity.tokens import TokenRecord, Tokens
from salus.kernel.commit import Unit

Json = dict[str, Any]

_INACTIVE: Json = {"active": False}


class Standing:
    """Tokens of applications, looked at from outside.

    Args:
        tokens, refresh, grants, issuance: of this room.
        users: accounts.
        issuer_of: address of the authorization server of a tenant.
    """

    def __init__(
        self, tokens: Tokens, refresh: RefreshTokens, grants: Grants, issuance: Issuance, users: Users
    ) -> None:
        self._tokens = tokens
        self._refresh = refresh
        self._grants = grants
        self._issuance = issuance
        self._users = users

    def introspect(self, tenant: str, token: str, issuer: str, *, only: str = "") -> Json:
        """Say what a token is worth.

        Args:
            token: as received; anything.
            issuer: of the tenant.
            only: `client_id` of an application that may ask about its own tokens alone; empty for whoever may about
                all.

        Returns:
            `{"active": false}` and nothing else for whatever does not work, is not known, or is none of the caller's.
        """
        record = self._tokens.find(tenant, token)
        if record is not None:
            grant = self._grants.find(tenant, record.bound.grant) if record.bound is not None else None
            expires, scopes = record.expires_ms, record.scopes
        else:
            grant, expires = self._refresh.grant_of(tenant, token), self._refresh.expiry(tenant, token)
            scopes = grant.allowed.scopes if grant is not None else ()
        if grant is None or not expires or (only and grant.allowed.client != only):
            return dict(_INACTIVE)
        told = self._told(grant, scopes, expires, issuer)
        return {**told, **(self._of_access(record) if record is not None else {})}

    def revoke(self, unit: Unit, tenant: str, token: str, client_id: str) -> Grant | None:
        """End a token of an application: an access token alone, or with a refresh token all of its grant.

        Returns:
            The grant concerned; None when there is nothing to do, which is no error (RFC 7009 section 2.2).
        """
        record = self._tokens.find(tenant, token)
        if record is not None:
            grant = self._grants.find(tenant, record.bound.grant) if record.bound is not None else None
            if grant is None or grant.allowed.client != client_id:
                return None
            self._tokens.revoke(unit, tenant, record.id)
            return grant
        grant = self._refresh.grant_of(tenant, token)
        if grant is None or grant.allowed.client != client_id:
            return None
        self._grants.end(unit, tenant, grant.id)
        return grant

    def _told(self, grant: Grant, scopes: tuple[str, ...], expires_ms: int, issuer: str) -> Json:
        allowed, user = grant.allowed, self._users.find(grant.tenant, grant.allowed.user)
        told: Json = {
            "active": True,
            "scope": " ".join(scopes),
            "client_id": allowed.client,
            "exp": expires_ms // 1000,
            "iss": issuer,
            "aud": allowed.audience,
            **self._issuance.context(grant),
        }
        if user is not None:
            told |= self._issuance.identity(user, scopes)
        if allowed.acr:
            told |= {"acr": allowed.acr, "auth_time": allowed.signed_in // 1000}
        return told

    def _of_access(self, record: TokenRecord) -> Json:
        jkt = record.bound.jkt if record.bound is not None else ""
        told: Json = {"iat": record.created_ms // 1000, "token_type": "DPoP" if jkt else "Bearer"}
        if jkt:
            told["cnf"] = {"jkt": jkt}  # RFC 9449 section 6.2
        return told
