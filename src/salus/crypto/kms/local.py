# SPDX-License-Identifier: Apache-2.0
"""A key provider for one machine: the root key is a small file (`root_file`).

The file is sealed under a passphrase, or under a key that is split among officers, or not at all: then whoever can
read it can open the database, so keep it away from the database and its backups.

Wrapped keys are envelopes. Each names its root key by the envelope's key commitment, so that several versions of the
root key can stand side by side while a rotation is under way.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from salus.crypto.derivation import derive
from salus.crypto.envelope import Context, SealingKey
from salus.crypto.keyfile import private_folder
from salus.crypto.kms import root_file
from salus.crypto.kms.provider import Capabilities, away, cannot
from salus.crypto.wiping import Secret, random_key, wipe
from salus.kernel.errors import Problem


class LocalKeyProvider:
    """Wraps keys under a root key that was read from a file. Safe to share between threads."""

    name = "local"
    capabilities = Capabilities(rewraps_inside=True, signature="Ed25519")

    def __init__(self, root_key: Secret, file: root_file.RootFile | None = None) -> None:
        """Hold a root key of 32 bytes without a file, for tests; the product uses `create` or `open`."""
        self._file = file
        self._lock = threading.Lock()
        versions = file.versions if file else {1: bytearray(root_key)}
        self._roots = {number: SealingKey(key) for number, key in versions.items()}
        self._signer = _signer(versions)
        if file is None:
            wipe(versions[1])

    @classmethod
    def create(cls, path: Path, passphrase: Secret | None) -> LocalKeyProvider:
        """Draw a new root key and write it.

        Args:
            path: the file to make; missing folders are made with mode 0700.
            passphrase: seals the key in the file; None leaves it readable to whoever can read the file.

        Raises:
            Problem: CONFLICT when the file exists, INCORRECT when the passphrase is empty, UNAVAILABLE when
                the file cannot be written safely.
        """
        private_folder(path.parent)
        file = root_file.new(path, passphrase)
        file.write(replace=False)
        return cls(b"", file)

    @classmethod
    def create_for_officers(cls, path: Path, needed: int, count: int) -> tuple[LocalKeyProvider, list[str]]:
        """Draw a new root key that `needed` of `count` officers open together; also gives their shares as text.

        Raises:
            Problem: as `create`; INCORRECT unless 2 <= needed <= count.
        """
        private_folder(path.parent)
        file, shares = root_file.new_for_officers(path, needed, count)
        file.write(replace=False)
        return cls(b"", file), shares

    @classmethod
    def open(cls, path: Path, secret: Secret | None) -> LocalKeyProvider:
        """Read the root key.

        Args:
            path: the file.
            secret: its passphrase, or the key from the officers' shares; None for a file without either.

        Raises:
            Problem: UNAVAILABLE when the file is missing, damaged, unsafe (see `keyfile`) or the secret is wrong.
        """
        return cls(b"", root_file.open_file(path, secret))

    def wrap(self, key: Secret, context: Mapping[str, str]) -> bytes:
        """Protect a key, see `KeyProvider.wrap`."""
        with self._lock:
            self._reread()  # never under a version that another process has destroyed
            return self._roots[max(self._roots)].seal(key, _wrap_context(context))

    def unwrap(self, blob: bytes, context: Mapping[str, str]) -> bytearray:
        """Give back a wrapped key, see `KeyProvider.unwrap`."""
        roots = self._roots
        if not roots:
            raise away("the provider is closed")
        if not any(root.made(blob) for root in roots.values()):
            with self._lock:
                self._reread()
            roots = self._roots
        root = next((root for root in roots.values() if root.made(blob)), roots[max(roots)])
        try:
            return root.open_key(blob, _wrap_context(context))
        except Problem as problem:
            raise away(f"unwrap refused: {problem.detail}") from None

    def rewrap(self, blob: bytes, context: Mapping[str, str]) -> bytes:
        """Wrap the same key under the newest version, see `KeyProvider.rewrap`."""
        key = self.unwrap(blob, context)
        try:
            return self.wrap(key, context)
        finally:
            wipe(key)

    def rotate(self) -> str:
        """Draw a new version of the root key and write it to the file, see `KeyProvider.rotate`.

        The former versions stay in the file until they are destroyed.
        """
        with self._lock:
            file = self._own_file()
            self._reread()
            number = max(file.versions) + 1
            file.versions[number] = random_key()
            self._rewritten(file, undo=number)
            self._roots[number] = SealingKey(file.versions[number])
            self._signer = _signer(file.versions)
        return str(number)

    def destroy_version(self, version: str) -> str:
        """Take a version out of the file, see `KeyProvider.destroy_version`.

        Copies of the file that were made before still hold it: they must be destroyed as well.
        """
        with self._lock:
            file = self._own_file()
            self._reread()
            number = int(version) if version.isdecimal() else 0
            if number not in file.versions or number == max(file.versions):
                raise cannot("There is no such version, or it is the newest one, which cannot be destroyed.")
            gone = file.versions.pop(number)
            try:
                file.write(replace=True)
            except BaseException:
                file.versions = dict(sorted({**file.versions, number: gone}.items()))
                raise
            wipe(gone)
            del self._roots[number]
        return self.capabilities.destroyed

    def sign(self, message: bytes) -> bytes:
        """Sign with Ed25519, under a key derived from the newest root key."""
        return self._signing().sign(message)

    def verification_key(self) -> bytes:
        """The public half of the signing key, DER."""
        return self._signing().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def health(self) -> None:
        """Wrap and unwrap a probe, see `KeyProvider.health`."""
        probe = random_key()
        context = {"purpose": "health"}
        if self.unwrap(self.wrap(probe, context), context) != probe:
            raise away("the probe came back altered")

    def close(self) -> None:
        """Wipe the root keys."""
        self._roots.clear()
        self._signer = None
        if self._file is not None:
            self._file.close()

    def _signing(self) -> Ed25519PrivateKey:
        if self._signer is None:
            raise away("the provider is closed")
        return self._signer

    def _own_file(self) -> root_file.RootFile:
        if self._file is None or not self._file.versions:
            raise away("the provider has no open file")
        return self._file

    def _reread(self) -> None:
        """Look whether another process has rotated; raises UNAVAILABLE when the file cannot be read."""
        if not self._roots:
            raise away("the provider is closed")
        if self._file is None:
            return
        self._file.reread()
        self._roots = {n: self._roots.get(n) or SealingKey(key) for n, key in self._file.versions.items()}
        self._signer = _signer(self._file.versions)

    def _rewritten(self, file: root_file.RootFile, undo: int) -> None:
        try:
            file.write(replace=True)
        except BaseException:
            wipe(file.versions.pop(undo))
            raise


def _signer(versions: Mapping[int, bytearray]) -> Ed25519PrivateKey | None:
    seed = derive(versions[max(versions)], "provider/sign")
    signer = Ed25519PrivateKey.from_private_bytes(seed)
    wipe(seed)
    return signer


def _wrap_context(context: Mapping[str, str]) -> Context:
    return ("salus/wrapped-key", *(part for item in sorted(context.items()) for part in item))
