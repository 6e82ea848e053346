# SPDX-License-Identifier: Apache-2.0
"""The file of the local root key: JSON, so that an operator can see what it is and how it is protected.

    {"salus-root-key": 1, "protection": "none", "key": "<base64, 32 bytes>"}
    {"salus-root-key": 1, "protection": "argon2id", "time": 3, "memory-kib": 65536, "lanes": 4,
     "salt": "<base64, 16 bytes>", "key": "<base64, an envelope>"}
    {"salus-root-key": 1, "protection": "officers", "set": "<8 hex digits>", "needed": 3,
     "marks": ["<SHA-256 of a share>", …], "key": "<base64, an envelope>"}

A passphrase is stretched with Argon2id, by default with the second recommended parameters of RFC 9106 section 4.
Among officers, a random key seals the file and is split (see `officers`). Format 2 holds several versions of the
root key, each as 4 bytes of number and 32 bytes of key; it is written by the first rotation.

`keyfile` says when a file is refused.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from argon2.low_level import Type, hash_secret_raw

from salus.crypto.envelope import Context, SealingKey
from salus.crypto.keyfile import read_private, replace_private, write_new
from salus.crypto.kms import officers
from salus.crypto.kms.provider import away
from salus.crypto.wiping import Secret, random_key, wipe
from salus.kernel.errors import Kind, Problem

NONE, PASSPHRASE, OFFICERS = "none", "argon2id", "officers"

_KEY_SIZE, _SALT_SIZE, _NUMBER_SIZE = 32, 16, 4
_TIME, _MEMORY_KIB, _LANES = 3, 65_536, 4
# What a file may ask of us: a file put in place by an attacker must not eat the machine's memory.
_MAX_TIME, _MAX_MEMORY_KIB, _MAX_LANES = 64, 4_194_304, 64

Fields = dict[str, Any]


@dataclass(slots=True)
class RootFile:
    """An opened file.

    Attributes:
        path: where it lies.
        versions: root keys by version, ascending.
    """

    path: Path
    versions: dict[int, bytearray]
    _fields: Fields
    _seal: SealingKey | None

    def write(self, *, replace: bool) -> None:
        """Put the file on the disk, as a new one or in place of the former, under the same protection.

        Raises:
            Problem: CONFLICT when a new file is there already, UNAVAILABLE when it cannot be written safely.
        """
        fields = dict(self._fields)
        several = list(self.versions) != [1]
        fields["salus-root-key"] = 2 if several else 1
        plain = _packed(self.versions) if several else bytearray(self.versions[1])
        stored = bytes(plain) if self._seal is None else self._seal.seal(bytes(plain), _context(fields))
        fields["key"] = b64encode(stored).decode()
        data = msgspec.json.format(msgspec.json.encode(fields)) + b"\n"
        (replace_private if replace else write_new)(self.path, data)
        wipe(plain)

    def reread(self) -> None:
        """Take over the versions that another process has put into the file, if it still opens with the same secret."""
        fields = _read(self.path)
        try:
            fresh = _versions(fields, self._seal)
        except (Problem, binascii.Error, KeyError, TypeError, ValueError):
            raise away(f"{self.path.name}: was changed and does not open as before") from None
        for number, key in fresh.items():
            self.versions.setdefault(number, key)
        for number in [number for number in self.versions if number not in fresh]:
            wipe(self.versions.pop(number))
        self.versions = dict(sorted(self.versions.items()))

    def split(self, needed: int, count: int) -> list[str]:
        """Protect the file by shares instead of what protected it; `write` puts it on the disk.

        Returns:
            The shares as text, one for each officer. They are kept nowhere.

        Raises:
            Problem: as `officers.split`.
        """
        sealing = random_key()
        shares = officers.split(sealing, needed, count, random_key(4).hex())
        self._seal = SealingKey(sealing)
        marks = [share.mark() for share in shares]
        self._fields = {"protection": OFFICERS, "set": shares[0].set, "needed": needed, "marks": marks}
        texts = [share.text() for share in shares]
        wipe(sealing, *(share.value for share in shares))
        return texts

    def close(self) -> None:
        """Wipe the root keys."""
        for key in self.versions.values():
            wipe(key)
        self.versions.clear()
        self._seal = None


def new(path: Path, passphrase: Secret | None) -> RootFile:
    """Draw a root key, protected by a passphrase or by nothing; `RootFile.write` puts it on the disk.

    Raises:
        Problem: INCORRECT when the passphrase is empty.
    """
    return RootFile(path, {1: random_key()}, *_protection(passphrase))


def new_for_officers(path: Path, needed: int, count: int) -> tuple[RootFile, list[str]]:
    """Draw a root key that a number of officers open together.

    Returns:
        The file, and the shares as text, one for each officer. They are kept nowhere.

    Raises:
        Problem: as `officers.split`.
    """
    made = RootFile(path, {1: random_key()}, {}, None)
    return made, made.split(needed, count)


def protection_of(path: Path) -> str:
    """How a file is protected; empty when it cannot be read."""
    try:
        content = msgspec.json.decode(path.read_bytes())
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError):
        return ""
    return str(content.get("protection", "")) if isinstance(content, dict) else ""


def gathering(path: Path) -> officers.Gathering:
    """What collects the officers' shares for a file.

    Raises:
        Problem: UNAVAILABLE when the file cannot be read; INCORRECT when it is not split.
    """
    fields = _read(path)
    if fields.get("protection") != OFFICERS:
        raise Problem(Kind.INCORRECT, "The root key is not split among officers.")
    try:
        return officers.Gathering(str(fields["set"]), int(fields["needed"]), [str(mark) for mark in fields["marks"]])
    except (KeyError, TypeError, ValueError):
        raise _damaged(path) from None


def open_file(path: Path, secret: Secret | None) -> RootFile:
    """Open a file.

    Args:
        path: what `new` or `new_for_officers` made.
        secret: the passphrase, or the key that the officers' shares gave; None for a file without protection.

    Raises:
        Problem: UNAVAILABLE when the file is missing, damaged, unsafe (see `keyfile`) or the secret is wrong.
    """
    fields = _read(path)
    try:
        seal = _unsealing(fields, secret)
        versions = _versions(fields, seal)
    except Problem as problem:
        raise away(f"{path.name}: {problem.detail or problem.public}") from None
    except (binascii.Error, KeyError, TypeError, ValueError):
        raise _damaged(path) from None
    return RootFile(path, versions, {k: v for k, v in fields.items() if k not in {"key", "salus-root-key"}}, seal)


def _read(path: Path) -> Fields:
    try:
        return msgspec.json.decode(read_private(path), type=dict[str, int | str | list[str]])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise _damaged(path) from None


def _protection(passphrase: Secret | None) -> tuple[Fields, SealingKey | None]:
    if passphrase is None:
        return {"protection": NONE}, None
    if not passphrase:
        raise Problem(Kind.INCORRECT, "The passphrase is empty.")
    salt = bytes(random_key(_SALT_SIZE))
    fields: Fields = {"protection": PASSPHRASE, "time": _TIME, "memory-kib": _MEMORY_KIB, "lanes": _LANES}
    fields["salt"] = b64encode(salt).decode()
    return fields, _stretched(passphrase, fields)


def _unsealing(fields: Fields, secret: Secret | None) -> SealingKey | None:
    protection = fields["protection"]
    if protection == NONE:
        if secret is not None:
            # Quietly ignoring it would let a swapped, unprotected file pass for the protected one.
            raise away("a passphrase was given, but the file has none")
        return None
    if protection == PASSPHRASE:
        if not secret:
            raise away("the file needs its passphrase")
        return _stretched(secret, fields)
    if protection == OFFICERS:
        if not secret:
            raise away("sealed: the officers' shares are needed")
        return SealingKey(secret)
    raise away("unknown protection")


def _versions(fields: Fields, seal: SealingKey | None) -> dict[int, bytearray]:
    if fields["salus-root-key"] not in {1, 2}:
        raise away("written by a newer version of Salus")
    stored = b64decode(str(fields["key"]), validate=True)
    try:
        plain = stored if seal is None else seal.open(stored, _context(fields))
    except Problem:
        words = (
            "wrong passphrase"
            if fields["protection"] == PASSPHRASE
            else "wrong shares (or an agent from before a split)"
        )
        raise away(f"{words}, or the file is damaged") from None
    try:
        return _unpacked(plain) if fields["salus-root-key"] == 2 else {1: _sized(bytearray(plain))}
    finally:
        wipe(plain)


def _packed(versions: Mapping[int, bytearray]) -> bytearray:
    packed = bytearray()
    for number, key in versions.items():
        packed += number.to_bytes(_NUMBER_SIZE) + key
    return packed


def _unpacked(plain: bytes) -> dict[int, bytearray]:
    size = _NUMBER_SIZE + _KEY_SIZE
    if not plain or len(plain) % size:
        raise ValueError("length of the root keys")
    rows = [plain[at : at + size] for at in range(0, len(plain), size)]
    versions = {int.from_bytes(row[:_NUMBER_SIZE]): bytearray(row[_NUMBER_SIZE:]) for row in rows}
    wipe(*rows)
    if list(versions) != sorted(versions) or len(versions) != len(rows):
        raise ValueError("order of the root keys")
    return versions


def _sized(key: bytearray) -> bytearray:
    if len(key) != _KEY_SIZE:
        raise ValueError("key length")
    return key


def _stretched(passphrase: Secret, fields: Mapping[str, Any]) -> SealingKey:
    time, memory, lanes = int(fields["time"]), int(fields["memory-kib"]), int(fields["lanes"])
    if not (1 <= time <= _MAX_TIME and 1 <= lanes <= _MAX_LANES and 8 * lanes <= memory <= _MAX_MEMORY_KIB):
        raise ValueError("Argon2 parameters out of bounds")
    salt = b64decode(str(fields["salt"]), validate=True)
    if len(salt) != _SALT_SIZE:
        raise ValueError("salt length")
    key = hash_secret_raw(bytes(passphrase), salt, time, memory, lanes, _KEY_SIZE, Type.ID)
    sealing = SealingKey(key)
    wipe(key)
    return sealing


def _context(fields: Mapping[str, Any]) -> Context:
    format_ = int(fields["salus-root-key"])
    if fields["protection"] == OFFICERS:
        return ("salus/root-key-file", format_, OFFICERS, str(fields["set"]), int(fields["needed"]))
    parameters = (int(fields["time"]), int(fields["memory-kib"]), int(fields["lanes"]))
    return ("salus/root-key-file", format_, *parameters)


def _damaged(path: Path) -> Problem:
    return away(f"{path.name}: damaged, or not a key file")
