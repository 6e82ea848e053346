# SPDX-License-Identifier: Apache-2.0
"""The keys that sign the checkpoints of a log, one after the other.

The first one is derived from the tenant's root key, and so is every later one, by its number. A rotation happens at a
size of the log: the checkpoint of that size is signed by both keys, so that whoever knows only the former one sees that
the log goes on; from there on the former key signs nothing, and what it signs of a larger log is refused. So a former
key that was stolen can rewrite no history: up to that size the roots are fixed, beyond it nobody believes it.

A statement says so for outsiders, signed by both keys as well (C2SP signed note):

    salus/<tenant>/signing-key
    <number of the new key>
    <size of the log>
    <root at that size, base64>
    <public key before>
    <public key from then on>

Statements stand in the database and, all together, in `<tenant>.keys` beside the published checkpoints.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from salus.audit import store
from salus.audit.checkpoint import Checkpoint, NoteReader, Signer, key_ids, origin_of
from salus.crypto.keyring import TenantKeys
from salus.crypto.wiping import wipe
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem

_AHEAD = 16  # numbers beyond the newest that a note may be signed by, in a database that was put back
_STATEMENT = re.compile(r"^salus/[^\n/]+/signing-key\n(?:[^\n]+\n){5}\n(?:— [^\n]+\n)+", re.MULTILINE)


class Turn(NamedTuple):
    """A rotation that is to be committed: the tenant, and the number of its new key."""

    tenant: str
    number: int


def signer_of(keys: TenantKeys, number: int) -> Signer:
    """The key with this number, of the tenant `keys.name`; the first is number 1."""
    seed = keys.derived(store.SIGN_KEY if number == 1 else f"{store.SIGN_KEY}/{number}")
    try:
        return Signer(origin_of(keys.name), seed)
    finally:
        wipe(seed)


def newest_number(db: Connection, tenant: str) -> int:
    """Number of the key that signs now."""
    known = store.signers(db, tenant)
    return known[-1].number if known else 1


def public_key(db: Connection, keys: TenantKeys) -> str:
    """The key that checks the checkpoints that are signed now, as C2SP text; safe to hand to anyone."""
    return signer_of(keys, newest_number(db, keys.name)).public


def statement(former: Signer, fresh: Signer, number: int, size: int, root: bytes) -> str:
    """Say that a key follows another at a size of the log; signed by both."""
    lines = (f"{fresh.origin}/signing-key", number, size, b64encode(root).decode(), former.public, fresh.public)
    return former.added_to(fresh.signed("".join(f"{line}\n" for line in lines)))


class LogReader:
    """Opens checkpoints of one log, whichever of its keys signed them.

    Attributes:
        unknown: numbers of keys that signed a note and that the database does not know: it is older than the note, or
            somebody took lines out.
    """

    def __init__(self, keys: TenantKeys, known: Sequence[store.Signed]) -> None:
        self._keys = keys
        self._newest = known[-1].number if known else 1
        ends = {row.number - 1: row.since for row in known}
        self._readers = [
            (NoteReader(signer_of(keys, number).public), ends.get(number)) for number in range(1, self._newest + 1)
        ]
        self._ahead: list[tuple[int, NoteReader]] | None = None
        self.unknown: set[int] = set()

    @classmethod
    def of(cls, db: Connection, keys: TenantKeys) -> LogReader:
        """The reader for what the database says of the tenant `keys.name` now."""
        return cls(keys, store.signers(db, keys.name))

    def open(self, note: str) -> Checkpoint:
        """Check the signatures of a note and read it.

        Raises:
            Problem: INVALID when it is malformed, comes from another log, a signature of one of our keys is wrong, or
                only a key signed it that had been replaced before.
        """
        ids = key_ids(note)
        signed = [(reader, until) for reader, until in self._readers if reader.key_id in ids]
        if not signed:
            return self._from_ahead(note, ids)
        points = [(reader.open(note), until) for reader, until in signed]
        if all(until is not None and point.size > until for point, until in points):
            raise Problem(Kind.INVALID, "The checkpoint is signed by a key that had been replaced before.")
        return points[0][0]

    def _from_ahead(self, note: str, ids: set[bytes]) -> Checkpoint:
        if self._ahead is None:
            numbers = range(self._newest + 1, self._newest + 1 + _AHEAD)
            self._ahead = [(number, NoteReader(signer_of(self._keys, number).public)) for number in numbers]
        for number, reader in self._ahead:
            if reader.key_id in ids:
                point = reader.open(note)
                self.unknown.add(number)
                return point
        return self._readers[-1][0].open(note)  # refuses it, with the reason


class Turning(Protocol):
    """What a change of keys needs of the log."""

    def turn(self, db: Connection, turn: Turn) -> None:
        """Sign the log as it is by both keys, and go on with the new one; inside the transaction of a group."""
        ...


class SignerWrites:
    """The participant of `salus.kernel.commit` that changes keys; it stands behind the log, whose `turn` does it."""

    name = "audit-signer"

    def __init__(self, log: Turning) -> None:
        self._log = log

    def begin(self, db: Connection) -> None:
        """Nothing to do."""

    def check(self, db: Connection, part: Turn) -> None:
        """Turn away whoever was second."""
        if part.number != newest_number(db, part.tenant) + 1:
            raise Problem(Kind.CONFLICT, "Another rotation has just been made.")

    def apply(self, db: Connection, parts: Sequence[Turn]) -> None:
        """Change keys; the entries of this group are in the log already."""
        for part in parts:
            self._log.turn(db, part)

    def committed(self) -> None:
        """Nothing is cached."""

    def rolled_back(self) -> None:
        """Nothing is cached."""

    def idle(self, db: Connection) -> bool:
        """Nothing to do."""
        return False


def followed(trusted: str, statements: str) -> list[str]:
    """Follow the keys of a log from one that somebody trusts to the newest; needs no secret.

    Args:
        trusted: a public key, as `salus audit key` printed it once.
        statements: text of `<tenant>.keys`.

    Returns:
        The trusted key and those after it, in order.

    Raises:
        Problem: INCORRECT for something that is no key; INVALID when a statement about the key is not signed by it and
            by the one that follows.
    """
    found = [trusted.strip()]
    for note in _STATEMENT.findall(statements):
        former, fresh = note.split("\n")[4:6]
        if former != found[-1]:
            continue
        for public in (former, fresh):
            reader = NoteReader(public)
            if reader.opened(note).split("\n")[0] != f"{reader.origin}/signing-key":
                raise Problem(Kind.INVALID, "The statement belongs to another log.")
        found.append(fresh)
    return found


def joined(rows: Iterable[store.Signed]) -> str:
    """The text of `<tenant>.keys`."""
    return "\n".join(row.statement for row in rows)
