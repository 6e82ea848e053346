# SPDX-License-Identifier: Apache-2.0
"""Access tokens: opaque, random, looked up at every request.

A token is `salus_` and 43 base64url characters, 256 random bits. Only its HMAC-SHA256 under a key of the
tenant is kept, so neither a copy of the database nor a token of another tenant opens anything. What it
stands for is sealed and bound to that hash. Roles are those of the account at the time of use, not of
issue.

Looked-up tokens stay in memory while the generation number in the database stays the same; every change
that may take access away raises it. It is polled at most every 100 ms, so a revocation by another process
counts within that time, and one by this process at once. Expiry is checked at every use.

A token of an application stands for a person within a grant (`salus.identity.oauth.grants`): it ends with the grant,
and one that is bound to a key (RFC 9449) is refused to whoever does not prove to have that key.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from salus.identity.accounts.profile import handle_of, open_profile
from salus.identity.accounts.store import Guard, Statement, Values, add
from salus.identity.accounts.users import KeysOf, User, no_account
from salus.identity.sessions import Session, Sessions
from salus.kernel.actor import Actor
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem
from salus.kernel.ids import uuid7

PREFIX = "salus_"
_LENGTH = len(PREFIX) + 43
_CERTIFICATE = "certificate:"  # before the digest of a certificate: longer than a token, so none can be sent as one
_POLL_MS = 100
_KEPT = 10_000
_ENABLED = "select 1 from account where tenant = ? and handle = ? and disabled = 0"
_HOUR_MS = 3600 * 1000


Granted = Callable[[str, str], str | None]
"""(tenant, grant id): id of the session at the browser that the grant ends with, "" for none; None when it is over."""

Used = Callable[[str, str, int], None]
"""(tenant, grant id, milliseconds since the epoch): an application used a grant."""


class Bound(msgspec.Struct, frozen=True, array_like=True):
    """What ties a token to an application.

    Attributes:
        client: `client_id`.
        grant: id of the grant that it ends with.
        patient, encounter: ids of the launch context; empty if none.
        jkt: thumbprint of the key that has to be proved with each use; empty for a bearer token.
        acr: how surely the person was recognised.
        proved: when they last proved to be there, milliseconds since the epoch.
    """

    client: str
    grant: str
    patient: str = ""
    encounter: str = ""
    jkt: str = ""
    acr: str = ""
    proved: int = 0


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    id: str
    handle: bytes
    purpose: str
    label: str
    scopes: tuple[str, ...]
    created: int
    expires: int
    acr: str = ""
    proved: int = 0
    session: str = ""
    bound: Bound | None = None


class _Known(NamedTuple):
    """What is remembered of a token that was looked up."""

    actor: Actor
    expires: int
    session: str  # without which it is worth nothing; empty for none
    touches: bool  # its use is a sign of life of that session
    jkt: str
    grant: str  # whose use it is; empty for none


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token as an administrator sees it; the token itself is not in it.

    Attributes:
        id: names the token in lists, for revocation, and as the session in the audit log.
        user: login name of the account.
        purpose: purpose of use.
        label: what it is for, in the words of whoever issued it.
        scopes: granted scopes; empty means that none narrows the roles.
        created_ms: milliseconds since the epoch.
        expires_ms: milliseconds since the epoch.
        bound: what ties it to an application; None for a token that its owner uses themselves.
    """

    id: str
    user: str
    purpose: str
    label: str
    scopes: tuple[str, ...]
    created_ms: int
    expires_ms: int
    bound: Bound | None = None


