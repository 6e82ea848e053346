# SPDX-License-Identifier: Apache-2.0
"""Asking an identity provider: its metadata, its keys, and the redemption of a code.

What was fetched is kept for an hour, and that it could not be fetched for five seconds. A key that is not known is
looked for once more, at most once a minute for each provider, so that a stranger's tokens cannot make us ask without
end.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote_plus

from salus.fhir import json
from salus.identity.federation.client_assertion import ASSERTION_TYPE, assertion
from salus.identity.federation.keys import PublicKey, knows, read_keys
from salus.identity.federation.metadata import Metadata, address_of, read
from salus.identity.federation.provider import Provider
from salus.identity.federation.refusal import Reason, away, refused
from salus.kernel.clock import Clock
from salus.kernel.errors import Problem

_KEPT_MS = 3_600_000
_AGAIN_MS = 60_000
_FAILED_MS = 5_000
_MOST_REMEMBERED = 100
_LONGEST_TOKEN = 32_768


class Wire(Protocol):
    """Requests to other parties, guarded against being led astray; see `wire.GuardedWire`."""

    async def get(self, address: str) -> bytes:
        """The body of a 200. Raises Problem(UNAVAILABLE) for everything else."""
        ...

    async def post(self, address: str, form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Send a form; status and body. Raises Problem(UNAVAILABLE) when nothing comes back."""
        ...


@dataclass(slots=True)
class _Kept:
    metadata: Metadata
    keys: tuple[PublicKey, ...]
    fetched_ms: int
    tried_ms: int


@dataclass(frozen=True, slots=True)
class Redeemed:
    """What a code was good for."""

    id_token: str
    access_token: str


class Upstream:
    """The identity providers, as they can be asked.

    Args:
        wire: carries the requests.
        clock: the time.
    """

    def __init__(self, wire: Wire, clock: Clock) -> None:
        self._wire = wire
        self._clock = clock
        self._kept: dict[Provider, _Kept] = {}
        self._failed: dict[Provider, tuple[int, Problem]] = {}

    async def metadata(self, provider: Provider) -> Metadata:
        """What the provider publishes about itself. Raises Problem(UNAVAILABLE)."""
        return (await self._known(provider)).metadata

    async def keys(self, provider: Provider, kid: str | None) -> tuple[PublicKey, ...]:
        """Its keys; fetched again when the one that is asked for is not among them. Raises Problem(UNAVAILABLE)."""
        kept = await self._known(provider)
        now = self._clock.now_ms()
        if not knows(kept.keys, kid) and now - kept.tried_ms >= _AGAIN_MS:
            kept.tried_ms = now  # before asking: others who come meanwhile do not ask as well
            kept.keys = read_keys(await self._wire.get(kept.metadata.jwks_uri))
        return kept.keys

    async def _known(self, provider: Provider) -> _Kept:
        now = self._clock.now_ms()
        kept = self._kept.get(provider)
        if kept is None or now - kept.fetched_ms >= _KEPT_MS:
            failed_ms, problem = self._failed.get(provider, (-_FAILED_MS, None))
            if problem is not None and 0 <= now - failed_ms < _FAILED_MS:
                raise away(problem.detail.removeprefix("federation: "))
            kept = await self._fetched(provider, now)
        return kept

    async def _fetched(self, provider: Provider, now: int) -> _Kept:
        try:
            metadata = read(await self._wire.get(address_of(provider.issuer)), provider)
            keys = read_keys(await self._wire.get(metadata.jwks_uri))
        except Problem as problem:
            self._room(self._failed)
            self._failed[provider] = now, problem
            raise
        self._room(self._kept)
        kept = self._kept[provider] = _Kept(metadata, keys, now, now)
        return kept

    def _room(self, remembered: dict[Provider, Any]) -> None:
        """What is remembered of providers that were changed meanwhile goes, when it becomes much."""
        if len(remembered) > _MOST_REMEMBERED:
            remembered.clear()

    async def redeem(self, provider: Provider, code: str, verifier: str, redirect_uri: str) -> Redeemed:
        """Redeem a code at the token endpoint (RFC 6749 section 4.1.3, RFC 7636 section 4.5).

        Raises:
            Problem: UNAUTHENTICATED when the provider refuses or answers with something else; UNAVAILABLE.
        """
        endpoint = (await self.metadata(provider)).token_endpoint
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {"accept": "application/json"}
        if provider.auth_method == "client_secret_basic":
            headers["authorization"] = _basic(provider.client_id, provider.secret)
        elif provider.auth_method == "client_secret_post":
            form |= {"client_id": provider.client_id, "client_secret": provider.secret}
        else:
            signed = assertion(provider, endpoint, self._clock.now_ms())
            form |= {
                "client_id": provider.client_id,
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": signed,
            }
        status, body = await self._wire.post(endpoint, form, headers)
        return _redeemed(status, body)


def _redeemed(status: int, body: bytes) -> Redeemed:
    if status != 200:
        raise refused(Reason.TOKEN_ANSWER)
    try:
        answer: dict[str, Any] = json.decode(body)
    except Problem:
        raise refused(Reason.TOKEN_ANSWER) from None
    access, kind, identity = (answer.get(name) for name in ("access_token", "token_type", "id_token"))
    if not isinstance(access, str) or not isinstance(kind, str) or kind.lower() != "bearer":
        raise refused(Reason.TOKEN_ANSWER)
    if not isinstance(identity, str) or len(identity) > _LONGEST_TOKEN:
        raise refused(Reason.NO_ID_TOKEN)
    return Redeemed(identity, access)


def _basic(name: str, secret: str) -> str:
    """RFC 6749 section 2.3.1: both are form-encoded first."""
    pair = f"{quote_plus(name)}:{quote_plus(secret)}".encode()
    return "Basic " + base64.b64encode(pair).decode()
