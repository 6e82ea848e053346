# SPDX-License-Identifier: Apache-2.0
"""Ending sessions here when the identity provider says that they are over there (Back-Channel Logout 1.0).

It ends every session of the account in which the provider vouched for the person, on all devices: one too many ended is
a sign-in more, one too few is a stranger at a screen.
"""

from __future__ import annotations

from typing import Any

from salus.crypto.tenant_keys import TenantKeys
from salus.identity.accounts.store import Statement, add
from salus.identity.accounts.users import KeysOf
from salus.identity.federation import id_token
from salus.identity.federation.id_token import Claims
from salus.identity.federation.links import Links, person_of
from salus.identity.federation.provider import Provider
from salus.identity.federation.providers import Providers
from salus.identity.federation.refusal import Reason, refused
from salus.identity.federation.store import once
from salus.identity.federation.upstream import Upstream
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection

_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_TYPES = frozenset({"", "jwt", "logout+jwt"})  # section 2.4 recommends the last one; older providers leave it out
_LONGEST_SESSION_MS = 24 * 3600 * 1000
_REMEMBERED_MS = 15 * 60_000  # longer than a logout token is fresh


class Logout:
    """Sessions that identity providers may end.

    Args:
        db: connection for reading.
        providers: those that are registered.
        links: who there is who here.
        upstream: asks them for their keys.
        keys_of: keys of a tenant by its name.
        clock: the time.
    """

    def __init__(
        self,
        db: Connection,
        providers: Providers,
        links: Links,
        upstream: Upstream,
        keys_of: KeysOf,
        clock: Clock,
    ) -> None:
        self._db = db
        self._providers = providers
        self._links = links
        self._upstream = upstream
        self._keys_of = keys_of
        self._clock = clock

    def remember(self, unit: Unit, tenant: str, provider: Provider, *, subject: str, sid: str) -> None:
        """Remember whose a session at a provider is.

        Args:
            unit: takes the change.
            tenant: name of the tenant.
            provider: where.
            subject: the person there.
            sid: their session there; empty if it was not named.
        """
        if not sid:
            return
        keys, now = self._keys_of(tenant), self._clock.now_ms()
        theirs, person = _sid(keys, provider.issuer, sid), person_of(keys, provider.issuer, subject)
        add(
            unit,
            Statement("delete from idp_sid where ends <= ?", (now,)),
            Statement(
                "insert or replace into idp_sid(tenant, sid, idp, person, ends) values(?,?,?,?,?)",
                (tenant, theirs, provider.id, person, now + _LONGEST_SESSION_MS),
            ),
        )

    async def ended(self, unit: Unit, tenant: str, provider_id: str, token: str) -> str:
        """Judge a logout token.

        Args:
            unit: takes the note that the token was used; end the sessions in the same one.
            tenant: name of the tenant.
            provider_id: name of the provider in the address that was called.
            token: the logout token.

        Returns:
            Login name of the account whose sessions it ends; empty when it names nobody here.

        Raises:
            Problem: UNAUTHENTICATED for anything that does not fit; UNAVAILABLE when the provider is away.
        """
        provider = self._providers.find(tenant, provider_id)
        if provider is None or provider.disabled:
            raise refused(Reason.UNKNOWN_PROVIDER)
        header = id_token.header_of(token, provider, _TYPES)
        claims = id_token.claims_of(token, header, await self._upstream.keys(provider, header.kid))
        id_token.check_origin(claims, provider)
        now = self._clock.now_ms()
        id_token.check_times(claims, now, must_expire=False)
        sid, subject, jti = _logout(claims)
        keys = self._keys_of(tenant)
        mark = keys.surrogate("idp-logout", f"{provider.issuer}\n{jti}")
        add(unit, *once(tenant, mark, now, now + _REMEMBERED_MS, refused(Reason.REPLAYED)))
        person = self._person_of_sid(tenant, provider, sid) if sid else None
        if person is None and subject:
            person = person_of(keys, provider.issuer, subject)
        link = self._links.of_person(tenant, person) if person is not None else None
        return link.user if link is not None else ""

    def _person_of_sid(self, tenant: str, provider: Provider, sid: str) -> bytes | None:
        keys = self._keys_of(tenant)
        row = self._db.execute(
            "select person from idp_sid where tenant = ? and idp = ? and sid = ?",
            (tenant, provider.id, _sid(keys, provider.issuer, sid)),
        ).fetchone()
        return None if row is None else row[0]


def _logout(claims: Claims) -> tuple[str, str, str]:
    """Session, subject and id of a logout token (sections 2.4 and 2.6)."""
    events: Any = claims.get("events")
    sid, jti = claims.get("sid", ""), claims.get("jti")
    if not isinstance(events, dict) or not isinstance(events.get(_EVENT), dict) or "nonce" in claims:
        raise refused(Reason.LOGOUT)
    if not isinstance(sid, str) or not isinstance(jti, str) or not 0 < len(jti) <= 500:
        raise refused(Reason.LOGOUT)
    subject = id_token.subject_of(claims) if "sub" in claims else ""
    if not sid and not subject:
        raise refused(Reason.LOGOUT)
    return sid, subject, jti


def _sid(keys: TenantKeys, issuer: str, sid: str) -> bytes:
    return keys.surrogate("idp-session", f"{issuer}\n{sid}")
