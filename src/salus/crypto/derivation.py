# SPDX-License-Identifier: Apache-2.0
"""Sub-keys: one secret gives many keys, each for one purpose."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from salus.crypto.wiping import Secret

KEY_SIZE = 32


def derive(key: Secret, label: str) -> bytearray:
    """A 32-byte sub-key for one purpose: HKDF-SHA256 (RFC 5869), the label as `info`.

    Args:
        key: 32 random bytes; they need no salt (RFC 5869 section 3.1).
        label: what the sub-key is for; two labels give unrelated keys.

    Returns:
        A buffer of the caller's, to be wiped after use.
    """
    derived = bytearray(KEY_SIZE)
    HKDF(hashes.SHA256(), KEY_SIZE, salt=None, info=b"salus/v1/" + label.encode()).derive_into(key, derived)
    return derived
