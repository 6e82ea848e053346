# SPDX-License-Identifier: Apache-2.0
"""Grants: what one person allows one application, or what a service is registered for.

Every token of an application belongs to a grant and ends with it, within a tenth of a second in all processes. A grant
ends when it is taken away (by the person, the application or an administrator), when its refresh token is used twice,
with its account or its application, and by time: a refresh token that nobody uses ends after `refresh_days`, and the
whole after `grant_days`. Without `offline_access` it also ends with the session at the browser (SMART `online_access`).
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from salus.crypto.tenant_keys import TenantKeys
from salus.identity.accounts.profile import handle_of
from salus.identity.accounts.store import Guard, Statement, Values, add
from salus.identity.accounts.users import KeysOf
from salus.identity.oauth.parties import Clients
from salus.identity.oauth.store import seal, unseal
from salus.identity.smart.context import LaunchContext
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem

_DAY_MS = 24 * 3600 * 1000
_LIVE = "select id, sealed from oauth_grant where tenant = ? and expires > ?"


class Allowed(msgspec.Struct, frozen=True, array_like=True):
    """What was allowed, by whom, how surely they were recognised.

    Attributes:
        user: login name of the account that the application acts for.
        client: `client_id`.
        session: id of the session at the browser; empty for a service.
        purpose: purpose of use.
        scopes: granted scopes.
        patient, encounter: ids of the launch context; empty if none.
        launch: the rest of it.
        audience: the FHIR base that tokens are for.
        acr, amr: level and factors.
        proved: when they last proved to be there, milliseconds since the epoch.
        signed_in: when they signed in (`auth_time`).
        created: when they allowed it.
        jkt: thumbprint of the key that a refresh token of a public application is bound to; empty for none.
    """

    user: str
    client: str
    session: str
    purpose: str
    scopes: tuple[str, ...]
    patient: str
    encounter: str
    launch: LaunchContext | None
    audience: str
    acr: str
    amr: tuple[str, ...]
    proved: int
    signed_in: int
    created: int
    jkt: str = ""

    @property
    def offline(self) -> bool:
        """Whether it outlives the session at the browser."""
        return "offline_access" in self.scopes or not self.session

    @property
    def refreshes(self) -> bool:
        """Whether the application gets refresh tokens."""
        return bool(self.session) and bool({"offline_access", "online_access"} & set(self.scopes))


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant that lives.

    Attributes:
        id: names it in lists, for revocation and in the audit log.
        tenant: whose wall it stands behind.
        allowed: what was allowed.
    """

    id: str
    tenant: str
    allowed: Allowed


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long things live, in milliseconds; the settings of section `[oauth]`."""

    access_ms: int = 3600 * 1000
    refresh_ms: int = 100 * _DAY_MS
    grant_ms: int = 395 * _DAY_MS


class Grants:
    """Grants of all tenants.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name.
        clock: the time.
        clients: the registry.
    """

    def __init__(self, db: Connection, keys_of: KeysOf, clock: Clock, clients: Clients) -> None:
        self._db = db
        self._keys_of = keys_of
        self._clock = clock
        self._clients = clients

    def add(self, unit: Unit, tenant: str, id: str, allowed: Allowed, expires_ms: int) -> Grant:  # noqa: A002
        """Begin a grant; the commit fails with CONFLICT when its account is disabled or gone."""
        keys = self._keys_of(tenant)
        handle = handle_of(keys, allowed.user)
        enabled = "select 1 from account where tenant = ? and handle = ? and disabled = 0"
        gone = Problem(Kind.CONFLICT, "The account is not active.", "the account of a grant is disabled")
        add(
            unit,
            Statement(
                "insert into oauth_grant(tenant, id, handle, client, expires, sealed) "
                f"select ?,?,?,?,?,? where exists ({enabled})",
                (
                    tenant,
                    id,
                    handle,
                    client_handle(keys, allowed.client),
                    expires_ms,
                    seal(keys, "grant", id.encode(), allowed),
                    tenant,
                    handle,
                ),
                Guard(enabled, (tenant, handle), gone),
            ),
        )
        return Grant(id, tenant, allowed)

    def find(self, tenant: str, id: str) -> Grant | None:  # noqa: A002
        """A grant that lives: by time, by its application, and by its session where it ends with one."""
        row = self._db.execute(f"{_LIVE} and id = ?", (tenant, self._clock.now_ms(), id)).fetchone()
        grant = None if row is None else self._open(tenant, *row)
        if grant is None:
            return None
        client = self._clients.find(tenant, grant.allowed.client)
        return None if client is None or client.disabled else grant

    def session_of(self, tenant: str, id: str) -> str | None:  # noqa: A002
        """For `tokens.Granted`: the session that a grant ends with, "" for none; None when the grant is over."""
        grant = self.find(tenant, id)
        if grant is None:
            return None
        return "" if grant.allowed.offline else grant.allowed.session

    def listed(self, tenant: str, *, name: str = "", client_id: str = "") -> list[Grant]:
        """Everything that is allowed at present, newest first; of one account or of one application alone."""
        if name:
            found = self.of_user(tenant, name)
            return [grant for grant in found if client_id in {"", grant.allowed.client}]
        return self.of_client(tenant, client_id) if client_id else self._listed(tenant, "tenant", tenant)

    def of_user(self, tenant: str, name: str) -> list[Grant]:
        """What a person allows at present, newest first: the list of their applications."""
        handle = handle_of(self._keys_of(tenant), name)
        return self._listed(tenant, "handle", handle)

    def of_client(self, tenant: str, client_id: str) -> list[Grant]:
        """What people allow an application at present, newest first."""
        return self._listed(tenant, "client", client_handle(self._keys_of(tenant), client_id))

    def revoke(self, unit: Unit, tenant: str, id: str, *, user: str = "") -> None:  # noqa: A002
        """End a grant and all its tokens, or with `user` only if it is theirs.

        Raises:
            Problem: the commit fails with NOT_FOUND when there is none.
        """
        values: Values = (tenant, id)
        condition = "tenant = ? and id = ?"
        if user:
            condition += " and handle = ?"
            values = (*values, handle_of(self._keys_of(tenant), user))
        absent = Problem(Kind.NOT_FOUND, "There is no such permission of an application.")
        guard = Guard(f"select 1 from oauth_grant where {condition}", values, absent)
        add(unit, Statement(f"delete from oauth_grant where {condition}", values, guard, revokes=True))

    def end(self, unit: Unit, tenant: str, id: str) -> None:  # noqa: A002
        """End a grant and all its tokens, if it still lives."""
        add(unit, Statement("delete from oauth_grant where tenant = ? and id = ?", (tenant, id), revokes=True))

    def end_user(self, unit: Unit, tenant: str, name: str, *, client_id: str = "") -> None:
        """End everything that a person allows, or all that they allow one application; codes as well."""
        keys = self._keys_of(tenant)
        values: Values = (tenant, handle_of(keys, name))
        if client_id:
            condition = "tenant = ? and handle = ? and client = ?"
            values = (*values, client_handle(keys, client_id))
            add(unit, Statement(f"delete from oauth_grant where {condition}", values, revokes=True))
            return
        for table in ("oauth_grant", "oauth_code"):
            add(unit, Statement(f"delete from {table} where tenant = ? and handle = ?", values, revokes=True))

    def end_client(self, unit: Unit, tenant: str, client_id: str) -> None:
        """End everything that an application may do, for all people."""
        values = (tenant, client_handle(self._keys_of(tenant), client_id))
        add(unit, Statement("delete from oauth_grant where tenant = ? and client = ?", values, revokes=True))

    def end_patient(self, unit: Unit, tenant: str, patient: str) -> None:
        """End everything whose launch context is a patient: the patient is being erased."""
        for grant in self._listed(tenant, "tenant", tenant):
            if grant.allowed.patient == patient:
                self.end(unit, tenant, grant.id)

    def end_all(self, unit: Unit) -> None:
        """End all grants of all tenants: after a restore, one that was taken away since would be back."""
        for table in ("oauth_grant", "oauth_code", "oauth_request"):
            add(unit, Statement(f"delete from {table}", (), revokes=True))

    def extend(self, unit: Unit, grant: Grant, expires_ms: int) -> None:
        """Let a grant live on: its refresh token was used."""
        values = (expires_ms, grant.tenant, grant.id)
        add(unit, Statement("update oauth_grant set expires = ? where tenant = ? and id = ?", values))

    def _listed(self, tenant: str, column: str, value: bytes | str) -> list[Grant]:
        rows = self._db.execute(f"{_LIVE} and {column} = ?", (tenant, self._clock.now_ms(), value))
        found = [self._open(tenant, id_, sealed) for id_, sealed in rows]
        return sorted(found, key=lambda grant: (grant.allowed.created, grant.id), reverse=True)

    def _open(self, tenant: str, id_: str, sealed: bytes) -> Grant:
        return Grant(id_, tenant, unseal(self._keys_of(tenant), "grant", id_.encode(), sealed, Allowed))


def client_handle(keys: TenantKeys, client_id: str) -> bytes:
    """The surrogate under which the grants of an application are found."""
    return keys.surrogate("oauth-client", client_id)
