# SPDX-License-Identifier: Apache-2.0
"""A range of numbers is covered by few nodes and never misses a number in it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.crypto.magnitude_tree import cover, leaf, terms, upper, upper_terms

ANY = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-1000, max_value=1000, places=3),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.sampled_from([Decimal(text) for text in ("0", "-0", "0.0", "1E+400", "-1E+400", "1E-400", "-1E-400", "1E+38")]),
)


def all_terms(number: int) -> list[bytes]:
    return terms(number) + upper_terms(upper(number))


@given(ANY, ANY)
def test_a_larger_number_never_has_a_smaller_leaf(one: Decimal, other: Decimal) -> None:
    assert 0 <= leaf(min(one, other)) <= leaf(max(one, other)) < 65_536


@given(ANY, st.none() | ANY, st.none() | ANY)
def test_no_number_of_a_range_is_missed(value: Decimal, low: Decimal | None, high: Decimal | None) -> None:
    if (low is None or low <= value) and (high is None or value <= high):
        assert set(all_terms(leaf(value))) & set(cover(low, high))


@given(st.none() | ANY, st.none() | ANY)
def test_a_cover_names_each_leaf_at_most_once_and_is_short(low: Decimal | None, high: Decimal | None) -> None:
    found = cover(low, high)
    assert len(found) == len(set(found)) <= 46
    leaves = sum(4 ** int(term[1:2]) for term in found)
    first = 0 if low is None else leaf(low)
    last = 65_535 if high is None else leaf(high)
    assert leaves == max(0, last - first + 1)


def test_zero_has_one_leaf_whatever_its_sign() -> None:
    assert leaf(Decimal("-0.0")) == leaf(Decimal(0))
    assert leaf(Decimal("-0.001")) < leaf(Decimal(0)) < leaf(Decimal("0.001"))


def test_neighbouring_values_are_told_apart() -> None:
    assert len({leaf(Decimal(tenths) / 10) for tenths in range(30, 60)}) == 30  # potassium, 3.0 to 5.9 mmol/L


@pytest.mark.parametrize(("low", "high"), [("5", "4"), ("0.1", "-0.1"), ("1E+30", "0")])
def test_an_empty_range_has_no_cover(low: str, high: str) -> None:
    assert cover(Decimal(low), Decimal(high)) == []


def test_a_number_has_one_term_per_level() -> None:
    assert len(set(all_terms(leaf(Decimal("4.1"))))) == 8
