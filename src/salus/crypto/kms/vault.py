# SPDX-License-Identifier: Apache-2.0
"""Keys wrapped by the Transit engine of OpenBao or HashiCorp Vault, through hvac.

The key is made with `derived=true`: the context goes into the derivation of the key that wraps, so the server itself
refuses another context, also when it rewraps. (`associated_data` would break rewrapping on the server.)

Signing in: with a token, with an AppRole (`{"role_id": "…", "secret_id": "…"}`), or with a client certificate. When the
server says that the token is not valid any more, the credential is read again and the call repeated once.
https://openbao.org/api-docs/secret/transit/
"""

from __future__ import annotations

import binascii
import json
import re
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from salus.crypto.kms.provider import Capabilities, asking, away, bound, cannot, library, probe
from salus.crypto.wiping import Secret, wipe
from salus.kernel.errors import Kind, Problem

_CIPHERTEXT = re.compile(rb"vault:v[1-9][0-9]{0,8}:([A-Za-z0-9+/]+=*)")


@dataclass(frozen=True, slots=True)
class VaultLogin:
    """How to sign in.

    Attributes:
        credential: gives the token, or an AppRole as JSON; empty with a client certificate alone.
        certificate: paths of client certificate and key, PEM.
        ca: path of the certificate that the server's is checked with; empty for the system's.
        namespace: of the server; empty for none.
    """

    credential: Callable[[], str]
    certificate: tuple[str, str] | None = None
    ca: str = ""
    namespace: str = ""


