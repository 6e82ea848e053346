# SPDX-License-Identifier: Apache-2.0
"""Identifiers that the server assigns: UUID version 7 (RFC 9562 section 5.7)."""

from __future__ import annotations

import time

from salus.kernel.entropy import nonce_bytes


def uuid7() -> str:
    """Make a new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits.

    Returns:
        36 lower-case characters; valid as a FHIR id (https://hl7.org/fhir/R4/datatypes.html#id).
    """
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(nonce_bytes(10))
    value = value & ~(0xF << 76) | (0x7 << 76)  # version 7
    value = value & ~(0x3 << 62) | (0x2 << 62)  # variant 10
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
