# SPDX-License-Identifier: Apache-2.0
"""Judging a token that an identity provider signed (OpenID Connect Core 1.0 section 3.1.3.7, RFC 8725). Pure.

Rules kept:
- the algorithm is one that the provider is registered with; `none` and HMAC are never among them;
- the key is one that was fetched from the registered issuer. What the token's own header offers or points to (`jwk`,
  `jku`, `x5c`, `x5u`) is a reason to refuse it, not a key;
- issuer and audience exactly; with several audiences `azp` must be us;
- signed now: not expired, issued within the last ten minutes, a minute of difference between clocks;
- the nonce of this sign-in, and of no other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from salus.fhir import json
from salus.identity.federation.keys import PublicKey, fitting
from salus.identity.federation.provider import Provider
from salus.identity.federation.refusal import Reason, refused
from salus.kernel.errors import Problem

LEEWAY_SECONDS = 60
_FRESH_SECONDS = 600
_LONGEST = 32_768  # characters
_HEADER_BYTES = 2048
_PART = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_FOREIGN_KEYS = ("jwk", "jku", "x5c", "x5u", "crit", "b64", "zip", "enc")
_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512, "Ed25519": hashlib.sha512}

Claims = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Header:
    """What the head of a token says.

    Attributes:
        algorithm: how it is signed.
        kid: with which key; None if it does not say.
    """

    algorithm: str
    kid: str | None


def header_of(token: str, provider: Provider, types: frozenset[str]) -> Header:
    """Read and judge the head of a token.

    Args:
        token: in compact form.
        provider: whose it should be.
        types: values of `typ`, in lower case, that it may have; an empty one allows it to be left out.

    Raises:
        Problem: UNAUTHENTICATED.
    """
    parts = token.split(".")
    if len(token) > _LONGEST or len(parts) != 3 or not all(_PART.fullmatch(part) for part in parts):
        raise refused(Reason.FORM)
    header = _object(parts[0])
    kind, kid = header.get("typ", ""), header.get("kid")
    if not isinstance(kind, str) or kind.lower() not in types or any(name in header for name in _FOREIGN_KEYS):
        raise refused(Reason.FORM)
    if header.get("alg") not in provider.algorithms:
        raise refused(Reason.ALGORITHM)
    if kid is not None and (not isinstance(kid, str) or not kid):
        raise refused(Reason.KEY)
    return Header(header["alg"], kid)


def claims_of(token: str, header: Header, keys: tuple[PublicKey, ...]) -> Claims:
    """Verify the signature of a token whose head was judged.

    Returns:
        What it claims; nothing of it is judged yet.

    Raises:
        Problem: UNAUTHENTICATED.
    """
    key = fitting(keys, header.algorithm, header.kid).key
    registry = JWSRegistry(algorithms=[header.algorithm], strict_check_header=False)
    registry.max_header_length = _HEADER_BYTES
    try:
        signed = jws.deserialize_compact(token, key, algorithms=[header.algorithm], registry=registry)
    except (JoseError, ValueError, TypeError):
        raise refused(Reason.SIGNATURE) from None
    try:
        claims: Any = json.decode(signed.payload)
    except Problem:
        raise refused(Reason.FORM) from None
    if not isinstance(claims, dict):
        raise refused(Reason.FORM)
    return claims


def check_origin(claims: Claims, provider: Provider) -> None:
    """Judge who made the token and for whom.

    Raises:
        Problem: UNAUTHENTICATED.
    """
    if claims.get("iss") != provider.issuer:
        raise refused(Reason.ISSUER)
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or provider.client_id not in audiences:
        raise refused(Reason.AUDIENCE)
    if "azp" in claims and claims["azp"] != provider.client_id:
        raise refused(Reason.AUDIENCE)
    if len(audiences) > 1 and "azp" not in claims:
        raise refused(Reason.AUDIENCE)


def check_times(claims: Claims, now_ms: int, *, must_expire: bool = True) -> None:
    """Judge when the token was made and how long it is good.

    Raises:
        Problem: UNAUTHENTICATED.
    """
    now = now_ms // 1000
    issued, expires, begins = (_number(claims, name) for name in ("iat", "exp", "nbf"))
    if issued is None or (must_expire and expires is None):
        raise refused(Reason.TIME)
    if not now - _FRESH_SECONDS <= issued <= now + LEEWAY_SECONDS:
        raise refused(Reason.TIME)
    if (expires is not None and expires <= now - LEEWAY_SECONDS) or (begins or 0) > now + LEEWAY_SECONDS:
        raise refused(Reason.TIME)


def check_identity(
    claims: Claims, *, nonce: str, access_token: str, algorithm: str, now_ms: int, max_age: int | None
) -> str:
    """Judge what makes it the identity token of this sign-in.

    Args:
        claims: of a token whose origin and times were judged.
        nonce: that was sent with the request.
        access_token: that came with it.
        algorithm: that it was signed with.
        now_ms: milliseconds since the epoch.
        max_age: seconds since the person last signed in at the provider, as was asked for; None for any time.

    Returns:
        The subject.

    Raises:
        Problem: UNAUTHENTICATED.
    """
    sent = claims.get("nonce")
    if not isinstance(sent, str) or not hmac.compare_digest(sent.encode("utf-8", "surrogatepass"), nonce.encode()):
        raise refused(Reason.NONCE)
    subject = subject_of(claims)
    if "at_hash" in claims and claims["at_hash"] != left_half(access_token, algorithm):
        raise refused(Reason.ACCESS_TOKEN_HASH)
    if max_age is not None:
        signed_in = _number(claims, "auth_time")
        if signed_in is None or signed_in < now_ms // 1000 - max_age - LEEWAY_SECONDS:
            raise refused(Reason.STALE)
    return subject


def subject_of(claims: Claims) -> str:
    """Whom the token is about: 1 to 255 ASCII characters (OpenID Connect Core 1.0 section 2)."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isascii():
        raise refused(Reason.SUBJECT)
    return subject


def left_half(text: str, algorithm: str) -> str:
    """`at_hash`: the left half of a hash, of the size that the algorithm has (section 3.1.3.6)."""
    digest = _HASHES.get(algorithm, _HASHES.get(algorithm[-3:], hashlib.sha512))(text.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def _object(part: str) -> dict[str, Any]:
    try:
        value: Any = json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, Problem):
        raise refused(Reason.FORM) from None
    if not isinstance(value, dict):
        raise refused(Reason.FORM)
    return value


def _number(claims: Claims, name: str) -> int | None:
    """A NumericDate in seconds; one that is no number of this era counts as wrong, not as absent."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not 0 <= value < 1 << 53:
        raise refused(Reason.TIME)
    return int(value)
