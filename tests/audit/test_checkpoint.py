# SPDX-License-Identifier: Apache-2.0
"""Signed checkpoints: the C2SP text, and what a forger may try with it."""

from __future__ import annotations

from base64 import b64encode

import pytest

from salus.audit.checkpoint import Checkpoint, NoteReader, Signer, origin_of
from salus.kernel.errors import Kind, Problem

ROOT = bytes(range(32))
SEED = b"s" * 32
SIGNER = Signer("salus/default", SEED)
READER = NoteReader(SIGNER.public)


def refused(note: str, reader: NoteReader = READER) -> str:
    with pytest.raises(Problem) as caught:
        reader.open(note)
    assert caught.value.kind is Kind.INVALID
    return caught.value.public


def test_the_text_is_a_tlog_checkpoint_in_a_signed_note() -> None:
    lines = SIGNER.sign(12, ROOT).split("\n")
    assert lines[:4] == ["salus/default", "12", b64encode(ROOT).decode(), ""]
    assert lines[4].startswith("— salus/default ")
    assert lines[5:] == [""]


def test_a_signed_checkpoint_opens() -> None:
    assert READER.open(SIGNER.sign(12, ROOT)) == Checkpoint("salus/default", 12, ROOT)


@pytest.mark.parametrize(
    "public",
    [
        # keys of others: of the Go checksum database, and of the documentation of signed notes
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_public_keys_made_by_others_are_understood(public: str) -> None:
    assert NoteReader(public).origin == public.partition("+")[0]


@pytest.mark.parametrize(
    "public",
    [
        "",
        "salus/default",
        "salus/default+00000000+AAAA",
        "salus/default+00000000+" + SIGNER.public.rpartition("+")[2],
        SIGNER.public.replace("salus/default", "salus/another"),
        SIGNER.public[:-1] + "!",
    ],
)
def test_a_malformed_public_key_is_refused(public: str) -> None:
    with pytest.raises(Problem) as caught:
        NoteReader(public)
    assert caught.value.kind is Kind.INCORRECT


def test_attack_size_changed_in_the_text() -> None:
    assert "wrong" in refused(SIGNER.sign(12, ROOT).replace("\n12\n", "\n11\n"))


def test_attack_signed_by_another_key_of_the_same_name() -> None:
    assert "not signed" in refused(Signer("salus/default", b"t" * 32).sign(12, ROOT))


def test_attack_checkpoint_of_another_tenant() -> None:
    other = Signer("salus/other", SEED)
    assert "not signed" in refused(other.sign(12, ROOT))
    renamed = other.sign(12, ROOT).replace("— salus/other", "— salus/default")
    assert refused(renamed)


def test_attack_no_signature() -> None:
    assert refused(Checkpoint("salus/default", 12, ROOT).text())
    assert refused(Checkpoint("salus/default", 12, ROOT).text() + "\n")


def test_attack_every_changed_character_is_noticed() -> None:
    note = SIGNER.sign(12, ROOT)
    for position, letter in enumerate(note):
        for other in ("A", "B", "\n"):
            if other != letter:
                refused(note[:position] + other + note[position + 1 :])


def test_a_signed_text_that_is_no_checkpoint_is_refused() -> None:
    for size in ("012", "-1", "1e3", "x", ""):
        text = f"salus/default\n{size}\n{b64encode(ROOT).decode()}\n"
        signature = b64encode(SIGNER._id + SIGNER._key.sign(text.encode())).decode()
        assert "size and root" in refused(f"{text}\n— salus/default {signature}\n")


def test_lines_of_witnesses_are_let_through() -> None:
    note = SIGNER.sign(12, ROOT)
    witness = "— witness.example/w1 " + b64encode(b"\x00" * 76).decode() + "\n"
    assert READER.open(note + witness).size == 12
    assert "malformed" in refused(note + "— witness\n")
    assert refused(note + witness * 40)


@pytest.mark.parametrize("tenant", ["", "..", "a/b", "a b", "a+b", "a\nb", ".hidden", "a" * 200])
def test_a_name_that_could_break_out_of_note_or_folder_is_refused(tenant: str) -> None:
    with pytest.raises(Problem):
        origin_of(tenant)
