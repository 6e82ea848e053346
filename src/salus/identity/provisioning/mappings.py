# SPDX-License-Identifier: Apache-2.0
"""Which group stands for which role. Only an operator says so; a directory that names a role gives nothing by it."""

from __future__ import annotations

from dataclasses import dataclass

from salus.crypto.tenant_keys import TenantKeys
from salus.identity.accounts.store import Guard, Statement, Values, add
from salus.identity.accounts.users import KeysOf
from salus.identity.provisioning.person import folded
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem


@dataclass(frozen=True, slots=True)
class Mapping:
    """Members of the group of this name have the role."""

    group: str
    role: str


class Mappings:
    """Mappings of all tenants.

    Args:
        db: connection for reading.
        keys_of: keys of a tenant by its name.
    """

    def __init__(self, db: Connection, keys_of: KeysOf) -> None:
        self._db = db
        self._keys_of = keys_of

    def all(self, tenant: str) -> list[Mapping]:
        """All mappings of a tenant."""
        keys = self._keys_of(tenant)
        rows = self._db.execute("select name, role, sealed from scim_role where tenant = ?", (tenant,))
        found = (
            Mapping(keys.sealer("identity").open(sealed, _place(keys, name, role)).decode(), role)
            for name, role, sealed in rows
        )
        return sorted(found, key=lambda each: (each.group, each.role))

    def roles(self, tenant: str, group: str) -> tuple[str, ...]:
        """The roles that a group of this name stands for."""
        name = name_of(self._keys_of(tenant), "scim-group", group)
        rows = self._db.execute(
            "select role from scim_role where tenant = ? and name = ? order by role", (tenant, name)
        ).fetchall()
        return tuple(str(role) for (role,) in rows)

    def add(self, unit: Unit, tenant: str, group: str, role: str) -> None:
        """Let a group stand for a role. Whoever calls checks the role, and brings the members up to date.

        Raises:
            Problem: INVALID for a name that is none.
        """
        if not group.strip() or len(group) > 200:
            raise Problem(Kind.INVALID, "The name of a group has 1 to 200 characters.")
        keys = self._keys_of(tenant)
        name = name_of(keys, "scim-group", group)
        sealed = keys.sealer("identity").seal(group.encode(), _place(keys, name, role))
        add(
            unit,
            Statement(
                "insert or replace into scim_role(tenant, name, role, sealed) values(?,?,?,?)",
                (tenant, name, role, sealed),
            ),
        )

    def remove(self, unit: Unit, tenant: str, group: str, role: str) -> None:
        """Take a mapping away.

        Raises:
            Problem: the commit fails with NOT_FOUND without it.
        """
        where: Values = (tenant, name_of(self._keys_of(tenant), "scim-group", group), role)
        none = Problem(Kind.NOT_FOUND, "This group does not stand for this role.")
        guard = Guard("select 1 from scim_role where tenant = ? and name = ? and role = ?", where, none)
        add(unit, Statement("delete from scim_role where tenant = ? and name = ? and role = ?", where, guard))


def name_of(keys: TenantKeys, kind: str, name: str) -> bytes:
    """The surrogate of a name, however it is written."""
    return keys.surrogate(kind, folded(name))


def _place(keys: TenantKeys, name: bytes, role: str) -> tuple[str, str, bytes, str]:
    return ("scim-role", keys.name, name, role)
