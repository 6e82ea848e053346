# SPDX-License-Identifier: Apache-2.0
"""Where erasures are kept: one sealed row each, found by the patient's surrogate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from salus.crypto.envelope import SealingKey
from salus.kernel.commit import Unit
from salus.kernel.db import Connection, migrate
from salus.kernel.errors import Kind, Problem
from salus.privacy.erasure import Erasure

PART = "privacy"
_SCHEMA = (
    """
    create table erasure(
      tenant text not null, owner blob not null, sealed blob not null, primary key(tenant, owner)
    ) strict, without rowid;
    """,
)
_PURPOSE = "erasure"


class Keys(Protocol):
    """What the desk needs of a tenant's keys."""

    def sealer(self, purpose: str) -> SealingKey:
        """A sealing key for a purpose."""
        ...

    def surrogate(self, kind: str, value: str) -> bytes:
        """The opaque name of a value."""
        ...


class Kept(msgspec.Struct, frozen=True):
    """A row to be written in place of the one that was read; `former` is empty for the first."""

    tenant: str
    owner: bytes
    former: bytes
    sealed: bytes


class Desk:
    """Erasures of all tenants.

    Args:
        db: connection for reading.
        keys_of: keys of a tenant by its name.
    """

    def __init__(self, db: Connection, keys_of: Callable[[str], Keys]) -> None:
        self._db = db
        self._keys_of = keys_of

    def owner(self, tenant: str, patient: str) -> bytes:
        """The surrogate of a patient."""
        return self._keys_of(tenant).surrogate("Patient", patient)

    def find(self, tenant: str, owner: bytes) -> Erasure | None:
        """The erasure of a patient, if somebody has asked for it.

        Raises:
            Problem: FAULT when the row was tampered with.
        """
        row = self._row(tenant, owner)
        if not row:
            return None
        plain = self._keys_of(tenant).sealer(_PURPOSE).open(row, (_PURPOSE, tenant, owner))
        return msgspec.json.decode(plain, type=Erasure)

    def all(self, tenant: str) -> list[Erasure]:
        """Every erasure of a tenant, oldest first."""
        rows: list[Any] = self._db.execute("select owner from erasure where tenant=?", (tenant,)).fetchall()
        found = [erasure for (owner,) in rows if (erasure := self.find(tenant, owner)) is not None]
        return sorted(found, key=lambda erasure: erasure.requested_ms)

    def keep(self, unit: Unit, tenant: str, owner: bytes, erasure: Erasure) -> None:
        """Put an erasure into a unit; the commit fails with CONFLICT when somebody else changed it meanwhile."""
        plain = msgspec.json.encode(erasure)
        sealed = self._keys_of(tenant).sealer(_PURPOSE).seal(plain, (_PURPOSE, tenant, owner))
        unit.parts.setdefault(PART, []).append(Kept(tenant, owner, self._row(tenant, owner), sealed))

    def _row(self, tenant: str, owner: bytes) -> bytes:
        return _row(self._db, tenant, owner)


class ErasureWrites:
    """The participant `privacy` of `salus.kernel.commit`; a part is a list of `Kept`."""

    name = PART

    def begin(self, db: Connection) -> None:
        """Nothing to do."""

    def check(self, db: Connection, part: list[Kept]) -> None:
        """Turn away what was prepared from another state."""
        for kept in part:
            if _row(db, kept.tenant, kept.owner) != kept.former:
                raise Problem(Kind.CONFLICT, "Someone else changed this erasure at the same time.")

    def apply(self, db: Connection, parts: Sequence[list[Kept]]) -> None:
        """Write the rows."""
        for kept in (kept for part in parts for kept in part):
            db.execute("insert or replace into erasure values(?,?,?)", (kept.tenant, kept.owner, kept.sealed))

    def committed(self) -> None:
        """Nothing is cached."""

    def rolled_back(self) -> None:
        """Nothing is cached."""

    def idle(self, db: Connection) -> bool:
        """No housekeeping."""
        return False


def prepare(db: Connection) -> None:
    """Make or update the table of this room."""
    migrate(db, PART, _SCHEMA)


def _row(db: Connection, tenant: str, owner: bytes) -> bytes:
    found: Any = db.execute("select sealed from erasure where tenant=? and owner=?", (tenant, owner)).fetchone()
    return bytes(found[0]) if found else b""