class Vault:
    """A Transit key. Safe to share between threads.

    Args:
        address: `https://…` of the server.
        key: name of the Transit key: type aes256-gcm96, derived.
        mount: where the Transit engine is mounted.
        signing: name of a Transit key of type ed25519; empty for none.
        seconds: longest wait for each answer.
    """

    name = "vault"

    def __init__(
        self, address: str, key: str, login: VaultLogin, *, mount: str = "transit", signing: str = "", seconds: float
    ) -> None:
        self._hvac: Any = library("hvac", "vault")
        self._address = address
        self._key = key
        self._login = login
        self._mount = mount
        self._signing = signing
        self._seconds = seconds
        self._client: Any = None
        self._lock = threading.Lock()
        self.capabilities = Capabilities(rewraps_inside=True, signature="Ed25519" if signing else "")

    def wrap(self, key: Secret, context: Mapping[str, str]) -> bytes:
        """See `KeyProvider.wrap`."""
        sent = {"plaintext": b64encode(key).decode(), "context": _context(context)}
        return str(self._ask("encrypt", self._key, sent)["ciphertext"]).encode()

    def unwrap(self, blob: bytes, context: Mapping[str, str]) -> bytearray:
        """See `KeyProvider.unwrap`."""
        sent = {"ciphertext": _canonical(blob), "context": _context(context)}
        plain = b64decode(self._ask("decrypt", self._key, sent)["plaintext"])
        key = bytearray(plain)
        wipe(plain)
        return key

    def rewrap(self, blob: bytes, context: Mapping[str, str]) -> bytes:
        """See `KeyProvider.rewrap`."""
        sent = {"ciphertext": _canonical(blob), "context": _context(context)}
        return str(self._ask("rewrap", self._key, sent)["ciphertext"]).encode()

    def rotate(self) -> str:
        """See `KeyProvider.rotate`."""
        self._write(f"{self._mount}/keys/{self._key}/rotate", {})
        return str(self._state()["latest_version"])

    def destroy_version(self, version: str) -> str:
        """See `KeyProvider.destroy_version`; Transit destroys from the oldest on, so older versions go with it."""
        state = self._state()
        number = int(version) if version.isdecimal() else 0
        if not int(state.get("min_available_version") or 0) <= number < int(state["latest_version"]) or number < 1:
            raise cannot("There is no such version, or it is the newest one, which cannot be destroyed.")
        kept = {"min_decryption_version": number + 1, "min_encryption_version": number + 1}
        self._write(f"{self._mount}/keys/{self._key}/config", kept)
        self._write(f"{self._mount}/keys/{self._key}/trim", {"min_available_version": number + 1})
        return self.capabilities.destroyed

    def sign(self, message: bytes) -> bytes:
        """See `KeyProvider.sign`."""
        self._needs_signing()
        signature = self._ask("sign", self._signing, {"input": b64encode(message).decode()})["signature"]
        return b64decode(str(signature).rpartition(":")[2])

    def verification_key(self) -> bytes:
        """See `KeyProvider.verification_key`."""
        self._needs_signing()
        data = self._read(f"{self._mount}/keys/{self._signing}")
        public = str(data["keys"][str(data["latest_version"])]["public_key"])
        if public.startswith("-----"):
            loaded = load_pem_public_key(public.encode())
            return loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return _ED25519_HEADER + b64decode(public)

    def health(self) -> None:
        """See `KeyProvider.health`."""
        probe(self)

    def close(self) -> None:
        """See `KeyProvider.close`."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.adapter.close()

    # ── talking to the server ───────────────────────────────────────────────────────────────────────────────

    def _state(self) -> dict[str, Any]:
        return self._read(f"{self._mount}/keys/{self._key}")

    def _ask(self, what: str, key: str, sent: dict[str, Any]) -> dict[str, Any]:
        return self._write(f"{self._mount}/{what}/{key}", sent)

    def _write(self, path: str, sent: dict[str, Any]) -> dict[str, Any]:
        return self._answered(lambda client: client.write_data(path, data=sent))

    def _read(self, path: str) -> dict[str, Any]:
        return self._answered(lambda client: client.read(path))

    def _answered(self, call: Callable[[Any], Any]) -> dict[str, Any]:
        with asking(self.name, _code):
            client = self._client or self._signed_in()
            try:
                answer = call(client)
            except self._hvac.exceptions.Forbidden:
                answer = call(self._signed_in())  # the token has ended: the credential may have been replaced
            if answer is None:
                raise away("vault: there is no such key")
            data = answer.get("data") if isinstance(answer, dict) else None
            return dict(data) if data else {}

    def _signed_in(self) -> Any:
        login = self._login
        client = self._hvac.Client(
            url=self._address,
            timeout=self._seconds,
            verify=login.ca or True,
            cert=login.certificate,
            namespace=login.namespace or None,
            allow_redirects=False,
        )
        credential = login.credential()
        client.token = ""
        if not credential and login.certificate:
            client.token = _token(client.adapter.post("/v1/auth/cert/login"))
        elif credential.startswith("{"):
            client.token = _token(client.adapter.post("/v1/auth/approle/login", json=_role(credential)))
        elif credential:
            client.token = credential
        else:
            raise Problem(Kind.INCORRECT, "[keys] credential_file is missing; it holds the token or the AppRole.")
        with self._lock:
            self._client = client
        return client

    def _needs_signing(self) -> None:
        if not self._signing:
            raise cannot("[keys] signing_key is not set, so this key provider cannot sign.")


_ED25519_HEADER = bytes.fromhex("302a300506032b6570032100")  # RFC 8410 section 4: SubjectPublicKeyInfo up to the key


def _canonical(blob: bytes) -> str:
    """The ciphertext, if it is written as the server writes it; the server itself takes `v0` and loose base64 too."""
    match = _CIPHERTEXT.fullmatch(blob)
    try:
        if match is not None and b64encode(b64decode(match[1], validate=True)) == match[1]:
            return blob.decode("ascii")
    except binascii.Error:
        pass
    raise away("vault: this is not a wrapped key of this provider")


def _context(context: Mapping[str, str]) -> str:
    return b64encode(bound(context)).decode()


def _token(answer: Any) -> str:
    return str(answer["auth"]["client_token"])


def _role(credential: str) -> dict[str, str]:
    try:
        fields = json.loads(credential)
        return {"role_id": str(fields["role_id"]), "secret_id": str(fields["secret_id"])}
    except (ValueError, KeyError, TypeError):
        raise Problem(Kind.INCORRECT, "The AppRole is JSON with role_id and secret_id.") from None


def _code(error: Any) -> object:
    """hvac has one exception per status; a connection's failure has none."""
    return getattr(error, "status_code", "")
