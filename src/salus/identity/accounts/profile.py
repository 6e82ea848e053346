# SPDX-License-Identifier: Apache-2.0
"""What is known about an account, and how it is sealed: each part bound to tenant, account and meaning.

A sealed value that was altered, or moved to another account or column, does not open.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from salus.crypto.tenant_keys import TenantKeys
from salus.kernel.errors import Kind, Problem

UserKind = Literal["user", "service"]

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", re.ASCII)
_PARTY = re.compile(r"[A-Z][A-Za-z]{2,63}/[A-Za-z0-9.-]{1,64}", re.ASCII)


class Profile(msgspec.Struct, frozen=True, array_like=True):
    """What is sealed about an account."""

    name: str
    kind: UserKind
    roles: tuple[str, ...]
    display: str
    party: str


def is_name(text: str) -> bool:
    """Whether an account could have this login name."""
    return _NAME.fullmatch(text) is not None


def make_profile(name: str, kind: UserKind, roles: tuple[str, ...], display: str, party: str) -> Profile:
    """Check what someone wants to say about an account.

    Raises:
        Problem: INVALID with the reason.
    """
    if not is_name(name):
        raise Problem(Kind.INVALID, "A login name has 1 to 64 of a-z, 0-9, dot, hyphen and underscore.")
    if len(set(roles)) != len(roles) or (kind == "service" and not roles):
        raise Problem(Kind.INVALID, "An account has each role once, and that of a service at least one.")
    if not display.strip() or len(display) > 200:
        raise Problem(Kind.INVALID, "An account has a display name of 1 to 200 characters.")
    if party and _PARTY.fullmatch(party) is None:
        raise Problem(Kind.INVALID, "The reference of an account is written as Type/id.")
    return Profile(name, kind, roles, display.strip(), party)


def handle_of(keys: TenantKeys, name: str) -> bytes:
    """The surrogate under which an account is found."""
    return keys.surrogate("user", name)


def code_key(keys: TenantKeys, name: str) -> bytes:
    """Under which wrong codes of an account are counted; wrong passwords are under its handle."""
    return keys.surrogate("attempt-code", name)


def pepper_of(keys: TenantKeys) -> bytearray:
    """The key that goes into every password hash of the tenant."""
    return keys.derived("identity-pepper")


def seal(keys: TenantKeys, what: str, handle: bytes, value: str | bytes) -> bytes:
    """Seal something about an account, bound to tenant, account and meaning."""
    plain = value.encode() if isinstance(value, str) else value
    return keys.sealer("identity").seal(plain, ("account", what, keys.name, handle))


def unseal(keys: TenantKeys, what: str, handle: bytes, sealed: bytes) -> bytes:
    """Open what `seal` sealed; FAULT when it was altered or moved."""
    return keys.sealer("identity").open(sealed, ("account", what, keys.name, handle))


def open_profile(keys: TenantKeys, handle: bytes, sealed: bytes) -> Profile:
    """Open the profile of an account; FAULT when it was altered or moved."""
    return msgspec.msgpack.decode(unseal(keys, "profile", handle, sealed), type=Profile)
