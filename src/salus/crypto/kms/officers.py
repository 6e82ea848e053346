# SPDX-License-Identifier: Apache-2.0
"""Shares of the root key's seal, one for each officer, as text that can be printed and typed.

    salus-share-1.<set>.<number>.<needed>.<share in base32>.<check>

The set is drawn when the key is split, so that shares of two splits are never mixed; the check (four bytes of
SHA-256) notices typing errors. The key file keeps a SHA-256 of each share, so that a wrong one is named at once; a
share is 256 random bits, of which a hash says nothing.
"""

from __future__ import annotations

import binascii
from base64 import b32decode, b32encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest

from salus.crypto import shamir
from salus.crypto.wiping import Secret, wipe
from salus.kernel.errors import Kind, Problem

_PREFIX = "salus-share-1"
_SIZE = 32
MOST_OFFICERS = 32


@dataclass(frozen=True, slots=True)
class Share:
    """One officer's share.

    Attributes:
        set: which split it belongs to, 8 hexadecimal digits.
        number: 1 to the number of officers.
        needed: how many shares open the key.
        value: 32 bytes.
    """

    set: str
    number: int
    needed: int
    value: bytearray = field(repr=False)

    def text(self) -> str:
        """The share as it is handed to the officer."""
        body = f"{_PREFIX}.{self.set}.{self.number}.{self.needed}.{b32encode(self.value).decode().rstrip('=').lower()}"
        return f"{body}.{_check(body)}"

    def mark(self) -> str:
        """What the key file keeps to recognise the share: SHA-256 in hexadecimal."""
        return sha256(f"{_PREFIX}.{self.set}.{self.number}.".encode() + self.value).hexdigest()


def split(key: Secret, needed: int, officers: int, set_: str) -> list[Share]:
    """Split a key of 32 bytes.

    Raises:
        Problem: INCORRECT unless 2 <= needed <= officers <= 32.
    """
    if not 2 <= needed <= officers <= MOST_OFFICERS:
        raise Problem(
            Kind.INCORRECT, f"A key is split among 2 to {MOST_OFFICERS} officers, of whom 2 to all are needed."
        )
    shares = shamir.split(key, needed, officers)
    return [Share(set_, number, needed, value) for number, value in shares.items()]


def parse(text: str) -> Share:
    """Read a share.

    Raises:
        Problem: INCORRECT when it is not one, or was mistyped.
    """
    body, _, check = text.strip().lower().rpartition(".")
    try:
        prefix, set_, number, needed, encoded = body.split(".")
        value = bytearray(b32decode(encoded.upper() + "=" * (-len(encoded) % 8)))
        share = Share(set_, int(number), int(needed), value)
    except (ValueError, binascii.Error):
        raise Problem(Kind.INCORRECT, "This is not a share of a root key.") from None
    if prefix != _PREFIX or len(value) != _SIZE or not compare_digest(check.encode(), _check(body).encode()):
        raise Problem(Kind.INCORRECT, "The share was mistyped: its check does not fit.")
    return share


def _check(body: str) -> str:
    return sha256(body.encode()).hexdigest()[:8]


class Gathering:
    """Collects shares until there are enough. Not for several threads at once.

    Args:
        set_: the split that the key file names.
        needed: how many open it.
        marks: `Share.mark` of every officer's share, in order of their numbers.
    """

    def __init__(self, set_: str, needed: int, marks: Sequence[str]) -> None:
        self._set = set_
        self._marks = marks
        self._shares: dict[int, Share] = {}
        self.needed = needed

    @property
    def given(self) -> int:
        """How many different shares are in."""
        return len(self._shares)

    def add(self, text: str) -> bool:
        """Take a share; true when there are enough now. The same share twice counts once.

        Raises:
            Problem: INCORRECT when it is not a share, was mistyped, or does not open this key.
        """
        share = parse(text)
        known = 1 <= share.number <= len(self._marks) and share.set == self._set
        if not known or not compare_digest(share.mark(), self._marks[share.number - 1]):
            wipe(share.value)
            raise Problem(Kind.INCORRECT, "This share does not belong to this root key.")
        self._shares[share.number] = share
        return self.given >= self.needed

    def key(self) -> bytearray:
        """The key; the collected shares are wiped.

        Raises:
            Problem: UNAVAILABLE while there are too few.
        """
        if self.given < self.needed:
            raise Problem(Kind.UNAVAILABLE, f"{self.given} of {self.needed} shares are there.", retry_after=30)
        key = shamir.combine({number: share.value for number, share in self._shares.items()})
        self.forget()
        return key

    def forget(self) -> None:
        """Wipe what was collected."""
        for share in self._shares.values():
            wipe(share.value)
        self._shares.clear()
