# SPDX-License-Identifier: Apache-2.0
"""From paths to documents: unpack folders, tar and zip archives and gzip, tell Bundles from NDJSON.

Nothing is unpacked to a disk.
"""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import IO

from salus.kernel.errors import Kind, Problem

_LINES = (".ndjson", ".jsonl")
_DOCUMENTS = (".json", *_LINES)
_PACKED = tuple(f"{ending}.gz" for ending in _DOCUMENTS)
_TARS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")
_ZIP = ".zip"
_MAX_DOCUMENT = 512 * 1024 * 1024
_BLOCK, _CHUNK = 512, 1 << 20
DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)
"""How the unpackers say that they cannot go on."""


@dataclass(slots=True)
class Document:
    """One file with resources.

    Attributes:
        name: for reports: the path as it was given, and the member inside an archive.
        lines: whether each line is a resource (NDJSON); else the whole is a Bundle or a resource.
        stream: its bytes, unpacked; to be read before the next document is asked for. It can be wound back.
    """

    name: str
    lines: bool
    stream: IO[bytes]

    def read(self) -> bytes:
        """All of it.

        Raises:
            Problem: TOO_LARGE above 512 MiB; INCORRECT when the archive is damaged.
        """
        try:
            data = self.stream.read(_MAX_DOCUMENT + 1)
        except DAMAGED:
            raise damaged() from None
        if len(data) > _MAX_DOCUMENT:
            raise Problem(Kind.TOO_LARGE, "A Bundle may have at most 512 MiB; NDJSON has no limit.")
        return data


def damaged() -> Problem:
    """The archive or compressed file breaks off or is no such thing."""
    return Problem(Kind.INCORRECT, "The file is damaged: it cannot be unpacked.")


def size_of(paths: Iterable[Path]) -> int:
    """Bytes on the disk that `documents` will go through."""
    return sum(file.stat().st_size for path in paths for file in _files(path))


class Documents:
    """Iterates over the documents of paths.

    Attributes:
        position: bytes on the disk that were gone through, for a progress bar.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = list(paths)
        self.position = 0

    def __iter__(self) -> Iterator[Document]:
        """Give the documents in a stable order.

        An archive that is damaged gives what could be unpacked and then a document that cannot be read, so that it is
        reported like any other and the next path has its turn.
        """
        done = 0
        for path in self._paths:
            for file in _files(path):
                try:
                    raw = file.open("rb")
                except OSError:
                    yield Document(str(file), lines=False, stream=_Broken())  # type: ignore[arg-type]
                    continue
                with raw:
                    for document in self._in(file, raw):
                        self.position = done + raw.tell()
                        yield document
                done += file.stat().st_size
                self.position = done

    def _in(self, file: Path, raw: BufferedReader) -> Iterator[Document]:
        name = file.name.lower()
        if name.endswith(_TARS):
            yield from _members(str(file), raw)
        elif name.endswith(_ZIP):
            yield from _zipped(str(file), raw)
        elif name.endswith(".gz"):
            inner = name.removesuffix(".gz")
            with gzip.open(raw) as stream:
                yield Document(str(file), inner.endswith(_LINES), stream)  # type: ignore[arg-type]
        else:
            yield Document(str(file), name.endswith(_LINES), raw)


class _Broken(RawIOBase):
    """Stands for what could not be unpacked."""

    def readable(self) -> bool:
        return True

    def readinto(self, _buffer: object) -> int:
        raise EOFError


def _members(archive: str, raw: BufferedReader) -> Iterator[Document]:
    try:
        with tarfile.open(fileobj=raw, mode="r:*") as tar:
            for member in tar:
                stream = tar.extractfile(member) if member.isfile() else None
                if stream is not None:
                    yield from _member(archive, member.name, stream)
            _check_end(tar)
    except DAMAGED:
        yield Document(archive, lines=False, stream=_Broken())  # type: ignore[arg-type]


def _zipped(archive: str, raw: BufferedReader) -> Iterator[Document]:
    try:
        with zipfile.ZipFile(raw) as found:
            for member in found.infolist():
                if not member.is_dir():
                    with found.open(member) as stream:
                        yield from _member(archive, member.filename, stream)
    except (*DAMAGED, RuntimeError):  # under a password, or packed in a way that is not known (NotImplementedError)
        yield Document(archive, lines=False, stream=_Broken())  # type: ignore[arg-type]


def _member(archive: str, name: str, stream: IO[bytes]) -> Iterator[Document]:
    """The document that a member of an archive is, if it is one."""
    ending = name.lower()
    if ending.endswith(_DOCUMENTS):
        yield Document(f"{archive}:{name}", ending.endswith(_LINES), stream)
    elif ending.endswith(_PACKED):
        with gzip.open(stream) as unpacked:
            lines = ending.removesuffix(".gz").endswith(_LINES)
            yield Document(f"{archive}:{name}", lines, unpacked)  # type: ignore[arg-type]


def _check_end(tar: tarfile.TarFile) -> None:
    """tarfile takes a header that is cut off or garbled for the end; the real end is a block of zeros."""
    if tar.fileobj is not None:
        tar.fileobj.seek(tar.offset)
        if tar.fileobj.read(_BLOCK) != bytes(_BLOCK):
            raise tarfile.ReadError
        while tar.fileobj.read(_CHUNK):  # to the end, where compression keeps its checksum
            pass


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    wanted = (*_DOCUMENTS, *_PACKED, *_TARS, _ZIP)
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.name.lower().endswith(wanted):
            yield file
