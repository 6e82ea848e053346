# SPDX-License-Identifier: Apache-2.0
"""The registry of clients: who is registered in which tenant, with what.

Functions that change something add to the caller's `Unit` and change nothing themselves; the caller commits it together
with the audit entry. Whatever takes something away from a client ends what it holds (`ends`), within a second.
"""

from __future__ import annotations

from collections.abc import Callable, Container

import msgspec

from salus.crypto.tenant_keys import TenantKeys
from salus.identity.accounts.store import Guard, Statement, add
from salus.identity.accounts.users import Users
from salus.identity.clients.client import Client
from salus.identity.clients.rules import check
from salus.identity.clients.store import handle_of, seal, unseal
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Issue, Kind, Problem

KeysOf = Callable[[str], TenantKeys]
Ending = Callable[[Unit, str, str], None]
"""(unit, tenant, client id): adds to the unit what ends all tokens and grants of a client."""

_EXISTS = "select 1 from client where tenant = ? and handle = ?"
_DECOY = bytes(16)
_WHERE = "where tenant = ? and handle = ?"


class Clients:
    """Clients of all tenants.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name; NOT_FOUND for an unknown one.
        users: accounts, for the service accounts of backend services.
        clock: the time.
        purposes: the purposes of use that exist.
    """

    def __init__(
        self, db: Connection, keys_of: KeysOf, users: Users, clock: Clock, purposes: Container[str] = ()
    ) -> None:
        self._db = db
        self._keys_of = keys_of
        self._users = users
        self._clock = clock
        self._purposes = purposes
        self._endings: list[Ending] = []
        self._decoys: dict[str, bytes] = {}
        self._origins: dict[str, tuple[tuple[int, int], frozenset[str]]] = {}

    def ends(self, ending: Ending) -> None:
        """Tell what else ends when a client is disabled or removed, or may do less than before."""
        self._endings.append(ending)

    def find(self, tenant: str, id: str) -> Client | None:  # noqa: A002  the field's word
        """The client with this id, or None.

        Raises:
            Problem: NOT_FOUND for an unknown tenant.
        """
        keys = self._keys_of(tenant)
        handle = handle_of(keys, id)
        row = self._db.execute(f"select sealed from client {_WHERE}", (tenant, handle)).fetchone()
        return None if row is None else _open(keys, handle, row[0])

    def find_active(self, tenant: str, id: str) -> Client | None:  # noqa: A002
        """The client with this id if it is not disabled; for strangers, it takes as long whether there is one or not.

        Raises:
            Problem: NOT_FOUND for an unknown tenant.
        """
        client = self.find(tenant, id)
        if client is None:
            keys = self._keys_of(tenant)
            if tenant not in self._decoys:
                self._decoys[tenant] = _seal(keys, _DECOY, _nobody(tenant))
            _open(keys, _DECOY, self._decoys[tenant])
        return None if client is None or client.disabled else client

    def all(self, tenant: str) -> list[Client]:
        """All clients of a tenant by id."""
        keys = self._keys_of(tenant)
        rows = self._db.execute("select handle, sealed from client where tenant = ?", (tenant,))
        return sorted((_open(keys, *row) for row in rows), key=lambda client: client.id)

    def origins(self, tenant: str) -> frozenset[str]:
        """Web origins of all clients of a tenant that are not disabled; quick, it is asked at many requests."""
        row = self._db.execute("select count(*), max(changed) from client where tenant = ?", (tenant,)).fetchone()
        state = (row[0], row[1] or 0) if row else (0, 0)
        known = self._origins.get(tenant)
        if known is None or known[0] != state:
            found = frozenset(o for each in self.all(tenant) if not each.disabled for o in each.origins)
            known = self._origins[tenant] = (state, found)
        return known[1]

    def add(self, unit: Unit, client: Client, *, manage: bytes | None = None) -> Client:
        """Register a client.

        Args:
            unit: takes the change.
            client: all but `created_ms`.
            manage: keyed hash of its registration token, if it may change its registration itself.

        Returns:
            The client as it is kept.

        Raises:
            Problem: INVALID when something is not fit; the commit fails with CONFLICT when the id is taken.
        """
        made = check(msgspec.structs.replace(client, created_ms=self._clock.now_ms()))
        self._check_account(made)
        keys = self._keys_of(made.tenant)
        handle = handle_of(keys, made.id)
        taken = Problem(Kind.CONFLICT, "There is already a client with this id.")
        add(
            unit,
            Statement(
                "insert or ignore into client(tenant, handle, sealed, manage, changed) values(?,?,?,?,?)",
                (made.tenant, handle, _seal(keys, handle, made), manage, self._clock.now_ms()),
                Guard(f"select 1 where not exists ({_EXISTS})", (made.tenant, handle), taken),
            ),
        )
        return made

    def change(self, unit: Unit, old: Client, new: Client) -> Client:
        """Put a client in the place of what was found before; its id, tenant, age and origin stay.

        What it holds ends when it is disabled, loses scopes, redirect addresses or its way of proving itself.

        Raises:
            Problem: INVALID when something is not fit; the commit fails with CONFLICT when somebody else changed it.
        """
        fixed = {"id": old.id, "tenant": old.tenant, "created_ms": old.created_ms, "dynamic": old.dynamic}
        made = check(msgspec.structs.replace(new, **fixed))
        self._check_account(made)
        keys = self._keys_of(made.tenant)
        handle = handle_of(keys, made.id)
        row = self._db.execute(f"select sealed from client {_WHERE}", (made.tenant, handle)).fetchone()
        if row is None:
            raise no_client()
        if _open(keys, handle, row[0]) != old:
            raise Problem(Kind.CONFLICT, "The client was changed by someone else.")
        where = (made.tenant, handle, row[0])
        conflict = Problem(Kind.CONFLICT, "The client was changed by someone else.")
        add(
            unit,
            Statement(
                f"update client set sealed = ?, changed = max(?, changed + 1) {_WHERE} and sealed = ?",
                (_seal(keys, handle, made), self._clock.now_ms(), *where),
                Guard(f"{_EXISTS} and sealed = ?", where, conflict),
                revokes=True,
            ),
        )
        if not made.auth_method.startswith("client_secret_"):  # else they would count again after a change back
            values = (made.tenant, handle)
            add(unit, Statement("delete from client_secret where tenant = ? and handle = ?", values, revokes=True))
        if _loses(old, made):
            self._end(unit, made)
        return made

    def set_disabled(self, unit: Unit, tenant: str, id: str, *, disabled: bool) -> Client:  # noqa: A002
        """Shut a client out, or let it in again; what it held ends and does not come back.

        Raises:
            Problem: NOT_FOUND without such a client.
        """
        old = self.find(tenant, id)
        if old is None:
            raise no_client()
        return self.change(unit, old, msgspec.structs.replace(old, disabled=disabled))

    def remove(self, unit: Unit, tenant: str, id: str) -> Client:  # noqa: A002
        """Remove a client, its secrets and what it holds.

        Raises:
            Problem: NOT_FOUND without such a client.
        """
        old = self.find(tenant, id)
        if old is None:
            raise no_client()
        where = (tenant, handle_of(self._keys_of(tenant), id))
        add(unit, Statement(f"delete from client {_WHERE}", where, Guard(_EXISTS, where, no_client()), revokes=True))
        self._end(unit, old)
        return old

    def managed_by(self, tenant: str, id: str) -> bytes | None:  # noqa: A002
        """Keyed hash of the registration token of a client; None without such a client or token."""
        handle = handle_of(self._keys_of(tenant), id)
        row = self._db.execute(f"select manage from client {_WHERE}", (tenant, handle)).fetchone()
        return row[0] if row else None

    def _end(self, unit: Unit, client: Client) -> None:
        for ending in self._endings:
            ending(unit, client.tenant, client.id)

    def _check_account(self, client: Client) -> None:
        if client.profile != "backend":
            return
        account = self._users.find(client.tenant, client.account)
        if account is None or account.kind != "service":
            text = "There is no service account of this name: add one first (salus user add --service)."
            raise Problem(Kind.INVALID, text, issues=(Issue("not-found", text, "account"),))
        if client.purpose not in self._purposes:
            text = "This purpose of use is not known."
            raise Problem(Kind.INVALID, text, issues=(Issue("invalid", text, "purpose"),))