class Tokens:
    """Issues, finds and revokes tokens.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name; NOT_FOUND for an unknown one.
        clock: the time.
        purposes: the purposes of use that exist.
        user_hours: longest life of a person's token.
        service_days: longest life of a service's token.
        sessions: for tokens that end with a session.
        granted: whether a grant of an application lives.
        used: is told of each use of a grant.
    """

    def __init__(
        self,
        db: Connection,
        keys_of: KeysOf,
        clock: Clock,
        purposes: Container[str],
        *,
        user_hours: int = 12,
        service_days: int = 365,
        sessions: Sessions | None = None,
        granted: Granted = lambda _tenant, _grant: None,
        used: Used = lambda _tenant, _grant, _at_ms: None,
    ) -> None:
        self._db = db
        self._sessions = sessions
        self._granted = granted
        self._used = used
        self._keys_of = keys_of
        self._clock = clock
        self._purposes = purposes
        self._longest = {"user": user_hours * _HOUR_MS, "service": service_days * 24 * _HOUR_MS}
        self._known: dict[bytes, _Known] = {}
        self._generation = 0
        self._polled = 0
        self._stale = True

    def issue(
        self,
        unit: Unit,
        user: User,
        purpose: str,
        *,
        lifetime_ms: int | None = None,
        label: str = "",
        scopes: tuple[str, ...] = (),
        session: Session | None = None,
        bound: Bound | None = None,
    ) -> tuple[str, TokenRecord]:
        """Issue a token to an account.

        Args:
            unit: takes the change; hand the token out only when it is durable.
            user: the account.
            purpose: purpose of use (HL7 v3 PurposeOfUse code).
            lifetime_ms: None for the longest one allowed to the kind of account.
            label: what it is for, up to 200 characters.
            scopes: scopes that narrow the roles.
            session: of a person who signed in without a browser: the token bears its id, is its sign of life, and ends
                with it.
            bound: of an application; it has scopes then, so that it never has all that the roles give.

        Returns:
            The token, which cannot be had again, and its record.

        Raises:
            Problem: INVALID for an unknown purpose, a lifetime out of bounds or a long label; the commit
                fails with
                NOT_FOUND when the account is gone or disabled.
        """
        if purpose not in self._purposes:
            raise Problem(Kind.INVALID, "This purpose of use is not known.")
        longest = self._longest[user.kind]
        lifetime = longest if lifetime_ms is None else lifetime_ms
        if not 0 < lifetime <= longest:
            hours = longest // _HOUR_MS
            raise Problem(Kind.INVALID, f"A token of this account lives for more than 0 and at most {hours} hours.")
        if len(label) > 200:
            raise Problem(Kind.INVALID, "The label of a token has at most 200 characters.")
        if bound is not None and not scopes:
            raise Problem(Kind.INVALID, "A token of an application has scopes.")
        token = PREFIX + secrets.token_urlsafe(32)
        return token, self._kept(unit, user, token, purpose, lifetime, label, scopes, session, bound)

    def admit(
        self,
        unit: Unit,
        user: User,
        purpose: str,
        digest: str,
        ends_ms: int,
        *,
        label: str = "",
        scopes: tuple[str, ...] = (),
    ) -> TokenRecord:
        """Let a service in by a certificate instead of a token; the record is revoked and listed like a token's.

        Args:
            digest: SHA-256 of the certificate, in hex.
            ends_ms: when it is not valid any more, milliseconds since the epoch.

        Raises:
            Problem: INVALID for a person, an unknown purpose, or a certificate that has ended; CONFLICT when it was
                given to somebody before; the commit fails with NOT_FOUND when the account is gone or disabled.
        """
        if user.kind != "service":
            raise Problem(Kind.INVALID, "Only a service signs in by a certificate.")
        if purpose not in self._purposes:
            raise Problem(Kind.INVALID, "This purpose of use is not known.")
        if ends_ms <= self._clock.now_ms():
            raise Problem(Kind.INVALID, "This certificate has ended.")
        shown = _CERTIFICATE + digest
        sql = "select 1 from token where tenant = ? and hash = ?"
        if self._db.execute(sql, (user.tenant, self._hash(user.tenant, shown))).fetchone() is not None:
            raise Problem(Kind.CONFLICT, "This certificate was given to an account before; revoke that first.")
        lifetime = ends_ms - self._clock.now_ms()
        return self._kept(unit, user, shown, purpose, lifetime, label, scopes, None, None)

    def lookup_certificate(self, tenant: str, digest: str) -> Actor:
        """Find out whose certificate this is; who shows it has been verified by TLS.

        Raises:
            Problem: UNAUTHENTICATED when it was given to nobody in this tenant, or that has ended; NOT_FOUND for an
                unknown tenant.
        """
        return self._found(tenant, _CERTIFICATE + digest, "")

    def _kept(
        self,
        unit: Unit,
        user: User,
        token: str,
        purpose: str,
        lifetime: int,
        label: str,
        scopes: tuple[str, ...],
        session: Session | None,
        bound: Bound | None,
    ) -> TokenRecord:
        keys = self._keys_of(user.tenant)
        hashed, handle = self._hash(user.tenant, token), handle_of(keys, user.id)
        now = self._clock.now_ms()
        id_, expires = uuid7(), now + lifetime
        if session is not None:
            id_, expires = session.id, min(expires, session.ends_ms)
        acr, proved = ("", 0) if session is None else (session.acr, session.proved_ms)
        content = _Sealed(
            id_, handle, purpose, label, scopes, now, expires, acr, proved, "" if session is None else id_, bound
        )
        sealed = keys.sealer("identity").seal(msgspec.msgpack.encode(content), _place(user.tenant, hashed))
        account: Values = (user.tenant, handle)
        add(
            unit,
            Statement(
                f"insert into token(tenant, hash, id, handle, expires, sealed) "
                f"select ?,?,?,?,?,? where exists ({_ENABLED})",
                (user.tenant, hashed, content.id, handle, content.expires, sealed, *account),
                Guard(_ENABLED, account, no_account()),
            ),
        )
        return _record(content, user.id)

    def lookup(self, tenant: str, token: str, jkt: str = "") -> Actor:
        """Find out who sends this token; on the path of every request (under 3 microseconds when known).

        Args:
            tenant: the tenant that the request addresses.
            token: as received; anything.
            jkt: thumbprint of the key that was proved along with it (RFC 9449 section 7.1); empty for none.

        Raises:
            Problem: UNAUTHENTICATED, the same for a token that is unknown, expired, revoked, bound to another key, of a
                disabled account or of another tenant; NOT_FOUND for an unknown tenant.
        """
        if len(token) != _LENGTH or not token.isascii():
            raise not_valid()
        return self._found(tenant, token, jkt)

    def _found(self, tenant: str, token: str, jkt: str) -> Actor:
        hashed = self._hash(tenant, token)
        now = self._clock.now_ms()
        if self._stale or not 0 <= now - self._polled < _POLL_MS:
            self._poll(now)
        found = self._known.get(hashed)
        if found is None:
            found = self._read(tenant, hashed)
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[hashed] = found
        if now >= found.expires or found.jkt != jkt:
            raise not_valid()
        if found.session and self._sessions is not None:
            if not self._sessions.alive(tenant, found.session):
                raise not_valid()
            if found.touches:
                self._sessions.touch(tenant, found.session)
        if found.grant:
            self._used(tenant, found.grant, now)
        return found.actor

    def find(self, tenant: str, token: str) -> TokenRecord | None:
        """The record of a token that works, whoever shows it; None for anything else (introspection, revocation)."""
        if len(token) != _LENGTH or not token.isascii():
            return None
        hashed = self._hash(tenant, token)
        try:
            known = self._read(tenant, hashed)
        except Problem as problem:
            if problem.kind is not Kind.UNAUTHENTICATED:
                raise
            return None
        ended = known.session and self._sessions is not None and not self._sessions.alive(tenant, known.session)
        if ended or self._clock.now_ms() >= known.expires:
            return None
        row = self._db.execute("select sealed from token where tenant = ? and hash = ?", (tenant, hashed)).fetchone()
        return None if row is None else _record(self._open(tenant, hashed, row[0]), known.actor.id)

    def all_tokens(self, tenant: str, name: str | None = None) -> list[TokenRecord]:
        """Live tokens of a tenant, or of one account, newest first."""
        keys = self._keys_of(tenant)
        handle = None if name is None else handle_of(keys, name)
        rows = self._db.execute(
            "select t.hash, t.sealed, a.handle, a.sealed from token t join account a using(tenant, handle) "
            "where t.tenant = ? and t.expires > ? and (? is null or t.handle = ?)",
            (tenant, self._clock.now_ms(), handle, handle),
        )
        records = []
        for hashed, sealed, account, profile in rows:
            content = self._open(tenant, hashed, sealed)
            records.append(_record(content, open_profile(keys, account, profile).name))
        return sorted(records, key=lambda record: (record.created_ms, record.id), reverse=True)

    def revoke(self, unit: Unit, tenant: str, id: str) -> None:  # noqa: A002  the field's word
        """End one token.

        Raises:
            Problem: the commit fails with NOT_FOUND when there is none with this id.
        """
        absent = Problem(Kind.NOT_FOUND, "There is no such token.")
        guard = Guard("select 1 from token where tenant = ? and id = ?", (tenant, id), absent)
        add(
            unit,
            Statement("delete from token where tenant = ? and id = ?", (tenant, id), guard, revokes=True),
        )

    def revoke_user(self, unit: Unit, tenant: str, name: str) -> None:
        """End all tokens of an account; there may be none."""
        handle = handle_of(self._keys_of(tenant), name)
        add(
            unit,
            Statement("delete from token where tenant = ? and handle = ?", (tenant, handle), revokes=True),
        )

    def revoke_all(self, unit: Unit) -> None:
        """End all tokens of all tenants: after a restore, one that was revoked since would be back."""
        add(unit, Statement("delete from token", (), revokes=True))

    def forget(self) -> None:
        """Something was revoked: look afresh at the next request. May be called from any thread."""
        self._stale = True

    def _poll(self, now: int) -> None:
        self._stale = False  # before reading: a revocation from now on sets it again
        row = self._db.execute("select number from generation").fetchone()
        if row is None or row[0] != self._generation:
            self._known.clear()
            self._generation = row[0] if row else 0
        self._polled = now

    def _read(self, tenant: str, hashed: bytes) -> _Known:
        row = self._db.execute(
            "select t.sealed, a.sealed, a.disabled from token t join account a using(tenant, handle) "
            "where t.tenant = ? and t.hash = ?",
            (tenant, hashed),
        ).fetchone()
        if row is None or row[2]:
            raise not_valid()
        content = self._open(tenant, hashed, row[0])
        # Opened under the handle that the token names: a row pointed at another account does not open.
        profile = open_profile(self._keys_of(tenant), content.handle, row[1])
        bound, session = content.bound, content.session
        if bound is not None:
            granted = self._granted(tenant, bound.grant)
            if granted is None:
                raise not_valid()
            session = granted
        actor = Actor(
            tenant=tenant,
            id=profile.name,
            kind=profile.kind,
            roles=profile.roles,
            purpose=content.purpose,
            party=profile.party,
            session=content.id,
            scopes=content.scopes,
            acr=content.acr if bound is None else bound.acr,
            proved_ms=content.proved if bound is None else bound.proved,
            client="" if bound is None else bound.client,
            patient="" if bound is None else bound.patient,
            encounter="" if bound is None else bound.encounter,
        )
        return _Known(
            actor,
            content.expires,
            session,
            bound is None,
            "" if bound is None else bound.jkt,
            "" if bound is None else bound.grant,
        )

    def _open(self, tenant: str, hashed: bytes, sealed: bytes) -> _Sealed:
        plain = self._keys_of(tenant).sealer("identity").open(sealed, _place(tenant, hashed))
        return msgspec.msgpack.decode(plain, type=_Sealed)

    def _hash(self, tenant: str, token: str) -> bytes:
        mac = self._keys_of(tenant).mac("identity-token").copy()  # without the tenant's keys nobody gets in
        mac.update(token.encode())
        return mac.finalize()


def _place(tenant: str, hashed: bytes) -> tuple[str, str, bytes]:
    return ("token", tenant, hashed)


def _record(content: _Sealed, user: str) -> TokenRecord:
    return TokenRecord(
        content.id,
        user,
        content.purpose,
        content.label,
        content.scopes,
        content.created,
        content.expires,
        content.bound,
    )


def not_valid(detail: str = "token refused") -> Problem:
    """What a token is told that gives no access, whatever the cause."""
    # https://www.rfc-editor.org/rfc/rfc6750#section-3.1
    challenge = 'error="invalid_token", error_description="The access token is not valid."'
    return Problem(Kind.UNAUTHENTICATED, "The access token is not valid.", detail, challenge=challenge)
