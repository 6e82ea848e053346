# SPDX-License-Identifier: Apache-2.0
"""Tables of clients, and how what is kept in them is named and sealed.

A client is found by the keyed surrogate of its id, and everything about it is sealed for its place. Secrets, launch
handles and registration tokens are random and kept only as keyed hash: neither a copy of the database nor another
tenant can use them. Changes are `Statement`s of `salus.identity.accounts.store`.
"""

from __future__ import annotations

import secrets

from salus.crypto.tenant_keys import TenantKeys
from salus.kernel.db import Connection, migrate

_SCHEMA = (
    """
    create table client(
        tenant text not null,
        handle blob not null,       -- surrogate of the client's id
        sealed blob not null,       -- msgpack: Client
        manage blob,                -- keyed hash of the token with which it changes its own registration (RFC 7592)
        changed int not null,
        primary key(tenant, handle)
    ) strict, without rowid;
    create table client_secret(
        tenant text not null,
        id text not null,
        handle blob not null,
        hash blob not null,
        created int not null,
        expires int not null,       -- 0: not until it is replaced
        primary key(tenant, id)
    ) strict, without rowid;
    create index client_secret_client on client_secret(tenant, handle);
    create table client_assertion(  -- assertions that were accepted, as long as they could be shown again
        hash blob primary key,
        expires int not null
    ) strict, without rowid;
    create index client_assertion_expiry on client_assertion(expires);
    create table client_permission( -- initial access tokens of dynamic registration (RFC 7591 section 3)
        tenant text not null,
        id text not null,
        hash blob not null,
        sealed blob not null,
        remaining int not null,     -- registrations that it still allows
        expires int not null,
        primary key(tenant, id)
    ) strict, without rowid;
    create unique index client_permission_hash on client_permission(tenant, hash);
    create table client_launch(     -- launches from within the record that wait for the application
        tenant text not null,
        hash blob not null,
        expires int not null,
        sealed blob not null,
        primary key(tenant, hash)
    ) strict, without rowid;
    create index client_launch_expiry on client_launch(expires);
    create trigger client_gone after delete on client begin
        delete from client_secret where tenant = old.tenant and handle = old.handle;
    end;
    """,
    """
    create table client_use(        -- when a grant was last used by its application
        tenant text not null,
        grant_id text not null,
        seen int not null,
        primary key(tenant, grant_id)
    ) strict, without rowid;
    """,
)

_RANDOM = 32


def prepare(db: Connection) -> None:
    """Make or update the tables of this room."""
    migrate(db, "identity.clients", _SCHEMA)


def sweep(db: Connection, now_ms: int) -> None:
    """Delete what has ended; runs in a transaction, now and then."""
    for table in ("client_assertion", "client_launch", "client_permission"):
        db.execute(f"delete from {table} where expires <= ?", (now_ms,))
    db.execute("delete from client_secret where expires > 0 and expires <= ?", (now_ms,))


def handle_of(keys: TenantKeys, id: str) -> bytes:  # noqa: A002  the field's word
    """The surrogate under which a client is found."""
    return keys.surrogate("client", id)


def new_secret(prefix: str) -> str:
    """256 random bits as text, with a prefix by which people and scanners for leaked secrets know it."""
    return prefix + secrets.token_urlsafe(_RANDOM)


def hashed(keys: TenantKeys, what: str, *parts: bytes) -> bytes:
    """Keyed hash of a secret for one meaning; parts cannot run into each other."""
    mac = keys.mac(f"identity-{what}").copy()
    for part in parts:
        mac.update(len(part).to_bytes(4, "big"))
        mac.update(part)
    return mac.finalize()


def seal(keys: TenantKeys, what: str, place: bytes, plain: bytes) -> bytes:
    """Seal something for its place: meaning, tenant and row."""
    return keys.sealer("identity").seal(plain, (what, keys.name, place))


def unseal(keys: TenantKeys, what: str, place: bytes, sealed: bytes) -> bytes:
    """Open what `seal` sealed; FAULT when it was altered or moved."""
    return keys.sealer("identity").open(sealed, (what, keys.name, place))
