# SPDX-License-Identifier: Apache-2.0
"""The public keys of an identity provider (RFC 7517), and which of them may have signed a token. Pure.

Only keys that can verify a signature are read. A secret one (`oct`) is never a key of theirs: it is how a token signed
with HMAC over a public key would be believed.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key

from salus.fhir import json
from salus.identity.federation.refusal import Reason, away, refused
from salus.kernel.errors import Problem

_MOST_KEYS = 100
_SMALLEST_RSA = 2048 // 8  # bytes of the modulus, RFC 7518 section 3.3

# alg: key type and curve (RFC 7518 section 3.1, RFC 8037, RFC 9864)
_FITS: dict[str, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", ())),
    "ES256": ("EC", ("P-256",)),
    "ES384": ("EC", ("P-384",)),
    "EdDSA": ("OKP", ("Ed25519", "Ed448")),
    "Ed25519": ("OKP", ("Ed25519",)),
}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key with what its owner says of it.

    Attributes:
        kid: its id; empty if it has none.
        type: `RSA`, `EC` or `OKP`.
        curve: of `EC` and `OKP`.
        algorithm: the only one it is for; empty for any that fits.
        key: the key itself.
    """

    kid: str
    type: str
    curve: str
    algorithm: str
    key: Key


def read_keys(raw: bytes) -> tuple[PublicKey, ...]:
    """Read a JWK Set; keys that are of no use for signatures are left out.

    Raises:
        Problem: UNAVAILABLE when it is no JWK Set or has no usable key.
    """
    try:
        document: Any = json.decode(raw)
    except Problem:
        raise away("the key set is not JSON") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > _MOST_KEYS:
        raise away("the key set has no list of keys, or too many of them")
    keys = tuple(key for each in listed if (key := _read_key(each)) is not None)
    if not keys:
        raise away("the key set has no key that verifies signatures")
    return keys


def _read_key(sent: Any) -> PublicKey | None:
    if not isinstance(sent, dict) or sent.get("kty") not in {"RSA", "EC", "OKP"} or sent.get("use", "sig") != "sig":
        return None
    parts = {name: sent[name] for name in ("kty", "n", "e", "crv", "x", "y") if isinstance(sent.get(name), str)}
    kid, algorithm = sent.get("kid", ""), sent.get("alg", "")
    if not isinstance(kid, str) or not isinstance(algorithm, str):
        return None
    if parts["kty"] == "RSA" and _bytes_of(parts.get("n", "")) < _SMALLEST_RSA:
        return None
    try:
        key = import_key(parts)  # the public part alone
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return PublicKey(kid, str(parts["kty"]), str(parts.get("crv", "")), algorithm, key)


def _bytes_of(number: str) -> int:
    """How long a number in base64url is, without leading zeros that would make it look longer."""
    try:
        return len(base64.urlsafe_b64decode(number + "=" * (-len(number) % 4)).lstrip(b"\0"))
    except ValueError:
        return 0


def fitting(keys: tuple[PublicKey, ...], algorithm: str, kid: str | None) -> PublicKey:
    """The one key that a token with this header can be signed with.

    Without `kid` there must be one key only that fits (OpenID Connect Core 1.0 section 10.1).

    Raises:
        Problem: UNAUTHENTICATED (`Reason.KEY`) when none or more than one fits.
    """
    type_, curves = _FITS[algorithm]
    found = [
        key
        for key in keys
        if key.type == type_
        and (not curves or key.curve in curves)
        and key.algorithm in {"", algorithm}
        and (kid is None or key.kid == kid)
    ]
    if len(found) != 1:
        raise refused(Reason.KEY)
    return found[0]


def knows(keys: tuple[PublicKey, ...], kid: str | None) -> bool:
    """Whether a key with this id is there; if not, it may be new, and the set is worth fetching again."""
    return kid is None or any(key.kid == kid for key in keys)
