# SPDX-License-Identifier: Apache-2.0
"""Rows of patients whose key is gone, after an old copy of the records met newer keys.

Nothing can open them. They are removed with their tokens, so that they are neither found nor stand in the way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from salus.access.facts import SURROGATE
from salus.crypto.keyring import TenantKeys
from salus.kernel.db import Connection, exclusive

_AT_ONCE = 500
_UNDER = """select seq, current, owners, substr(body, 1, 34) from record
            where tenant=? and length(owners)=? and body <> x''"""
_OWNERS = "select distinct owners from record where tenant=? and length(owners)=?"


def remove_erased(db: Connection, keys: TenantKeys, seal: Callable[[Connection], None]) -> int:
    """Remove every version of every record of the tenant `keys.name` that lies under a patient's key that is gone.

    Args:
        seal: called last in the transaction.

    Returns:
        How many rows were removed.
    """
    owners = [owner for (owner,) in db.execute(_OWNERS, (keys.name, SURROGATE))]
    gone: set[bytes] = set()
    for start in range(0, len(owners), _AT_ONCE):
        some = owners[start : start + _AT_ONCE]
        gone |= set(some) - keys.keys_of(some).keys()
    if not gone:
        return 0
    rows = db.execute("select seq, owners, current from record where tenant=?", (keys.name,))
    removed = [(seq, current) for seq, owner, current in rows if owner in gone]
    with exclusive(db):
        for seq, current in removed:
            if current:
                db.execute("delete from blind_token where rowid=?", (seq,))
            db.execute("delete from record where seq=?", (seq,))
        seal(db)
    return len(removed)


def remove_replaced(db: Connection, keys: TenantKeys, seal: Callable[[Connection], None]) -> int:
    """Remove every version that lies under a patient's key which was replaced after this copy was made.

    Args:
        seal: called last in the transaction.

    Returns:
        How many rows were removed.
    """
    lost = []
    found: Any = db.execute(_UNDER, (keys.name, SURROGATE)).fetchall()
    for seq, current, owner, header in found:
        if not keys.opening_key(owner, "", header).made(header):
            lost.append((seq, current))
    with exclusive(db):
        for seq, current in lost:
            if current:
                db.execute("delete from blind_token where rowid=?", (seq,))
            db.execute("delete from record where seq=?", (seq,))
        seal(db)
    return len(lost)
