# SPDX-License-Identifier: Apache-2.0
"""Shamir's secret sharing: the field of FIPS 197, any k shares give the secret, fewer say nothing."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.crypto import shamir
from salus.crypto.shamir import combine, inverse, multiply, split

BYTES = st.integers(0, 255)


def test_products_of_fips_197() -> None:
    # Sections 4.2 and 4.2.1, and the inverse that section 5.1.1 uses for the S-box value of {53}.
    assert multiply(0x57, 0x83) == 0xC1
    assert multiply(0x57, 0x13) == 0xFE
    assert [multiply(0x57, x) for x in (0x02, 0x04, 0x08, 0x10)] == [0xAE, 0x47, 0x8E, 0x07]
    assert inverse(0x53) == 0xCA


@given(BYTES, BYTES, BYTES)
def test_it_is_a_field(a: int, b: int, c: int) -> None:
    assert multiply(a, b) == multiply(b, a)
    assert multiply(a, multiply(b, c)) == multiply(multiply(a, b), c)
    assert multiply(a, b ^ c) == multiply(a, b) ^ multiply(a, c)
    assert multiply(a, 1) == a


def test_every_number_but_zero_has_an_inverse() -> None:
    assert all(multiply(a, inverse(a)) == 1 for a in range(1, 256))
    assert inverse(0) == 0


def test_a_known_polynomial() -> None:
    """f(x) = 0x42 + 0x57 x, with the products above: f(2) = 0x42 + 0xae, f(4) = 0x42 + 0x47."""
    shares = split(b"\x42", 2, 4, lambda count: b"\x57" * count)
    assert {x: share[0] for x, share in shares.items()} == {1: 0x42 ^ 0x57, 2: 0x42 ^ 0xAE, 3: 0xBB, 4: 0x42 ^ 0x47}
    assert multiply(0x57, 3) ^ 0x42 == 0xBB


@given(st.binary(min_size=1, max_size=40), st.data())
def test_any_k_of_n_shares_give_the_secret(secret: bytes, data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 12))
    needed = data.draw(st.integers(2, count))
    shares = split(secret, needed, count)
    some = data.draw(st.permutations(sorted(shares)))
    for size in range(needed, count + 1):
        assert combine({x: shares[x] for x in some[:size]}) == secret


def test_every_choice_of_three_of_five(  # a whole key, all ten choices
) -> None:
    secret = os.urandom(32)
    shares = split(secret, 3, 5)
    assert all(combine({x: shares[x] for x in some}) == secret for some in itertools.combinations(shares, 3))
    assert not any(combine({x: shares[x] for x in some}) == secret for some in itertools.combinations(shares, 2))


def test_fewer_shares_say_nothing() -> None:
    """One share of two: every secret is as possible as any other, and each by exactly one polynomial."""
    share = split(b"\x42", 2, 2)[1][0]
    explained = [secret for secret in range(256) for slope in range(256) if secret ^ slope == share]
    assert sorted(explained) == list(range(256))


@given(st.integers(0, 255))
def test_the_shares_of_a_secret_are_spread_evenly(secret: int) -> None:
    shares = [split(bytes([secret]), 2, 2, lambda count, slope=slope: bytes([slope]) * count) for slope in range(256)]
    for x in (1, 2):
        assert sorted(share[x][0] for share in shares) == list(range(256))


def test_a_changed_share_gives_another_secret() -> None:
    shares = split(bytes(32), 2, 3)
    shares[2][5] ^= 1
    assert combine({1: shares[1], 2: shares[2]}) != bytes(32)


@pytest.mark.parametrize(("needed", "count"), [(1, 3), (0, 3), (4, 3), (2, 256), (-1, 1)])
def test_impossible_numbers_are_refused(needed: int, count: int) -> None:
    with pytest.raises(ValueError, match="needed"):
        split(b"x", needed, count)


@pytest.mark.parametrize("shares", [{}, {0: b"a", 1: b"b"}, {1: b"a", 2: b"bb"}, {256: b"a"}])
def test_shares_that_do_not_go_together_are_refused(shares: dict[int, bytes]) -> None:
    with pytest.raises(ValueError, match="shares"):
        combine(shares)


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        split(b"", 2, 3)
    assert shamir.MOST == 255
