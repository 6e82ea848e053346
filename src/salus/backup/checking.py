# SPDX-License-Identifier: Apache-2.0
"""Checking and reading backups. Checking needs the public key only; reading needs an identity.

A manifest says what every chunk is (SHA-256) and what the manifest before it was, so a chunk or manifest that was
altered, cut, exchanged or removed is named. That the newest one is missing shows only to who knows that it was there:
the server that wrote it, its audit log, or a person who kept its digest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

from salus.audit.checkpoint import NoteReader
from salus.backup.manifest import Chunk, File, Signed, Stream
from salus.backup.places import Place
from salus.backup.sealing import Identity
from salus.backup.writing import Known, load, numbers
from salus.kernel.errors import Kind, Problem

_MOST_FINDINGS = 200


@dataclass(slots=True)
class Checked:
    """What a check found.

    Attributes:
        backups: those that are signed and readable, in order.
        chunks: how many were read.
        findings: what is wrong, in words; empty when all is well. At most 200.
    """

    backups: list[Signed] = field(default_factory=list)
    chunks: int = 0
    findings: list[str] = field(default_factory=list)

    def found(self, text: str) -> None:
        """Note something that is wrong."""
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append(text)


def check(
    place: Place,
    stream: Stream,
    reader: NoteReader,
    *,
    known: Known | None = None,
    digest: str = "",
    identity: Identity | None = None,
) -> Checked:
    """Check every manifest and every chunk of a place.

    Args:
        known: the last backup that the server remembers.
        digest: of a backup that must be there, as somebody kept it.
        identity: open each chunk as well.
    """
    checked = chain(place, stream, reader)
    digests = {each.digest for each in checked.backups}
    if known is not None and known.digest not in digests:
        checked.found(f"Backup {known.number}, which this server wrote, is not there as it was written.")
    if digest and digest.lower() not in digests:
        checked.found("The backup with the digest that you gave is not there.")
    seen: set[str] = set()
    for each in checked.backups:
        for file in each.manifest.files:
            for at, chunk in enumerate(file.chunks):
                if chunk.object not in seen:
                    seen.add(chunk.object)
                    where = f"chunk {at} of {file.name} in backup {each.manifest.number}"
                    _check_chunk(place, chunk, where, identity, checked)
    checked.chunks = len(seen)
    return checked


def chain(place: Place, stream: Stream, reader: NoteReader) -> Checked:
    """Check the manifests alone: signatures, numbers, and that each follows the one before."""
    checked = Checked()
    before: Signed | None = None
    for number in numbers(place):
        try:
            signed = load(place, number, stream, reader)
        except Problem as problem:
            checked.found(problem.public)
            before = None
            continue
        checked.backups.append(signed)
        if before is None or before.manifest.number != number - 1:
            oldest = before is None and len(checked.backups) == 1 and not checked.findings
            if number > 1 and not (oldest and stream is Stream.KEYS):  # old backups of keys are removed on purpose
                checked.found(f"Backup {number - 1} is missing, or cannot be read.")
        elif signed.manifest.previous != before.digest:
            checked.found(f"Backup {number - 1} is not the one that backup {number} followed.")
        before = signed
    return checked


def pieces(place: Place, file: File, identity: Identity) -> Iterator[bytes]:
    """The content of a file in pieces.

    Raises:
        Problem: INVALID when a chunk is missing, is not the one that was written, or does not open.
    """
    size = 0
    for at, chunk in enumerate(file.chunks):
        sealed = place.get(chunk.name)
        if sealed is None:
            raise Problem(Kind.INVALID, f"Chunk {at} of {file.name} is missing.")
        if sha256(sealed).hexdigest() != chunk.object:
            raise Problem(Kind.INVALID, f"Chunk {at} of {file.name} is not the one that was written.")
        plain = identity.open(sealed)
        size += len(plain)
        yield plain
    if size != file.size:
        raise Problem(Kind.INVALID, f"{file.name} has another size than its manifest says.")


def _check_chunk(place: Place, chunk: Chunk, where: str, identity: Identity | None, checked: Checked) -> None:
    sealed = place.get(chunk.name)
    if sealed is None:
        checked.found(f"Missing: {where}.")
    elif len(sealed) != chunk.size or sha256(sealed).hexdigest() != chunk.object:
        checked.found(f"Not as it was written: {where}.")
    elif identity is not None:
        try:
            identity.open(sealed)
        except Problem:
            checked.found(f"Does not open: {where}.")
