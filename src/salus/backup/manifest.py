# SPDX-License-Identifier: Apache-2.0
"""What a backup consists of: the manifest, its signature, and the chain of manifests.

    manifests/00000007.9ab2….json   names, sizes, chunks; the SHA-256 of the manifest before it; named by its own
    manifests/00000007.note         a signed note over number and SHA-256 of the manifest; written last
    chunks/4f/4f1c…                 a sealed chunk under the SHA-256 of its own bytes

The note has the form of an audit checkpoint (C2SP signed note, Ed25519): its size is the number of the backup, its root
the SHA-256 of the manifest. Each manifest names its chunks by what they are and its predecessor by what it was, so
whoever knows the newest digest can tell that nothing before it was changed, exchanged or left out. A manifest without
its note is no backup.

Pure values and text; places are in `places`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from hashlib import sha256
from typing import Annotated

import msgspec

from salus.audit.checkpoint import NoteReader, Signer
from salus.kernel.errors import Kind, Problem

ORIGIN = "salus-backup"
MANIFESTS = "manifests/"
CHUNKS = "chunks/"

_FORMAT = 1
_NUMBER = re.compile(r"manifests/([0-9]{8})\.note")
_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")

Hex = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Size = Annotated[int, msgspec.Meta(ge=0)]


class Stream(StrEnum):
    """The two kinds of backups, which never lie in one place."""

    DATA = "data"
    KEYS = "keys"


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """One sealed chunk.

    Attributes:
        plain: keyed hash of what is in it, for the next backup; says nothing without the server's key.
        object: SHA-256 of the sealed bytes, in hex; also its name.
        size: of the sealed bytes.
    """

    plain: Hex
    object: Hex
    size: Size

    @property
    def name(self) -> str:
        """Where it lies."""
        return f"{CHUNKS}{self.object[:2]}/{self.object}"


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file: its name below the data folder, its size in bytes, and its chunks in order."""

    name: str
    size: Size
    chunks: list[Chunk]


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far the audit log of a tenant went: size, root in hex, and the signed checkpoint that says so."""

    tenant: str
    size: Size
    root: Hex
    note: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One backup.

    Attributes:
        format: 1.
        stream: data or keys.
        number: counts the backups of a place from 1.
        previous: SHA-256 of the manifest before, in hex; empty for the first.
        at: when its state was, as an instant.
        version: of Salus.
        files: what is in it.
        logs: audit logs of the tenants, in a data backup.
    """

    format: int
    stream: Stream
    number: Annotated[int, msgspec.Meta(ge=1, lt=100_000_000)]
    previous: str
    at: str
    version: str
    files: list[File]
    logs: list[Log] = []

    @property
    def total(self) -> int:
        """Size of all files."""
        return sum(file.size for file in self.files)


class Signed(msgspec.Struct, frozen=True):
    """A manifest as it lies: what it says, its bytes' SHA-256 in hex."""

    manifest: Manifest
    digest: str


def json_name(number: int, digest: str) -> str:
    """Where a manifest lies; what was left by a broken-off backup is never in the way of the next."""
    return f"{MANIFESTS}{number:08d}.{digest}.json"


def note_name(number: int) -> str:
    """Where its signature lies."""
    return f"{MANIFESTS}{number:08d}.note"


def number_of(name: str) -> int | None:
    """The number of the backup whose signature lies here; None for anything else."""
    match = _NUMBER.fullmatch(name)
    return int(match[1]) if match else None


def written(manifest: Manifest, signer: Signer) -> tuple[bytes, str, str]:
    """The bytes of a manifest, its signed note, and its digest in hex."""
    data = msgspec.json.encode(manifest)
    digest = sha256(data)
    return data, signer.sign(manifest.number, digest.digest()), digest.hexdigest()


def noted(note: str, number: int, reader: NoteReader) -> str:
    """Check the signature of a manifest and say which digest was signed, in hex.

    Raises:
        Problem: INVALID when the signature is not this installation's, or is that of another number.
    """
    try:
        point = reader.open(note)
    except Problem:
        raise _bad(f"Manifest {number} is not signed by this installation.") from None
    if point.size != number:
        raise _bad(f"Manifest {point.size} stands in the place of number {number}.")
    return point.root.hex()


def opened(data: bytes, digest: str, number: int, stream: Stream) -> Signed:
    """Check and read a manifest.

    Args:
        data: the manifest as it lies.
        digest: what was signed.
        number: the number in its name.
        stream: what kind of backups belong there.

    Raises:
        Problem: INVALID when the manifest is not the one that was signed, belongs to another place or is malformed.
    """
    if sha256(data).hexdigest() != digest:
        raise _bad(f"Manifest {number} was changed after it was signed.")
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.ValidationError, msgspec.DecodeError):
        raise _bad(f"Manifest {number} cannot be read by this version of Salus.") from None
    if manifest.format != _FORMAT:
        raise _bad(f"Manifest {number} has a format that this version of Salus does not know.")
    if manifest.number != number:
        raise _bad(f"Manifest {number} stands in the place of another: it is number {manifest.number}.")
    if manifest.stream is not stream:
        raise _bad(f"Manifest {number} belongs to the backups of {manifest.stream}, not of {stream}.")
    for file in manifest.files:
        if not _FILE.fullmatch(file.name):
            raise _bad(f"Manifest {number} names a file that would leave the folder.")
    return Signed(manifest, digest)


def new(stream: Stream, last: Signed | None, at: str, version: str, files: list[File], logs: list[Log]) -> Manifest:
    """The manifest that follows the last one."""
    number = last.manifest.number + 1 if last else 1
    return Manifest(_FORMAT, stream, number, last.digest if last else "", at, version, files, logs)


def _bad(public: str) -> Problem:
    return Problem(Kind.INVALID, public)
