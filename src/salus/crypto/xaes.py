# SPDX-License-Identifier: Apache-2.0
"""XAES-256-GCM: AES-256-GCM with a 192-bit nonce that may be drawn at random for every message.

The specification is https://c2sp.org/XAES-256-GCM: a NIST SP 800-108r1 counter KDF over CMAC-AES256 derives a
fresh AES-256-GCM key from the first half of the nonce; the second half is the GCM nonce. Under one key 2**80
messages keep the risk of a repeated nonce below 2**-32, so there is no counter to store and nothing to roll
back on a restore.

It is not key-committing and not nonce-misuse-resistant; `envelope` adds the commitment and draws every nonce.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from salus.crypto.wiping import Secret, wipe

KEY_SIZE = 32
NONCE_SIZE = 24
TAG_SIZE = 16
HALF_NONCE = 12
"""The first 96 bits of a nonce go to the KDF, the other 96 to GCM."""

_BOTH_BLOCKS = (1 << 128) + 1  # a factor that copies a 128-bit number into both halves of a 256-bit one
_COUNTERS = int.from_bytes(b"\x00\x01X\x00" + bytes(HALF_NONCE) + b"\x00\x02X\x00" + bytes(HALF_NONCE))
_BARE = modes.ECB()  # noqa: S305  the bare block cipher, for one-block inputs of the KDF only
_FIELD_POLYNOMIAL = 0x87  # SP 800-38B section 5.3, the constant R for 128-bit blocks


class Xaes256Gcm:
    """One 256-bit key, ready to seal and open.

    The key itself is not kept as a Python object: only the expanded AES key inside OpenSSL and the CMAC
    subkey K1. The object may be used from several threads at once.
    """

    __slots__ = ("_last", "_mask", "_permute")

    def __init__(self, key: Secret) -> None:
        """Expand the key.

        Args:
            key: 32 bytes.

        Raises:
            ValueError: the key has another length.
        """
        if len(key) != KEY_SIZE:
            raise ValueError("an XAES-256-GCM key has 32 bytes")
        # ECB is the bare block cipher here, as the specification asks (step 5); it never sees a message.
        # Whole blocks go in and come out, so that one encryptor serves for the life of the key.
        own = bytearray(key)  # what the cipher object keeps a reference to; OpenSSL has its own copy
        self._permute = Cipher(algorithms.AES(own), _BARE).encryptor().update
        wipe(own)
        subkey = int.from_bytes(self._permute(bytes(16))) << 1
        if subkey >> 128:
            subkey = (subkey & ((1 << 128) - 1)) ^ _FIELD_POLYNOMIAL
        self._mask = (subkey * _BOTH_BLOCKS) ^ _COUNTERS
        self._last: tuple[bytes, AESGCM] | None = None

    def seal(self, nonce: bytes, plaintext: Secret, associated: bytes) -> bytes:
        """Encrypt and authenticate.

        Args:
            nonce: 24 bytes, never used before with this key.
            plaintext: the message.
            associated: bytes that are authenticated but not part of the result.

        Returns:
            The ciphertext followed by the 16-byte tag.
        """
        return self._message_key(nonce).encrypt(nonce[HALF_NONCE:], plaintext, associated)

    def open(self, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        """Check and decrypt what `seal` returned.

        Raises:
            cryptography.exceptions.InvalidTag: anything differs from what was sealed.
        """
        return self._message_key(nonce).decrypt(nonce[HALF_NONCE:], ciphertext, associated)

    def _message_key(self, nonce: bytes) -> AESGCM:
        """The key that the first half of a nonce stands for; the last one is kept, since neighbours often share it."""
        half = nonce[:HALF_NONCE]
        last = self._last  # read once: another thread may put another pair there
        if last is not None and last[0] == half:
            return last[1]
        # Both KDF blocks in one number: (counter i | "X" | 0 | nonce[:12]) xor K1, for i = 1 and 2.
        blocks = (int.from_bytes(half) * _BOTH_BLOCKS) ^ self._mask
        key = AESGCM(self._permute(blocks.to_bytes(KEY_SIZE)))
        self._last = (half, key)
        return key
