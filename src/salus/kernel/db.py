# SPDX-License-Identifier: Apache-2.0
"""Handles to the page-encrypted SQLite files.

Every file is opened with SQLite3 Multiple Ciphers (AEGIS-256) under a page key that the key provider unwraps; nothing
here knows what is stored. Rooms bring their own tables with `migrate` and their own SQL.

Durability: write-ahead log with `synchronous=FULL`, so that a commit is on the disk when it returns.
"""

from __future__ import annotations

import ctypes
import fcntl
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw

from salus.kernel.errors import Kind, Problem

Connection = apsw.Connection

_BUSY_MS = 20_000
_PRAGMAS = (
    "journal_mode=wal",
    "synchronous=full",
    "cache_size=-65536",
    "temp_store=memory",  # temporary tables and sorts never reach a disk
    "wal_autocheckpoint=4000",
    "secure_delete=fast",
    "trusted_schema=off",
)


def open_database(path: Path, page_key: bytes | bytearray | None) -> Connection:
    """Open (or make) a database file.

    Args:
        path: the file; made with mode 0600 when it is missing.
        page_key: 32 bytes for page encryption; None leaves the pages in clear (only tests and `bench/` do that).

    Raises:
        Problem: UNAVAILABLE when the file cannot be opened with this key.
    """
    if not path.exists():
        path.touch(mode=0o600)
    try:
        connection = apsw.Connection(str(path))
        connection.set_busy_timeout(_BUSY_MS)
        if page_key is not None:
            connection.execute("pragma cipher='aegis'")
            _unlock(connection, page_key)
        for pragma in _PRAGMAS:
            connection.execute(f"pragma {pragma}").fetchall()
        connection.execute("select count(*) from sqlite_schema").fetchall()
        # Plans are made once. SQLite built with STAT4 would plan anew for other values: five times the cost of a read,
        # and to no gain, for statistics are never gathered here.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    except apsw.Error as error:
        raise Problem(
            Kind.UNAVAILABLE,
            "The database cannot be opened.",
            f"{path.name}: {type(error).__name__} (wrong page key, damaged file or no permission)",
            retry_after=30,
        ) from None
    return connection


def _unlock(connection: Connection, page_key: bytes | bytearray) -> None:
    """Give SQLite the page key. It takes it as text only; that text is overwritten afterwards."""
    key = page_key.hex()
    statement = f"pragma hexkey='{key}'"
    connection.execute(statement, can_cache=False).fetchall()
    for text in (key, statement):  # plain ASCII: the characters follow the header, one byte each (PEP 393)
        ctypes.memset(id(text) + sys.getsizeof("") - 1, 0, len(text))


def migrate(connection: Connection, room: str, steps: Sequence[str]) -> None:
    """Bring the tables of one room up to date.

    Args:
        connection: an open database.
        room: the room's name; each room counts its own steps.
        steps: SQL scripts in order; a step that has run is never run again, so never edit one that was released.
    """
    connection.execute("create table if not exists schema_version(room text primary key, step int not null) strict")
    with exclusive(connection):
        row = connection.execute("select step from schema_version where room=?", (room,)).fetchone()
        done = row[0] if row else 0
        if done > len(steps):
            raise Problem(
                Kind.UNAVAILABLE,
                "The database was written by a newer version of Salus.",
                f"{room}: step {done} is known to the file, {len(steps)} to this program",
            )
        for script in steps[done:]:
            connection.execute(script)
        connection.execute("insert or replace into schema_version values(?,?)", (room, len(steps)))


@contextmanager
def exclusive(connection: Connection) -> Iterator[Connection]:
    """One write transaction: commit on success, roll back on any error."""
    connection.execute("begin immediate")
    try:
        yield connection
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")


class FileLock:
    """A lock between processes.

    SQLite's own busy handler polls and starves one of two writers; waiting in the kernel is fair and costs nothing.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")
        path.chmod(0o600)

    def try_enter(self) -> bool:
        """Take the lock if nobody has it; whoever gets True must call `__exit__`."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def __enter__(self) -> FileLock:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
