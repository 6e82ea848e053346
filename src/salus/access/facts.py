# SPDX-License-Identifier: Apache-2.0
"""What a decision may look at in a record: opaque surrogates beside it, never its content.

The same values stand in columns of table alias `r`, so that a decision over one record and a filter over
many agree. None of them is ever NULL: an absent fact is an empty value, so that SQL's third truth value
cannot arise.
"""

from __future__ import annotations

from dataclasses import dataclass

SURROGATE = 16
"""Bytes of one surrogate."""

CONFIDENTIALITY: dict[str, int] = {"U": 0, "L": 1, "M": 2, "N": 3, "R": 4, "V": 5}
"""Rank of a confidentiality code, http://terminology.hl7.org/CodeSystem/v3-Confidentiality, lowest first."""

UNLABELLED = CONFIDENTIALITY["N"]
"""Rank of a record without a confidentiality label."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of one record version.

    Attributes:
        owners: 16-byte surrogates of the patients whose compartment holds the record, joined; b"" = none.
        author: 16-byte surrogate of the author's reference, or b"".
        labels: 16-byte surrogates of category codes, joined.
        sensitivity: 16-byte surrogates of sensitivity label codes, joined.
        rank: confidentiality U0 L1 M2 N3 R4 V5.
    """

    owners: bytes = b""
    author: bytes = b""
    labels: bytes = b""
    sensitivity: bytes = b""
    rank: int = UNLABELLED


def split(joined: bytes) -> list[bytes]:
    """Take joined surrogates apart.

    Args:
        joined: a multiple of 16 bytes.

    Returns:
        The surrogates in their order; empty for b"".
    """
    return [joined[at : at + SURROGATE] for at in range(0, len(joined), SURROGATE)]
