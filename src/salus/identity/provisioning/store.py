# SPDX-License-Identifier: Apache-2.0
"""Tables of provisioned people and groups. Names are sealed; a row is found by a keyed surrogate."""

from __future__ import annotations

from salus.kernel.db import Connection, migrate

ROOM = "identity.provisioning"

_SCHEMA = (
    """
    create table scim_user(
        tenant text not null,
        id text not null,
        handle blob not null,           -- of the account
        name blob not null,             -- surrogate of userName, folded
        external blob not null,         -- surrogate of externalId; empty if there is none
        version int not null,
        sealed blob not null,           -- msgpack: Person
        primary key(tenant, id)
    ) strict, without rowid;
    create unique index scim_user_name on scim_user(tenant, name);
    create unique index scim_user_account on scim_user(tenant, handle);
    create index scim_user_external on scim_user(tenant, external);
    create table scim_gone(             -- accounts whose person was deleted: their names are not given again
        tenant text not null,
        handle blob not null,
        primary key(tenant, handle)
    ) strict, without rowid;
    create table scim_group(
        tenant text not null,
        id text not null,
        name blob not null,             -- surrogate of displayName, folded
        external blob not null,
        version int not null,
        sealed blob not null,           -- msgpack: Group
        primary key(tenant, id)
    ) strict, without rowid;
    create unique index scim_group_name on scim_group(tenant, name);
    create index scim_group_external on scim_group(tenant, external);
    create table scim_member(
        tenant text not null,
        team text not null,
        person text not null,
        primary key(tenant, team, person)
    ) strict, without rowid;
    create index scim_member_person on scim_member(tenant, person);
    create table scim_role(             -- which group stands for which role; an operator says so
        tenant text not null,
        name blob not null,             -- surrogate of the group's displayName, folded
        role text not null,
        sealed blob not null,           -- the displayName
        primary key(tenant, name, role)
    ) strict, without rowid;
    """,
)


def prepare(db: Connection) -> None:
    """Make or update the tables of provisioning."""
    migrate(db, ROOM, _SCHEMA)
