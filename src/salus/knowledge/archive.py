# SPDX-License-Identifier: Apache-2.0
"""Reading a FHIR package: a gzipped tar archive as npm makes it, or a folder (https://confluence.hl7.org/x/DYMXAw).

An archive comes from outside and is read as such: nothing is unpacked to the disk, a name that climbs out of its folder
or a link stops the installation, and what is unpacked is counted, so that a small file cannot become a large one.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from salus.kernel.errors import Kind, Problem

MAX_FILE = 64 * 1024 * 1024
MAX_TOTAL = 2 * 1024 * 1024 * 1024
MAX_FILES = 100_000

Part = tuple[str, bytes | None]
"""Name of a file directly in the package's folder, and its content; None when it is larger than MAX_FILE."""


class _Counted:
    """A stream that gives out no more than it may, in all and between two files of the archive."""

    def __init__(self, source: gzip.GzipFile) -> None:
        self._source = source
        self._total = 0
        self.since = 0

    def read(self, size: int = -1) -> bytes:
        chunk = self._source.read(size)
        self._total += len(chunk)
        self.since += len(chunk)
        if self._total > MAX_TOTAL or self.since > MAX_TOTAL // 8:
            raise Problem(Kind.TOO_LARGE, "The package is larger, when unpacked, than a package may be.")
        return chunk


def parts(path: Path) -> Iterator[Part]:
    """The JSON files of a package: those in `package/` itself, not in folders below it (examples, tools).

    Args:
        path: a `.tgz` file, a folder with `package.json` in it, or one with a folder `package`.

    Raises:
        Problem: INCORRECT for what is no package or plays tricks, TOO_LARGE for a bomb.
    """
    return _in_folder(path) if path.is_dir() else _in_archive(path)


def fingerprint(path: Path) -> str:
    """SHA-256 of an archive, or of the names and contents of a folder."""
    digest = hashlib.sha256()
    if path.is_file():
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()
    for name, body in sorted(_in_folder(path), key=lambda part: part[0]):
        digest.update(name.encode() + b"\0" + hashlib.sha256(body or b"").digest())
    return digest.hexdigest()


def _in_folder(path: Path) -> Iterator[Part]:
    folder = path / "package" if (path / "package" / "package.json").is_file() else path
    if not (folder / "package.json").is_file():
        raise Problem(Kind.INCORRECT, f"{path.name} is no FHIR package: there is no package.json in it.")
    for file in sorted(folder.glob("*.json")):
        if file.is_symlink() or not file.is_file():
            raise Problem(Kind.INCORRECT, f"{file.name} in {path.name} is a link, which a package may not hold.")
        yield file.name, file.read_bytes() if file.stat().st_size <= MAX_FILE else None


def _in_archive(path: Path) -> Iterator[Part]:
    try:
        with gzip.open(path) as unpacked:
            counted = _Counted(unpacked)
            with tarfile.open(fileobj=cast("IO[bytes]", counted), mode="r|") as archive:  # a stream is only read
                yield from _members(archive, counted)
    except (tarfile.TarError, OSError, EOFError, zlib.error, UnicodeError, ValueError) as error:
        text = f"{path.name} cannot be read as a gzipped tar archive."
        raise Problem(Kind.INCORRECT, text, type(error).__name__) from None


def _members(archive: tarfile.TarFile, counted: _Counted) -> Iterator[Part]:
    for number, member in enumerate(archive):
        counted.since = 0
        if number >= MAX_FILES:
            raise Problem(Kind.TOO_LARGE, f"A package may hold at most {MAX_FILES} files.")
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts or "\\" in member.name or "\0" in member.name:
            raise Problem(Kind.INCORRECT, "The package holds a file whose name leads out of its folder.")
        if member.isdir():
            continue
        if not member.isfile():
            raise Problem(Kind.INCORRECT, "The package holds a link or a device, which a package may not.")
        if len(name.parts) != 2 or name.parts[0] != "package" or name.suffix != ".json":
            continue
        if member.size > MAX_FILE:
            yield name.name, None
            continue
        file = archive.extractfile(member)
        if file is not None:
            yield name.name, file.read()
