# SPDX-License-Identifier: Apache-2.0
"""The Merkle tree of RFC 6962: roots, proofs of inclusion and of consistency, and how to check them.

A leaf is SHA-256(0x00 || entry), a node is SHA-256(0x01 || left || right); the two prefixes keep an entry
from passing for a node. The tree over n leaves splits at the largest power of two below n
(https://www.rfc-editor.org/rfc/rfc6962#section-2.1).

Pure: hashes in, hashes out. Proofs are made from a stream of leaf hashes, so that a log of any size needs
only a few hashes in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()

Range = tuple[int, int]  # [start, end) of leaf indices


def leaf_hash(entry: bytes) -> bytes:
    """Hash one log entry as a leaf; 32 bytes."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into their parent; 32 bytes."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: all that is needed to append leaves and to tell the root.

    Attributes:
        size: number of leaves so far.
        hashes: roots of the perfect subtrees, largest first; one for each bit that is set in `size`.
    """

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)

    @classmethod
    def parse(cls, size: int, blob: bytes) -> Frontier:
        """Read the edge from the bytes that `pack` made.

        Raises:
            ValueError: the number of hashes does not fit the size.
        """
        if size < 0 or len(blob) != HASH_BYTES * size.bit_count():
            raise ValueError("the frontier does not fit the size of the tree")
        return cls(size, (blob[i : i + HASH_BYTES] for i in range(0, len(blob), HASH_BYTES)))

    def pack(self) -> bytes:
        """The hashes one after the other."""
        return b"".join(self.hashes)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash; one node hash on average."""
        hashes, rest = self.hashes, self.size
        while rest & 1:
            leaf = sha256(b"\x01" + hashes.pop() + leaf).digest()
            rest >>= 1
        hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The Merkle tree hash over all leaves so far; 32 bytes."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root


# ── making proofs ───────────────────────────────────────────────────────────────────────────────────────────


def inclusion_proof(leaves: Iterable[bytes], index: int, size: int) -> list[bytes]:
    """Prove that leaf `index` is in the tree over the first `size` leaves (RFC 6962 section 2.1.1).

    Args:
        leaves: leaf hashes from index 0 on; only the first `size` are taken.
        index: position of the leaf, 0 <= index < size.
        size: size of the tree that the proof is for.

    Raises:
        ValueError: index and size do not fit, or there are too few leaves.
    """
    if not 0 <= index < size:
        raise ValueError("the index is outside the tree")
    ranges: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    ranges.reverse()
    return _roots_of(leaves, ranges, size)


def consistency_proof(leaves: Iterable[bytes], old: int, new: int) -> list[bytes]:
    """Prove that the tree over `new` leaves begins with the tree over `old` leaves (RFC 6962 section 2.1.2).

    Args:
        leaves: leaf hashes from index 0 on; only the first `new` are taken.
        old: size of the earlier tree, 1 <= old <= new.
        new: size of the later tree.

    Raises:
        ValueError: the sizes do not fit, or there are too few leaves.
    """
    if not 1 <= old <= new:
        raise ValueError("the earlier tree must not be empty or larger than the later one")
    ranges: list[Range] = []
    start, end = 0, new
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:  # the verifier knows the old root itself, but not a part of it
        ranges.append((start, end))
    ranges.reverse()
    return _roots_of(leaves, ranges, new)


def _split(size: int) -> int:
    """The largest power of two below `size` (size > 1)."""
    return 1 << ((size - 1).bit_length() - 1)


def _roots_of(leaves: Iterable[bytes], ranges: Sequence[Range], size: int) -> list[bytes]:
    """Roots of disjoint ranges in one pass over the leaves, in the order of `ranges`."""
    waiting = sorted(ranges, reverse=True)
    roots: dict[Range, bytes] = {}
    edge = Frontier()
    seen = 0
    for index, leaf in enumerate(leaves):
        if index == size:
            break
        seen += 1
        if not waiting or index < waiting[-1][0]:
            continue
        edge.append(leaf)
        if index + 1 == waiting[-1][1]:
            roots[waiting.pop()] = edge.root()
            edge = Frontier()
    if seen < size:
        raise ValueError("there are fewer leaves than the tree has")
    return [roots[part] for part in ranges]


# ── checking proofs ─────────────────────────────────────────────────────────────────────────────────────────


def verify_inclusion(index: int, size: int, leaf: bytes, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the leaf hash `leaf` is at `index` in the tree of this size and root.

    RFC 9162 section 2.1.3.2 (https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3.2).
    """
    if not 0 <= index < size or not _all_hashes(leaf, root, *proof):
        return False
    node, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            value = node_hash(sibling, value)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            value = node_hash(value, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and value == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree (new, new_root) only added to the tree (old, old_root).

    RFC 9162 section 2.1.4.2. From an empty tree nothing can be shown, so `old == 0` is refused unless both
    are empty.
    """
    if not 0 <= old <= new or not _all_hashes(old_root, new_root, *proof):
        return False
    if old == new:
        return not proof and old_root == new_root and (old > 0 or old_root == EMPTY_ROOT)
    if old == 0:
        return False
    path = list(proof)
    if old & (old - 1) == 0:  # a whole subtree of the later tree: its root is known
        path.insert(0, old_root)
    if not path:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node >>= 1
        last >>= 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first = node_hash(sibling, first)
            second = node_hash(sibling, second)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            second = node_hash(second, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and first == old_root and second == new_root


def _all_hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
