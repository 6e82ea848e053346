# SPDX-License-Identifier: Apache-2.0
"""Numbers as nodes of a tree over their magnitude, so that a range is found by looking up a few nodes.

A number is taken as a 32-bit float in an order-preserving form (for positive floats the sign bit is set, for
negative ones all bits are flipped), cut to its top 16 bits: sign, exponent and seven bits of mantissa, so a
leaf spans 0.4 to 0.8 % of the value whatever its unit or size. Eight levels of arity four make the tree; the
root is left out.

Rounding keeps the order, so a cover never misses a number of its range; it may name neighbours, and the
caller compares the candidates exactly. Pure functions; the blind index turns terms into tokens.
"""

from __future__ import annotations

import struct
from decimal import Decimal

_LEVELS = 8
_FINE = 3  # levels whose terms hardly recur
_LEAVES = 1 << 16
_SIGN = 1 << 31
_float32 = struct.Struct(">f")
_uint32 = struct.Struct(">I")
_LARGEST = 3.4028234663852886e38  # largest finite 32-bit float


def leaf(value: Decimal | float) -> int:
    """Number of the leaf that holds a value, 0 to 65,535; a larger value never has a smaller leaf.

    Args:
        value: any finite number; those beyond the range of a 32-bit float share the outermost leaves.
    """
    number = min(max(float(value), -_LARGEST), _LARGEST) + 0.0  # + 0.0 makes -0 a plain zero
    bits: int = _uint32.unpack(_float32.pack(number))[0]
    ordered = bits ^ 0xFFFFFFFF if bits & _SIGN else bits | _SIGN
    return ordered >> 16


def terms(number: int) -> list[bytes]:
    """Terms of a leaf on its lowest levels, from the leaf up; those above are `upper_terms` of `upper(leaf)`."""
    return [f"n{level}{number >> (2 * level)}".encode() for level in range(_FINE)]


def upper(number: int) -> int:
    """The node above the lowest levels: 64 leaves, numbers between which is about a factor of 1.4, share it."""
    return number >> (2 * _FINE)


def upper_terms(node: int) -> list[bytes]:
    """Terms of a node of `upper` and of those above it."""
    return [f"n{level}{node >> (2 * (level - _FINE))}".encode() for level in range(_FINE, _LEVELS)]


def cover(low: Decimal | None, high: Decimal | None) -> list[bytes]:
    """Terms to look for: every number in [low, high] has at least one of them.

    Args:
        low: smallest number, None for no limit.
        high: largest number, None for no limit.

    Returns:
        At most 43 terms; none when the range is empty.
    """
    first = 0 if low is None else leaf(low)
    after = _LEAVES if high is None else leaf(high) + 1
    found: list[bytes] = []
    for level in range(_LEVELS):
        last_level = level == _LEVELS - 1
        while first < after and (first & 3 or last_level):
            found.append(f"n{level}{first}".encode())
            first += 1
        while first < after and after & 3:
            after -= 1
            found.append(f"n{level}{after}".encode())
        if first >= after:
            break
        first >>= 2
        after >>= 2
    return found
