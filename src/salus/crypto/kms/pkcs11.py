# SPDX-License-Identifier: Apache-2.0
"""Keys wrapped by a hardware security module through PKCS#11 (python-pkcs11).

The token holds AES-256 keys under one label that can neither be read nor taken out; each version has its number as
CKA_ID (4 bytes). Wrapping is AES-GCM with the context as additional data.

    blob = MessagePack [1, version, nonce of 12 bytes, ciphertext with tag]

The PIN is read from a private file. A lost session (a token that was taken out, a server that was restarted) is opened
again at the next call. A call that hangs inside the module's library is given up by `guard`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from salus.crypto.kms.provider import Capabilities, asking, away, bound, cannot, library, probe
from salus.crypto.wiping import Secret, wipe

_FORMAT = 1
_NONCE_SIZE, _ID_SIZE = 12, 4
_Blob = tuple[int, int, bytes, bytes]


class Pkcs11:
    """An AES key of a token. Safe to share between threads; calls follow one another.

    Args:
        module: path of the PKCS#11 library, e.g. `/usr/lib/softhsm/libsofthsm2.so`.
        token: label of the token.
        key: label of the key.
        pin: gives the user PIN.
        signing: label of a P-256 key pair for signing; empty for none.
    """

    name = "pkcs11"

    def __init__(self, module: str, token: str, key: str, pin: Callable[[], str], *, signing: str = "") -> None:
        self._pkcs11: Any = library("pkcs11", "pkcs11")
        self._module = module
        self._token = token
        self._key = key
        self._pin = pin
        self._signing = signing
        self._opened: Any = None
        self._lock = threading.Lock()
        self.capabilities = Capabilities(signature="ECDSA-P256-SHA256" if signing else "")

    def wrap(self, key: Secret, context: Mapping[str, str]) -> bytes:
        """See `KeyProvider.wrap`."""
        nonce = os.urandom(_NONCE_SIZE)
        with self._session() as session:
            versions = self._versions(session)
            newest = max(versions)
            wrapped = versions[newest].encrypt(
                bytes(key), mechanism=self._pkcs11.Mechanism.AES_GCM, mechanism_param=self._gcm(nonce, context)
            )
        return msgspec.msgpack.encode((_FORMAT, newest, nonce, bytes(wrapped)))

    def unwrap(self, blob: bytes, context: Mapping[str, str]) -> bytearray:
        """See `KeyProvider.unwrap`."""
        version, nonce, wrapped = _parsed(blob)
        with self._session() as session:
            versions = self._versions(session)
            if version not in versions:
                raise away("pkcs11: the version of the key is not there (any more)")
            plain: bytes = versions[version].decrypt(
                wrapped, mechanism=self._pkcs11.Mechanism.AES_GCM, mechanism_param=self._gcm(nonce, context)
            )
        key = bytearray(plain)
        wipe(plain)
        return key

    def rewrap(self, blob: bytes, context: Mapping[str, str]) -> bytes:
        """See `KeyProvider.rewrap`; the key passes through Salus."""
        key = self.unwrap(blob, context)
        try:
            return self.wrap(key, context)
        finally:
            wipe(key)

    def rotate(self) -> str:
        """See `KeyProvider.rotate`; makes the first version when there is none."""
        attribute = self._pkcs11.Attribute
        with self._session() as session:
            version = max(self._versions(session, none_is_fine=True), default=0) + 1
            session.generate_key(
                self._pkcs11.KeyType.AES,
                256,
                label=self._key,
                id=version.to_bytes(_ID_SIZE),
                store=True,
                capabilities=self._pkcs11.MechanismFlag.ENCRYPT | self._pkcs11.MechanismFlag.DECRYPT,
                template={attribute.SENSITIVE: True, attribute.EXTRACTABLE: False},
            )
        return str(version)

    def destroy_version(self, version: str) -> str:
        """See `KeyProvider.destroy_version`."""
        number = int(version) if version.isdecimal() else 0
        with self._session() as session:
            versions = self._versions(session)
            if number not in versions or number == max(versions):
                raise cannot("There is no such version, or it is the newest one, which cannot be destroyed.")
            versions[number].destroy()
        return self.capabilities.destroyed

    def sign(self, message: bytes) -> bytes:
        """See `KeyProvider.sign`: ECDSA over P-256 with SHA-256, DER."""
        self._needs_signing()
        with self._session() as session:
            key = session.get_key(self._pkcs11.ObjectClass.PRIVATE_KEY, label=self._signing)
            digest = session.digest(message, mechanism=self._pkcs11.Mechanism.SHA256)
            raw = bytes(key.sign(digest, mechanism=self._pkcs11.Mechanism.ECDSA))
        half = len(raw) // 2
        return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))

    def verification_key(self) -> bytes:
        """See `KeyProvider.verification_key`."""
        self._needs_signing()
        encode = library("pkcs11.util.ec", "pkcs11").encode_ec_public_key
        with self._session() as session:
            return bytes(encode(session.get_key(self._pkcs11.ObjectClass.PUBLIC_KEY, label=self._signing)))

    def health(self) -> None:
        """See `KeyProvider.health`."""
        probe(self)

    def close(self) -> None:
        """See `KeyProvider.close`."""
        with self._lock:
            opened, self._opened = self._opened, None
            if opened is not None:
                with asking(self.name):
                    opened.close()

    # ── the token ───────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _session(self) -> Iterator[Any]:
        """The session, for one call at a time; it is opened anew after any failure."""
        with self._lock:
            try:
                with asking(self.name):
                    if self._opened is None:
                        token = self._pkcs11.lib(self._module).get_token(token_label=self._token)
                        self._opened = token.open(user_pin=self._pin(), rw=True)
                    yield self._opened
            except BaseException:
                self._drop()
                raise

    def _drop(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            with suppress(Exception):  # it is broken already
                opened.close()

    def _versions(self, session: Any, *, none_is_fine: bool = False) -> dict[int, Any]:
        attribute = self._pkcs11.Attribute
        wanted = {attribute.CLASS: self._pkcs11.ObjectClass.SECRET_KEY, attribute.LABEL: self._key}
        found = {int.from_bytes(key.id): key for key in session.get_objects(wanted)}
        if not found and not none_is_fine:
            raise away("pkcs11: there is no key of this label on the token")
        return found

    def _gcm(self, nonce: bytes, context: Mapping[str, str]) -> Any:
        return self._pkcs11.GCMParams(nonce, bound(context), 128)

    def _needs_signing(self) -> None:
        if not self._signing:
            raise cannot("[keys] signing_key is not set, so this key provider cannot sign.")


def _parsed(blob: bytes) -> tuple[int, bytes, bytes]:
    try:
        format_, version, nonce, wrapped = msgspec.msgpack.decode(blob, type=_Blob)
    except msgspec.MsgspecError:
        raise away("pkcs11: this is not a wrapped key of this provider") from None
    if format_ != _FORMAT or len(nonce) != _NONCE_SIZE:
        raise away("pkcs11: this is not a wrapped key of this provider")
    return version, nonce, wrapped
