# SPDX-License-Identifier: Apache-2.0
"""The tree against the recursive definition of RFC 6962 section 2.1, and proofs against forgery."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)

from .registry import flipped

sizes = st.integers(1, 70)


def entries(count: int) -> list[bytes]:
    return [b"entry %d" % i for i in range(count)]


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(entry) for entry in entries(count)]


def tree_hash(data: list[bytes]) -> bytes:
    """MTH as RFC 6962 writes it down."""
    if not data:
        return sha256(b"").digest()
    if len(data) == 1:
        return sha256(b"\x00" + data[0]).digest()
    split = 1
    while split * 2 < len(data):
        split *= 2
    return sha256(b"\x01" + tree_hash(data[:split]) + tree_hash(data[split:])).digest()


def grown(count: int) -> Frontier:
    frontier = Frontier()
    for leaf in leaves(count):
        frontier.append(leaf)
    return frontier


def test_the_empty_tree() -> None:
    assert Frontier().root() == EMPTY_ROOT == tree_hash([])


@given(st.integers(0, 200))
def test_growing_gives_the_root_of_the_definition(count: int) -> None:
    assert grown(count).root() == tree_hash(entries(count))


@given(sizes, sizes)
def test_a_stored_frontier_goes_on_where_it_stopped(first: int, more: int) -> None:
    stored = grown(first)
    frontier = Frontier.parse(stored.size, stored.pack())
    for leaf in leaves(first + more)[first:]:
        frontier.append(leaf)
    assert frontier.root() == tree_hash(entries(first + more))


@pytest.mark.parametrize(("size", "length"), [(3, 32), (4, 64), (0, 32), (-1, 0), (1, 31)])
def test_a_frontier_that_does_not_fit_its_size_is_refused(size: int, length: int) -> None:
    with pytest.raises(ValueError, match="frontier"):
        Frontier.parse(size, bytes(length))


@given(st.data())
def test_every_entry_can_be_proven(data: st.DataObject) -> None:
    size = data.draw(sizes)
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(leaves(size + 3), index, size)
    assert verify_inclusion(index, size, leaf_hash(b"entry %d" % index), tree_hash(entries(size)), proof)


@given(st.data())
def test_every_growth_can_be_proven(data: st.DataObject) -> None:
    new = data.draw(sizes)
    old = data.draw(st.integers(1, new))
    proof = consistency_proof(leaves(new), old, new)
    assert verify_consistency(old, new, tree_hash(entries(old)), tree_hash(entries(new)), proof)


@given(st.data())
def test_forged_inclusion_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 70))
    index = data.draw(st.integers(0, size - 1))
    root, leaf = tree_hash(entries(size)), leaf_hash(b"entry %d" % index)
    proof = inclusion_proof(leaves(size), index, size)
    place = data.draw(st.integers(0, len(proof) - 1))
    broken = [*proof[:place], flipped(proof[place], data.draw(st.integers(0, 31))), *proof[place + 1 :]]
    assert not verify_inclusion(index, size, leaf, root, broken)
    assert not verify_inclusion(index, size, leaf, root, proof[:-1])
    assert not verify_inclusion(index, size, leaf, root, [*proof, leaf])
    assert not verify_inclusion(index, size, leaf_hash(b"another"), root, proof)
    assert not verify_inclusion(index ^ 1, size, leaf, root, proof)
    assert not verify_inclusion(index, size, leaf, flipped(root, 0), proof)


@given(st.data())
def test_forged_consistency_is_refused(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, 70))
    old = data.draw(st.integers(1, new - 1))
    before, after = tree_hash(entries(old)), tree_hash(entries(new))
    proof = consistency_proof(leaves(new), old, new)
    place = data.draw(st.integers(0, len(proof) - 1))
    broken = [*proof[:place], flipped(proof[place], data.draw(st.integers(0, 31))), *proof[place + 1 :]]
    assert not verify_consistency(old, new, before, after, broken)
    assert not verify_consistency(old, new, before, after, proof[:-1])
    assert not verify_consistency(old, new, before, after, [*proof, before])
    assert not verify_consistency(old, new, after, before, proof)


def test_an_inner_node_does_not_pass_for_an_entry() -> None:
    left, right = leaves(2)
    assert leaf_hash(left + right) != tree_hash(entries(2))


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0), (0, 9)])
def test_proofs_outside_the_log_are_not_made(index: int, size: int) -> None:
    with pytest.raises(ValueError, match=r"tree"):
        inclusion_proof(leaves(5), index, size)


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3), (2, 9)])
def test_consistency_of_impossible_sizes_is_not_proven(old: int, new: int) -> None:
    with pytest.raises(ValueError, match=r"tree"):
        consistency_proof(leaves(5), old, new)
