# SPDX-License-Identifier: Apache-2.0
"""Keys that sign id_tokens are replaced by the server itself, before they are too old."""

from __future__ import annotations

from functools import partial

from salus.app.background import Background
from salus.app.house import House
from salus.audit.event import EventType
from salus.identity.oauth.rotation import tend
from salus.kernel.commit import Unit

_LOOK_SECONDS = 600.0


def key_tending(house: House) -> Background:
    """The task of one worker process: looks every ten minutes. The first keys of a tenant are made when needed."""
    return Background("replacing signing keys", partial(tend_keys, house), pause=_LOOK_SECONDS, first=_LOOK_SECONDS)


async def tend_keys(house: House) -> list[str]:
    """Do what is due for each tenant that has keys, and write it down; says what was done."""
    done: list[str] = []
    for tenant in house.keyring.tenants():
        if not house.oauth.signing.all(tenant):
            continue

        async def commit(unit: Unit, words: str, tenant: str = tenant) -> None:
            await house.record(unit, house.operator(tenant), EventType.OAUTH_KEY, words)

        done += await tend(house.oauth.signing, tenant, commit)
    return done
