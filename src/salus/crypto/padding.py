# SPDX-License-Identifier: Apache-2.0
"""Padding that hides the exact length of a sealed value.

Lengths follow Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with
PURBs", PoPETs 2019, section 4): only the leading bits of a length show, for at most 12 % more bytes (2 % on
average at 1 KB). The padding itself is ISO/IEC 7816-4: one byte 0x80, then zeros. It is
applied inside the envelope, after compression; the tag of the envelope protects it, so it can be removed
without an oracle.
"""

from __future__ import annotations

from salus.kernel.errors import Kind, Problem


def pad(data: bytes) -> bytes:
    """Lengthen to the next Padmé length.

    Args:
        data: any bytes, usually a compressed body.

    Returns:
        At least one byte more than the data.
    """
    return (data + b"\x80").ljust(_padme(len(data) + 1), b"\x00")


def unpad(padded: bytes) -> bytes:
    """Take the padding off again.

    Raises:
        Problem: FAULT when the bytes do not end in padding of exactly the length that `pad` gives.
    """
    data = padded.rstrip(b"\x00")
    if data[-1:] != b"\x80" or _padme(len(data)) != len(padded):
        raise Problem(Kind.FAULT, "A stored record failed its integrity check.", "the padding is not as written")
    return data[:-1]


def _padme(length: int) -> int:
    exponent = length.bit_length() - 1
    free_bits = exponent - exponent.bit_length()  # low bits that must be zero
    if free_bits <= 0:
        return length
    mask = (1 << free_bits) - 1
    return (length + mask) & ~mask
