# SPDX-License-Identifier: Apache-2.0
"""The keys of a client: those in its registration, or those behind the address that it registered.

What was fetched is used for as long as its `Cache-Control` says and never longer (SMART App Launch 2.2, asymmetric
authentication), an hour at most. A failure is remembered for 30 seconds. A signature by an unknown key has the set
fetched anew, once a minute at most, since a client that renewed its keys is the likely reason; anyone may send such
signatures, so more of them fetch nothing.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from salus.identity.clients import keys
from salus.identity.clients.client import Client
from salus.identity.clients.keys import Key
from salus.kernel.clock import Clock, parse_http_date
from salus.kernel.errors import Problem
from salus.kernel.fetch import Fetched

_log = logging.getLogger(__name__)

USUAL_MS = 5 * 60 * 1000
LONGEST_MS = 60 * 60 * 1000
FAILED_MS = 30 * 1000
RELOAD_MS = 60 * 1000
_KEPT = 1_000
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?(\d{1,9})", re.IGNORECASE)
_NOT_KEPT = re.compile(r"(?:^|[,\s])no-(?:store|cache)\b", re.IGNORECASE)


class Fetching(Protocol):
    """What fetches; see `salus.kernel.fetch`."""

    async def get(self, url: str, *, accept: str) -> Fetched:
        """Fetch a document. Raises Problem(INVALID or UNAVAILABLE)."""
        ...


@dataclass(slots=True)
class _Kept:
    """What is known of one address.

    Attributes:
        found: the keys; None after a failure.
        until_ms: how long that counts.
        reloaded_ms: when it was last fetched because of an unknown key.
    """

    found: list[Key] | None
    until_ms: int
    reloaded_ms: int


class KeySets:
    """Finds the keys that a signature may have been made with.

    Args:
        fetch: fetches documents of strangers.
        clock: the time.
    """

    def __init__(self, fetch: Fetching, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._loading: dict[tuple[str, str], asyncio.Task[_Kept]] = {}

    async def fit(self, client: Client, alg: str, kid: str) -> list[Key]:
        """The keys of a client with this `kid`, of the kind that the algorithm takes; none when they cannot be had."""
        if client.jwks:
            return keys.fit(_inline(client.jwks), alg, kid)
        if not client.jwks_uri:
            return []
        place = (client.tenant, client.jwks_uri)
        kept = self._kept.get(place)
        now = self._clock.now_ms()
        if kept is None or not 0 < kept.until_ms - now <= LONGEST_MS:
            kept = await self._load(place, kept.reloaded_ms if kept else 0)
            return keys.fit(kept.found or [], alg, kid)
        found = keys.fit(kept.found or [], alg, kid)
        if not found and kept.found is not None and not 0 <= now - kept.reloaded_ms < RELOAD_MS:
            kept = await self._load(place, now)
            found = keys.fit(kept.found or [], alg, kid)
        return found

    async def _load(self, place: tuple[str, str], reloaded_ms: int) -> _Kept:
        """Fetch a set; whoever asks meanwhile waits for the same answer."""
        task = self._loading.get(place)
        if task is None or task.done():
            task = self._loading[place] = asyncio.create_task(self._loaded(place, reloaded_ms))
        try:
            return await asyncio.shield(task)
        finally:
            if task.done():
                self._loading.pop(place, None)

    async def _loaded(self, place: tuple[str, str], reloaded_ms: int) -> _Kept:
        now = self._clock.now_ms()
        try:
            answer = await self._fetch.get(place[1], accept="application/jwk-set+json, application/json")
            found = keys.read(answer.body) if answer.status == 200 else None
            lasts = _lasts_ms(answer.headers, now) if found is not None else FAILED_MS
        except Problem as problem:
            _log.warning("keys of a client: %s", problem.detail)
            found, lasts = None, FAILED_MS
        kept = _Kept(found, now + lasts, reloaded_ms)
        self._kept[place] = kept
        self._kept.move_to_end(place)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return kept


@lru_cache(maxsize=256)
def _inline(text: str) -> tuple[Key, ...]:
    """The keys in a registration, read once."""
    return tuple(keys.read(text))


def _lasts_ms(headers: Mapping[str, str], now_ms: int) -> int:
    """For how long an answer may be used (RFC 9111 sections 4.2 and 5.2.2), an hour at most."""
    control = headers.get("cache-control", "")
    if _NOT_KEPT.search(control):
        return 0
    age = headers.get("age", "0").strip()
    old = int(age[:9]) * 1000 if age.isdecimal() else 0
    if named := _MAX_AGE.findall(control):
        return max(0, min(min(map(int, named)) * 1000 - old, LONGEST_MS))
    if "expires" in headers:
        ends = parse_http_date(headers["expires"])
        return 0 if ends is None else max(0, min(ends * 1000 - now_ms, LONGEST_MS))
    return USUAL_MS
