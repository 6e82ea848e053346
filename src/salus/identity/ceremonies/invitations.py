# SPDX-License-Identifier: Apache-2.0
"""Codes that an administrator has made for a person: to begin, or to come back after something was lost.

A code is 120 random bits, kept as keyed hash, bound to one account and one purpose (`flow.Began`). It works once, and
for three days (an invitation) or one (everything else). Whoever made it never learns or chooses a password: the person
sets it with the code. A code may start to work later than now, so that its person can object.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from salus.identity.accounts.people_store import keyed_hash, open_row, seal_row
from salus.identity.accounts.profile import handle_of
from salus.identity.accounts.recovery_codes import new_code, normal
from salus.identity.accounts.store import Guard, Statement, Values, add
from salus.identity.accounts.users import KeysOf
from salus.identity.ceremonies.flow import Began
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Problem

_HOUR_MS = 3600 * 1000
HOURS: dict[Began, int] = {Began.INVITE: 72, Began.PASSWORD: 24, Began.FACTORS: 24, Began.ALL: 24}


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    began: str
    handle: bytes


@dataclass(frozen=True, slots=True)
class Invitation:
    """A code that fits, not used up yet.

    Attributes:
        hash: under which it lies.
        began: what it is for.
    """

    hash: bytes
    began: Began


class Invitations:
    """Codes of all tenants."""

    def __init__(self, db: Connection, keys_of: KeysOf, clock: Clock) -> None:
        self._db = db
        self._keys_of = keys_of
        self._clock = clock

    def make(self, unit: Unit, tenant: str, name: str, began: Began, *, hold_ms: int = 0) -> tuple[str, int]:
        """Make a code in place of any other that the account has.

        Args:
            hold_ms: how long until it starts to work.

        Returns:
            The code, which cannot be had again, and when it ends, in milliseconds since the epoch.
        """
        keys, code = self._keys_of(tenant), new_code()
        handle = handle_of(keys, name)
        hashed = self._hash(tenant, handle, code)
        starts = self._clock.now_ms() + hold_ms
        ends = starts + HOURS[began] * _HOUR_MS
        self.remove_all(unit, tenant, name)
        sealed = seal_row(keys, "invitation", hashed, _Sealed(began, handle))
        values: Values = (tenant, hashed, handle, starts, ends, sealed)
        add(
            unit,
            Statement("insert into invitation(tenant, hash, handle, starts, ends, sealed) values(?,?,?,?,?,?)", values),
        )
        return code, ends

    def find(self, tenant: str, name: str, code: str) -> Invitation | None:
        """The code of an account, if it is one and works now."""
        keys, now = self._keys_of(tenant), self._clock.now_ms()
        handle = handle_of(keys, name)
        hashed = self._hash(tenant, handle, code)
        row = self._db.execute(
            "select sealed from invitation where tenant = ? and hash = ? and handle = ? and starts <= ? and ends > ?",
            (tenant, hashed, handle, now, now),
        ).fetchone()
        if row is None:
            return None
        return Invitation(hashed, Began(open_row(keys, "invitation", hashed, row[0], _Sealed).began))

    def use(self, unit: Unit, tenant: str, hashed: bytes, otherwise: Problem) -> None:
        """Use a code up; the commit fails with `otherwise` when it is not there any more."""
        where: Values = (tenant, hashed)
        guard = Guard("select 1 from invitation where tenant = ? and hash = ?", where, otherwise)
        add(unit, Statement("delete from invitation where tenant = ? and hash = ?", where, guard))

    def remove_all(self, unit: Unit, tenant: str, name: str) -> None:
        """End all codes of an account; there may be none."""
        where: Values = (tenant, handle_of(self._keys_of(tenant), name))
        add(unit, Statement("delete from invitation where tenant = ? and handle = ?", where))

    def _hash(self, tenant: str, handle: bytes, code: str) -> bytes:
        return keyed_hash(self._keys_of(tenant), "identity-invitation", f"{handle.hex()}:{normal(code)}")
