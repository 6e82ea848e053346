# SPDX-License-Identifier: Apache-2.0
"""Tables of identity providers, of the people linked to them, and of what may be redeemed only once.

Issuers, subjects and names stand in no row: they are sealed, and a row is found by a keyed surrogate. A sign-in that
is on its way has no row at all: it travels, sealed, in a cookie of the browser that began it.
"""

from __future__ import annotations

from salus.identity.accounts.store import Guard, Statement
from salus.kernel.db import Connection, migrate
from salus.kernel.errors import Problem

ROOM = "identity.federation"

_SCHEMA = (
    """
    create table idp(
        tenant text not null,
        id text not null,
        sealed blob not null,           -- msgpack: Provider
        primary key(tenant, id)
    ) strict, without rowid;
    create table idp_link(
        tenant text not null,
        person blob not null,           -- surrogate of issuer and subject
        handle blob not null,           -- of the account
        idp text not null,
        sealed blob not null,           -- msgpack: Link
        primary key(tenant, person)
    ) strict, without rowid;
    create index idp_link_account on idp_link(tenant, handle);
    create table idp_session(
        tenant text not null,
        session text not null,          -- of ours
        idp text not null,
        person blob not null,           -- surrogate of issuer and subject
        sid blob not null,              -- surrogate of issuer and the session there; empty if it named none
        ends int not null,
        primary key(tenant, session)
    ) strict, without rowid;
    create index idp_session_person on idp_session(tenant, person);
    create index idp_session_sid on idp_session(tenant, sid);
    create table idp_used(              -- states and logout tokens that were redeemed, until they expire
        tenant text not null,
        mark blob not null,             -- surrogate
        ends int not null,
        primary key(tenant, mark)
    ) strict, without rowid;
    create index idp_used_age on idp_used(ends);
    """,
    """
    drop table idp_session;
    create table idp_sid(               -- sessions at providers, for logout tokens that name nothing else
        tenant text not null,
        sid blob not null,              -- surrogate of issuer and session
        idp text not null,
        person blob not null,           -- surrogate of issuer and subject
        ends int not null,
        primary key(tenant, sid)
    ) strict, without rowid;
    """,
)


def prepare(db: Connection) -> None:
    """Make or update the tables of federation."""
    migrate(db, ROOM, _SCHEMA)


def once(tenant: str, mark: bytes, now_ms: int, ends_ms: int, otherwise: Problem) -> tuple[Statement, ...]:
    """Changes that redeem something: the commit fails with `otherwise` the second time.

    Args:
        tenant: name of the tenant.
        mark: surrogate of what is redeemed.
        now_ms: milliseconds since the epoch; what ended before is forgotten.
        ends_ms: from when on it would be refused for its age anyway.
        otherwise: the refusal.
    """
    where = (tenant, mark)
    return (
        Statement("delete from idp_used where ends <= ?", (now_ms,)),
        Statement(
            "insert or ignore into idp_used(tenant, mark, ends) values(?,?,?)",
            (*where, ends_ms),
            Guard("select 1 where not exists (select 1 from idp_used where tenant = ? and mark = ?)", where, otherwise),
        ),
    )
