# SPDX-License-Identifier: Apache-2.0
"""Tables of the authorization server, and how what is kept in them is named and sealed.

Whatever a stranger could show (a code, a refresh token, the name of a pushed request or of an interaction) is random
and kept only as a keyed hash; what belongs to it is sealed and bound to that hash. Changes are `Statement`s of
`salus.identity.accounts.store`, so that a code, the token that it gives and the audit entry become durable together.
"""

from __future__ import annotations

import secrets
from typing import Any, TypeVar

import msgspec

from salus.crypto.tenant_keys import TenantKeys
from salus.kernel.db import Connection, migrate
from salus.kernel.errors import Kind, Problem

T = TypeVar("T")

_SCHEMA = (
    """
    create table oauth_signing_key(
        tenant text not null,
        kid text not null,
        algorithm text not null,
        state text not null check(state in ('pending', 'active', 'retired')),
        since int not null,         -- of this state, milliseconds since the epoch
        public text not null,       -- JWK
        sealed blob not null,       -- private key, PKCS #8; empty when retired
        primary key(tenant, kid)
    ) strict, without rowid;
    create unique index oauth_one_active on oauth_signing_key(tenant, algorithm) where state = 'active';
    create unique index oauth_one_pending on oauth_signing_key(tenant, algorithm) where state = 'pending';
    create table oauth_request(     -- pushed requests, and requests that wait for a person
        tenant text not null,
        hash blob not null,
        expires int not null,
        sealed blob not null,
        primary key(tenant, hash)
    ) strict, without rowid;
    create index oauth_request_expiry on oauth_request(expires);
    create table oauth_code(
        tenant text not null,
        hash blob not null,
        grant_id text not null,     -- of the grant that it gives
        handle blob not null,       -- of the account
        expires int not null,
        used int not null,
        sealed blob not null,
        primary key(tenant, hash)
    ) strict, without rowid;
    create index oauth_code_grant on oauth_code(tenant, grant_id);
    create index oauth_code_expiry on oauth_code(expires);
    create table oauth_grant(       -- what one person allows one application
        tenant text not null,
        id text not null,
        handle blob not null,
        client blob not null,       -- surrogate of the client_id
        expires int not null,
        sealed blob not null,
        primary key(tenant, id)
    ) strict, without rowid;
    create index oauth_grant_account on oauth_grant(tenant, handle);
    create index oauth_grant_client on oauth_grant(tenant, client);
    create index oauth_grant_expiry on oauth_grant(expires);
    create table oauth_refresh(     -- the family of a grant; exactly one row is not used
        tenant text not null,
        hash blob not null,
        grant_id text not null,
        generation int not null,
        expires int not null,
        used int not null,          -- when, milliseconds since the epoch; 0: not yet
        successor blob,             -- the answer that it was exchanged for, sealed, for a few seconds
        primary key(tenant, hash)
    ) strict, without rowid;
    create unique index oauth_one_leaf on oauth_refresh(tenant, grant_id) where used = 0;
    create index oauth_refresh_grant on oauth_refresh(tenant, grant_id);
    create index oauth_refresh_used on oauth_refresh(used) where successor is not null;
    create table oauth_proof(       -- proofs of possession that were seen
        hash blob primary key,
        expires int not null
    ) strict, without rowid;
    create index oauth_proof_expiry on oauth_proof(expires);
    create trigger oauth_grant_ends after delete on oauth_grant begin
        delete from oauth_refresh where tenant = old.tenant and grant_id = old.id;
        delete from oauth_code where tenant = old.tenant and grant_id = old.id;
    end;
    create trigger oauth_account_disabled after update of disabled on account when new.disabled <> 0 begin
        delete from oauth_grant where tenant = new.tenant and handle = new.handle;
        delete from oauth_code where tenant = new.tenant and handle = new.handle;
    end;
    create trigger oauth_account_gone after delete on account begin
        delete from oauth_grant where tenant = old.tenant and handle = old.handle;
        delete from oauth_code where tenant = old.tenant and handle = old.handle;
    end;
    """,
)

GRACE_MS = 10_000
"""For so long a refresh token that was exchanged gives the same answer again: the first may not have arrived."""

_RANDOM = 32


def prepare(db: Connection) -> None:
    """Make or update the tables of this room; those of `salus.identity.accounts.store` have to be there."""
    migrate(db, "identity.oauth", _SCHEMA)


def new_secret(prefix: str) -> str:
    """256 random bits as text, with a prefix that secret scanners and people know it by."""
    return prefix + secrets.token_urlsafe(_RANDOM)


def hashed(keys: TenantKeys, what: str, secret: str) -> bytes:
    """The name under which a secret is kept: HMAC-SHA256 under a key of the tenant for this sort of secret."""
    mac = keys.mac(f"oauth-{what}").copy()
    mac.update(secret.encode("utf-8", "surrogatepass"))
    return mac.finalize()


def seal(keys: TenantKeys, what: str, name: bytes, value: Any) -> bytes:
    """Seal a value for its row."""
    return keys.sealer("oauth").seal(msgspec.msgpack.encode(value), ("oauth", what, keys.name, name))


def unseal(keys: TenantKeys, what: str, name: bytes, sealed: bytes, type_: type[T]) -> T:
    """Open what `seal` sealed; FAULT when it was altered or moved to another row."""
    plain = keys.sealer("oauth").open(sealed, ("oauth", what, keys.name, name))
    return msgspec.msgpack.decode(plain, type=type_)


def lost_race(detail: str) -> Problem:
    """Somebody else changed it between our look and the commit: look again."""
    return Problem(Kind.CONFLICT, "Someone else was first.", detail)


_SWEEPS = (
    "delete from oauth_request where expires <= ?",
    "delete from oauth_grant where expires <= ?",
    # A used code stays while its grant lives: shown again, it ends the grant.
    "delete from oauth_code where expires <= ? and not exists "
    "(select 1 from oauth_grant g where g.tenant = oauth_code.tenant and g.id = oauth_code.grant_id)",
    "delete from oauth_proof where expires <= ?",
)


def sweep(db: Connection, now_ms: int) -> None:
    """Delete what has ended; inside a transaction of the writer."""
    for statement in _SWEEPS:
        db.execute(statement, (now_ms,))
    db.execute(
        "update oauth_refresh set successor = null where successor is not null and used <= ?", (now_ms - GRACE_MS,)
    )
