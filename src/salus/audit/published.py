# SPDX-License-Identifier: Apache-2.0
"""Checkpoints outside the database, so that an old or shortened database is noticed.

    <folder>/<tenant>.log      every signed note, one after the other, only added to
    <folder>/<tenant>.latest   the note with the largest size, replaced in one step
    <folder>/<tenant>.keys     statements about the keys that signed them, once there was a second one

Put the folder on another disk, or let another machine fetch it: who can rewrite both the database and these
files, and holds the keys, can rewrite history. A note is published only after the entries that it covers are
durable, so a database that is smaller than a published note has lost something.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from salus.audit.checkpoint import Checkpoint, origin_of
from salus.kernel.errors import Problem

_RECENT = 16_384  # bytes at the end of the log file; about 80 notes
_SIZE = re.compile(r"[0-9]{1,18}")
_NOTE = re.compile(r"^salus/[^\n]+\n[^\n]+\n[^\n]+\n\n(?:— [^\s]+ [A-Za-z0-9+/=]{92,}\n)+", re.MULTILINE)


class Opener(Protocol):
    """Tells genuine notes: `checkpoint.NoteReader` by one key, `signers.LogReader` by all keys of a log."""

    def open(self, note: str) -> Checkpoint:
        """Check and read a note; raises Problem."""
        ...


class Published:
    """The folder of published checkpoints.

    Args:
        folder: made with mode 0700 when it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def publish(self, tenant: str, note: str, size: int, *, durable: bool = False) -> None:
        """Add a note; `size` is the size it states.

        Args:
            tenant: whose log.
            note: the signed note.
            size: decides whether it becomes the latest; two processes may publish out of order.
            durable: flush both files to the disk before returning.

        Raises:
            OSError: the folder cannot be written.
        """
        with self._locked(tenant) as log:
            end = os.lseek(log, 0, os.SEEK_END)
            torn = end > 0 and os.pread(log, 2, max(0, end - 2)) != b"\n\n"  # a crash cut the last note off
            os.write(log, (b"\n\n" if torn else b"") + note.encode() + b"\n")
            if durable:
                os.fsync(log)
            if size >= self._stated_size(tenant):
                self._replace(tenant, "latest", note, durable=durable)

    def state(self, tenant: str, text: str) -> None:
        """Put what is said about the keys of a log, all of it, in place of what was said before.

        Raises:
            OSError: the folder cannot be written.
        """
        with self._locked(tenant):
            self._replace(tenant, "keys", text, durable=True)

    def newest(self, tenant: str, reader: Opener) -> Checkpoint | None:
        """The largest genuine published checkpoint of a tenant, None when there is none.

        Looks at the latest note and at the end of the log file; at the whole log file when neither has a
        genuine one.
        """
        for notes in (self._recent(tenant), self.notes(tenant)):
            found = [point for note in notes if (point := _opened(note, reader)) is not None]
            if found:
                return max(found, key=lambda point: point.size)
        return None

    def notes(self, tenant: str) -> Iterator[str]:
        """All notes as they stand in the files, unchecked; a torn one comes as what is left of it."""
        for kind in ("log", "latest"):
            yield from _split(_text(self._path(tenant, kind)))

    def _recent(self, tenant: str) -> Iterator[str]:
        for kind in ("latest", "log"):
            yield from _split(_text(self._path(tenant, kind), last=_RECENT))

    def _path(self, tenant: str, kind: str) -> Path:
        origin_of(tenant)  # refuses names that would leave the folder
        return self._folder / f"{tenant}.{kind}"

    @contextmanager
    def _locked(self, tenant: str) -> Iterator[int]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(self._path(tenant, "log"), flags, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)

    def _stated_size(self, tenant: str) -> int:
        lines = _text(self._path(tenant, "latest")).split("\n")
        return int(lines[1]) if len(lines) > 1 and _SIZE.fullmatch(lines[1]) else 0

    def _replace(self, tenant: str, kind: str, note: str, *, durable: bool) -> None:
        path = self._path(tenant, kind)
        fresh = path.with_suffix(f".{kind}.new")
        with fresh.open("w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(note)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        fresh.replace(path)


def _text(path: Path, last: int = 0) -> str:
    """The text of a file, or of its last bytes; empty when there is no such file."""
    try:
        with path.open("rb") as file:
            if last:
                file.seek(max(0, file.seek(0, os.SEEK_END) - last))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def _split(text: str) -> Iterator[str]:
    """Cut the text of a file into whole notes and what lies between them."""
    position = 0
    for match in _NOTE.finditer(text):
        between = text[position : match.start()].strip()
        if between:
            yield between
        yield match[0]
        position = match.end()
    rest = text[position:].strip()
    if rest:
        yield rest


def _opened(note: str, reader: Opener) -> Checkpoint | None:
    try:
        return reader.open(note)
    except Problem:
        return None
