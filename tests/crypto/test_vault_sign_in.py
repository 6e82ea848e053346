# SPDX-License-Identifier: Apache-2.0
"""The ways in which Salus signs in to OpenBao: AppRole, token, client certificate; and what it refuses to trust."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from salus.app.certificates import make_authority
from salus.app.providers import provider_of
from salus.crypto.kms.provider import KeyProvider
from salus.kernel.errors import Kind, Problem
from salus.kernel.settings import Keys, Settings
from tests.support.openbao import FailingBao, bao

__all__ = ["bao"]

CONTEXT = {"tenant": "default", "purpose": "tenant-root"}
KEY = bytes(range(32))
Making = Callable[..., KeyProvider]


@pytest.fixture
def private(tmp_path: Path) -> Path:
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def made(bao: FailingBao, private: Path) -> Making:
    def make(**changed: str) -> KeyProvider:
        keys: Keys = msgspec.structs.replace(bao.keys(str(bao.folder)), **changed)
        return provider_of(Settings(folder=private, keys=keys))

    return make


def kept(private: Path, text: str) -> str:
    path = private / "credential"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def token_of(bao: FailingBao) -> str:
    return str(bao.root().auth.token.create(policies=["salus"], ttl="1h")["auth"]["client_token"])


def refused(provider: KeyProvider) -> Problem:
    with pytest.raises(Problem) as caught:
        provider.wrap(KEY, CONTEXT)
    return caught.value


def test_an_approle_whose_token_has_ended_signs_in_again(bao: FailingBao, made: Making) -> None:
    provider = made()
    blob = provider.wrap(KEY, CONTEXT)
    client = provider._provider._client  # type: ignore[attr-defined]
    bao.root().auth.token.revoke(client.token)
    assert provider.unwrap(blob, CONTEXT) == KEY


def test_a_token_that_was_replaced_in_its_file_is_taken_up(bao: FailingBao, made: Making, private: Path) -> None:
    first = token_of(bao)
    provider = made(credential_file=kept(private, first + "\n"))
    blob = provider.wrap(KEY, CONTEXT)
    bao.root().auth.token.revoke(first)
    assert refused(provider).kind is Kind.UNAVAILABLE
    kept(private, token_of(bao))
    assert provider.unwrap(blob, CONTEXT) == KEY


def test_a_credential_from_the_environment(bao: FailingBao, made: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALUS_KEYS_CREDENTIAL", token_of(bao))
    made(credential_file="").health()


def client_certificate(folder: Path, name: str) -> str:
    """A certificate that signs itself, with its key; returns it as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, SHA256())
    )
    pem = made.public_bytes(Encoding.PEM)
    (folder / "client.crt").write_bytes(pem)
    (folder / "client.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "client.key").chmod(0o600)
    return pem.decode()


def test_a_client_certificate_alone(bao: FailingBao, made: Making, private: Path) -> None:
    root = bao.root()
    if "cert/" not in root.sys.list_auth_methods()["data"]:
        root.sys.enable_auth_method("cert")
    trusted = {"certificate": client_certificate(private, "salus"), "token_policies": "salus"}
    root.write_data("auth/cert/certs/salus", data=trusted)
    mine = {"client_certificate": str(private / "client.crt"), "client_key": str(private / "client.key")}
    provider = made(credential_file="", **mine)
    assert provider.unwrap(provider.wrap(KEY, CONTEXT), CONTEXT) == KEY
    client_certificate(private, "salus")  # of the same name, and signed by nobody whom the server trusts
    assert refused(made(credential_file="", **mine)).kind is Kind.UNAVAILABLE


def test_attack_a_server_with_another_certificate(made: Making, private: Path) -> None:
    make_authority(private)
    problem = refused(made(ca_file=str(private / "ca.crt")))
    assert problem.kind is Kind.UNAVAILABLE
    assert "SSL" in problem.detail


def test_attack_a_credential_that_others_can_read(bao: FailingBao, made: Making, private: Path) -> None:
    path = kept(private, token_of(bao))
    Path(path).chmod(0o644)
    assert "readable by others" in refused(made(credential_file=path)).detail


@pytest.mark.parametrize("text", ["", "{}", '{"role_id": "x"}', "[1]", '{"role_id": "x", "secret_id": "y"}', "hvs.no"])
def test_a_credential_that_opens_nothing(made: Making, private: Path, text: str) -> None:
    problem = refused(made(credential_file=kept(private, text)))
    assert problem.kind in {Kind.INCORRECT, Kind.UNAVAILABLE}
    assert not text or text not in f"{problem.public}{problem.detail}"
