# SPDX-License-Identifier: Apache-2.0
"""Public keys of clients (RFC 7517): which are fit, and which one a signature was made with. Pure."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc import jwk
from joserfc.errors import JoseError, SecurityWarning

from salus.fhir import json
from salus.kernel.errors import Issue, Kind, Problem

Key = jwk.RSAKey | jwk.ECKey | jwk.OKPKey

_PARTS = ("kty", "kid", "alg", "n", "e", "crv", "x", "y")
_PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
_RSA_BITS = range(2048, 8193)  # fewer are weak (NIST SP 800-131A), more cost us time
_EXPONENT_LENGTH = 8  # base64url characters: nobody needs an exponent beyond 2^32
_TEXT_LENGTH = 4_096
_MOST_KEYS = 50
_KINDS = "The key has to be RSA from 2048 bits, P-256, P-384 or Ed25519."
_CURVES = {"ES256": "P-256", "ES384": "P-384", "EdDSA": "Ed25519", "Ed25519": "Ed25519"}
_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


def read(text: str | bytes) -> list[Key]:
    """Read the usable keys of a JWK Set; those that could never verify an assertion are left out.

    Args:
        text: JSON of the set.

    Raises:
        Problem: INVALID when it is no JWK Set or holds private or shared keys: what others can read is no secret.
    """
    try:
        found = json.decode(text.encode() if isinstance(text, str) else text).get("keys")
    except Problem as problem:
        raise _unfit("The keys have to be a JWK Set: a JSON object with the list keys.", problem.detail) from None
    if not isinstance(found, list) or len(found) > _MOST_KEYS:
        raise _unfit(f"The keys have to be a JWK Set with a list of at most {_MOST_KEYS} keys.")
    for each in found:
        if not isinstance(each, dict):
            raise _unfit("Each key of a JWK Set is an object.")
        if _PRIVATE & each.keys() or each.get("kty") == "oct":
            raise _unfit("A private or shared key is in the set: replace it, it is no secret any more.")
    return [key for each in found if (key := _usable(each)) is not None]


def from_pem(pem: bytes, kid: str = "") -> str:
    """A JWK Set with one public key.

    Args:
        pem: a public key as PEM.
        kid: its name; empty for its thumbprint (RFC 7638).

    Raises:
        Problem: INVALID when it is no public key, or none that assertions can be signed with.
    """
    try:
        found = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise _unfit("This is no public key in the form PEM.") from None
    imported: Key
    if isinstance(found, rsa.RSAPublicKey):
        imported = jwk.RSAKey.import_key(found)
    elif isinstance(found, ec.EllipticCurvePublicKey):
        imported = jwk.ECKey.import_key(found)
    elif isinstance(found, ed25519.Ed25519PublicKey):
        imported = jwk.OKPKey.import_key(found)
    else:
        raise _unfit(_KINDS)
    raw = {**imported.as_dict(private=False), "kid": kid or imported.thumbprint(), "use": "sig"}
    if _usable(raw) is None:
        raise _unfit(_KINDS)
    return json.encode({"keys": [raw]}).decode()


def fit(keys: Sequence[Key], alg: str, kid: str) -> list[Key]:
    """The keys that an assertion with this header may have been signed with.

    Type and curve have to fit the algorithm, so that a key is never used for another one than it was made for.
    """
    type_, curve = _TYPES[alg[:2]], _CURVES.get(alg)
    found = [key for key in keys if key.kid == kid and key.key_type == type_]
    found = [key for key in found if curve is None or key.get("crv") == curve]
    named = {alg, "Ed25519"} if alg == "EdDSA" else {alg, "EdDSA"} if alg == "Ed25519" else {alg}
    return [key for key in found if key.get("alg") in {None, *named}]


def _usable(raw: dict[str, Any]) -> Key | None:
    """A key that may verify signatures; None for any other, also of kinds that are not known yet."""
    kid, kty = raw.get("kid"), raw.get("kty")
    if not isinstance(kid, str) or not 0 < len(kid) <= 255 or raw.get("use", "sig") != "sig":
        return None
    operations = raw.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    kept: dict[str, Any] = {name: raw[name] for name in _PARTS if name in raw}
    if not all(isinstance(value, str) and len(value) <= _TEXT_LENGTH for value in kept.values()):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # short keys are left out below
            if kty == "RSA" and len(str(raw.get("e"))) <= _EXPONENT_LENGTH:
                key = jwk.RSAKey.import_key(kept)
                return key if key.public_key.key_size in _RSA_BITS else None
            if kty == "EC" and raw.get("crv") in {"P-256", "P-384"}:
                return _opened(jwk.ECKey.import_key(kept))
            if kty == "OKP" and raw.get("crv") == "Ed25519":
                return _opened(jwk.OKPKey.import_key(kept))
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return None


def _opened(key: Key) -> Key:
    _ = key.public_key  # a point that is not on the curve is found out here
    return key


def _unfit(text: str, detail: str = "") -> Problem:
    return Problem(Kind.INVALID, text, detail, issues=(Issue("invalid", text, "jwks"),))
