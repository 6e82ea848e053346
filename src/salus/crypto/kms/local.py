# SPDX-License-Identifier: Apache-2.0
"""A key provider for one machine: the root key is a small file, optionally sealed under a passphrase.

The file is JSON, so that an operator can see what it is and how it is protected:

    {"salus-root-key": 1, "protection": "none", "key": "<base64, 32 bytes>"}
    {"salus-root-key": 1, "protection": "argon2id", "time": 3, "memory-kib": 65536, "lanes": 4,
     "salt": "<base64, 16 bytes>", "key": "<base64, an envelope>"}

Without a passphrase whoever can read the file can open the database, so keep it away from the database and
its backups. The passphrase is stretched with Argon2id, by default with the second recommended parameters of
RFC 9106 section 4. The file is never overwritten; `keyfile` says when it is refused.
"""

from __future__ import annotations

import binascii
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from argon2.low_level import Type, hash_secret_raw

from salus.crypto.envelope import Context, SealingKey
from salus.crypto.keyfile import private_folder, read_private, write_new
from salus.kernel.errors import Kind, Problem

_FORMAT = 1
_KEY_SIZE = 32
_SALT_SIZE = 16
_TIME, _MEMORY_KIB, _LANES = 3, 65_536, 4
# What a file may ask of us: a file put in place by an attacker must not eat the machine's memory.
_MAX_TIME, _MAX_MEMORY_KIB, _MAX_LANES = 64, 4_194_304, 64


class LocalKeyProvider:
    """Wraps keys under a root key that was read from a file. Safe to share between threads."""

    name = "local"

    def __init__(self, root_key: bytes) -> None:
        """Hold a root key of 32 bytes; use `create` or `open` instead, except in tests."""
        self._root = SealingKey(root_key)

    @classmethod
    def create(cls, path: Path, passphrase: bytes | None) -> LocalKeyProvider:
        """Draw a new root key and write it.

        Args:
            path: the file to make; missing folders are made with mode 0700.
            passphrase: seals the key in the file; None leaves it readable to whoever can read the file.

        Raises:
            Problem: CONFLICT when the file exists, INCORRECT when the passphrase is empty, UNAVAILABLE when
                the file cannot be written safely.
        """
        private_folder(path.parent)
        root_key = os.urandom(_KEY_SIZE)
        fields: dict[str, Any] = {"salus-root-key": _FORMAT, "protection": "none"}
        if passphrase is None:
            fields["key"] = b64encode(root_key).decode()
        else:
            if not passphrase:
                raise Problem(Kind.INCORRECT, "The passphrase is empty.")
            salt = os.urandom(_SALT_SIZE)
            fields["protection"] = "argon2id"
            fields |= {
                "time": _TIME,
                "memory-kib": _MEMORY_KIB,
                "lanes": _LANES,
                "salt": b64encode(salt).decode(),
            }
            fields["key"] = b64encode(_stretched(passphrase, fields).seal(root_key, _file_context(fields))).decode()
        write_new(path, msgspec.json.format(msgspec.json.encode(fields)) + b"\n")
        return cls(root_key)

    @classmethod
    def open(cls, path: Path, passphrase: bytes | None) -> LocalKeyProvider:
        """Read the root key.

        Args:
            path: the file that `create` made.
            passphrase: what it was made with; None for a file without.

        Raises:
            Problem: UNAVAILABLE when the file is missing, damaged, unsafe (see `keyfile`) or the
                passphrase is wrong.
        """
        raw = read_private(path)
        try:
            fields = msgspec.json.decode(raw, type=dict[str, int | str])
            return cls(_root_key(fields, passphrase))
        except Problem as problem:
            raise _unusable(f"{path.name}: {problem.detail or problem.public}") from None
        except (msgspec.MsgspecError, UnicodeDecodeError, binascii.Error, KeyError, TypeError, ValueError):
            raise _unusable(f"{path.name}: damaged, or not a key file") from None

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        """Protect a key, see `KeyProvider.wrap`."""
        return self._root.seal(key, _wrap_context(context))

    def unwrap(self, blob: bytes, context: Mapping[str, str]) -> bytes:
        """Give back a wrapped key, see `KeyProvider.unwrap`.

        Raises:
            Problem: UNAVAILABLE when the blob was altered, or wrapped by another root key or for
                another context.
        """
        try:
            return self._root.open(blob, _wrap_context(context))
        except Problem as problem:
            raise _unusable(f"unwrap refused: {problem.detail}") from None

    def health(self) -> None:
        """Wrap and unwrap a probe, see `KeyProvider.health`."""
        probe = os.urandom(_KEY_SIZE)
        context = {"purpose": "health"}
        if self.unwrap(self.wrap(probe, context), context) != probe:
            raise _unusable("the probe came back altered")


def _root_key(fields: dict[str, int | str], passphrase: bytes | None) -> bytes:
    """Take the root key out of a decoded file, or raise a `Problem` or a decoding error."""
    if fields["salus-root-key"] != _FORMAT:
        raise _unusable("written by a newer version of Salus")
    stored = b64decode(str(fields["key"]), validate=True)
    if fields["protection"] == "none":
        if passphrase is not None:
            # Quietly ignoring it would let a swapped, unprotected file pass for the protected one.
            raise _unusable("a passphrase was given, but the file has none")
        root_key = stored
    elif fields["protection"] == "argon2id":
        if not passphrase:
            raise _unusable("the file needs its passphrase")
        try:
            root_key = _stretched(passphrase, fields).open(stored, _file_context(fields))
        except Problem:
            raise _unusable("wrong passphrase, or the file is damaged") from None
    else:
        raise _unusable("unknown protection")
    if len(root_key) != _KEY_SIZE:
        raise ValueError("key length")
    return root_key


def _stretched(passphrase: bytes, fields: Mapping[str, int | str]) -> SealingKey:
    time, memory, lanes = int(fields["time"]), int(fields["memory-kib"]), int(fields["lanes"])
    if not (1 <= time <= _MAX_TIME and 1 <= lanes <= _MAX_LANES and 8 * lanes <= memory <= _MAX_MEMORY_KIB):
        raise ValueError("Argon2 parameters out of bounds")
    salt = b64decode(str(fields["salt"]), validate=True)
    if len(salt) != _SALT_SIZE:
        raise ValueError("salt length")
    return SealingKey(hash_secret_raw(passphrase, salt, time, memory, lanes, _KEY_SIZE, Type.ID))


def _file_context(fields: Mapping[str, int | str]) -> Context:
    return (
        "salus/root-key-file",
        _FORMAT,
        int(fields["time"]),
        int(fields["memory-kib"]),
        int(fields["lanes"]),
    )


def _wrap_context(context: Mapping[str, str]) -> Context:
    return ("salus/wrapped-key", *(part for item in sorted(context.items()) for part in item))


def _unusable(detail: str) -> Problem:
    return Problem(Kind.UNAVAILABLE, "The keys are not available.", detail, retry_after=30)
