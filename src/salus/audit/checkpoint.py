# SPDX-License-Identifier: Apache-2.0
"""Signed checkpoints: the size and the root of a log in a text that anyone can keep and check.

Format: C2SP tlog-checkpoint in a C2SP signed note, signed with Ed25519
(https://c2sp.org/tlog-checkpoint, https://c2sp.org/signed-note). Lines of witnesses may follow ours;
signatures of unknown keys are ignored, a bad signature of a known key spoils the note.

Pure text and signatures; `published` keeps the notes in files, `log` decides when to sign.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from salus.audit.merkle import HASH_BYTES
from salus.crypto.wiping import Secret
from salus.kernel.errors import Kind, Problem

_ED25519 = b"\x01"
_MOST_SIGNATURES = 32
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Head of a log.

    Attributes:
        origin: name of the log, `salus/<tenant>`.
        size: number of entries.
        root: 32-byte Merkle tree hash over them.
    """

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The text that is signed, with its final newline (tlog-checkpoint, "Note text")."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


def origin_of(tenant: str) -> str:
    """Name of a tenant's log; also the name of the key that signs it.

    Raises:
        Problem: FAULT when the tenant's name cannot stand in a note or in a file name.
    """
    if not _TENANT.fullmatch(tenant):
        raise Problem(Kind.FAULT, "The tenant's name cannot be used for an audit log.")
    return f"salus/{tenant}"


class Signer:
    """Signs checkpoints of one log.

    Args:
        origin: name of the log.
        seed: 32 secret bytes, not kept; the same seed gives the same key.
    """

    def __init__(self, origin: str, seed: Secret) -> None:
        self.origin = origin
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._key.public_key().public_bytes_raw()
        self._id = _key_id(origin, public)
        self.public = f"{origin}+{self._id.hex()}+{b64encode(_ED25519 + public).decode()}"

    def sign(self, size: int, root: bytes) -> str:
        """Make the signed note for this size and 32-byte root."""
        return self.signed(Checkpoint(self.origin, size, root).text())

    def signed(self, text: str) -> str:
        """Make a signed note of a text that ends with a newline; what it is about must be its first line."""
        return f"{text}\n{self._line(text)}"

    def added_to(self, note: str) -> str:
        """The same note with this signature behind the others."""
        return note + self._line(note.rpartition("\n\n")[0] + "\n")

    def _line(self, text: str) -> str:
        return f"— {self.origin} {b64encode(self._id + self._key.sign(text.encode())).decode()}\n"


class NoteReader:
    """Opens signed checkpoints with a public key.

    Args:
        public: the key as text, `<name>+<key id in hex>+<base64 of type byte and key>`; see `Signer.public`.

    Attributes:
        origin: name of the log.
        key_id: 4 bytes, as they stand in front of a signature.

    Raises:
        Problem: INCORRECT when the text is not such a key.
    """

    def __init__(self, public: str) -> None:
        name, _, rest = public.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        key = _decoded(encoded)
        if not name or key is None or len(key) != 33 or key[:1] != _ED25519:
            raise Problem(Kind.INCORRECT, "This is not a public key of an audit log.")
        self.origin = name
        self._key = Ed25519PublicKey.from_public_bytes(key[1:])
        self._id = self.key_id = _key_id(name, key[1:])
        if self._id.hex() != key_id:
            raise Problem(Kind.INCORRECT, "The public key of the audit log does not match its key id.")

    def open(self, note: str) -> Checkpoint:
        """Check the signature of a note and read it.

        Raises:
            Problem: INVALID when the note is malformed, comes from another log or its signature is wrong.
        """
        return self._parsed(self.opened(note))

    def opened(self, note: str) -> str:
        """Check the signature of a note about anything; gives its text, with the final newline; raises as `open`."""
        text, separator, signatures = note.rpartition("\n\n")
        text += "\n"
        lines = signatures.splitlines()
        if not separator or not note.endswith("\n") or not 1 <= len(lines) <= _MOST_SIGNATURES:
            raise _bad("The checkpoint is not a signed note.")
        verified = False
        for line in lines:
            match = _SIGNATURE.fullmatch(line)
            blob = _decoded(match[2]) if match else None
            if match is None or blob is None:
                raise _bad("A signature line of the checkpoint is malformed.")
            if match[1] == self.origin and blob[:4] == self._id:
                try:
                    self._key.verify(blob[4:], text.encode())
                except InvalidSignature:
                    raise _bad("The signature of the checkpoint is wrong.") from None
                verified = True
        if not verified:
            raise _bad("The checkpoint is not signed by the key of this log.")
        return text

    def _parsed(self, text: str) -> Checkpoint:
        lines = text.split("\n")
        root = _decoded(lines[2]) if len(lines) == 4 else None
        if root is None or len(root) != HASH_BYTES or not _SIZE.fullmatch(lines[1]):
            raise _bad("The checkpoint has no size and root that could be read.")
        if lines[0] != self.origin:
            raise _bad("The checkpoint belongs to another log.")
        return Checkpoint(lines[0], int(lines[1]), root)


def key_ids(note: str) -> set[bytes]:
    """Ids of the keys that a note says it is signed by; says nothing of whether the signatures hold."""
    lines = note.rpartition("\n\n")[2].splitlines()[:_MOST_SIGNATURES]
    blobs = (_decoded(match[2]) for line in lines if (match := _SIGNATURE.fullmatch(line)))
    return {blob[:4] for blob in blobs if blob}


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def _decoded(text: str) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _bad(public: str) -> Problem:
    return Problem(Kind.INVALID, public)
