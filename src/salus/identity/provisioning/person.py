# SPDX-License-Identifier: Apache-2.0
"""Provisioned people and groups as values, and the rules that need no database."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from hashlib import sha256

import msgspec

LOGIN = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", re.ASCII)
_MOST_TRIES = 50


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whom a directory keeps.

    Attributes:
        id: their SCIM id.
        login: login name of the account; never changes.
        user_name: what the directory calls them.
        external_id: the directory's own key for them; empty if it gave none.
        display: name for people.
        active: whether the account may be used.
        tells: whether `active` is shown. A directory may take the attribute away; the account stays as it was then.
        document: everything else that the directory said, as JSON.
        granted: roles that the account has because of its groups.
        version: counts up with each change.
        created_ms, modified_ms: milliseconds since the epoch.
    """

    id: str
    login: str
    user_name: str
    external_id: str
    display: str
    active: bool
    tells: bool = True
    document: bytes = b"{}"
    granted: tuple[str, ...] = ()
    version: int = 1
    created_ms: int = 0
    modified_ms: int = 0


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A group of a directory. Its members stand in a table of their own.

    Attributes:
        id: its SCIM id.
        display: its name, by which it may stand for a role.
        external_id: the directory's own key for it; empty if it gave none.
        version: counts up with each change.
        created_ms, modified_ms: milliseconds since the epoch.
    """

    id: str
    display: str
    external_id: str
    version: int = 1
    created_ms: int = 0
    modified_ms: int = 0


def folded(name: str) -> str:
    """A name as it is compared: userName and displayName are not case exact (RFC 7643 section 4.1.1)."""
    return unicodedata.normalize("NFKC", name).casefold()


def logins(user_name: str) -> Iterable[str]:
    """Login names for a new account, the best first; the others are for when that one was somebody else's before.

    A name that is no login name, such as an e-mail address, is written in the letters of one, with a few characters
    that tell it from other names which would be written the same.
    """
    wanted = folded(user_name)
    if LOGIN.fullmatch(wanted) is None:
        letters = re.sub(r"[^a-z0-9._-]+", "-", wanted).strip("-._")[:40].strip("-._") or "person"
        wanted = f"{letters}-{sha256(wanted.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}"
    yield wanted
    for number in range(2, _MOST_TRIES):
        yield f"{wanted[:58]}-{number}"


def roles_after(now: tuple[str, ...], granted: tuple[str, ...], grants: Iterable[str]) -> tuple[str, ...]:
    """The roles of an account when its groups change.

    Args:
        now: what it has.
        granted: what of it came from groups.
        grants: what its groups give from now on.

    Returns:
        What an operator gave, and what the groups give.
    """
    own = [role for role in now if role not in granted]
    return tuple(dict.fromkeys((*own, *sorted(grants))))
