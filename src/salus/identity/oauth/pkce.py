# SPDX-License-Identifier: Apache-2.0
"""Proof key for code exchange (RFC 7636), S256 alone: `plain` proves nothing to whoever has seen the request."""

from __future__ import annotations

import base64
import hashlib
import re
from hmac import compare_digest

METHOD = "S256"

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)  # section 4.1


def is_challenge(text: str) -> bool:
    """Whether this can be the challenge of a verifier (section 4.2)."""
    return _CHALLENGE.fullmatch(text) is not None


def is_verifier(text: str) -> bool:
    """Whether this can be a verifier."""
    return _VERIFIER.fullmatch(text) is not None


def challenge_of(verifier: str) -> str:
    """BASE64URL(SHA256(verifier)), without padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode()


def fits(verifier: str, challenge: str) -> bool:
    """Whether the verifier is the one behind the challenge (section 4.6)."""
    return is_verifier(verifier) and compare_digest(challenge_of(verifier), challenge)
