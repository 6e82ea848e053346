# SPDX-License-Identifier: Apache-2.0
"""Proof of possession of a key with each request (DPoP, RFC 9449): what a proof has to say. No I/O.

joserfc verifies the signature under the algorithms named here; all else (section 4.3) is checked by hand: the type,
one public key in the header, method and address, age, the server's nonce, and the hash of the token. That a proof is
used once is the matter of `proofs`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from joserfc import jwk, jws
from joserfc.errors import JoseError

from salus.fhir import json
from salus.identity.oauth.errors import OAuthError
from salus.kernel.errors import Problem

ALGORITHMS = ("ES256", "ES384", "PS256", "RS256", "Ed25519", "EdDSA")
WINDOW_SECONDS = 60
"""How far the clock of an application may be off, in both directions."""

_LONGEST = 8_192
_PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
_TYPES = {"ES": "EC", "PS": "RSA", "RS": "RSA", "Ed": "OKP"}
_CURVES = {"ES256": "P-256", "ES384": "P-384", "EdDSA": "Ed25519", "Ed25519": "Ed25519"}
_RSA_BITS = range(2048, 8193)


class _Registry(jws.JWSRegistry):
    max_header_length = 4_096  # an RSA key is in it


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that holds.

    Attributes:
        jkt: thumbprint of the key (RFC 7638), base64url.
        jti: names the proof; used once.
        issued: seconds since the epoch.
    """

    jkt: str
    jti: str
    issued: int


def verify(
    proof: str,
    *,
    method: str,
    address: str,
    now: int,
    nonce_fits: Callable[[str], bool],
    token: str = "",
) -> Proof:
    """Judge a proof.

    Args:
        proof: the header `DPoP`.
        method: of the request.
        address: of the request, without query and fragment.
        now: seconds since the epoch.
        nonce_fits: whether a nonce is one that this server gave a moment ago.
        token: the access token that is sent along; empty at the token endpoint.

    Raises:
        OAuthError: invalid_dpop_proof; use_dpop_nonce when all that is missing is a nonce that is new.
    """
    header = _header(proof)
    key = _key(header)
    algorithm = header["alg"]
    try:
        signed = jws.deserialize_compact(proof, key, registry=_Registry(algorithms=[algorithm]))
        claims = json.decode(signed.payload or b"")
    except (JoseError, Problem, ValueError, TypeError):
        raise _invalid("The signature of the proof is not valid.") from None
    if not isinstance(claims, dict):
        raise _invalid("The proof holds no claims.")
    jti, issued = claims.get("jti"), claims.get("iat")
    if not isinstance(jti, str) or not 0 < len(jti) <= 256:
        raise _invalid("jti is missing or too long.")
    if not isinstance(issued, int) or isinstance(issued, bool) or abs(now - issued) > WINDOW_SECONDS:
        raise _invalid("iat is missing, or not a moment ago.")
    if claims.get("htm") != method:
        raise _invalid("htm is not the method of the request.")
    if not _same_address(claims.get("htu"), address):
        raise _invalid("htu is not the address of the request.")
    if token and claims.get("ath") != hash_of(token):
        raise _invalid("ath is not the hash of the access token.")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not nonce_fits(nonce):
        raise OAuthError("use_dpop_nonce", "Use the nonce of the header DPoP-Nonce in the proof.")
    return Proof(key.thumbprint(), jti, issued)


def hash_of(token: str) -> str:
    """BASE64URL(SHA256(token)), without padding (section 4.2, `ath`; OpenID Connect `at_hash` takes the left half)."""
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode("ascii", "replace")).digest()).rstrip(b"=").decode()


def _header(proof: str) -> dict[str, Any]:
    parts = proof.split(".") if len(proof) <= _LONGEST and proof.isascii() else []
    try:
        raw = base64.b64decode(parts[0] + "=" * (-len(parts[0]) % 4), b"-_", validate=True) if len(parts) == 3 else b""
        header = json.decode(raw)
    except (binascii.Error, ValueError, Problem):
        raise _invalid("The proof is not a signed JWT.") from None
    if not isinstance(header, dict) or header.get("typ") != "dpop+jwt" or header.get("alg") not in ALGORITHMS:
        raise _invalid("typ has to be dpop+jwt, and alg one that is supported.")
    return header


def _key(header: dict[str, Any]) -> jwk.Key:
    """The public key of the header; of the type that the algorithm needs, so that no key is taken for another kind."""
    found, algorithm = header.get("jwk"), header["alg"]
    if not isinstance(found, dict) or _PRIVATE & found.keys() or found.get("kty") != _TYPES[algorithm[:2]]:
        raise _invalid("jwk has to be the public key of the proof.")
    if algorithm in _CURVES and found.get("crv") != _CURVES[algorithm]:
        raise _invalid("jwk is on another curve than alg says.")
    # Only what makes the key: `use`, `key_ops` and `alg` of a stranger decide nothing here.
    bare = {name: found[name] for name in ("kty", "crv", "x", "y", "n", "e") if isinstance(found.get(name), str)}
    try:
        key = jwk.import_key(bare, found["kty"])
    except (JoseError, ValueError, TypeError, KeyError):
        raise _invalid("jwk has to be the public key of the proof.") from None
    if found["kty"] == "RSA" and getattr(key.public_key, "key_size", 0) not in _RSA_BITS:
        raise _invalid("An RSA key has 2048 to 8192 bits.")
    return key


def _same_address(claimed: object, address: str) -> bool:
    """Compare without query and fragment, after normalisation of scheme, host and port (section 4.3, item 9)."""
    if not isinstance(claimed, str) or len(claimed) > 2_048:
        return False
    try:
        return _normal(claimed) == _normal(address)
    except ValueError:
        return False


def _normal(address: str) -> tuple[str, str, int, str]:
    parts = urlsplit(address)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    if parts.username is not None or parts.password is not None:
        raise ValueError("nobody is named in an address")
    return parts.scheme.lower(), (parts.hostname or "").lower(), port, unquote(parts.path) or "/"


def _invalid(words: str) -> OAuthError:
    return OAuthError("invalid_dpop_proof", words)
