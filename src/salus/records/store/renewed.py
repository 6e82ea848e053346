# SPDX-License-Identifier: Apache-2.0
"""Patients whose key was replaced: nothing is written under the former key any more, by whichever process.

A line stays for good: a process may hold the former key for as long as it runs.
"""

from __future__ import annotations

from salus.access.facts import SURROGATE
from salus.crypto.envelope import commitment
from salus.kernel.db import Connection

_SOME = "select 1 from renewed limit 1"
_KEY = "select key from renewed where tenant=? and owner=?"


def replaced(db: Connection, tenant: str, owner: bytes, sealed: bytes) -> bool:
    """Whether something that was sealed for one patient lies under a key that was replaced; under the write lock."""
    if len(owner) != SURROGATE or not sealed or db.execute(_SOME).fetchone() is None:
        return False
    found: tuple[bytes] | None = db.execute(_KEY, (tenant, owner)).fetchone()
    return found is not None and found[0] != commitment(sealed)


def write_under(db: Connection, tenant: str, owner: bytes, key: bytes, at_ms: int) -> None:
    """From now on take only what is sealed under the key with this commitment."""
    db.execute("insert or replace into renewed values(?,?,?,?)", (tenant, owner, key, at_ms))
