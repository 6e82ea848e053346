# SPDX-License-Identifier: Apache-2.0
"""Identity providers of others, played in this process: honest by default, and as dishonest as a test wants them.

The real peer is `oidc-provider` from npm, in `tests/clients`; this one can also say what no honest provider says.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jws
from joserfc.jwk import ECKey, Key, RSAKey

from salus.kernel.errors import Kind, Problem

Claims = dict[str, Any]
KEY = RSAKey.generate_key(2048, {"kid": "k1"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "k2"})
CURVE_KEY = ECKey.generate_key("P-256", {"kid": "e1"})


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class IdentityProvider:
    """One of them.

    Attributes:
        issuer: its issuer.
        keys: what it publishes.
        names_itself: whether it promises `iss` in its answers, and gives it.
        change: what it does to the claims of an identity token before signing.
        make: how it makes a token of header and claims.
        asked: forms that its token endpoint was sent, with the headers.
    """

    def __init__(self, issuer: str, clock: Any, *, names_itself: bool = True) -> None:
        self.issuer = issuer
        self.clock = clock
        self.keys: list[Key] = [KEY]
        self.names_itself = names_itself
        self.subject = "248289761001"
        self.change: Callable[[Claims], Claims] = lambda claims: claims
        self.make: Callable[[Claims], str] = self.signed
        self.answer: Callable[[dict[str, Any]], dict[str, Any]] = lambda answer: answer
        self.metadata: dict[str, Any] = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/jwks",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": names_itself,
        }
        self.asked: list[tuple[dict[str, str], dict[str, str]]] = []
        self.fetched: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}

    def signed(self, claims: Claims, key: Key = KEY, **header: Any) -> str:
        head = {"alg": "RS256", "kid": key.kid, **header}
        return jws.serialize_compact(head, json.dumps(claims), key, algorithms=[head["alg"]])

    def approve(self, address: str) -> list[tuple[str, str]]:
        """The person signs in and agrees; what the browser brings back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert address.startswith(f"{self.issuer}/authorize?")
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        answer = [("code", code), ("state", asked["state"])]
        return [*answer, ("iss", self.issuer)] if self.names_itself else answer

    async def get(self, address: str) -> bytes:
        self.fetched.append(address)
        if address == f"{self.issuer}/.well-known/openid-configuration":
            return json.dumps(self.metadata).encode()
        if address == f"{self.issuer}/jwks":
            return json.dumps({"keys": [key.as_dict(private=False) for key in self.keys]}).encode()
        raise Problem(Kind.UNAVAILABLE, "nothing there", "404")

    async def post(self, address: str, form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, bytes]:
        assert address == f"{self.issuer}/token"
        self.asked.append((dict(form), dict(headers)))
        asked = self._codes.pop(form["code"], None)
        challenge = encoded(hashlib.sha256(form["code_verifier"].encode()).digest())
        if asked is None or challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return 400, b'{"error":"invalid_grant"}'
        now = self.clock.now_ms() // 1000
        access = secrets.token_urlsafe(16)
        claims = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": asked["client_id"],
            "exp": now + 300,
            "iat": now,
            "auth_time": now,
            "nonce": asked["nonce"],
            "at_hash": encoded(hashlib.sha256(access.encode()).digest()[:16]),
            "email": "dr.amara@clinic.example",
            "preferred_username": "dr.amara",
            "name": "Amara Okafor",
            "sid": "there-1",
        }
        answer = {"access_token": access, "token_type": "Bearer", "id_token": self.make(self.change(claims))}
        return 200, json.dumps(self.answer(answer)).encode()


class Outside:
    """The network: every provider at its address."""

    def __init__(self, *providers: IdentityProvider) -> None:
        self.providers = providers

    def _at(self, address: str) -> IdentityProvider:
        for provider in self.providers:
            if address.startswith(provider.issuer + "/"):
                return provider
        raise Problem(Kind.UNAVAILABLE, "nobody there", "no route")

    async def get(self, address: str) -> bytes:
        return await self._at(address).get(address)

    async def post(self, address: str, form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, bytes]:
        return await self._at(address).post(address, form, headers)
