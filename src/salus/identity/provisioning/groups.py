# SPDX-License-Identifier: Apache-2.0
"""Groups of a directory. Their members get the roles for which an operator lets the group stand, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from salus.crypto.tenant_keys import TenantKeys
from salus.identity.accounts.store import Guard, Statement, Values, add
from salus.identity.accounts.users import KeysOf
from salus.identity.provisioning.mappings import Mappings, name_of
from salus.identity.provisioning.people import People, changed, external_of, taken
from salus.identity.provisioning.person import Group, folded
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Issue, Kind, Problem
from salus.kernel.ids import uuid7

_BY_ID = "select 1 from scim_group where tenant = ? and id = ?"
_BY_NAME = "select 1 from scim_group where tenant = ? and name = ?"


class Groups:
    """Groups of all tenants.

    Args:
        db: connection for reading.
        keys_of: keys of a tenant by its name.
        people: who can be a member.
        mappings: what groups stand for.
        clock: the time.
    """

    def __init__(self, db: Connection, keys_of: KeysOf, people: People, mappings: Mappings, clock: Clock) -> None:
        self._db = db
        self._keys_of = keys_of
        self._people = people
        self._mappings = mappings
        self._clock = clock

    # ── finding ─────────────────────────────────────────────────────────────────────────────────────────────

    def find(self, tenant: str, id_: str) -> Group | None:
        """The group of this id, or None."""
        return next(self._read(tenant, "id = ?", (id_,)), None)

    def named(self, tenant: str, display: str) -> Group | None:
        """The group of this name, however it is written, or None."""
        return next(self._read(tenant, "name = ?", (name_of(self._keys_of(tenant), "scim-group", display),)), None)

    def external(self, tenant: str, external_id: str) -> Iterator[Group]:
        """Those to which the directory gave this externalId."""
        return self._read(tenant, "external = ?", (external_of(self._keys_of(tenant), external_id),))

    def all(self, tenant: str) -> Iterator[Group]:
        """All groups, in the order in which they came."""
        return self._read(tenant, "true order by id", ())

    def members(self, tenant: str, id_: str) -> tuple[str, ...]:
        """Ids of the members of a group."""
        rows = self._db.execute(
            "select person from scim_member where tenant = ? and team = ? order by person", (tenant, id_)
        ).fetchall()
        return tuple(str(person) for (person,) in rows)

    def of_person(self, tenant: str, person: str) -> list[Group]:
        """The groups of somebody."""
        rows = self._db.execute(
            "select team from scim_member where tenant = ? and person = ? order by team", (tenant, person)
        ).fetchall()
        return [group for (id_,) in rows if (group := self.find(tenant, str(id_))) is not None]

    def _read(self, tenant: str, condition: str, values: Values) -> Iterator[Group]:
        keys = self._keys_of(tenant)
        rows = self._db.execute(
            f"select id, sealed from scim_group where tenant = ? and {condition}", (tenant, *values)
        )
        for id_, sealed in list(rows):
            yield _open(keys, id_, sealed)

    # ── changing ────────────────────────────────────────────────────────────────────────────────────────────

    def add(self, unit: Unit, tenant: str, *, display: str, external_id: str, members: Iterable[str]) -> Group:
        """Make a group.

        Raises:
            Problem: INCORRECT (`invalidValue`) for a member that is nobody here; CONFLICT (`uniqueness`) when the
                name is taken.
        """
        if self.named(tenant, display) is not None:
            raise taken()
        now = self._clock.now_ms()
        group = Group(id=uuid7(), display=display, external_id=external_id, created_ms=now, modified_ms=now)
        keys = self._keys_of(tenant)
        name = name_of(keys, "scim-group", display)
        add(
            unit,
            Statement(
                "insert or ignore into scim_group(tenant, id, name, external, version, sealed) values(?,?,?,?,?,?)",
                (tenant, group.id, name, external_of(keys, external_id), 1, _seal(keys, group)),
                Guard(f"select 1 where not exists ({_BY_NAME})", (tenant, name), taken()),
            ),
        )
        self._set_members(unit, tenant, group, (), members)
        return group

    def change(self, unit: Unit, tenant: str, before: Group, after: Group, members: Iterable[str]) -> Group:
        """Write what the directory changed about a group.

        Raises:
            Problem: as `add`; the commit fails with CONFLICT when somebody else was first.
        """
        after = msgspec.structs.replace(
            after,
            id=before.id,
            version=before.version + 1,
            created_ms=before.created_ms,
            modified_ms=self._clock.now_ms(),
        )
        other = self.named(tenant, after.display)
        if other is not None and other.id != before.id:
            raise taken()
        keys = self._keys_of(tenant)
        where: Values = (tenant, before.id, before.version)
        name = name_of(keys, "scim-group", after.display)
        add(
            unit,
            Statement(
                "update or ignore scim_group set name = ?, external = ?, version = ?, sealed = ? "
                "where tenant = ? and id = ? and version = ?",
                (name, external_of(keys, after.external_id), after.version, _seal(keys, after), *where),
                Guard(_BY_ID + " and version = ?", where, changed()),
            ),
        )
        renamed = folded(before.display) != folded(after.display)
        self._set_members(unit, tenant, after, self.members(tenant, before.id), members, all_of_them=renamed)
        return after

    def remove(self, unit: Unit, tenant: str, group: Group) -> None:
        """Delete a group; its members lose the roles that it stood for.

        Raises:
            Problem: the commit fails with CONFLICT when somebody else was first.
        """
        where: Values = (tenant, group.id, group.version)
        condition = "tenant = ? and id = ? and version = ?"
        guard = Guard(f"select 1 from scim_group where {condition}", where, changed())
        add(unit, Statement(f"delete from scim_group where {condition}", where, guard))
        self._set_members(unit, tenant, group, self.members(tenant, group.id), ())

    def bring_up_to_date(self, unit: Unit, tenant: str, display: str, roles: Iterable[str]) -> int:
        """Give the members of a group the roles that it stands for from now on.

        Returns:
            How many members there are.
        """
        group = self.named(tenant, display)
        members = self.members(tenant, group.id) if group is not None else ()
        if group is not None:
            self._grant(unit, tenant, group, members, members, tuple(roles))
        return len(members)

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────

    def _set_members(
        self,
        unit: Unit,
        tenant: str,
        group: Group,
        before: tuple[str, ...],
        after: Iterable[str],
        *,
        all_of_them: bool = False,
    ) -> None:
        wanted = tuple(dict.fromkeys(after))
        come = [id_ for id_ in wanted if id_ not in set(before)]
        gone = [id_ for id_ in before if id_ not in set(wanted)]
        for id_ in come:
            if self._people.find(tenant, id_) is None:
                words = "A member of a group is a provisioned person, named by their id."
                raise Problem(Kind.INCORRECT, words, issues=(Issue("invalidValue", words, "members"),))
            there: Values = (tenant, id_)
            add(
                unit,
                Statement(
                    "insert or ignore into scim_member(tenant, team, person) values(?,?,?)",
                    (tenant, group.id, id_),
                    Guard("select 1 from scim_user where tenant = ? and id = ?", there, changed()),
                ),
            )
        for id_ in gone:
            add(
                unit,
                Statement(
                    "delete from scim_member where tenant = ? and team = ? and person = ?", (tenant, group.id, id_)
                ),
            )
        affected = tuple(dict.fromkeys((*before, *wanted))) if all_of_them else (*come, *gone)
        self._grant(unit, tenant, group, affected, wanted, self._mappings.roles(tenant, group.display))

    def _grant(
        self,
        unit: Unit,
        tenant: str,
        group: Group,
        affected: Iterable[str],
        members: Iterable[str],
        roles: tuple[str, ...],
    ) -> None:
        """Work out the roles of people anew; for this group by the arguments, for their others by the tables."""
        inside = set(members)
        for id_ in affected:
            person = self._people.find(tenant, id_)
            if person is None:
                continue
            others = (other for other in self.of_person(tenant, id_) if other.id != group.id)
            grants = {role for other in others for role in self._mappings.roles(tenant, other.display)}
            self._people.grant(unit, tenant, person, grants | (set(roles) if id_ in inside else set()))


def _seal(keys: TenantKeys, group: Group) -> bytes:
    return keys.sealer("identity").seal(msgspec.msgpack.encode(group), ("scim-group", keys.name, group.id))


def _open(keys: TenantKeys, id_: str, sealed: bytes) -> Group:
    plain = keys.sealer("identity").open(sealed, ("scim-group", keys.name, id_))
    return msgspec.msgpack.decode(plain, type=Group)
