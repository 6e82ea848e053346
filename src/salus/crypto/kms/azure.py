# SPDX-License-Identifier: Apache-2.0
"""Keys wrapped by Azure Key Vault or Managed HSM, through azure-keyvault-keys.

Key Vault knows no context. So each blob has a key of its own: the vault wraps that one (RSA-OAEP with SHA-256, or AES
key wrap for the symmetric keys of a Managed HSM), and an envelope under it binds the context.

    blob = MessagePack [1, version of the vault's key, wrapped key, envelope]

The public half of an RSA key can be read by others, who could so make a blob that unwraps. It would hold a key of
theirs: nothing that is stored opens under it. With a symmetric key that cannot be done.

Credentials: `{"tenant_id": "…", "client_id": "…", "client_secret": "…"}`, or none for the managed identity.
https://learn.microsoft.com/rest/api/keyvault/keys
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from salus.crypto.envelope import SealingKey
from salus.crypto.kms.provider import Capabilities, asking, away, cannot, library, probe
from salus.crypto.wiping import Secret, random_key, wipe
from salus.kernel.errors import Kind, Problem

_FORMAT = 1
_VERSION = re.compile(r"[0-9a-fA-F]{32}")
_Blob = tuple[int, str, bytes, bytes]


class AzureKeyVault:
    """A key of a vault. Safe to share between threads.

    Args:
        address: of the vault, `https://NAME.vault.azure.net`.
        key: name of an RSA key (3072 bits or more), or of an AES key of a Managed HSM.
        credential: gives the service principal as JSON; empty for the managed identity.
        ca: path of the certificate that the vault's is checked with; empty for the usual ones.
        signing: name of a P-256 key for signing; empty for none.
        seconds: longest wait for each answer.
        transport, identity: stand-ins for network and credential, for tests.
    """

    name = "azure"

    def __init__(
        self,
        address: str,
        key: str,
        credential: Callable[[], str],
        *,
        ca: str = "",
        signing: str = "",
        seconds: float,
        transport: Any = None,
        identity: Any = None,
    ) -> None:
        self._keys: Any = library("azure.keyvault.keys", "azure")
        self._crypto: Any = library("azure.keyvault.keys.crypto", "azure")
        self._address = address
        self._key = key
        self._credential = credential
        self._identity = identity
        self._signing = signing
        self._options: dict[str, Any] = {
            "connection_timeout": seconds,
            "read_timeout": seconds,
            "retry_total": 0,
            "connection_verify": ca or True,
        }
        if transport is not None:
            self._options["transport"] = transport
        self._vault: Any = None
        self._lock = threading.Lock()
        self.capabilities = Capabilities(
            binds_context=False,
            destroys=False,
            destroyed="Key Vault deletes whole keys only, and keeps them for its retention time",
            signature="ECDSA-P256-SHA256" if signing else "",
        )

    def wrap(self, key: Secret, context: Mapping[str, str]) -> bytes:
        """See `KeyProvider.wrap`."""
        own = random_key()
        try:
            with asking(self.name, _code):
                found = self._client().get_key(self._key)
                wrapped = self._at(found).wrap_key(self._algorithm(found), bytes(own)).encrypted_key
            version = str(found.properties.version)
            sealed = SealingKey(own).seal(key, _bound(context, version))
        finally:
            wipe(own)
        return msgspec.msgpack.encode((_FORMAT, version, bytes(wrapped), sealed))

    def unwrap(self, blob: bytes, context: Mapping[str, str]) -> bytearray:
        """See `KeyProvider.unwrap`."""
        version, wrapped, sealed = _parsed(blob)
        own = self._unwrapped(version, wrapped)
        try:
            return SealingKey(own).open_key(sealed, _bound(context, version))
        except (Problem, ValueError):
            raise away("azure: altered, or wrapped for something else") from None
        finally:
            wipe(own)

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
            return str(self._client().rotate_key(self._key).properties.version)

    def destroy_version(self, version: str) -> str:
        """Key Vault cannot; raises INCORRECT."""
        raise cannot("Key Vault cannot destroy one version of a key. Make a new key, rewrap to it, delete the old one.")

    def sign(self, message: bytes) -> bytes:
        """See `KeyProvider.sign`: ECDSA over P-256 with SHA-256, DER."""
        self._needs_signing()
        hashed = Hash(SHA256())
        hashed.update(message)
        with asking(self.name, _code):
            found = self._client().get_key(self._signing)
            algorithm = self._crypto.SignatureAlgorithm.es256
            raw = self._at(found).sign(algorithm, hashed.finalize()).signature
        return encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))  # RFC 7518 section 3.4

    def verification_key(self) -> bytes:
        """See `KeyProvider.verification_key`."""
        self._needs_signing()
        with asking(self.name, _code):
            public = self._client().get_key(self._signing).key
            x, y = int.from_bytes(public.x), int.from_bytes(public.y)
        numbers = EllipticCurvePublicNumbers(x, y, SECP256R1())
        return numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def health(self) -> None:
        """See `KeyProvider.health`."""
        probe(self)

    def close(self) -> None:
        """See `KeyProvider.close`."""
        with self._lock:
            vault, self._vault = self._vault, None
        if vault is not None:
            vault.close()

    # ── talking to the vault ────────────────────────────────────────────────────────────────────────────────

    def _unwrapped(self, version: str, wrapped: bytes) -> bytearray:
        with asking(self.name, _code):
            found = self._client().get_key(self._key, version)
            plain: bytes = self._at(found).unwrap_key(self._algorithm(found), wrapped).key
        own = bytearray(plain)
        wipe(plain)
        return own

    def _client(self) -> Any:
        with self._lock:
            if self._vault is None:
                self._identity = self._identity or self._signed_in()
                self._vault = self._keys.KeyClient(self._address, self._identity, **self._options)
            return self._vault

    def _at(self, key: Any) -> Any:
        return self._crypto.CryptographyClient(key, self._identity, **self._options)

    def _algorithm(self, key: Any) -> Any:
        kind = str(getattr(key.key_type, "value", key.key_type))
        symmetric = kind.startswith("oct")
        known = self._crypto.KeyWrapAlgorithm
        return known.aes_256 if symmetric else known.rsa_oaep_256

    def _signed_in(self) -> Any:
        identity = library("azure.identity", "azure")
        text = self._credential()
        if not text:
            return identity.ManagedIdentityCredential()
        try:
            fields = json.loads(text)
            return identity.ClientSecretCredential(fields["tenant_id"], fields["client_id"], fields["client_secret"])
        except (ValueError, KeyError, TypeError):
            raise Problem(
                Kind.INCORRECT, "The credential for Azure is JSON with tenant_id, client_id and client_secret."
            ) from None

    def _needs_signing(self) -> None:
        if not self._signing:
            raise cannot("[keys] signing_key is not set, so this key provider cannot sign.")


def _bound(context: Mapping[str, str], version: str) -> tuple[str, ...]:
    return ("salus/wrapped-key", version, *(part for item in sorted(context.items()) for part in item))


def _parsed(blob: bytes) -> tuple[str, bytes, bytes]:
    try:
        format_, version, wrapped, sealed = msgspec.msgpack.decode(blob, type=_Blob)
    except msgspec.MsgspecError:
        raise away("azure: this is not a wrapped key of this provider") from None
    if format_ != _FORMAT or _VERSION.fullmatch(version) is None:
        raise away("azure: this is not a wrapped key of this provider")
    return version, wrapped, sealed


def _code(error: Any) -> object:
    return getattr(error, "status_code", "")
