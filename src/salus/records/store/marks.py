# SPDX-License-Identifier: Apache-2.0
"""What a row's tokens add up to, kept with the row, so that a changed index is noticed.

The full-text index cannot be asked what it holds for a row; it can be read through, token by token. So each pair of a
token and a row becomes one number under a key (AES of both, 16 bytes), and numbers are added without carry, in any
order. The sum is encrypted by another key: whoever saw sums of known tokens could otherwise look for changes that
cancel out.

The sum stands in the row (`record.marks`), and the row is covered by the manifest (`salus.freshness`).
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from salus.crypto.keyring import TenantKeys
from salus.crypto.wiping import Secret, wipe
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem

NONE = b""
"""The marks of a row that stands not in the index."""

_PAIRS, _SUMS = "index-pairs", "index-sums"  # purposes of derived keys
_SIZE = 16
_BLOCK_BITS = 128
_AT_ONCE = 4_096  # pairs, and the most blocks that are folded together
_BARE = modes.ECB()  # noqa: S305  the bare block cipher: each block is a pair, and no block leaves this module
_WORDS = "create virtual table if not exists temp.index_word using fts5vocab(main, blind_token, instance)"
_READ = "select term, doc from temp.index_word"


_Bare = Callable[[bytes], bytes]


def folded(blocks: bytes) -> int:
    """The sum without carry of 16-byte blocks."""
    number = int.from_bytes(blocks)
    for half, mask in _halves(len(blocks) // _SIZE):
        number = (number >> half) ^ (number & mask)
    return number


@lru_cache(maxsize=1024)
def _halves(blocks: int) -> tuple[tuple[int, int], ...]:
    """How so many blocks are folded to one: at which bit each time, and a mask of what is below."""
    powers = range((blocks - 1).bit_length() - 1, -1, -1) if blocks > 1 else ()
    return tuple((_BLOCK_BITS << power, (1 << (_BLOCK_BITS << power)) - 1) for power in powers)


class IndexMarks:
    """The marks of one tenant's rows."""

    def __init__(self, keys: TenantKeys) -> None:
        self.keys = keys
        pairs, sums = keys.derived(_PAIRS), keys.derived(_SUMS)
        self._pairs, _ = _ciphers(pairs)
        self._close, self._open = _ciphers(sums)
        wipe(pairs, sums)
        keys.when_forgotten(self._let_go)

    def _let_go(self) -> None:
        self._pairs = self._close = self._open = _gone

    def of(self, seq: int, terms: str) -> bytes:
        """The marks of a row.

        Args:
            seq: the row.
            terms: its tokens of 16 hexadecimal digits, separated by spaces.
        """
        if not terms:
            return NONE
        row = f"{seq:016x}"
        return self.closed(folded(self._pairs(bytes.fromhex(terms.replace(" ", row) + row))))

    def closed(self, total: int) -> bytes:
        """Marks that say a sum."""
        return self._close(total.to_bytes(_SIZE))

    def pairs(self, terms: array[int], rows: array[int]) -> bytes:
        """The numbers of many pairs, 16 bytes each; tokens and rows as 8 bytes each, most significant first."""
        blocks = array("Q", bytes(len(terms) * _SIZE))
        blocks[0::2], blocks[1::2] = terms, rows
        return self._pairs(blocks.tobytes())

    def opened(self, marks: bytes) -> bytes:
        """Sums out of marks, one behind the other."""
        return self._open(marks)


class Marking:
    """Makes marks for rows of any tenant."""

    def __init__(self, keys_of: Callable[[str], TenantKeys]) -> None:
        self._keys_of = keys_of
        self._known: dict[str, IndexMarks] = {}

    def tenant(self, name: str) -> IndexMarks:
        """The marks of a tenant."""
        keys = self._keys_of(name)
        known = self._known.get(name)
        if known is None or known.keys is not keys:
            known = self._known[name] = IndexMarks(keys)
        return known


def words(db: Connection, since: int = 0, until: int = 0) -> Iterator[tuple[list[str], list[int]]]:
    """Every pair of a token and a row that the index holds, in portions: tokens, and their rows.

    Args:
        since, until: only rows in [since, until); all without.
    """
    db.execute(_WORDS)
    within = f"{_READ} where doc >= ? and doc < ?"
    found: Any = db.execute(_READ) if since == until else db.execute(within, (since, until))
    while some := list(islice(found, _AT_ONCE)):
        terms, rows = zip(*some, strict=True)
        yield list(terms), list(rows)


def numbers(terms: list[str]) -> array[int]:
    """Tokens as numbers for `IndexMarks.pairs`.

    Raises:
        ValueError: something is no token of 16 hexadecimal digits.
    """
    if any(len(term) != _SIZE for term in terms):
        raise ValueError("not a token")
    return array("Q", bytes.fromhex("".join(terms)))


def places(rows: list[int]) -> array[int]:
    """Rows as numbers for `IndexMarks.pairs`."""
    found = array("Q", rows)
    if sys.byteorder == "little":
        found.byteswap()
    return found


def _ciphers(key: Secret) -> tuple[_Bare, _Bare]:
    own = bytearray(key)  # what the cipher object keeps a reference to; OpenSSL has its own copy
    cipher = Cipher(algorithms.AES(own), _BARE)
    both = cipher.encryptor().update, cipher.decryptor().update
    wipe(own)
    return both


def _gone(_: bytes) -> bytes:
    raise Problem(Kind.UNAVAILABLE, "The keys are not available.", "let go", retry_after=5)
