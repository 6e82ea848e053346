# SPDX-License-Identifier: Apache-2.0
"""A security key in software, with a knob for everything that a wrong or wicked one could do.

Makes and uses passkeys as a browser with an authenticator does (WebAuthn Level 3 sections 5.8.1, 6.1, 6.5): the answers
are those of `PublicKeyCredential.toJSON()`.
"""

from __future__ import annotations

import hashlib
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key

_UP, _UV, _BE, _BS, _AT = 1, 4, 8, 16, 64


def b64(raw: bytes) -> str:
    """base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Its inverse."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class SoftAuth:
    """One device of one person.

    Attributes:
        origin: what the browser writes down as the page's origin.
        verified, present: flags UV and UP.
        synced, backed_up: flags BE and BS.
        counts: whether it counts its uses.
        cross_origin: what the browser writes down; None leaves it out.
        party: relying party id that is signed for; the one that is asked for when empty.
        type_: in place of `webauthn.create` and `webauthn.get`.
    """

    origin: str = "https://clinic.example"
    verified: bool = True
    present: bool = True
    synced: bool = False
    backed_up: bool = False
    counts: bool = True
    cross_origin: bool | None = False
    party: str = ""
    type_: str = ""
    aaguid: bytes = bytes(16)
    counter: int = 0
    keys: dict[bytes, tuple[EllipticCurvePrivateKey, bytes]] = field(default_factory=dict)

    def create(self, options: dict[str, Any], **more: Any) -> dict[str, Any]:
        """`navigator.credentials.create()`."""
        key, credential = generate_private_key(SECP256R1()), os.urandom(32)
        self.keys[credential] = key, unb64(options["user"]["id"])
        numbers = key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = self.aaguid + len(credential).to_bytes(2, "big") + credential + cbor2.dumps(cose)
        data = self._data(options["rp"]["id"], _AT) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": b64(self._client("webauthn.create", options["challenge"], **more)),
            "attestationObject": b64(attestation),
            "transports": ["usb"],
        }
        return self._answer(credential, response)

    def get(self, options: dict[str, Any], *, handle: bytes | None = None, **more: Any) -> dict[str, Any]:
        """`navigator.credentials.get()`; `handle` is told in place of the account's own."""
        allowed = [unb64(each["id"]) for each in options.get("allowCredentials", [])] or list(self.keys)
        credential = next(id_ for id_ in allowed if id_ in self.keys)
        key, user = self.keys[credential]
        client = self._client("webauthn.get", options["challenge"], **more)
        data = self._data(options["rpId"], 0)
        signature = key.sign(data + hashlib.sha256(client).digest(), ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": b64(client),
            "authenticatorData": b64(data),
            "signature": b64(signature),
            "userHandle": b64(user if handle is None else handle),
        }
        return self._answer(credential, response)

    def _data(self, party: str, flags: int) -> bytes:
        self.counter += self.counts
        for knob, bit in ((self.present, _UP), (self.verified, _UV), (self.synced, _BE), (self.backed_up, _BS)):
            flags |= bit if knob else 0
        return (
            hashlib.sha256((self.party or party).encode()).digest() + bytes([flags]) + self.counter.to_bytes(4, "big")
        )

    def _client(self, type_: str, challenge: str, **more: Any) -> bytes:
        told = {"type": self.type_ or type_, "challenge": challenge, "origin": self.origin}
        if self.cross_origin is not None:
            told["crossOrigin"] = self.cross_origin  # type: ignore[assignment]
        return json.dumps(told | more).encode()

    def _answer(self, credential: bytes, response: dict[str, Any]) -> dict[str, Any]:
        name = b64(credential)
        return {"id": name, "rawId": name, "type": "public-key", "clientExtensionResults": {}, "response": response}
