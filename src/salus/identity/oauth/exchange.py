# SPDX-License-Identifier: Apache-2.0
"""What happens at the token endpoint, once the application is authenticated and its key is proved.

One function per grant type. `client_credentials` is added by `identity.clients` (`Exchange.offers`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec

from salus.identity.accounts.users import User, Users
from salus.identity.oauth.codes import Code, Codes
from salus.identity.oauth.errors import OAuthError
from salus.identity.oauth.grants import Grant, Grants, Lifetimes
from salus.identity.oauth.issuance import Answer, Issuance
from salus.identity.oauth.parties import Client, SessionAlive
from salus.identity.oauth.refresh import Held, RefreshTokens, Successor, new_token, refused
from salus.identity.oauth.scopes import narrower
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request to the token endpoint.

    Attributes:
        tenant: whose wall it stands behind.
        client: whoever was authenticated.
        form: its parameters, each once.
        jkt: thumbprint of the key that was proved; empty for none.
        agent: the header `User-Agent`.
    """

    tenant: str
    client: Client
    form: Mapping[str, str]
    jkt: str = ""
    agent: str = ""

    @property
    def by(self) -> bytes:
        """What it was proved with, for the grace of `refresh`: application, key and program."""
        text = "\n".join((self.client.id, self.jkt, self.agent))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class Issued:
    """What is given out.

    Attributes:
        answer: the token response.
        user: for whom.
        grant: to which it belongs.
        how: words for the audit log.
        refreshed: whether a refresh token was exchanged.
    """

    answer: Answer
    user: User
    grant: Grant
    how: str
    refreshed: bool = False


GrantType = Callable[[Unit, TokenRequest], Awaitable[Issued]]


class Exchange:
    """The grant types that are offered.

    Args:
        clock: the time.
        users: accounts.
        codes, refresh, grants, issuance: of this room.
        session_alive: whether a person is still signed in.
        lifetimes: how long tokens live.
    """

    def __init__(
        self,
        clock: Clock,
        users: Users,
        codes: Codes,
        refresh: RefreshTokens,
        grants: Grants,
        issuance: Issuance,
        session_alive: SessionAlive,
        lifetimes: Lifetimes,
    ) -> None:
        self._clock = clock
        self._users = users
        self._codes = codes
        self._refresh = refresh
        self._grants = grants
        self._issuance = issuance
        self._session_alive = session_alive
        self._lifetimes = lifetimes
        self._types: dict[str, GrantType] = {"authorization_code": self._code, "refresh_token": self._next}

    def offers(self, name: str, handler: GrantType) -> None:
        """Add a grant type."""
        self._types[name] = handler

    @property
    def grant_types(self) -> tuple[str, ...]:
        """The names of those offered."""
        return tuple(self._types)

    async def exchange(self, unit: Unit, asked: TokenRequest) -> Issued:
        """Carry a token request out.

        Args:
            unit: takes the change, in the good case and in the bad: commit it also when this raises OAuthError. A
                commit that fails with CONFLICT means that somebody else was first: call this again with a new unit.

        Raises:
            OAuthError: what the application is told.
        """
        name = asked.form.get("grant_type", "")
        handler = self._types.get(name)
        if not name:
            raise OAuthError("invalid_request", "grant_type is missing.")
        if handler is None:
            raise OAuthError("unsupported_grant_type", f"grant_type has to be one of {', '.join(self._types)}.")
        if name not in asked.client.grant_types:
            raise OAuthError("unauthorized_client", "The application is not registered for this grant_type.")
        if asked.client.dpop and not asked.jkt:
            raise OAuthError("invalid_dpop_proof", "This application has to prove its key (DPoP).")
        return await handler(unit, asked)

    async def _code(self, unit: Unit, asked: TokenRequest) -> Issued:
        form, client, tenant = asked.form, asked.client, asked.tenant
        if not form.get("code") or not form.get("redirect_uri"):
            raise OAuthError("invalid_request", "code or redirect_uri is missing.")
        code = self._codes.redeem(
            unit, tenant, form["code"], client.id, form["redirect_uri"], form.get("code_verifier", ""), asked.jkt
        )
        user = self._user(tenant, code.allowed.user)
        if not code.allowed.offline and not self._session_alive(tenant, code.allowed.session):
            raise OAuthError("invalid_grant", "The code is not valid.", detail="the session has ended")
        # The refresh token of a public application is bound to its key (RFC 9449 section 5).
        kept = asked.jkt if client.kind == "public" else ""
        allowed = msgspec.structs.replace(code.allowed, created=self._clock.now_ms(), jkt=kept)
        expires = self._clock.now_ms() + self._lifetimes.access_ms
        grant = self._grants.add(unit, tenant, code.grant, allowed, expires)
        answer = self._issuance.access(unit, user, grant, allowed.scopes, asked.jkt)
        if allowed.refreshes and "refresh_token" in client.grant_types:
            answer["refresh_token"] = self._refresh.first(unit, grant)
        self._add_id_token(answer, client, user, grant, code)
        return Issued(answer, user, grant, f"code of {client.id}")

    def _add_id_token(self, answer: Answer, client: Client, user: User, grant: Grant, code: Code) -> None:
        if "openid" in grant.allowed.scopes:
            answer["id_token"] = self._issuance.id_token(client, user, grant, code.nonce, answer["access_token"])

    async def _next(self, unit: Unit, asked: TokenRequest) -> Issued:
        token, tenant = asked.form.get("refresh_token", ""), asked.tenant
        if not token:
            raise OAuthError("invalid_request", "refresh_token is missing.")
        held = self._refresh.hold(unit, tenant, token, asked.client.id, asked.jkt, asked.by)
        allowed = held.grant.allowed
        if not allowed.offline and not self._session_alive(tenant, allowed.session):
            self._grants.end(unit, tenant, held.grant.id)
            raise refused("the session at the browser has ended")
        user = self._user(tenant, allowed.user)
        how = f"refresh token of {asked.client.id}, generation {held.generation}"
        if held.again is not None:
            return Issued(self._again(held.again), user, held.grant, f"{how}, given again", refreshed=True)
        scopes = narrower(allowed.scopes, asked.form.get("scope", ""))
        answer = self._issuance.access(unit, user, held.grant, scopes, asked.jkt)
        answer["refresh_token"] = successor = new_token()
        expires = self._clock.now_ms() + self._lifetimes.access_ms
        self._exchanged(unit, held, successor, Successor(msgspec.json.encode(answer), expires, asked.by))
        return Issued(answer, user, held.grant, how, refreshed=True)

    def _exchanged(self, unit: Unit, held: Held, token: str, successor: Successor) -> None:
        self._refresh.exchange(unit, held, token, successor)

    def _again(self, successor: Successor) -> Answer:
        answer: Answer = msgspec.json.decode(successor.answer)
        return {**answer, "expires_in": max(0, (successor.expires - self._clock.now_ms()) // 1000)}

    def _user(self, tenant: str, name: str) -> User:
        user = self._users.find(tenant, name)
        if user is None or user.disabled:
            raise OAuthError("invalid_grant", "The account is not active.", detail="the account is not active")
        return user
