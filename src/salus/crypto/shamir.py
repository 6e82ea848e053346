# SPDX-License-Identifier: Apache-2.0
"""Shamir's secret sharing: any k of n shares give the secret, fewer say nothing about it.

A. Shamir, How to share a secret, CACM 22(11), 1979, over GF(2^8) with the polynomial of AES (FIPS 197 section 4.2),
byte by byte. Share x is the value at x of a random polynomial of degree k - 1 whose value at 0 is the secret.

Shares carry no check of their own: a wrong one gives a wrong secret. Whoever uses this says how that is noticed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from salus.crypto.wiping import Secret

MOST = 255
_POLYNOMIAL = 0x11B


def split(secret: Secret, needed: int, count: int, draw: Callable[[int], bytes] = os.urandom) -> dict[int, bytearray]:
    """Split a secret.

    Args:
        secret: at least one byte.
        needed: how many shares give it back, 2 to `count`.
        count: how many shares are made, at most 255.
        draw: source of random bytes; only tests give another.

    Returns:
        The shares by their number, 1 to `count`; each as long as the secret.

    Raises:
        ValueError: the numbers are out of range, or the secret is empty.
    """
    if not 2 <= needed <= count <= MOST:
        raise ValueError("2 <= needed <= count <= 255")
    if not secret:
        raise ValueError("the secret is empty")
    higher = [draw(len(secret)) for _ in range(needed - 1)]
    return {x: _at(x, secret, higher) for x in range(1, count + 1)}


def combine(shares: Mapping[int, Secret]) -> bytearray:
    """Give back the secret: the value at 0 of the polynomial through the shares (Lagrange).

    Args:
        shares: by their number; with fewer than were needed at the split the result is noise.

    Raises:
        ValueError: no shares, a number out of range, or shares of different length.
    """
    lengths = {len(share) for share in shares.values()}
    if len(lengths) != 1 or not all(1 <= x <= MOST for x in shares):
        raise ValueError("shares are numbered 1 to 255 and equally long")
    secret = bytearray(lengths.pop())
    for x, share in shares.items():
        factor = 1
        for other in shares:
            if other != x:  # the Lagrange basis at 0; in this field subtraction is xor
                factor = multiply(factor, multiply(other, inverse(other ^ x)))
        for place, value in enumerate(share):
            secret[place] ^= multiply(value, factor)
    return secret


def multiply(a: int, b: int) -> int:
    """Product in GF(2^8) (FIPS 197 section 4.2); no branch or table depends on the values."""
    product = 0
    for _ in range(8):
        product ^= -(b & 1) & a
        a = (a << 1) ^ (-(a >> 7) & _POLYNOMIAL)
        b >>= 1
    return product


def inverse(a: int) -> int:
    """The multiplicative inverse, as a^254; of 0 it is 0."""
    result, power = 1, a
    for _ in range(7):  # 254 = 2 + 4 + 8 + 16 + 32 + 64 + 128
        power = multiply(power, power)
        result = multiply(result, power)
    return result


def _at(x: int, secret: Secret, higher: list[bytes]) -> bytearray:
    share = bytearray(len(secret))
    for coefficients in reversed(higher):  # Horner
        for place, value in enumerate(coefficients):
            share[place] = multiply(share[place] ^ value, x)
    for place, value in enumerate(secret):
        share[place] ^= value
    return share
