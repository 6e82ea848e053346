# SPDX-License-Identifier: Apache-2.0
"""Key files are written once and read with suspicion."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from salus.crypto.keyfile import private_folder, read_private, write_new
from salus.kernel.errors import Kind, Problem


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    private_folder(tmp_path / "keys")
    return tmp_path / "keys"


def refused(path: Path) -> str:
    """Read in vain; return the detail."""
    with pytest.raises(Problem) as caught:
        read_private(path)
    assert caught.value.kind is Kind.UNAVAILABLE
    assert str(path.parent) not in caught.value.detail
    return caught.value.detail


def test_what_is_written_is_read(folder: Path) -> None:
    write_new(folder / "page.key", b"secret")
    assert read_private(folder / "page.key") == b"secret"
    assert list(folder.iterdir()) == [folder / "page.key"]


def test_files_and_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        private_folder(tmp_path / "new")
        write_new(tmp_path / "new" / "page.key", b"secret")
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "page.key").stat().st_mode & 0o777 == 0o600


def test_an_existing_file_is_never_overwritten(folder: Path) -> None:
    write_new(folder / "page.key", b"first")
    with pytest.raises(Problem) as caught:
        write_new(folder / "page.key", b"second")
    assert caught.value.kind is Kind.CONFLICT
    assert read_private(folder / "page.key") == b"first"
    assert list(folder.iterdir()) == [folder / "page.key"]


def test_attack_dangling_link_in_place_of_the_new_file(folder: Path, tmp_path: Path) -> None:
    (folder / "page.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Problem) as caught:
        write_new(folder / "page.key", b"secret")
    assert caught.value.kind is Kind.CONFLICT
    assert not (tmp_path / "elsewhere").exists()


def test_attack_link_to_another_file(folder: Path) -> None:
    write_new(folder / "other", b"chosen by an attacker")
    (folder / "page.key").symlink_to(folder / "other")
    assert "symbolic link" in refused(folder / "page.key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o610])
def test_attack_file_open_to_others(folder: Path, mode: int) -> None:
    write_new(folder / "page.key", b"secret")
    (folder / "page.key").chmod(mode)
    assert "chmod 600 page.key" in refused(folder / "page.key")


def test_a_read_only_file_is_accepted(folder: Path) -> None:
    write_new(folder / "page.key", b"secret")
    (folder / "page.key").chmod(0o400)
    assert read_private(folder / "page.key") == b"secret"


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o1777, 0o702])
def test_attack_folder_in_which_others_may_swap_the_file(folder: Path, mode: int) -> None:
    write_new(folder / "page.key", b"secret")
    folder.chmod(mode)
    assert "chmod 700 keys" in refused(folder / "page.key")
    with pytest.raises(Problem):
        write_new(folder / "new.key", b"secret")
    with pytest.raises(Problem):
        private_folder(folder)


def test_attack_pipe_in_place_of_the_file(folder: Path) -> None:
    os.mkfifo(folder / "page.key", 0o600)
    assert "regular file" in refused(folder / "page.key")


def test_attack_folder_in_place_of_the_file(folder: Path) -> None:
    (folder / "page.key").mkdir(mode=0o700)
    assert "regular file" in refused(folder / "page.key")


def test_attack_endless_file(folder: Path) -> None:
    write_new(folder / "page.key", bytes(65_537))
    assert "too large" in refused(folder / "page.key")


def test_a_missing_file_is_reported(folder: Path) -> None:
    assert "ENOENT" in refused(folder / "page.key")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_attack_file_of_another_user(folder: Path) -> None:
    write_new(folder / "page.key", b"secret")
    os.chown(folder / "page.key", 65_534, -1)
    assert "another user" in refused(folder / "page.key")
