# SPDX-License-Identifier: Apache-2.0
"""Programs that register themselves (RFC 7591), and look after their registration later (RFC 7592).

Nobody registers without an initial access token that an administrator handed out: it allows a number of registrations
for a time, and none of them gets more scopes than it names. What comes back with a registration is a token for that one
registration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any

import msgspec

from salus.crypto.tenant_keys import TenantKeys
from salus.fhir.smart.scopes import normalise, written_list
from salus.identity.accounts.store import Guard, Statement, add
from salus.identity.clients.client import Client
from salus.identity.clients.client_secrets import ClientSecrets
from salus.identity.clients.metadata import from_metadata
from salus.identity.clients.registry import Clients
from salus.identity.clients.rules import is_plain
from salus.identity.clients.store import handle_of, hashed, new_secret, seal, unseal
from salus.identity.oauth.errors import Code, OAuthError
from salus.identity.smart.scopes import narrow
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Issue, Kind, Problem
from salus.kernel.ids import uuid7

MOST = 1_000
LONGEST_HOURS = 90 * 24
USUAL_SCOPES = "openid fhirUser launch launch/patient launch/encounter offline_access online_access patient/*.rs"
_INITIAL, _MANAGE = "salus_ia_", "salus_ra_"
_LONGEST = 100
_LIVE = (
    "select id, sealed, remaining, expires from client_permission where tenant = ? and remaining > 0 and expires > ?"
)


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    label: str
    scopes: str
    created: int


@dataclass(frozen=True, slots=True)
class Permission:
    """What an initial access token still allows; the token itself is not in it.

    Attributes:
        id: names it in lists.
        label: who it was handed to.
        scopes: what a client registered with it may ask for at most.
        remaining: registrations that are left.
        created_ms, expires_ms: milliseconds since the epoch.
    """

    id: str
    label: str
    scopes: str
    remaining: int
    created_ms: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Registered:
    """A new registration, with what is shown once.

    Attributes:
        secret: of a confidential client that has one; else empty.
        manage: the token with which it changes its own registration.
    """

    client: Client
    secret: str
    manage: str


class Registration:
    """Hands out permissions, and registers whoever shows one.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name; NOT_FOUND for an unknown one.
        clients, secrets: where clients are kept.
        clock: the time.
    """

    def __init__(
        self,
        db: Connection,
        keys_of: Callable[[str], TenantKeys],
        clients: Clients,
        secrets: ClientSecrets,
        clock: Clock,
    ) -> None:
        self._db = db
        self._keys_of = keys_of
        self._clients = clients
        self._secrets = secrets
        self._clock = clock

    def permit(
        self, unit: Unit, tenant: str, *, label: str, count: int = 1, hours: int = 24, scopes: str = USUAL_SCOPES
    ) -> tuple[str, Permission]:
        """Make an initial access token.

        Args:
            unit: takes the change; hand the token out only when it is durable.
            tenant: where it may be used.
            label: who it is handed to.
            count: registrations that it allows.
            hours: how long it lasts.
            scopes: what clients may ask for at most.

        Raises:
            Problem: INVALID for a value out of bounds.
        """
        known = written_list(normalise(scopes))
        if not is_plain(label, 200) or not 0 < count <= MOST or not 0 < hours <= LONGEST_HOURS:
            text = f"A permission has a label, allows 1 to {MOST} registrations, and lasts 1 to {LONGEST_HOURS} hours."
            raise Problem(Kind.INVALID, text)
        if len(known.split()) != len(scopes.split()) or "system/" in known:
            text = "The scopes are those that this server knows, and none of system/: services are registered by hand."
            raise Problem(Kind.INVALID, text, issues=(Issue("invalid", text, "scope"),))
        keys, now = self._keys_of(tenant), self._clock.now_ms()
        token = new_secret(_INITIAL)
        made = Permission(uuid7(), label, known, count, now, now + hours * 3_600_000)
        sealed = seal(keys, "client-permission", made.id.encode(), msgspec.msgpack.encode(_Sealed(label, known, now)))
        row = (tenant, made.id, hashed(keys, "client-permission", token.encode()), sealed, count, made.expires_ms)
        sql = "insert into client_permission(tenant, id, hash, sealed, remaining, expires) values(?,?,?,?,?,?)"
        add(unit, Statement(sql, row))
        return token, made

    def permissions(self, tenant: str) -> list[Permission]:
        """Permissions that still count, newest first."""
        keys = self._keys_of(tenant)
        rows: list[Any] = self._db.execute(_LIVE, (tenant, self._clock.now_ms())).fetchall()
        found = [_opened(keys, *row) for row in rows]
        return sorted(found, key=lambda each: each.id, reverse=True)

    def withdraw(self, unit: Unit, tenant: str, id: str) -> None:  # noqa: A002  the field's word
        """End a permission.

        Raises:
            Problem: the commit fails with NOT_FOUND when there is none with this id.
        """
        absent = Problem(Kind.NOT_FOUND, "There is no such permission.")
        which = "where tenant = ? and id = ?"
        guard = Guard(f"select 1 from client_permission {which}", (tenant, id), absent)
        add(unit, Statement(f"delete from client_permission {which}", (tenant, id), guard))

    def end_all(self, unit: Unit) -> None:
        """End all permissions of all tenants: after a restore, one that was withdrawn since would be back."""
        add(unit, Statement("delete from client_permission", ()))

    def register(self, unit: Unit, tenant: str, token: str, sent: Mapping[str, Any]) -> Registered:
        """Register whoever shows an initial access token.

        Args:
            unit: takes the change; answer only when it is durable.
            tenant: the tenant that the request addresses.
            token: as received; anything.
            sent: client metadata.

        Raises:
            OAuthError: `invalid_token` (401), `invalid_redirect_uri` or `invalid_client_metadata`.
            Problem: the commit fails with UNAUTHENTICATED when another request used the last registration up.
        """
        permission = self._find(tenant, token)
        keys, id_ = self._keys_of(tenant), uuid7()
        manage = new_secret(_MANAGE)
        with _told():
            wanted = from_metadata({"scope": permission.scopes, **sent}, tenant=tenant, id=id_, administrator=False)
            made = _narrowed(wanted, permission.scopes)
            made = self._clients.add(unit, made, manage=_manage_hash(keys, id_, manage))
        secret = ""
        if made.auth_method.startswith("client_secret_"):
            secret, _ = self._secrets.issue(unit, made)
        still = "select 1 from client_permission where tenant = ? and id = ? and remaining > 0 and expires > ?"
        values = (tenant, permission.id, self._clock.now_ms())
        add(
            unit,
            Statement(
                "update client_permission set remaining = remaining - 1 "
                "where tenant = ? and id = ? and remaining > 0 and expires > ?",
                values,
                Guard(still, values, Problem(Kind.UNAUTHENTICATED, "This permission is used up.", "registration")),
            ),
        )
        return Registered(made, secret, manage)

    def own(self, tenant: str, id: str, token: str) -> Client:  # noqa: A002
        """The client that looks after its own registration (RFC 7592 section 2).

        Raises:
            OAuthError: `invalid_token` (401), the same for a client that does not exist.
        """
        kept = self._clients.managed_by(tenant, id[:_LONGEST]) or bytes(32)
        shown = _manage_hash(self._keys_of(tenant), id[:_LONGEST], token[:_LONGEST])
        client = self._clients.find(tenant, id[:_LONGEST])
        if not compare_digest(kept, shown) or client is None or client.disabled:
            raise _no_token()
        return client

    def change(self, unit: Unit, old: Client, sent: Mapping[str, Any]) -> Client:
        """Put what a client says of itself in the place of what it said before (RFC 7592 section 2.2); never with more
        scopes or grant types than it has, and never without what an administrator demanded of it.

        Raises:
            OAuthError: `invalid_redirect_uri` or `invalid_client_metadata`.
        """
        limit = " ".join(old.scopes)
        with _told():
            if sent.get("client_id") != old.id:
                raise Problem(
                    Kind.INVALID, "", issues=(Issue("invalid", "The client_id has to be its own.", "client_id"),)
                )
            wanted = from_metadata({"scope": limit, **sent}, tenant=old.tenant, id=old.id, administrator=False)
            if wanted.auth_method != old.auth_method:
                text = "How a client proves who it is stays as it was registered."
                raise Problem(Kind.INVALID, "", issues=(Issue("invalid", text, "token_endpoint_auth_method"),))
            kept = msgspec.structs.replace(
                _narrowed(wanted, limit),
                grant_types=tuple(grant for grant in wanted.grant_types if grant in old.grant_types),
                require_par=wanted.require_par or old.require_par,
                dpop=wanted.dpop or old.dpop,
                origins=old.origins,
            )
            return self._clients.change(unit, old, kept)

    def _find(self, tenant: str, token: str) -> Permission:
        keys = self._keys_of(tenant)
        shown = hashed(keys, "client-permission", token[:_LONGEST].encode("utf-8", "replace"))
        row: Any = self._db.execute(f"{_LIVE} and hash = ?", (tenant, self._clock.now_ms(), shown)).fetchone()
        if row is None:
            raise _no_token()
        return _opened(keys, *row)


class _told:  # noqa: N801  reads like a keyword where it stands
    """What is not fit, in the words of RFC 7591 section 3.2.2."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        if not isinstance(problem, Problem) or problem.kind is not Kind.INVALID:
            return
        first = problem.issues[0] if problem.issues else Issue("invalid", problem.public)
        code: Code = "invalid_redirect_uri" if first.place == "redirect_uris" else "invalid_client_metadata"
        words = f"{first.place}: {first.text}" if first.place else first.text
        raise OAuthError(code, words.replace('"', "'")) from None


def _narrowed(client: Client, limit: str) -> Client:
    granted = narrow(normalise(" ".join(client.scopes)), normalise(limit))
    return msgspec.structs.replace(client, scopes=tuple(scope.text for scope in granted))


def _manage_hash(keys: TenantKeys, id_: str, token: str) -> bytes:
    return hashed(keys, "client-manage", handle_of(keys, id_), token.encode("utf-8", "replace"))


def _opened(keys: TenantKeys, id_: str, sealed: bytes, remaining: int, expires: int) -> Permission:
    plain = unseal(keys, "client-permission", id_.encode(), sealed)
    kept = msgspec.msgpack.decode(plain, type=_Sealed)
    return Permission(id_, kept.label, kept.scopes, remaining, kept.created, expires)


def _no_token() -> OAuthError:
    return OAuthError("invalid_token", "The token is not valid.", 401, detail="registration token refused")
