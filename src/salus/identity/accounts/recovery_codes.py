# SPDX-License-Identifier: Apache-2.0
"""Ten codes to come back with when a second factor is lost: 120 random bits each, shown once, kept as keyed hash.

A code works once. New codes end the old ones. Written in four groups of six from an alphabet without I, L, O and U; how
somebody types it (small letters, no hyphens, O for 0) does not matter.
"""

from __future__ import annotations

import secrets

from salus.identity.accounts.people_store import keyed_hash
from salus.identity.accounts.profile import handle_of
from salus.identity.accounts.store import Guard, Statement, Values, add
from salus.identity.accounts.users import KeysOf
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Problem

COUNT = 10
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32
_LENGTH = 24
_READ_AS = str.maketrans("ILO", "110")


def new_code() -> str:
    """A code of 120 random bits, in four groups of six."""
    text = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return "-".join(text[start : start + 6] for start in range(0, _LENGTH, 6))


def normal(code: str) -> str:
    """A code as it was meant, however it was typed; empty for what can be none."""
    text = "".join(code.upper().translate(_READ_AS).replace("-", " ").split())
    return text if len(text) == _LENGTH and not set(text) - set(_ALPHABET) else ""


class RecoveryCodes:
    """Recovery codes of all tenants."""

    def __init__(self, db: Connection, keys_of: KeysOf) -> None:
        self._db = db
        self._keys_of = keys_of

    def renew(self, unit: Unit, tenant: str, name: str) -> tuple[str, ...]:
        """Make ten codes in place of whatever codes there were; they cannot be had again."""
        codes = tuple(new_code() for _ in range(COUNT))
        self.remove_all(unit, tenant, name)
        handle = handle_of(self._keys_of(tenant), name)
        for code in codes:
            values: Values = (tenant, self._hash(tenant, handle, normal(code)), handle)
            add(unit, Statement("insert into recovery_code(tenant, hash, handle) values(?,?,?)", values))
        return codes

    def left(self, tenant: str, name: str) -> int:
        """How many codes an account has left."""
        handle = handle_of(self._keys_of(tenant), name)
        query = "select count(*) from recovery_code where tenant = ? and handle = ?"
        row = self._db.execute(query, (tenant, handle)).fetchone()
        return row[0] if row else 0

    def use(self, unit: Unit, tenant: str, name: str, code: str, otherwise: Problem) -> bool:
        """Use a code up.

        Args:
            otherwise: what the commit fails with when the same code was used at the same moment.

        Returns:
            Whether there is such a code.
        """
        handle = handle_of(self._keys_of(tenant), name)
        where: Values = (tenant, self._hash(tenant, handle, normal(code)), handle)
        exists = "select 1 from recovery_code where tenant = ? and hash = ? and handle = ?"
        if self._db.execute(exists, where).fetchone() is None:
            return False
        delete = "delete from recovery_code where tenant = ? and hash = ? and handle = ?"
        add(unit, Statement(delete, where, Guard(exists, where, otherwise)))
        return True

    def remove_all(self, unit: Unit, tenant: str, name: str) -> None:
        """End all codes of an account; there may be none."""
        where: Values = (tenant, handle_of(self._keys_of(tenant), name))
        add(unit, Statement("delete from recovery_code where tenant = ? and handle = ?", where))

    def _hash(self, tenant: str, handle: bytes, code: str) -> bytes:
        return keyed_hash(self._keys_of(tenant), "identity-recovery", f"{handle.hex()}:{code}")
