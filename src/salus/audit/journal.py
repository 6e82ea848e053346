# SPDX-License-Identifier: Apache-2.0
"""Where the entries of reads are durable first: a file of this process, written in one flush for many of them.

A request that changes nothing needs no transaction, only the certainty that its entry cannot be lost. So its entry goes
into a journal, and within a tenth of a second into the log with the next group commit (`log.AuditLog.begin`). Nothing
but a crash ever reads a journal back: what waits for the log is kept in memory as well.

    file   = frames, each at the start of a block of 4096 bytes
    frame  = "SALJ" | number 8 bytes | length 4 bytes | sealed
    sealed = the entries of a frame, under the key of the journals, bound to the name of the file and the number

Numbers rise by one and never start again, so that a frame that was left from before, put back or moved is no
continuation. The file is written over from its start whenever the log has caught up; it is made full of zeros, because
flushing a file that grows costs twice as much. A frame has its own blocks, so that a torn write harms none before it.

The owner holds a lock on its file for as long as it lives: a file that is not locked was left by a crash.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from salus.crypto.envelope import SealingKey
from salus.kernel.durable import BLOCK, DurableFile
from salus.kernel.errors import Kind, Problem

Sealed = tuple[str, int, bytes]
"""Tenant, time in ms since the epoch, sealed entry."""

_MAGIC = b"SALJ"
_HEADER = 16
_FIRST_SIZE = 1 << 20
_MOST_WAITING = 50_000  # entries that the log may lag behind: about 20 MB
_CONTEXT = "salus/audit/journal"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Sealed]).decode


class Frame(NamedTuple):
    """Some entries that became durable together."""

    number: int
    entries: list[Sealed]


class Journal:
    """The journal of one process; its file is made when the first entry comes.

    Args:
        folder: where all processes keep their journals; made with mode 0700 when it is missing.
        key: the key of all journals of the installation.

    Attributes:
        waiting: entries that the log does not have yet, by tenant, in their order.
        name: name of the file without its ending; "" before it is made.
        number: number of the last frame.
    """

    def __init__(self, folder: Path, key: SealingKey) -> None:
        self.waiting: dict[str, list[Sealed]] = {}
        self.name = ""
        self.number = 0
        self._folder = folder
        self._key = key
        self._file: DurableFile | None = None
        self._offset = 0

    def append(self, entries: Sequence[Sealed]) -> None:
        """Keep entries; they are on the disk when this returns.

        Raises:
            Problem: UNAVAILABLE when the log lags too far behind; nothing was kept then.
            OSError: the file cannot be written; what is in it after the last frame does not count.
        """
        if sum(map(len, self.waiting.values())) > _MOST_WAITING:
            raise Problem(Kind.UNAVAILABLE, "The audit log cannot keep up.", "the journal is full", retry_after=5)
        if self._file is None:
            self._make()
        assert self._file is not None  # noqa: S101  made above
        number = self.number + 1
        sealed = self._key.seal(_encode(entries), (_CONTEXT, self.name, number))
        frame = (_MAGIC, number.to_bytes(8), len(sealed).to_bytes(4), sealed)
        self._offset += self._file.write(frame, self._offset)
        self.number = number
        for entry in entries:
            self.waiting.setdefault(entry[0], []).append(entry)

    def forget(self, tenants: Sequence[str]) -> None:
        """The log has what waited of these tenants, durably."""
        for tenant in tenants:
            self.waiting.pop(tenant, None)
        if not self.waiting:
            self._offset = 0

    def close(self) -> None:
        """Take the file away; call it when nothing waits any more. With entries waiting the file stays."""
        if self._file is None:
            return
        if not self.waiting:
            self._path().unlink(missing_ok=True)
        self._file.close()
        self._file = None

    def _path(self) -> Path:
        return self._folder / f"{self.name}.journal"

    def _make(self) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self.name = os.urandom(8).hex()
        path = self._path()
        unfinished = path.with_suffix(".new")  # a journal is locked before anybody can take it for a left one
        file = DurableFile(unfinished)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write((bytes(_FIRST_SIZE),), 0)
            unfinished.rename(path)
            folder = os.open(self._folder, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        except OSError:
            file.close()
            raise
        self._file = file


class Left:
    """A journal whose process is gone; nobody else can take it while this object is open.

    Attributes:
        name: as in `Journal`.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.name = path.stem
        self._path = path
        self._file = file

    def frames(self, key: SealingKey, known: int) -> tuple[list[Frame], bool]:
        """What can be read of it.

        Args:
            key: the key of the journals.
            known: number of the last frame that is in the log; older ones may lie anywhere in the file.

        Returns:
            The frames in order, and whether there are frames behind a break: a crash tears the last frame at most, so
            then somebody has altered the file (or the disk has).
        """
        data = self._file.read()
        found: list[Frame] = []
        block = 0
        for number, start, sealed in _headers(data):
            if found and number != found[-1].number + 1:
                break
            try:
                entries = _decode(key.open(sealed, (_CONTEXT, self.name, number)))
            except (Problem, msgspec.MsgspecError):
                break
            found.append(Frame(number, entries))
            block = start + _HEADER + len(sealed)
        last = max(known, found[-1].number if found else 0)
        return found, _goes_on(data, block, last, self.name, key)

    def remove(self) -> None:
        """Delete the file: the log has everything."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


def left(folder: Path) -> Iterator[Left]:
    """The journals that crashes have left; each is held while the caller looks at it."""
    for path in sorted(folder.glob("*.journal")):
        try:
            file = path.open("rb")
        except OSError:
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # its owner lives
            file.close()
            continue
        found = Left(path, file)
        try:
            yield found
        finally:
            found.close()


def last_numbers(folder: Path) -> dict[str, int]:
    """Number of the last frame of every journal, by name; for whoever waits until the log has caught up."""
    found = {}
    for path in folder.glob("*.journal"):
        try:
            data = path.read_bytes()
        except OSError:  # its owner has just ended
            continue
        last = 0
        for number, _, _ in _headers(data):
            if last and number != last + 1:
                break
            last = number
        found[path.stem] = last
    return found


def _headers(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, start and sealed content of one frame behind the other, as far as they look like frames."""
    at = 0
    while data[at : at + 4] == _MAGIC:
        length = int.from_bytes(data[at + 12 : at + _HEADER])
        yield int.from_bytes(data[at + 4 : at + 12]), at, data[at + _HEADER : at + _HEADER + length]
        at += _HEADER + length
        at += -at % BLOCK


def _goes_on(data: bytes, start: int, last: int, name: str, key: SealingKey) -> bool:
    """Whether a later frame than the last one stands behind a break."""
    first_block = start + -start % BLOCK
    for at in range(first_block + BLOCK, len(data), BLOCK):  # the broken frame itself is passed over
        if data[at : at + 4] != _MAGIC:
            continue
        number = int.from_bytes(data[at + 4 : at + 12])
        length = int.from_bytes(data[at + 12 : at + _HEADER])
        if number <= last:
            continue
        try:
            key.open(data[at + _HEADER : at + _HEADER + length], (_CONTEXT, name, number))
        except Problem:
            continue
        return True
    return False
