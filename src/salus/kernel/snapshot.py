# SPDX-License-Identifier: Apache-2.0
"""Copies of an open SQLite file, page by page as it lies on the disk, while others write to it.

A read transaction holds the state: as long as it is open, no checkpoint writes pages that are newer than it into the
file, and the write-ahead log is not begun anew over frames that it needs. So the file first, then the log behind it,
are what a power cut would have left: SQLite brings both together when the copy is opened, at the last whole commit.
Pages stay encrypted, and a page that was not written since looks the same in the next copy.

Files are read through SQLite's own file layer: closing a plain descriptor would drop the locks of this process (POSIX).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem

_READ = apsw.SQLITE_OPEN_READONLY
_PLAIN_FILES = "unix"  # the layer below page encryption


@contextmanager
def held(connection: Connection) -> Iterator[Connection]:
    """Hold the present state of a database open; it must be the only transaction of the connection."""
    connection.execute("pragma wal_checkpoint(passive)").fetchall()  # less is left for the log
    connection.execute("begin")
    try:
        connection.execute("select count(*) from sqlite_schema").fetchall()  # only a read begins the transaction
        yield connection
    finally:
        connection.execute("rollback")


def raw_pieces(path: Path, size: int) -> Iterator[bytes]:
    """The bytes of a database file, or of its log (`-wal`), in pieces of `size`; nothing when it is not there.

    Raises:
        Problem: UNAVAILABLE when it cannot be read.
    """
    if not path.exists():
        return
    kind = apsw.SQLITE_OPEN_WAL if path.name.endswith("-wal") else apsw.SQLITE_OPEN_MAIN_DB
    try:
        file = apsw.VFSFile(_PLAIN_FILES, str(path.absolute()), [kind | _READ, 0])
        try:
            end = file.xFileSize()
            for at in range(0, end, size):
                yield file.xRead(min(size, end - at), at)
        finally:
            file.xClose()
    except apsw.Error as error:
        raise Problem(
            Kind.UNAVAILABLE, "The database cannot be copied.", f"{path.name}: {type(error).__name__}"
        ) from None
