# SPDX-License-Identifier: Apache-2.0
"""Envelopes open where and as they were sealed, and nowhere else."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.crypto import envelope
from salus.crypto.envelope import OVERHEAD, SealingKey
from salus.kernel.errors import Kind, Problem

CONTEXT = ("record", "default", b"o" * 16, "Observation", "018f6d4c-0000-7000-8000-000000000000", 3)
PARTS = st.one_of(st.binary(max_size=40), st.text(max_size=40), st.integers(-(2**63), 2**64 - 1))
CONTEXTS = st.lists(PARTS, max_size=5).map(tuple)
KEY = SealingKey(bytes(range(32)))


def refused(key: SealingKey, blob: bytes, context: envelope.Context) -> str:
    """Open in vain; return the detail."""
    with pytest.raises(Problem) as caught:
        key.open(blob, context)
    assert caught.value.kind is Kind.FAULT
    assert caught.value.public == "A stored record failed its integrity check."
    return caught.value.detail


@given(st.binary(max_size=300), CONTEXTS)
def test_what_is_sealed_opens(plaintext: bytes, context: envelope.Context) -> None:
    blob = KEY.seal(plaintext, context)
    assert len(blob) == len(plaintext) + OVERHEAD
    assert KEY.open(blob, context) == plaintext


def test_an_envelope_of_the_first_release_still_opens() -> None:
    # Key 00 01 … 1f, nonce 00 01 … 17; the context's encoding is part of the format.
    blob = bytes.fromhex(
        "01011b4274c9782c1f197b4284b386d193919c0bb7091d86b2808c695302f424a8a2"
        "000102030405060708090a0b0c0d0e0f1011121314151617"
        "a3f8b222a8b35d6b0b04fea54eb996d5411f8b8094"
    )
    assert KEY.open(blob, CONTEXT) == b"Salus"


def test_each_envelope_has_its_own_nonce() -> None:
    nonces = [KEY.seal(b"", CONTEXT)[34:58] for _ in range(10_000)]
    assert len(set(nonces)) == 10_000
    assert len({nonce[12:] for nonce in nonces}) == 10_000
    derived = Counter(nonce[:12] for nonce in nonces)
    assert max(derived.values()) <= 4_096  # under one derived key random 96 bits may not be drawn for ever


def test_two_holders_of_a_key_never_share_a_nonce() -> None:
    first, second = SealingKey(bytes(range(32))), SealingKey(bytes(range(32)))
    assert first.seal(b"", CONTEXT)[34:46] != second.seal(b"", CONTEXT)[34:46]


def test_many_threads_share_a_key() -> None:
    plaintexts = [os.urandom(700) for _ in range(400)]

    def there_and_back(plaintext: bytes) -> bool:
        return KEY.open(KEY.seal(plaintext, CONTEXT), CONTEXT) == plaintext

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(there_and_back, plaintexts))


def test_a_bytearray_key_may_be_wiped_afterwards() -> None:
    raw = bytearray(range(32))
    key = SealingKey(raw)
    raw[:] = bytes(32)
    assert KEY.open(key.seal(b"text", CONTEXT), CONTEXT) == b"text"


@given(CONTEXTS, CONTEXTS)
def test_no_two_contexts_share_an_encoding(one: envelope.Context, other: envelope.Context) -> None:
    encode = msgspec.msgpack.Encoder().encode
    same = one == other and [type(part) for part in one] == [type(part) for part in other]
    assert (encode(one) == encode(other)) is same


# ── attacks ──────────────────────────────────────────────────────────────────────────────────────────────


def test_attack_flip_any_bit() -> None:
    blob = KEY.seal(b"potassium 4.1 mmol/L", CONTEXT)
    for position in range(len(blob)):
        for bit in range(8):
            altered = bytearray(blob)
            altered[position] ^= 1 << bit
            refused(KEY, bytes(altered), CONTEXT)


def test_attack_truncate_or_extend() -> None:
    blob = KEY.seal(b"potassium 4.1 mmol/L", CONTEXT)
    for length in range(len(blob)):
        refused(KEY, blob[:length], CONTEXT)
        refused(KEY, blob[length + 1 :], CONTEXT)
    refused(KEY, blob + b"\x00", CONTEXT)
    refused(KEY, blob + blob, CONTEXT)


def test_attack_empty_blob() -> None:
    assert refused(KEY, b"", CONTEXT) == "shorter than any envelope"
    assert refused(KEY, bytes(OVERHEAD), CONTEXT) == "unknown envelope version"


@pytest.mark.parametrize(
    "other",
    [
        ("record", "clinic-b", *CONTEXT[2:]),  # another tenant
        (*CONTEXT[:2], b"p" * 16, *CONTEXT[3:]),  # another patient
        (*CONTEXT[:3], "Condition", *CONTEXT[4:]),  # another type
        (*CONTEXT[:4], "018f6d4c-0000-7000-8000-000000000001", 3),  # another id
        (*CONTEXT[:5], 4),  # another version
        (*CONTEXT[:5], "3"),  # the same text, another type of value
        (*CONTEXT[:2], "o" * 16, *CONTEXT[3:]),
        ("recordd", "efault", *CONTEXT[2:]),  # the same letters, cut elsewhere
        CONTEXT[:-1],
        (*CONTEXT, ""),
        (),
    ],
)
def test_attack_move_to_another_place(other: envelope.Context) -> None:
    assert "another place" in refused(KEY, KEY.seal(b"text", CONTEXT), other)


def test_attack_swap_parts_of_two_envelopes() -> None:
    one, other = KEY.seal(b"first text", CONTEXT), KEY.seal(b"other text", CONTEXT)
    nonce_at, body_at, tag_at = 34, 58, len(one) - 16
    for start, end in (
        (nonce_at, body_at),
        (body_at, tag_at),
        (tag_at, None),
        (nonce_at, tag_at),
        (body_at, None),
    ):
        mixed = bytearray(one)
        mixed[start:end] = other[start:end]
        refused(KEY, bytes(mixed), CONTEXT)


def test_attack_downgrade_the_version_or_algorithm() -> None:
    blob = KEY.seal(b"text", CONTEXT)
    for version in {*range(256)} - {1}:
        assert refused(KEY, bytes([version]) + blob[1:], CONTEXT) == "unknown envelope version"
    for algorithm in {*range(256)} - {1}:
        detail = refused(KEY, blob[:1] + bytes([algorithm]) + blob[2:], CONTEXT)
        assert detail == "unknown envelope algorithm"


def test_attack_pass_an_envelope_off_as_one_of_another_key() -> None:
    mine, theirs = SealingKey(os.urandom(32)), SealingKey(os.urandom(32))
    blob = theirs.seal(b"text", CONTEXT)
    assert refused(mine, blob, CONTEXT) == "sealed under another key"
    own_header = mine.seal(b"", CONTEXT)[:34]
    assert "authentication failed" in refused(mine, own_header + blob[34:], CONTEXT)


def test_nothing_of_the_plaintext_or_context_is_in_a_refusal() -> None:
    blob = KEY.seal(b"HIV positive", CONTEXT)
    with pytest.raises(Problem) as caught:
        KEY.open(blob[:-1] + bytes([blob[-1] ^ 1]), CONTEXT)
    said = f"{caught.value!r} {caught.value} {caught.value.detail}"
    assert "HIV" not in said
    assert "Observation" not in said
    assert caught.value.__cause__ is None
