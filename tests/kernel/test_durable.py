# SPDX-License-Identifier: Apache-2.0
"""Files of whole blocks: what was written is there, on file systems of either kind."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salus.kernel.durable import BLOCK, DurableFile

WRITES = st.lists(st.lists(st.binary(max_size=3 * BLOCK), max_size=4), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=WRITES)
def test_what_was_written_is_there_and_zeros_behind_it(tmp_path: Path, writes: list[list[bytes]]) -> None:
    path = tmp_path / "file"
    path.unlink(missing_ok=True)
    file = DurableFile(path)
    expected = b""
    for parts in writes:
        content = b"".join(parts)
        size = file.write(parts, len(expected))
        assert size % BLOCK == 0
        assert 0 <= size - len(content) < BLOCK
        expected += content.ljust(size, b"\0")
    file.close()
    assert path.read_bytes() == expected


def test_a_shorter_content_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    file = DurableFile(tmp_path / "file")
    file.write((b"x" * 2 * BLOCK,), 0)
    file.write((b"y",), 0)
    file.close()
    assert (tmp_path / "file").read_bytes() == b"y".ljust(BLOCK, b"\0") + b"x" * BLOCK


def test_only_the_owner_may_read_it_and_it_takes_no_other_files_place(tmp_path: Path) -> None:
    DurableFile(tmp_path / "file").close()
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        DurableFile(tmp_path / "file")


def test_a_file_system_that_has_no_way_past_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refusing(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_DIRECT:
            real(path, flags & ~os.O_DIRECT, mode)  # the file is made before the flag is looked at
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refusing)
    file = DurableFile(tmp_path / "file")
    file.write((b"one", b"two"), 0)
    file.close()
    assert (tmp_path / "file").read_bytes().rstrip(b"\0") == b"onetwo"
