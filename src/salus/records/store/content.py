# SPDX-License-Identifier: Apache-2.0
"""The content of a Binary as chunks: each sealed alone, each nailed to its place.

A content has a random key of its own. The key lies in the content's head, which is sealed under the key of the patient
(or of the type), so that who destroys the patient's key destroys the content. The record names its content with size
and SHA-256 inside its own sealed body: what is swapped, between records or versions, is noticed there.

Chunks follow the STREAM construction (Hoang et al., "Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance", CRYPTO 2015, section 7): the number and a last-flag are authenticated, so that chunks cannot be left
out, moved, repeated or cut off. Unlike there the nonce is random (XAES): chunks are also read alone, for ranges.
"""

from __future__ import annotations

import msgspec

from salus.crypto.envelope import Context, SealingKey
from salus.crypto.padding import pad, unpad
from salus.crypto.wiping import random_key, wipe
from salus.kernel.errors import Kind, Problem

CHUNK = 48 * 1024
"""Bytes of content in a chunk; divisible by three, so that chunks are base64 one after another."""

_HEAD = "salus.content-head.1"
_FORMER = "salus.content-former-head.1"
_BODY = "salus.content.1"


class Place(msgspec.Struct, frozen=True):
    """Where a content belongs.

    Attributes:
        rid: surrogate of the record.
        owner: surrogate of the one patient under whose key it lies, or b"".
        name: 16 random bytes that name the content.
    """

    tenant: str
    owner: bytes
    rid: bytes
    name: bytes

    def context(self, label: str) -> Context:
        """What is authenticated with everything at this place."""
        return (label, self.tenant, self.owner, self.rid, self.name)


class Head(msgspec.Struct, frozen=True):
    """What must be known to read a content.

    Attributes:
        size: bytes of content.
        sha256: of the content.
    """

    key: bytes
    size: int
    sha256: bytes


class Sealing:
    """Seals the chunks of one content, in order, and then its head."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._raw = random_key()
        self._key = SealingKey(self._raw)
        self._next = 0

    def chunk(self, piece: bytes, *, last: bool) -> bytes:
        """Seal the next chunk.

        Args:
            piece: exactly `CHUNK` bytes, or 1 to `CHUNK` in the last one, whose length is padded.
        """
        number, self._next = self._next, self._next + 1
        return self._key.seal(pad(piece) if last else piece, (*self.place.context(_BODY), number, int(last)))

    def head(self, key: SealingKey, size: int, sha256: bytes) -> bytes:
        """Seal the head under the key of the patient or type."""
        return key.seal(msgspec.msgpack.encode(Head(bytes(self._raw), size, sha256)), self.place.context(_HEAD))

    def close(self) -> None:
        """Forget the key."""
        wipe(self._raw)


class Opening:
    """Opens chunks of one content, in any order.

    Attributes:
        size, sha256: as the head says.
    """

    def __init__(self, key: SealingKey, place: Place, head: bytes, former: bytes = b"") -> None:
        """Open a head.

        Args:
            former: the head with the former key of the content, while its chunks are sealed anew.

        Raises:
            Problem: FAULT when it was changed, or lies at another place.
        """
        opened = msgspec.msgpack.decode(key.open(head, place.context(_HEAD)), type=Head)
        self.size, self.sha256 = opened.size, opened.sha256
        self.last = (opened.size - 1) // CHUNK
        self._key = SealingKey(opened.key)
        wipe(opened.key)
        self._former: SealingKey | None = None
        if former:
            before = msgspec.msgpack.decode(key.open(former, place.context(_FORMER)), type=Head)
            self._former = SealingKey(before.key)
            wipe(before.key)
        self._context = place.context(_BODY)

    def knows(self, sealed: bytes | None) -> bool:
        """Whether a chunk lies under a key of these heads; if not, the heads have been replaced since."""
        keys = (self._key,) if self._former is None else (self._key, self._former)
        return sealed is None or any(key.made(sealed) for key in keys)

    def renewed(self, number: int, sealed: bytes) -> bytes | None:
        """A chunk that lies under the former key, sealed under the present one; None when it does not."""
        if self._former is None or not self._former.made(sealed):
            return None
        bound_to = (*self._context, number, int(number == self.last))
        return self._key.seal(self._former.open(sealed, bound_to), bound_to)

    def chunk(self, number: int, sealed: bytes | None) -> bytes:
        """Open one chunk.

        Raises:
            Problem: FAULT when it is missing, was changed, or is another one.
        """
        last = number == self.last
        if sealed is None:
            raise Problem(Kind.FAULT, "A stored content failed its integrity check.", "a chunk is missing")
        key = self._former if self._former is not None and self._former.made(sealed) else self._key
        plain = key.open(sealed, (*self._context, number, int(last)))
        piece = unpad(plain) if last else plain
        if len(piece) != (self.size - number * CHUNK if last else CHUNK):
            raise Problem(Kind.FAULT, "A stored content failed its integrity check.", "a chunk has another length")
        return piece


def renewed_heads(former: SealingKey, fresh: SealingKey, place: Place, head: bytes) -> tuple[bytes, bytes]:
    """Give a content another key, after the key above it was replaced.

    Returns:
        The head with the new key, and the one with the former key, which is needed until all chunks are sealed anew;
        both under the patient's new key.

    Raises:
        Problem: FAULT when the head was changed, or lies at another place.
    """
    before = msgspec.msgpack.decode(former.open(head, place.context(_HEAD)), type=Head)
    raw = random_key()
    after = Head(bytes(raw), before.size, before.sha256)
    wipe(raw)
    try:
        return (
            fresh.seal(msgspec.msgpack.encode(after), place.context(_HEAD)),
            fresh.seal(msgspec.msgpack.encode(before), place.context(_FORMER)),
        )
    finally:
        wipe(before.key, after.key)
