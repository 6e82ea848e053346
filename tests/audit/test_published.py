# SPDX-License-Identifier: Apache-2.0
"""Checkpoints in files: order, crashes and damage."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from salus.audit.checkpoint import NoteReader, Signer
from salus.audit.published import Published
from salus.kernel.errors import Problem

SIGNER = Signer("salus/default", b"s" * 32)
READER = NoteReader(SIGNER.public)


def note(size: int) -> str:
    return SIGNER.sign(size, bytes([size]) * 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


@pytest.fixture
def published(folder: Path) -> Published:
    return Published(folder)


def newest(published: Published) -> int:
    point = published.newest("default", READER)
    return point.size if point else 0


def test_nothing_is_published_at_first(published: Published) -> None:
    assert newest(published) == 0
    assert list(published.notes("default")) == []


def test_every_note_is_kept_and_the_largest_is_the_latest(published: Published, folder: Path) -> None:
    for size in (3, 9, 5):  # a slower process may publish an older one last
        published.publish("default", note(size), size, durable=size == 9)
    assert newest(published) == 9
    assert (folder / "default.latest").read_text() == note(9)
    assert [READER.open(text).size for text in published.notes("default")] == [3, 9, 5, 9]


def test_files_are_for_the_owner_only(published: Published, folder: Path) -> None:
    published.publish("default", note(1), 1)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("left", range(1, 190, 9))
def test_crash_in_the_middle_of_a_note_spoils_only_that_note(published: Published, folder: Path, left: int) -> None:
    published.publish("default", note(1), 1)
    whole = len((folder / "default.log").read_bytes())
    published.publish("default", note(2), 2)
    with (folder / "default.log").open("r+b") as file:
        file.truncate(min(whole + left, whole * 2 - 3))
    published.publish("default", note(3), 3)
    genuine = set()
    for text in published.notes("default"):
        try:
            genuine.add(READER.open(text).size)
        except Problem:
            continue
    assert genuine == {1, 3}


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"salus/default\n", b"x\n" + b"9" * 9000])
def test_attack_latest_blanked_or_damaged(published: Published, folder: Path, damage: bytes) -> None:
    published.publish("default", note(7), 7)
    (folder / "default.latest").write_bytes(damage)
    assert newest(published) == 7
    published.publish("default", note(8), 8)
    assert (folder / "default.latest").read_text() == note(8)


def test_attack_latest_replaced_by_an_older_note(published: Published, folder: Path) -> None:
    published.publish("default", note(2), 2)
    published.publish("default", note(7), 7)
    (folder / "default.latest").write_text(note(2))
    assert newest(published) == 7


def test_attack_recent_notes_buried_under_rubbish(published: Published, folder: Path) -> None:
    published.publish("default", note(7), 7)
    (folder / "default.latest").unlink()
    with (folder / "default.log").open("ab") as file:
        file.write(b"x" * 40_000)
    assert newest(published) == 7


def test_attack_log_file_replaced_by_a_link(published: Published, folder: Path, tmp_path: Path) -> None:
    folder.mkdir(mode=0o700)
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (folder / "default.log").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"):
        published.publish("default", note(1), 1)
    assert victim.read_text() == "untouched"


def test_attack_tenant_name_that_leaves_the_folder(published: Published) -> None:
    with pytest.raises(Problem):
        published.publish("../default", note(1), 1)
