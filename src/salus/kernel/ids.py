# SPDX-License-Identifier: Apache-2.0
"""Identifiers that the server assigns: UUID version 7 (RFC 9562 section 5.7)."""

from __future__ import annotations

import time

from salus.kernel.entropy import nonce_bytes

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def uuid7() -> str:
    """Make a new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits.

    Returns:
        36 lower-case characters; valid as a FHIR id (https://hl7.org/fhir/R4/datatypes.html#id).
    """
    stamp = f"{time.time_ns() // 1_000_000:012x}"
    random = nonce_bytes(10).hex()
    return f"{stamp[:8]}-{stamp[8:]}-7{random[:3]}-{_VARIANT[random[3]]}{random[4:7]}-{random[7:19]}"
