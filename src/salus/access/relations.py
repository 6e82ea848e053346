# SPDX-License-Identifier: Apache-2.0
"""Care relationships, projected from the records that state them.

A CareTeam or an Encounter says who looks after whom. When such a record is written, `records` puts a
`Replace` into the unit of the same commit; so a decision sees the relationship from the moment the record
is durable, and no longer than the record states it. The table holds surrogates only.

It is no register of who works here, and it does not judge which relationship is enough: that is the policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from salus.kernel.commit import Unit
from salus.kernel.db import Connection, migrate

PART = "access"

_SCHEMA = (
    """
    create table relation(
        tenant text not null,
        party blob not null,
        owner blob not null,
        kind text not null,
        source blob not null,
        primary key(tenant, party, owner, kind, source)
    ) strict, without rowid;
    create index relation_source on relation(tenant, source);
    """,
)


@dataclass(frozen=True, slots=True)
class Replace:
    """From now on, this record states exactly these relationships.

    Attributes:
        tenant: name of the tenant.
        source: 16-byte surrogate of the record (CareTeam, Encounter …) that states them.
        relations: (party, owner, kind) with 16-byte surrogates of the party's reference and of the patient;
            the kind is
            a word such as `care-team`. Empty when the record was deleted or states none any more.
    """

    tenant: str
    source: bytes
    relations: tuple[tuple[bytes, bytes, str], ...]


@dataclass(frozen=True, slots=True)
class Forget:
    """Nobody is related to this patient any more."""

    tenant: str
    owner: bytes


class CareRelations(Protocol):
    """Whatever can say whether a care relationship exists."""

    def related(self, tenant: str, party: bytes, owner: bytes) -> bool:
        """Whether the party has a care relationship to the patient."""
        ...


def prepare(db: Connection) -> None:
    """Make or update the tables of this room."""
    migrate(db, "access", _SCHEMA)


def forget(unit: Unit, change: Forget) -> None:
    """Add the end of all relations to a patient to what a request writes."""
    unit.parts.setdefault(PART, []).append(change)


def replace(unit: Unit, change: Replace) -> None:
    """Add a change to what a request writes."""
    unit.parts.setdefault(PART, []).append(change)
    unit.weight += 1 + len(change.relations)


class Relations:
    """Reads care relationships.

    Args:
        db: a connection of the thread that decides; each question sees the latest commit.
    """

    def __init__(self, db: Connection) -> None:
        self._db = db

    def related(self, tenant: str, party: bytes, owner: bytes) -> bool:
        """Whether the party has a care relationship to the patient, of any kind.

        Args:
            tenant: name of the tenant.
            party: 16-byte surrogate of the party's reference.
            owner: 16-byte surrogate of the patient.
        """
        found = self._db.execute(
            "select 1 from relation where tenant = ? and party = ? and owner = ? limit 1",
            (tenant, party, owner),
        ).fetchone()
        return found is not None

    def all(self, tenant: str) -> Iterator[tuple[bytes, bytes, str, bytes]]:
        """Every relationship: party, owner, kind, and the record that states it."""
        sql = "select party, owner, kind, source from relation where tenant = ?"
        found: Any = self._db.execute(sql, (tenant,))
        yield from found


class RelationWrites:
    """Takes part in the group commit (`salus.kernel.commit.Participant`); a part is a list of changes."""

    name = PART

    def begin(self, db: Connection) -> None:
        """Nothing to do."""

    def check(self, db: Connection, part: list[Replace | Forget]) -> None:
        """Nothing can stand against it."""

    def apply(self, db: Connection, parts: Sequence[list[Replace | Forget]]) -> None:
        """Write the changes in order, so that of two for one source the later one holds."""
        for part in parts:
            for change in part:
                if isinstance(change, Forget):
                    db.execute("delete from relation where tenant = ? and owner = ?", (change.tenant, change.owner))
                    continue
                db.execute("delete from relation where tenant = ? and source = ?", (change.tenant, change.source))
                db.executemany(
                    "insert or ignore into relation(tenant, party, owner, kind, source) values(?,?,?,?,?)",
                    [(change.tenant, *relation, change.source) for relation in change.relations],
                )

    def committed(self) -> None:
        """Nothing is cached."""

    def rolled_back(self) -> None:
        """Nothing is cached."""

    def idle(self, db: Connection) -> bool:
        """No housekeeping."""
        return False
