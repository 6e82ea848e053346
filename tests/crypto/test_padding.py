# SPDX-License-Identifier: Apache-2.0
"""Padding is reversible, short, and hides the exact length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.crypto.padding import pad, unpad
from salus.kernel.errors import Kind, Problem


@given(st.binary(max_size=5_000))
def test_what_is_padded_comes_back(data: bytes) -> None:
    assert unpad(pad(data)) == data


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x80", b"\x80\x00\x00", b"text\x80", b"text\x00\x00"])
def test_data_that_looks_like_padding_comes_back(data: bytes) -> None:
    assert unpad(pad(data)) == data


@pytest.mark.parametrize(("length", "padded"), [(0, 1), (199, 208), (207, 208), (699, 704), (1_499, 1_536)])
def test_lengths_are_those_of_padme(length: int, padded: int) -> None:
    assert len(pad(bytes(length))) == padded


@given(st.integers(1, 100_000))
def test_padding_costs_at_most_twelve_per_cent(length: int) -> None:
    assert length < len(pad(bytes(length))) <= length * 1.12 + 2


def test_few_lengths_remain() -> None:
    assert len({len(pad(bytes(length))) for length in range(1_024, 2_048)}) <= 33


@pytest.mark.parametrize("wrong", [b"", b"\x00", b"text", b"text\x80" + bytes(100), b"\x80" + bytes(400), b"t\x80\x00"])
def test_attack_forged_padding(wrong: bytes) -> None:
    with pytest.raises(Problem) as caught:
        unpad(wrong)
    assert caught.value.kind is Kind.FAULT
