# SPDX-License-Identifier: Apache-2.0
"""The envelope around everything that Salus stores sealed: records, wrapped keys, audit bodies, secrets.

    version 1 byte | algorithm 1 byte | key commitment 32 bytes | nonce 24 bytes | ciphertext | tag 16 bytes

- The algorithm is XAES-256-GCM (see `xaes`). Both halves of a nonce are random; the first, of which the key of the
  message is derived, stays for a stretch of messages.
- GCM alone lets someone who holds two keys make one ciphertext that opens under both. The commitment,
  HMAC-SHA256(key, label), ties an envelope to one key. It is the same for all envelopes of a key and so shows
  which envelopes share one; every such group is already visible beside the data as a surrogate.
- The header and the caller's context are authenticated. A context says what the plaintext is and where it
  belongs (tenant, owner, type, id, version …), so that a sealed value moved to another place does not open
  there. It is encoded as one MessagePack array: typed and length-prefixed, so that no two contexts share an
  encoding.

An envelope cannot tell that an older value was put back in its own old place; the audit log can.
"""

from __future__ import annotations

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac

from salus.crypto.wiping import Secret, wipe
from salus.crypto.xaes import HALF_NONCE, NONCE_SIZE, TAG_SIZE, Xaes256Gcm
from salus.kernel.entropy import nonce_bytes
from salus.kernel.errors import Kind, Problem

Context = tuple[bytes | str | int, ...]

_VERSION = 1
_XAES_256_GCM = 1
_SHA256 = hashes.SHA256()
_COMMITMENT_LABEL = b"salus/envelope/v1/key-commitment"
_HEADER_SIZE = 2 + 32
_BODY_AT = _HEADER_SIZE + NONCE_SIZE

OVERHEAD = _BODY_AT + TAG_SIZE
"""Bytes that an envelope adds to its plaintext."""

_STRETCH = 4096
"""Messages that share the first half of their nonces, and with it the derived key, which takes half the time of a seal.

Their other halves, 96 bits, are random: two of so few are the same with a chance of 2^-73, and of 2^64 messages in all
two share both halves with one of 2^-21 (NIST SP 800-38D section 8.3 allows 2^32 random nonces under one key).
"""

_encode = msgspec.msgpack.Encoder().encode


class SealingKey:
    """A 256-bit key that seals and opens envelopes. Keeps no copy of its bytes; threads may share it."""

    __slots__ = ("_cipher", "_header", "_prefix")

    def __init__(self, key: Secret) -> None:
        """Prepare a key.

        Args:
            key: 32 bytes, random or derived for this one purpose; the caller may wipe them afterwards.

        Raises:
            ValueError: the key has another length.
        """
        self._cipher = Xaes256Gcm(key)
        commitment = hmac.HMAC(key, _SHA256)
        commitment.update(_COMMITMENT_LABEL)
        self._header = bytes((_VERSION, _XAES_256_GCM)) + commitment.finalize()
        self._prefix = (b"", 0)

    @property
    def commitment(self) -> bytes:
        """What tells this key from others in an envelope, see `commitment`."""
        return self._header[2:]

    def made(self, blob: bytes) -> bool:
        """Whether an envelope says that it was sealed under this key; only `open` knows whether that is true."""
        return blob.startswith(self._header)  # nothing in it is secret

    def seal(self, plaintext: Secret, context: Context) -> bytes:
        """Seal a value for one place.

        Args:
            plaintext: any bytes; their length shows, see `padding`.
            context: what the value is and where it belongs; integers fit in 64 bits.

        Returns:
            The envelope, `OVERHEAD` bytes longer than the plaintext.
        """
        header = self._header
        prefix, left = self._prefix  # read at once: a race between threads makes a stretch longer, by one for each
        if not left:
            prefix, left = nonce_bytes(HALF_NONCE), _STRETCH
        self._prefix = (prefix, left - 1)
        nonce = prefix + nonce_bytes(HALF_NONCE)
        return header + nonce + self._cipher.seal(nonce, plaintext, header + _encode(context))

    def open(self, blob: bytes, context: Context) -> bytes:
        """Open an envelope.

        Args:
            blob: what `seal` returned.
            context: the same values of the same types that it was sealed with.

        Raises:
            Problem: FAULT when anything differs: a bit, the length, the place, the key, version or algorithm.
        """
        header = self._header
        if not blob.startswith(header):
            raise _refusal(_why(blob))
        try:
            return self._cipher.open(blob[_HEADER_SIZE:_BODY_AT], blob[_BODY_AT:], header + _encode(context))
        except (InvalidTag, ValueError):  # ValueError: cut off inside the nonce
            raise _refusal("authentication failed: altered, truncated, or sealed for another place") from None

    def open_key(self, blob: bytes, context: Context) -> bytearray:
        """Open an envelope that holds a key, into a buffer of the caller's; raises as `open`."""
        plain = self.open(blob, context)
        key = bytearray(plain)
        wipe(plain)
        return key


def commitment(blob: bytes) -> bytes:
    """The commitment to the key that an envelope says it was sealed under, 32 bytes."""
    return blob[2:_HEADER_SIZE]


def _why(blob: bytes) -> str:
    """Name the reason in words for the operator; holds no data of the record."""
    if len(blob) < OVERHEAD:
        return "shorter than any envelope"
    if blob[0] != _VERSION:
        return "unknown envelope version"
    if blob[1] != _XAES_256_GCM:
        return "unknown envelope algorithm"
    return "sealed under another key"


def _refusal(detail: str) -> Problem:
    return Problem(Kind.FAULT, "A stored record failed its integrity check.", detail)
