# SPDX-License-Identifier: Apache-2.0
"""A file of whole blocks, each write to which is on the disk when it returns.

Written past the page cache where the file system can (O_DIRECT with O_DSYNC): one trip to the disk, where writing and
flushing are two, and half the time of the processor.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

BLOCK: Final = 4096
"""Bytes; a multiple of what any disk writes at once."""

_FIRST_ROOM = 16 * BLOCK


class DurableFile:
    """A new file, mode 0600; raises OSError when it cannot be made."""

    def __init__(self, path: Path) -> None:
        self._file = _made(path)
        self._page = mmap.mmap(-1, _FIRST_ROOM)  # begins where a page does, as O_DIRECT wants it

    def fileno(self) -> int:
        """The descriptor, for locks."""
        return self._file

    def write(self, content: Sequence[bytes], at: int) -> int:
        """Write parts one behind the other, and zeros up to the end of the last block.

        Args:
            at: where the first byte goes; a multiple of `BLOCK`.

        Returns:
            Bytes that were written, a multiple of `BLOCK`.

        Raises:
            OSError: not everything is on the disk.
        """
        length = sum(map(len, content))
        size = length + -length % BLOCK
        if size > len(self._page):
            self._page = mmap.mmap(-1, size)
        page = self._page
        page.seek(0)
        for part in content:
            page.write(part)
        page.write(bytes(size - length))
        if os.pwritev(self._file, [memoryview(page)[:size]], at) != size:
            raise OSError("a file was written in part")
        return size

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def _made(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_DSYNC
    try:
        return os.open(path, flags | getattr(os, "O_DIRECT", 0), 0o600)
    except OSError as error:
        if error.errno != errno.EINVAL:  # this file system cannot
            raise
    path.unlink(missing_ok=True)
    return os.open(path, flags, 0o600)
