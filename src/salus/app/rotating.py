# SPDX-License-Identifier: Apache-2.0
"""Rotations over all rooms, each in steps that may stop anywhere: whoever asks again goes on with the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from salus.app.house import House
from salus.app.indexing import operator
from salus.audit.event import EventType
from salus.audit.signers import Turn, newest_number
from salus.kernel.commit import Unit
from salus.records.index_turn import advance, begin, left, under_way, waits

SIGNING = "signing"
_LOOK_SECONDS = 0.5

Tell = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and how much there is."""


async def rotate_signing(house: House, tenant: str) -> int:
    """Have another key sign the audit log of a tenant; gives its number. One commit: it is done, or it never was.

    Raises:
        Problem: NOT_FOUND for an unknown tenant; CONFLICT when another process did the same just now.
    """
    keys = house.keyring.tenant(tenant)
    number = newest_number(house.db, tenant) + 1
    unit = Unit()
    unit.parts["audit-signer"] = Turn(tenant, number)
    reason = f"key {number} that signs the audit log"
    await house.record(unit, house.operator(tenant), EventType.KEYS_ROTATE, reason)
    keys.note_rotation(SIGNING, house.clock.now_ms())
    return number


async def rotate_index(house: House, tenant: str, tell: Tell = lambda *_: None) -> bool:
    """Go over to another index key, or go on with what was begun.

    Returns:
        Whether all is done; if not, tokens of the former key are still to be removed, a little later.

    Raises:
        Problem: NOT_FOUND for an unknown tenant; CONFLICT while the index is behind for another reason.
    """
    house.keyring.tenant(tenant)
    ctx = operator(house, tenant)
    if under_way(ctx) is None:
        await begin(ctx)
    lock, most = house.indexing, left(ctx)
    while not lock.try_enter():  # a server is at it already
        tell("records", most - left(ctx), most)
        if under_way(ctx) is None or waits(ctx):
            break
        await asyncio.sleep(_LOOK_SECONDS)
    else:
        try:
            return await advance(ctx, tell) is None
        finally:
            lock.__exit__()
    return under_way(ctx) is None
