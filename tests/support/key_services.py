# SPDX-License-Identifier: Apache-2.0
"""Every key provider over the most real thing that runs here. Azure and Google are fakes of the wire protocol."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from salus.app.certificates import issue, make_authority
from salus.app.providers import provider_of
from salus.crypto.kms.provider import KeyProvider
from salus.kernel.settings import Settings
from tests.support.openbao import FailingBao
from tests.support.served import free_port

SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "87654321"


@contextmanager
def openbao(folder: Path) -> Iterator[KeyProvider]:
    """A real OpenBao server."""
    server = FailingBao(folder / "openbao", free_port(), free_port())
    try:
        server.make()
        provider = provider_of(Settings(folder=folder, keys=server.keys("openbao")))
        yield provider
        provider.close()
    finally:
        server.stop()


@contextmanager
def aws(folder: Path) -> Iterator[KeyProvider]:
    """AWS KMS as moto imitates it. It does not enforce the state of keys, so it proves nothing about refusals."""
    from moto.server import ThreadedMotoServer

    from salus.crypto.kms.aws import AwsKms

    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    server.start()
    credentials = folder / "credentials"
    credentials.write_text("[default]\naws_access_key_id = test\naws_secret_access_key = test\n")
    credentials.chmod(0o600)
    where = {"region": "eu-central-1", "endpoint": f"http://127.0.0.1:{server._port}", "credentials": str(credentials)}
    maker = AwsKms("", **where, seconds=10)
    key = maker._kms.create_key()["KeyMetadata"]["KeyId"]
    signing = maker._kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    provider = AwsKms(key, **where, signing=signing, seconds=10)
    try:
        yield provider
    finally:
        provider.close()
        maker.close()
        server.stop()


@contextmanager
def pkcs11(folder: Path) -> Iterator[KeyProvider]:
    """SoftHSM 2, with a token of its own."""
    if shutil.which("softhsm2-util") is None:
        pytest.skip("softhsm2 is not installed (Debian package softhsm2)")
    import pkcs11 as library

    from salus.crypto.kms.pkcs11 import Pkcs11

    tokens = folder / "tokens"
    tokens.mkdir()
    config = folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(config)
    make = ["softhsm2-util", "--init-token", "--free", "--label", "clinic", "--so-pin", "12345678", "--pin", PIN]
    subprocess.run(make, check=True, capture_output=True)
    loaded = library.lib(str(SOFTHSM))
    loaded.reinitialize()
    with loaded.get_token(token_label="clinic").open(user_pin=PIN, rw=True) as session:
        curve = session.create_domain_parameters(
            library.KeyType.EC,
            {library.Attribute.EC_PARAMS: library.util.ec.encode_named_curve_parameters("secp256r1")},
            local=True,
        )
        curve.generate_keypair(label="salus-sign", store=True)
    provider = Pkcs11(str(SOFTHSM), "clinic", "salus", lambda: PIN, signing="salus-sign")
    assert provider.rotate() == "1"
    try:
        yield provider
    finally:
        provider.close()


# ── fakes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _from64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class FakeKeyVault:
    """What Key Vault answers, as a `requests` adapter: keys, wrapkey, unwrapkey, sign, rotate, the 401 challenge."""

    def __init__(self) -> None:
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        self.signing = ec.generate_private_key(ec.SECP256R1())
        self.down = False
        self.rotate()

    def rotate(self) -> str:
        version = os.urandom(16).hex()
        self.keys[version] = rsa.generate_private_key(65537, 2048)
        return version

    def send(self, request: Any, **_: Any) -> Any:
        import requests
        import urllib3

        if self.down:
            raise requests.exceptions.ConnectTimeout
        status, headers, body = self._answer(request)
        data = io.BytesIO(json.dumps(body).encode())
        raw = urllib3.HTTPResponse(body=data, headers=headers, status=status, preload_content=False)
        return requests.adapters.HTTPAdapter().build_response(request, raw)

    def close(self) -> None:
        pass

    def _answer(self, request: Any) -> tuple[int, dict[str, str], Any]:
        if "Authorization" not in request.headers:
            challenge = 'Bearer authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.net"'
            return 401, {"WWW-Authenticate": challenge, "Content-Type": "application/json"}, {}
        parts = request.url.partition("?")[0].split("/")[4:]
        sent = json.loads(request.body) if request.body else {}
        name, version, action = (*parts, "", "")[:3]
        if version == "rotate":
            version, action = self.rotate(), ""
        headers = {"Content-Type": "application/json"}
        if name == "salus-sign":
            return self._sign(version, action, sent, headers)
        version = version or list(self.keys)[-1]
        key = self.keys.get(version)
        if key is None:
            return 404, headers, {"error": {"code": "KeyNotFound", "message": "no"}}
        kid = f"https://clinic.vault.azure.net/keys/salus/{version}"
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        if action in {"wrapkey", "unwrapkey"}:
            assert sent["alg"] == "RSA-OAEP-256"
            try:
                value = _from64(sent["value"])
                result = key.public_key().encrypt(value, oaep) if action == "wrapkey" else key.decrypt(value, oaep)
            except ValueError:
                return 400, headers, {"error": {"code": "BadParameter", "message": "no"}}
            return 200, headers, {"kid": kid, "value": _url64(result)}
        numbers = key.public_key().public_numbers()
        jwk = {
            "kid": kid,
            "kty": "RSA",
            "key_ops": ["wrapKey", "unwrapKey"],
            "n": _url64(numbers.n.to_bytes(256)),
            "e": _url64(numbers.e.to_bytes(3)),
        }
        return 200, headers, {"key": jwk, "attributes": {"enabled": True}}

    def _sign(self, version: str, action: str, sent: Any, headers: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        kid = f"https://clinic.vault.azure.net/keys/salus-sign/{'5' * 32}"
        if action == "sign":
            der = self.signing.sign(_from64(sent["value"]), ec.ECDSA(Prehashed(hashes.SHA256())))
            r, s = decode_dss_signature(der)
            return 200, headers, {"kid": kid, "value": _url64(r.to_bytes(32) + s.to_bytes(32))}
        numbers = self.signing.public_key().public_numbers()
        jwk = {
            "kid": kid,
            "kty": "EC",
            "crv": "P-256",
            "key_ops": ["sign"],
            "x": _url64(numbers.x.to_bytes(32)),
            "y": _url64(numbers.y.to_bytes(32)),
        }
        return 200, headers, {"key": jwk, "attributes": {"enabled": True}}


class _Identity:
    """A credential that costs nothing."""

    def get_token(self, *_: str, **__: Any) -> Any:
        from azure.core.credentials import AccessToken

        return AccessToken("fake", 1 << 40)


@contextmanager
def azure(folder: Path) -> Iterator[KeyProvider]:
    """Azure's SDK over a fake of Key Vault's protocol, without network."""
    import requests
    from azure.core.pipeline.transport import RequestsTransport

    from salus.crypto.kms.azure import AzureKeyVault

    session = requests.Session()
    session.mount("https://", FakeKeyVault())  # type: ignore[arg-type]
    transport = RequestsTransport(session=session, session_owner=False)
    provider = AzureKeyVault(
        "https://clinic.vault.azure.net",
        "salus",
        lambda: "",
        signing="salus-sign",
        seconds=2,
        transport=transport,
        identity=_Identity(),
    )
    yield provider
    provider.close()
    session.close()


class FakeCloudKms:
    """What Cloud KMS answers over REST: encrypt, decrypt, versions, asymmetricSign."""

    def __init__(self) -> None:
        self.versions: dict[str, bytes] = {"1": os.urandom(32)}
        self.primary = "1"
        self.signing = ec.generate_private_key(ec.SECP256R1())

    def answer(self, method: str, path: str, sent: Any) -> tuple[int, Any]:
        from salus.crypto.kms.gcp import crc32c

        name, _, action = path.removeprefix("/v1/").partition(":")
        aad = base64.b64decode(sent.get("additionalAuthenticatedData", ""))
        if action == "encrypt":
            nonce = os.urandom(12)
            sealed = AESGCM(self.versions[self.primary]).encrypt(nonce, base64.b64decode(sent["plaintext"]), aad)
            blob = self.primary.encode() + b":" + nonce + sealed
            return 200, {
                "name": f"{name}/cryptoKeyVersions/{self.primary}",
                "ciphertext": base64.b64encode(blob).decode(),
                "ciphertextCrc32c": str(crc32c(blob)),
                "verifiedPlaintextCrc32c": True,
                "verifiedAdditionalAuthenticatedDataCrc32c": True,
            }
        if action == "decrypt":
            version, _, blob = base64.b64decode(sent["ciphertext"]).partition(b":")
            try:
                plain = AESGCM(self.versions[version.decode()]).decrypt(blob[:12], blob[12:], aad)
            except Exception:  # noqa: BLE001  the fake tells no more than Google does
                return 400, {"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}
            return 200, {"plaintext": base64.b64encode(plain).decode(), "plaintextCrc32c": str(crc32c(plain))}
        if action == "updatePrimaryVersion":
            self.primary = sent["cryptoKeyVersionId"]
            return 200, {"name": name}
        if action == "destroy":
            del self.versions[name.rpartition("/")[2]]
            return 200, {"name": name, "state": "DESTROY_SCHEDULED", "destroyTime": "2027-01-02T03:04:05Z"}
        if action == "asymmetricSign":
            digest = base64.b64decode(sent["digest"]["sha256"])
            signature = self.signing.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
            return 200, {
                "signature": base64.b64encode(signature).decode(),
                "signatureCrc32c": str(crc32c(signature)),
                "verifiedDigestCrc32c": True,
            }
        if name.endswith("/publicKey"):
            pem = self.signing.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            return 200, {"pem": pem.decode()}
        if method == "POST" and name.endswith("/cryptoKeyVersions"):
            number = str(len(self.versions) + 1)
            self.versions[number] = os.urandom(32)
            return 200, {"name": f"{name}/{number}", "state": "ENABLED"}
        return 200, {"name": name, "primary": {"name": f"{name}/cryptoKeyVersions/{self.primary}"}}


@contextmanager
def gcp(folder: Path) -> Iterator[KeyProvider]:
    """Google's SDK over a fake of Cloud KMS' REST protocol, with TLS."""
    from google.auth.credentials import AnonymousCredentials

    from salus.crypto.kms.gcp import GcpKms

    fake = FakeCloudKms()

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            length = int(self.headers.get("content-length", 0))
            sent = json.loads(self.rfile.read(length) or b"{}")
            status, body = fake.answer(self.command, self.path.partition("?")[0], sent)
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _handle  # noqa: N815  names of the standard library

        def log_message(self, *_: Any) -> None:
            pass

    make_authority(folder)
    issue(folder, folder / "s.crt", folder / "s.key", ["localhost", "127.0.0.1"])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "s.crt", folder / "s.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    key = "projects/p/locations/l/keyRings/r/cryptoKeys/salus"
    provider = GcpKms(
        key,
        endpoint=f"https://localhost:{server.server_port}",
        ca=str(folder / "ca.crt"),
        signing=f"{key}-sign/cryptoKeyVersions/1",
        seconds=5,
        identity=AnonymousCredentials(),
    )
    try:
        yield provider
    finally:
        provider.close()
        server.shutdown()
        server.server_close()


@contextmanager
def local(folder: Path) -> Iterator[KeyProvider]:
    """The file of a root key."""
    from salus.crypto.kms.local import LocalKeyProvider

    yield LocalKeyProvider.create(folder / "keys" / "root.key", None)


Making = Callable[[Path], Any]
PROVIDERS: dict[str, Making] = {
    "local": local,
    "openbao": openbao,
    "aws": aws,
    "pkcs11": pkcs11,
    "azure": azure,
    "gcp": gcp,
}
