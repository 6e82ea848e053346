# SPDX-License-Identifier: Apache-2.0
"""XAES-256-GCM against the vectors of its specification, https://c2sp.org/XAES-256-GCM."""

from __future__ import annotations

import hashlib
from io import BytesIO

import pytest
from cryptography.exceptions import InvalidTag

from salus.crypto.xaes import Xaes256Gcm

NONCE = b"ABCDEFGHIJKLMNOPQRSTUVWX"


@pytest.mark.parametrize(
    ("key", "associated", "sealed"),
    [
        (b"\x01" * 32, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),  # MSB(L) = 0
        (b"\x03" * 32, b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
    ],
)
def test_vectors_of_the_specification(key: bytes, associated: bytes, sealed: str) -> None:
    cipher = Xaes256Gcm(key)
    assert cipher.seal(NONCE, b"XAES-256-GCM", associated).hex() == sealed
    assert cipher.open(NONCE, bytes.fromhex(sealed), associated) == b"XAES-256-GCM"


def test_accumulated_vectors_of_the_specification() -> None:
    stream = BytesIO(hashlib.shake_128(b"").digest(10_000 * (32 + 24 + 2 * 256)))
    assert stream.getvalue()[:16].hex() == "7f9c2ba4e88f827d616045507605853e"
    seen = hashlib.shake_128()
    for _ in range(10_000):
        key, nonce = stream.read(32), stream.read(24)
        plaintext = stream.read(stream.read(1)[0])
        associated = stream.read(stream.read(1)[0])
        seen.update(Xaes256Gcm(key).seal(nonce, plaintext, associated))
    assert seen.hexdigest(32) == "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"


def test_one_cipher_serves_many_messages() -> None:
    cipher = Xaes256Gcm(b"\x01" * 32)
    nonces = [n.to_bytes(24) for n in range(100)]
    sealed = [cipher.seal(nonce, b"the same", b"") for nonce in nonces]
    assert len(set(sealed)) == 100
    assert sealed == [Xaes256Gcm(b"\x01" * 32).seal(nonce, b"the same", b"") for nonce in nonces]


def test_either_half_of_the_nonce_changes_the_message_key() -> None:
    cipher = Xaes256Gcm(b"\x01" * 32)
    sealed = cipher.seal(NONCE, b"text", b"")
    for other in (b"x" + NONCE[1:], NONCE[:-1] + b"x"):
        with pytest.raises(InvalidTag):
            cipher.open(other, sealed, b"")


def test_message_keys_come_and_go_in_any_order() -> None:
    cipher, key = Xaes256Gcm(b"\x01" * 32), b"\x01" * 32
    nonces = [bytes([first]) * 12 + bytes([second]) * 12 for first in (1, 2, 1, 3, 3, 2) for second in (5, 6)]
    sealed = [cipher.seal(nonce, b"text", b"") for nonce in nonces]
    assert sealed == [Xaes256Gcm(key).seal(nonce, b"text", b"") for nonce in nonces]
    assert {cipher.open(nonce, blob, b"") for nonce, blob in reversed([*zip(nonces, sealed, strict=True)])} == {b"text"}


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33, 64])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Xaes256Gcm(bytes(length))
