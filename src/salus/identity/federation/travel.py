# SPDX-License-Identifier: Apache-2.0
"""A sign-in on its way: what has to come back from the identity provider, and to which browser.

It travels sealed in a cookie of the browser that began it, under a place that holds the hash of `state`. So an answer
is taken only where both meet: a stolen `state` is of no use without the cookie, and somebody else's answer, planted in
a victim's browser, finds no cookie that opens (RFC 6749 section 10.12, RFC 9700 section 4.7). It works once.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from enum import StrEnum

import msgspec

from salus.crypto.tenant_keys import TenantKeys
from salus.identity.federation.refusal import Reason, refused
from salus.kernel.errors import Problem

COOKIE = "__Host-salus-federation"
"""Lax, because the answer is a navigation from elsewhere; `__Host-`, so that no other host can plant one."""

MINUTES = 10
_LONGEST = 4000  # characters of a cookie
_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*", re.ASCII)


class Intent(StrEnum):
    """What somebody goes to an identity provider for."""

    SIGN_IN = "sign-in"
    STEP_UP = "step-up"  # to show again, in a session, that it is them
    LINK = "link"  # to link the account of their session


class Travel(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered while the person is at the identity provider.

    Attributes:
        intent: what for, see `Intent`.
        provider: name of the provider.
        issuer: whom the answer must come from.
        names_itself: whether the answer must say so.
        nonce: must stand in the identity token.
        verifier: of PKCE (RFC 7636).
        return_to: path of ours to go on with.
        user: login name of the person in a session; empty when signing in.
        session: their session.
        max_age: seconds since the last sign-in at the provider, if that was asked for.
        begun_ms: milliseconds since the epoch.
    """

    intent: Intent
    provider: str
    issuer: str
    names_itself: bool
    nonce: str
    verifier: str
    return_to: str
    user: str
    session: str
    max_age: int | None
    begun_ms: int


def new_value() -> str:
    """256 random bits as text: states, nonces, verifiers."""
    return secrets.token_urlsafe(32)


def challenge_of(verifier: str) -> str:
    """The S256 challenge (RFC 7636 section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def local_path(path: str) -> str:
    """A path of ours to go on with; anything that a browser could read as another place becomes `/`."""
    return path if _PATH.fullmatch(path) and len(path) <= 500 else "/"


def pack(keys: TenantKeys, state: str, travel: Travel) -> str:
    """Seal a sign-in for the cookie."""
    sealed = keys.sealer("identity").seal(msgspec.msgpack.encode(travel), _place(keys, state))
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def unpack(keys: TenantKeys, state: str, cookie: str, now_ms: int) -> Travel:
    """Open what `pack` sealed for the same state.

    Raises:
        Problem: UNAUTHENTICATED (`Reason.STATE`) when there is none, it is for another state, or it is too old.
    """
    if not state or not cookie or len(cookie) > _LONGEST or not cookie.isascii():
        raise refused(Reason.STATE)
    try:
        sealed = base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
        plain = keys.sealer("identity").open(sealed, _place(keys, state))
        travel = msgspec.msgpack.decode(plain, type=Travel)
    except (ValueError, Problem):
        raise refused(Reason.STATE) from None
    if not 0 <= now_ms - travel.begun_ms <= MINUTES * 60_000:
        raise refused(Reason.STATE)
    return travel


def mark_of(keys: TenantKeys, state: str) -> bytes:
    """Under which the redeemed state is remembered."""
    return keys.surrogate("idp-state", state)


def _place(keys: TenantKeys, state: str) -> tuple[str, str, bytes]:
    return ("idp-travel", keys.name, hashlib.sha256(state.encode("utf-8", "surrogatepass")).digest())
