# SPDX-License-Identifier: Apache-2.0
"""How identity providers are reached: through the one door out (`salus.kernel.fetch`), https only."""

from __future__ import annotations

from collections.abc import Mapping

from salus.identity.federation.refusal import away
from salus.kernel.errors import Problem
from salus.kernel.fetch import Fetched, Fetcher

_LIMIT = 256 * 1024  # bytes: key sets of large providers
_SECONDS = 5.0


class GuardedWire:
    """Carries requests to identity providers (`upstream.Wire`).

    Args:
        fetcher: the door.
    """

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    async def get(self, address: str) -> bytes:
        """The body of a 200. Raises Problem(UNAVAILABLE) for everything else."""
        try:
            fetched: Fetched = await self._fetcher.get(address, limit=_LIMIT, seconds=_SECONDS)
        except Problem as problem:
            raise away(problem.detail) from None
        if fetched.status != 200:
            raise away(f"answered with status {fetched.status}")
        return fetched.body

    async def post(self, address: str, form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Send a form; status and body. Raises Problem(UNAVAILABLE) when nothing comes back."""
        try:
            fetched = await self._fetcher.post(address, form, headers=headers, limit=_LIMIT, seconds=_SECONDS)
        except Problem as problem:
            raise away(problem.detail) from None
        return fetched.status, fetched.body
