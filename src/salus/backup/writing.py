# SPDX-License-Identifier: Apache-2.0
"""Writing a backup: chunk by chunk, then the manifest, then its signature.

Only what the last backup does not hold is sealed and written. Whatever breaks this off leaves objects that no manifest
names, or a manifest without its signature; neither is taken for a backup.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import NamedTuple

from salus.audit.checkpoint import NoteReader, Signer
from salus.backup.manifest import (
    CHUNKS,
    MANIFESTS,
    Chunk,
    File,
    Manifest,
    Signed,
    Stream,
    json_name,
    note_name,
    noted,
    number_of,
    opened,
    written,
)
from salus.backup.places import Place
from salus.backup.sealing import Recipients
from salus.crypto.wiping import Secret
from salus.kernel.errors import Kind, Problem

CHUNK_BYTES = 512 * 1024

Source = tuple[str, Iterable[bytes]]
"""Name of a file below the data folder, and its content in pieces of `CHUNK_BYTES`."""


class Known(NamedTuple):
    """The last backup that this server wrote to a place."""

    number: int
    digest: str


class Written(NamedTuple):
    """What was written: the signed manifest, how many chunks it has, how many of them are new, bytes of the new."""

    signed: Signed
    chunks: int
    fresh: int
    fresh_bytes: int


class BackupWriter:
    """Writes to one place.

    Args:
        place: where.
        stream: which kind of backups lie there.
        signer, reader: sign and check manifests.
        recipients: whom chunks are sealed to.
        chunk_key: keys the hashes by which equal chunks are known.
        known: the last backup written there, as this server remembers; None when it does not.
        whole: write every chunk again, also those that are there.
    """

    def __init__(
        self,
        place: Place,
        stream: Stream,
        signer: Signer,
        reader: NoteReader,
        recipients: Recipients,
        chunk_key: Secret,
        known: Known | None,
        *,
        whole: bool = False,
    ) -> None:
        self._place = place
        self._stream = stream
        self._signer = signer
        self._recipients = recipients
        self._mac = hmac.new(chunk_key, digestmod="sha256")
        self.last = newest(place, stream, reader)
        _expect(self.last, known)
        there = {} if whole or self.last is None else dict(place.sizes(CHUNKS))
        self._old = {
            chunk.plain: chunk
            for file in (self.last.manifest.files if self.last else ())
            for chunk in file.chunks
            if there.get(chunk.name) == chunk.size
        }
        self._chunks = self._fresh = self._fresh_bytes = 0

    def file(self, source: Source) -> File:
        """Write one file.

        Raises:
            Problem: UNAVAILABLE when the place cannot be written.
        """
        name, pieces = source
        size = 0
        chunks = []
        for piece in pieces:
            size += len(piece)
            chunks.append(self._chunk(piece))
        return File(name, size, chunks)

    def _chunk(self, piece: bytes) -> Chunk:
        mac = self._mac.copy()
        mac.update(piece)
        plain = mac.hexdigest()
        self._chunks += 1
        known = self._old.get(plain)
        if known is not None:
            return known
        sealed = self._recipients.seal(piece)
        chunk = Chunk(plain, sha256(sealed).hexdigest(), len(sealed))
        self._place.put(chunk.name, sealed)
        self._old[plain] = chunk
        self._fresh += 1
        self._fresh_bytes += len(sealed)
        return chunk

    def finish(self, make: Callable[[Signed | None], Manifest]) -> Written:
        """Write manifest and signature; only now is it a backup.

        Args:
            make: the manifest, given the one before.

        Raises:
            Problem: CONFLICT when another backup was written meanwhile.
        """
        manifest = make(self.last)
        data, note, digest = written(manifest, self._signer)
        self._place.put(json_name(manifest.number, digest), data)
        if not self._place.put(note_name(manifest.number), note.encode()):
            raise Problem(Kind.CONFLICT, "Another backup was written at the same time.")
        return Written(Signed(manifest, digest), self._chunks, self._fresh, self._fresh_bytes)


def newest(place: Place, stream: Stream, reader: NoteReader) -> Signed | None:
    """The signed manifest with the highest number; raises as `load`. None when there is no backup."""
    last = max(numbers(place), default=0)
    return load(place, last, stream, reader) if last else None


def numbers(place: Place) -> list[int]:
    """Numbers of all signed manifests, in order."""
    return sorted(number for name, _ in place.sizes(MANIFESTS) if (number := number_of(name)) is not None)


def load(place: Place, number: int, stream: Stream, reader: NoteReader) -> Signed:
    """Read and check one manifest.

    Raises:
        Problem: NOT_FOUND when there is none with this number; INVALID when it is not to be trusted.
    """
    note = place.get(note_name(number))
    if note is None:
        raise Problem(Kind.NOT_FOUND, f"There is no backup {number}.")
    digest = noted(note.decode("utf-8", "replace"), number, reader)
    data = place.get(json_name(number, digest))
    if data is None:
        raise Problem(Kind.INVALID, f"Manifest {number} is missing, only its signature is there.")
    return opened(data, digest, number, stream)


def prune(place: Place, gone: list[Signed], kept: list[Signed]) -> int:
    """Remove backups, oldest first, and every chunk that no kept one needs; returns how many backups.

    Only for the stream of keys: an erased key must not stay in it.
    """
    needed = {chunk.name for each in kept for file in each.manifest.files for chunk in file.chunks}
    for each in sorted(gone, key=lambda one: one.manifest.number):
        place.remove(note_name(each.manifest.number))
        place.remove(json_name(each.manifest.number, each.digest))
    if gone:
        for name, _ in list(place.sizes(CHUNKS)):
            if name not in needed:
                place.remove(name)
    return len(gone)


def _expect(last: Signed | None, known: Known | None) -> None:
    if known is None:
        return
    number = last.manifest.number if last else 0
    if last is None or number < known.number or (number == known.number and last.digest != known.digest):
        raise Problem(
            Kind.CONFLICT,
            f"This server wrote backup {known.number} there, but the newest one is {number or 'missing'}: somebody "
            "removed or exchanged backups. Find out who; then go on in a new, empty place.",
        )
