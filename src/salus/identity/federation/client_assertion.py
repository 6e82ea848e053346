# SPDX-License-Identifier: Apache-2.0
"""How we prove ourselves with a key instead of a secret (RFC 7523 section 2.2, OpenID Connect Core 1.0 section 9)."""

from __future__ import annotations

import msgspec
from joserfc import jws
from joserfc.jwk import ECKey

from salus.identity.federation.provider import Provider
from salus.kernel.ids import uuid7

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SECONDS = 60


def assertion(provider: Provider, token_endpoint: str, now_ms: int) -> str:
    """A signed statement that we are this client, for one use within a minute.

    Args:
        provider: its `secret` is our private key, see `providers.new_private_key`.
        token_endpoint: the audience.
        now_ms: milliseconds since the epoch.
    """
    now = now_ms // 1000
    claims = {
        "iss": provider.client_id,
        "sub": provider.client_id,
        "aud": token_endpoint,
        "jti": uuid7(),
        "iat": now,
        "exp": now + _SECONDS,
    }
    key = ECKey.import_key(msgspec.json.decode(provider.secret))
    header = {"alg": "ES256", "kid": key.kid, "typ": "JWT"}
    return jws.serialize_compact(header, msgspec.json.encode(claims), key, algorithms=["ES256"])
