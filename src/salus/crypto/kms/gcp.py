# SPDX-License-Identifier: Apache-2.0
"""Keys wrapped by Google Cloud KMS, through google-cloud-kms over REST.

The context is the additional authenticated data of each call. What goes out and comes back carries CRC32C sums, as
Google asks for: https://cloud.google.com/kms/docs/data-integrity-guidelines

Credentials come from a file (service account, workload identity), or from where Google's library finds them by itself.
A destroyed version can be restored for the time that the key's setting says (24 hours or more); then it is gone.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from salus.crypto.keyfile import read_private
from salus.crypto.kms.provider import Capabilities, asking, away, bound, cannot, library, probe
from salus.crypto.wiping import Secret, wipe

_SCOPES = ("https://www.googleapis.com/auth/cloudkms",)


class GcpKms:
    """A symmetric key of Google Cloud KMS. Safe to share between threads.

    Args:
        key: `projects/…/locations/…/keyRings/…/cryptoKeys/…`.
        endpoint: another host than Google's, e.g. of a private endpoint; empty for none.
        ca: path of the certificate that the endpoint is checked with; empty for the usual ones.
        credentials: path of a credentials file; empty to let Google's library find them.
        signing: a version of an EC_SIGN_P256_SHA256 key, `…/cryptoKeyVersions/1`; empty for none.
        seconds: longest wait for each answer.
        identity: stand-in for the credentials, for tests.
    """

    name = "gcp"

    def __init__(
        self,
        key: str,
        *,
        endpoint: str = "",
        ca: str = "",
        credentials: str = "",
        signing: str = "",
        seconds: float,
        identity: Any = None,
    ) -> None:
        self._library: Any = library("google.cloud.kms_v1", "gcp")
        if credentials:
            wipe(read_private(Path(credentials)))  # refuses a file that others can read
        self._key = key
        self._endpoint = endpoint.removeprefix("https://")
        self._ca = ca
        self._credentials = credentials
        self._identity = identity
        self._signing = signing
        self._options = {"timeout": seconds, "retry": None}
        self._made: Any = None
        self._lock = threading.Lock()
        self.capabilities = Capabilities(
            destroyed="after the waiting time of the key, 24 hours or more",
            signature="ECDSA-P256-SHA256" if signing else "",
        )

    def wrap(self, key: Secret, context: Mapping[str, str]) -> bytes:
        """See `KeyProvider.wrap`."""
        associated = bound(context)
        request = {
            "name": self._key,
            "plaintext": bytes(key),
            "plaintext_crc32c": crc32c(key),
            "additional_authenticated_data": associated,
            "additional_authenticated_data_crc32c": crc32c(associated),
        }
        with asking(self.name, _code):
            answer = self._client().encrypt(request=request, **self._options)
            blob = bytes(answer.ciphertext)
            whole = answer.verified_plaintext_crc32c and answer.verified_additional_authenticated_data_crc32c
            if not whole or int(answer.ciphertext_crc32c) != crc32c(blob):
                raise away("gcp: altered on its way")
        return blob

    def unwrap(self, blob: bytes, context: Mapping[str, str]) -> bytearray:
        """See `KeyProvider.unwrap`."""
        associated = bound(context)
        request = {
            "name": self._key,
            "ciphertext": blob,
            "ciphertext_crc32c": crc32c(blob),
            "additional_authenticated_data": associated,
            "additional_authenticated_data_crc32c": crc32c(associated),
        }
        with asking(self.name, _code):
            answer = self._client().decrypt(request=request, **self._options)
            key = bytearray(answer.plaintext)
            if int(answer.plaintext_crc32c) != crc32c(key):
                wipe(key)
                raise away("gcp: altered on its way")
        return key

    def rewrap(self, blob: bytes, context: Mapping[str, str]) -> bytes:
        """See `KeyProvider.rewrap`; the key passes through Salus."""
        key = self.unwrap(blob, context)
        try:
            return self.wrap(key, context)
        finally:
            wipe(key)

    def rotate(self) -> str:
        """See `KeyProvider.rotate`."""
        with asking(self.name, _code):
            client = self._client()
            request = {"parent": self._key, "crypto_key_version": {}}
            version = str(client.create_crypto_key_version(request=request, **self._options).name).rpartition("/")[2]
            request = {"name": self._key, "crypto_key_version_id": version}
            client.update_crypto_key_primary_version(request=request, **self._options)
        return version

    def destroy_version(self, version: str) -> str:
        """See `KeyProvider.destroy_version`."""
        with asking(self.name, _code):
            client = self._client()
            newest = str(client.get_crypto_key(request={"name": self._key}, **self._options).primary.name)
            if not version.isdecimal() or newest.rpartition("/")[2] == version:
                raise cannot("There is no such version, or it is the newest one, which cannot be destroyed.")
            request = {"name": f"{self._key}/cryptoKeyVersions/{version}"}
            gone = client.destroy_crypto_key_version(request=request, **self._options)
            return str(gone.destroy_time.date()) if gone.destroy_time else self.capabilities.destroyed

    def sign(self, message: bytes) -> bytes:
        """See `KeyProvider.sign`: ECDSA over P-256 with SHA-256, DER."""
        self._needs_signing()
        hashed = Hash(SHA256())
        hashed.update(message)
        digest = hashed.finalize()
        request = {"name": self._signing, "digest": {"sha256": digest}, "digest_crc32c": crc32c(digest)}
        with asking(self.name, _code):
            answer = self._client().asymmetric_sign(request=request, **self._options)
            signature = bytes(answer.signature)
            if not answer.verified_digest_crc32c or int(answer.signature_crc32c) != crc32c(signature):
                raise away("gcp: altered on its way")
        return signature

    def verification_key(self) -> bytes:
        """See `KeyProvider.verification_key`."""
        self._needs_signing()
        with asking(self.name, _code):
            pem = self._client().get_public_key(request={"name": self._signing}, **self._options).pem
            loaded = load_pem_public_key(pem.encode())
            return loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def health(self) -> None:
        """See `KeyProvider.health`."""
        probe(self)

    def close(self) -> None:
        """See `KeyProvider.close`."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.transport.close()

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._connected()
            return self._made

    def _connected(self) -> Any:
        identity = self._identity
        if identity is None:
            auth = library("google.auth", "gcp")
            if self._credentials:
                identity, _ = auth.load_credentials_from_file(self._credentials, scopes=_SCOPES)
            else:
                identity, _ = auth.default(scopes=_SCOPES)
        options = {"api_endpoint": self._endpoint} if self._endpoint else None
        client = self._library.KeyManagementServiceClient(
            credentials=identity, transport="rest", client_options=options
        )
        if self._ca:
            session = client.transport._session  # noqa: SLF001  the library offers no other way
            session.verify = self._ca
            session.trust_env = False  # a variable of the environment would win over `verify`
        return client

    def _needs_signing(self) -> None:
        if not self._signing:
            raise cannot("[keys] signing_key is not set, so this key provider cannot sign.")


def crc32c(data: Secret) -> int:
    """CRC-32C (Castagnoli), RFC 3720 appendix B.4; for a few dozen bytes."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 & -(value & 1))
    return value ^ 0xFFFFFFFF


def _code(error: Any) -> object:
    return getattr(error, "code", "")
