# SPDX-License-Identifier: Apache-2.0
"""Which of our sessions began at an identity provider, and ending them when it says so (Back-Channel Logout 1.0)."""

from __future__ import annotations

from typing import Any

from salus.crypto.tenant_keys import TenantKeys
from salus.identity.federation import id_token
from salus.identity.federation.id_token import Claims
from salus.identity.federation.links import person_of
from salus.identity.federation.provider import Provider
from salus.identity.federation.providers import Providers
from salus.identity.federation.refusal import Reason, refused
from salus.identity.federation.store import once
from salus.identity.federation.upstream import Upstream
from salus.identity.store import Statement, add
from salus.identity.users import KeysOf
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection

_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_TYPES = frozenset({"", "jwt", "logout+jwt"})  # section 2.4 recommends the last one; older providers leave it out
_REMEMBERED_MS = 15 * 60_000  # longer than a logout token is fresh


class Logout:
    """Sessions that identity providers may end.

    Args:
        db: connection for reading.
        providers: those that are registered.
        upstream: asks them for their keys.
        keys_of: keys of a tenant by its name.
        clock: the time.
    """

    def __init__(self, db: Connection, providers: Providers, upstream: Upstream, keys_of: KeysOf, clock: Clock) -> None:
        self._db = db
        self._providers = providers
        self._upstream = upstream
        self._keys_of = keys_of
        self._clock = clock

    def remember(
        self, unit: Unit, tenant: str, provider: Provider, *, subject: str, sid: str, session: str, ends_ms: int
    ) -> None:
        """Remember that a session of ours began at a provider.

        Args:
            unit: takes the change, with the one that begins the session.
            tenant: name of the tenant.
            provider: where it began.
            subject: the person there.
            sid: their session there; empty if it was not named.
            session: id of ours.
            ends_ms: when ours ends at the latest.
        """
        keys = self._keys_of(tenant)
        theirs = _sid(keys, provider.issuer, sid) if sid else b""
        add(
            unit,
            Statement("delete from idp_session where ends <= ?", (self._clock.now_ms(),)),
            Statement(
                "insert or replace into idp_session(tenant, session, idp, person, sid, ends) values(?,?,?,?,?,?)",
                (tenant, session, provider.id, person_of(keys, provider.issuer, subject), theirs, ends_ms),
            ),
        )

    async def ended(self, unit: Unit, tenant: str, provider_id: str, token: str) -> list[str]:
        """Judge a logout token.

        Args:
            unit: takes the note that the token was used; end the sessions in the same one.
            tenant: name of the tenant.
            provider_id: name of the provider in the address that was called.
            token: the logout token.

        Returns:
            Ids of our sessions that it ends; none when it names nobody who is signed in here.

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
        if sid:
            condition, value = "sid = ?", _sid(keys, provider.issuer, sid)
        else:
            condition, value = "person = ?", person_of(keys, provider.issuer, subject)
        where = (tenant, provider.id, value)
        rows = self._db.execute(
            f"select session from idp_session where tenant = ? and idp = ? and {condition}", where
        ).fetchall()
        add(unit, Statement(f"delete from idp_session where tenant = ? and idp = ? and {condition}", where))
        return [str(session) for (session,) in rows]


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