def no_client() -> Problem:
    """For administrators only: an application is never told so."""
    return Problem(Kind.NOT_FOUND, "There is no such client.")


def _nobody(tenant: str) -> Client:
    """About as large as a client is."""
    places = tuple(f"https://app-{number}.example/callback" for number in range(2))
    return Client(
        id="nobody",
        name="nobody",
        tenant=tenant,
        kind="public",
        profile="user-app",
        auth_method="none",
        redirect_uris=places,
        scopes=("openid", "launch/patient", "patient/Observation.rs"),
    )


def _loses(old: Client, new: Client) -> bool:
    return (
        (new.disabled and not old.disabled)
        or bool(set(old.scopes) - set(new.scopes))
        or bool(set(old.redirect_uris) - set(new.redirect_uris))
        or bool(set(old.grant_types) - set(new.grant_types))
        or (old.auth_method, old.account, old.purpose) != (new.auth_method, new.account, new.purpose)
        or (new.dpop and not old.dpop)
    )


def _seal(keys: TenantKeys, handle: bytes, client: Client) -> bytes:
    return seal(keys, "client", handle, msgspec.msgpack.encode(client))


def _open(keys: TenantKeys, handle: bytes, sealed: bytes) -> Client:
    return msgspec.msgpack.decode(unseal(keys, "client", handle, sealed), type=Client)
