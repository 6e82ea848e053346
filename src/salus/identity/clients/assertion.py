# SPDX-License-Identifier: Apache-2.0
"""What an assertion of a client says, judged before its signature (RFC 7523 section 3; SMART App Launch 2.2). Pure.

Only what a signature over a public key can mean is taken: no `none`, no MAC, no key or certificate in the header, no
critical extension. The signature itself is checked by joserfc in `authenticate`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from salus.fhir import json
from salus.identity.clients.client import ALGORITHMS
from salus.identity.oauth.errors import OAuthError
from salus.kernel.errors import Problem

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_SECONDS = 300
_LONGEST = 8_192  # characters
_SKEW_SECONDS = 30  # by which the clock of a client may run ahead in iat and nbf
_PART = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_TYPES = {"jwt", "client-authentication+jwt"}
_FOREIGN = ("jwk", "x5c", "x5u", "x5t", "x5t#S256", "b64", "zip", "enc", "epk")
"""Header parameters that bring a key along, or change what is signed."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """An assertion whose form is right and whose signature is not checked yet.

    Attributes:
        text: as it was sent.
        alg, kid, jku: of the header; `jku` is empty when there is none.
        client_id: issuer and subject.
        jti: its identifier; counts once.
        expires_ms: milliseconds since the epoch.
    """

    text: str
    alg: str
    kid: str
    jku: str
    client_id: str
    jti: str
    expires_ms: int


def read(text: str, audiences: Sequence[str], now_ms: int) -> Assertion:
    """Take an assertion apart and judge everything about it that needs no registration.

    Args:
        text: as it was sent.
        audiences: of which its one audience has to be one: address of the token endpoint, issuer.
        now_ms: the time, milliseconds since the epoch.

    Raises:
        OAuthError: `invalid_client`, in words that depend on the assertion alone.
    """
    parts = text.split(".")
    if len(text) > _LONGEST or len(parts) != 3 or not all(map(_PART.fullmatch, parts)):
        raise refused("The assertion is not a signed JWT in compact form.")
    header, claims = _part(parts[0]), _part(parts[1])
    alg, kid, jku = _header(header)
    client_id, jti, expires = _claims(claims, audiences, now_ms // 1000)
    return Assertion(text, alg, kid, jku, client_id, jti, expires * 1000)


def refused(description: str, detail: str = "") -> OAuthError:
    """The one error that an assertion can meet (RFC 6749 section 5.2)."""
    return OAuthError("invalid_client", description, 401, detail=detail)


def _header(header: dict[str, Any]) -> tuple[str, str, str]:
    alg, kid, jku, type_ = (header.get(name) for name in ("alg", "kid", "jku", "typ"))
    if alg not in ALGORITHMS:
        raise refused(f"An assertion is signed with one of {', '.join(ALGORITHMS)}.")
    if "crit" in header:
        raise refused("No critical header parameter is understood (crit).")
    for name in _FOREIGN:
        if name in header:
            raise refused("An assertion brings no key and no certificate along; name the registered key by kid.")
    if not isinstance(kid, str) or not 0 < len(kid) <= 255:
        raise refused("An assertion names its key in the header (kid).")
    if type_ is not None and (not isinstance(type_, str) or type_.lower() not in _TYPES):
        raise refused("The type of an assertion is JWT (typ).")
    if jku is not None and not isinstance(jku, str):
        raise refused("The address of the keys is a text (jku).")
    return str(alg), kid, jku or ""


def _claims(claims: dict[str, Any], audiences: Sequence[str], now: int) -> tuple[str, str, int]:
    issuer, subject, audience, jti = (claims.get(name) for name in ("iss", "sub", "aud", "jti"))
    if not isinstance(issuer, str) or not issuer or issuer != subject:
        raise refused("Issuer and subject of an assertion are both the client_id (iss, sub).")
    if isinstance(audience, list) and len(audience) == 1:
        audience = audience[0]
    if not isinstance(audience, str) or audience not in audiences:
        raise refused("The one audience of an assertion is the address of the token endpoint or the issuer (aud).")
    if not isinstance(jti, str) or not 0 < len(jti) <= 255:
        raise refused("An assertion has an identifier of up to 255 characters (jti).")
    expires = _seconds(claims.get("exp"))
    if expires is None or expires <= now:
        raise refused("The assertion has expired (exp).")
    if expires > now + LONGEST_SECONDS:
        raise refused(f"An assertion ends within {LONGEST_SECONDS} seconds (exp).")
    for name in ("iat", "nbf"):
        if name in claims:
            at = _seconds(claims[name])
            if at is None or at > now + _SKEW_SECONDS:
                raise refused(f"The assertion is from the future ({name}).")
    return issuer, jti, expires


def _seconds(value: Any) -> int | None:
    """A NumericDate (RFC 7519 section 2), rounded down."""
    if isinstance(value, bool):
        return None
    try:
        return int(value) if 0 < value < 1 << 40 else None
    except (TypeError, ValueError, ArithmeticError):
        return None


def _part(text: str) -> dict[str, Any]:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return json.decode(raw)
    except (binascii.Error, ValueError, Problem):
        raise refused("A part of the assertion is not a JSON object in base64url.") from None
