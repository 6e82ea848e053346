# SPDX-License-Identifier: Apache-2.0
"""A service shows who it is by a certificate, on a port of its own, in real handshakes."""

from __future__ import annotations

import json
import os
import signal
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.served import PATIENCE, Served, free_port, until

from salus.app.certificates import make_authority
from salus.cli import main

_REFUSED = (httpx.ReadError, httpx.RemoteProtocolError, httpx.ConnectError)


def run(*words: object, check: bool = True) -> Result:
    """One command, without the start of another interpreter."""
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0 or not check, done.output
    return done


class Authority:
    """Signs certificates of services."""

    def __init__(self, folder: Path) -> None:
        make_authority(folder)
        self.folder = folder
        signer = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        self._signer = signer
        self._issuer = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())

    def certificate(
        self, name: str, *, ended: bool = False, purpose: x509.ObjectIdentifier = x509.ExtendedKeyUsageOID.CLIENT_AUTH
    ) -> tuple[Path, Path]:
        """Certificate and key of a client."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(self._issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=3))
            .not_valid_after(now + timedelta(days=-1 if ended else 1))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .sign(self._signer, hashes.SHA256())
        )
        files = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        files[1].write_bytes(key.private_bytes(*form))
        return files

    def revoke(self, *certificates: Path) -> Path:
        """A revocation list."""
        now = datetime.now(UTC)
        made = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._issuer.subject)
            .last_update(now - timedelta(minutes=5))
            .next_update(now + timedelta(days=7))
        )
        for certificate in certificates:
            serial = x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number
            gone = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
            made = made.add_revoked_certificate(gone)
        file = self.folder / "ca.crl"
        file.write_bytes(made.sign(self._signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return file


class Installation:
    """A served folder with a port for services, an authority for it, and an account `feed`."""

    def __init__(self, folder: Path) -> None:
        self.here = ("--data-dir", folder / "data")
        self.partners = Authority(folder / "partners")
        self.feed = self.partners.certificate("feed")
        self.stolen = self.partners.certificate("stolen")
        port, self._port = free_port(), free_port()
        run("init", *self.here, "--port", str(port))
        run("user", "add", "feed", "--service", "--role", "service", *self.here)
        self.id = self.admit("feed", self.feed[0])
        env = {
            "SALUS_SERVER_SERVICES_PORT": str(self._port),
            "SALUS_SERVER_CLIENT_CA": str(self.partners.folder / "ca.crt"),
            "SALUS_SERVER_CLIENT_CRL": str(self.partners.revoke(self.stolen[0])),
        }
        self.served = Served(folder / "data", port, env=env)
        self._trust = folder / "data" / "tls" / "ca.crt"
        until(self.opened)  # it starts beside the workers

    def opened(self) -> bool:
        try:
            self.ask("/health", self.feed)
        except httpx.ConnectError:
            return False
        return True

    def admit(self, account: str, certificate: Path, *more: str) -> str:
        return run("token", "issue", account, "--certificate", certificate, *more, *self.here).stdout.strip()

    def client(self, shown: tuple[Path, Path] | None, headers: dict[str, str] | None = None) -> httpx.Client:
        trust = ssl.create_default_context(cafile=str(self._trust))
        if shown is not None:
            trust.load_cert_chain(*shown)
        address = f"https://localhost:{self._port}"
        return httpx.Client(base_url=address, verify=trust, headers=headers, timeout=PATIENCE)

    def ask(
        self, path: str, shown: tuple[Path, Path] | None, headers: dict[str, str] | None = None, method: str = "GET"
    ) -> httpx.Response:
        with self.client(shown, headers) as client:
            return client.request(method, path)

    def log(self) -> list[dict[str, str]]:
        said = run("audit", "list", "--json", "--limit", "40", *self.here).stdout
        return [json.loads(line) for line in said.splitlines()]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    made = Installation(tmp_path_factory.mktemp("services"))
    try:
        yield made
    finally:
        made.served.stop()


def test_a_certificate_that_was_given_to_a_service_is_its_credential(installed: Installation) -> None:
    with installed.client(installed.feed) as client:
        assert client.get("/fhir/Patient?name=x").status_code == 200
        made = client.post("/fhir/Patient", json={"resourceType": "Patient"})
        assert made.status_code == 201
    entries = [entry for entry in installed.log() if entry["event"] == "record.create"]
    assert entries
    assert {entry["account"] for entry in entries} == {"feed"}


@pytest.mark.parametrize("case", ["none", "other authority", "ended", "for servers", "revoked"])
def test_tls_refuses_who_has_no_good_certificate(installed: Installation, tmp_path: Path, case: str) -> None:
    partners = installed.partners
    shown = {
        "none": lambda: None,
        "other authority": lambda: Authority(tmp_path / "strangers").certificate("feed"),
        "ended": lambda: partners.certificate("late", ended=True),
        "for servers": lambda: partners.certificate("server", purpose=x509.ExtendedKeyUsageOID.SERVER_AUTH),
        "revoked": lambda: installed.stolen,
    }[case]()
    with pytest.raises(_REFUSED):
        installed.ask("/health", shown)
    assert installed.ask("/health", installed.feed).status_code == 200


def test_a_good_certificate_that_was_given_to_nobody_says_nothing(installed: Installation) -> None:
    stranger = installed.partners.certificate("stranger")
    answer = installed.ask("/fhir/Patient", stranger)
    assert answer.status_code == 401
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert "auth.refused" in {entry["event"] for entry in installed.log()}
    forged = {"x-client-cert": "feed", "x-ssl-client-verify": "SUCCESS", "x-forwarded-client-cert": "feed"}
    assert installed.ask("/fhir/Patient", stranger, forged).status_code == 401


def test_a_certificate_counts_in_its_tenant_only(installed: Installation) -> None:
    run("tenant", "add", "other", *installed.here, check=False)
    assert installed.ask("/t/other/fhir/Patient", installed.feed).status_code == 401


def test_a_token_still_says_who_asks_and_a_bad_one_is_no_certificate(installed: Installation) -> None:
    token = run("token", "issue", "feed", *installed.here).stdout.strip()
    stranger = installed.partners.certificate("bearer")
    assert installed.ask("/fhir/Patient", stranger, {"authorization": f"Bearer {token}"}).status_code == 200
    assert installed.ask("/fhir/Patient", installed.feed, {"authorization": "Bearer wrong"}).status_code == 401


def test_the_other_port_asks_nobody_for_a_certificate_and_takes_none(installed: Installation) -> None:
    installed.served.shows = installed.feed
    try:
        with installed.served.client() as client:
            assert client.get("/health").status_code == 200
            assert client.get("/fhir/Patient").status_code == 401
    finally:
        installed.served.shows = None


def test_what_was_given_can_be_revoked_and_ends_with_the_account(installed: Installation) -> None:
    second = installed.partners.certificate("second")
    id_ = installed.admit("feed", second[0], "--scope", "system/Patient.rs")
    with installed.client(second) as client:
        assert client.get("/fhir/Patient").status_code == 200
        assert client.get("/fhir/Observation").status_code == 403  # its scopes narrow it
        run("token", "revoke", id_, *installed.here)
        until(lambda: client.get("/fhir/Patient").status_code == 401)
    run("user", "add", "brief", "--service", "--role", "service", *installed.here)
    installed.admit("brief", second[0])
    with installed.client(second) as client:
        assert client.get("/fhir/Patient").status_code == 200
        run("user", "suspend", "brief", *installed.here)
        until(lambda: client.get("/fhir/Patient").status_code == 401)


def test_one_certificate_is_one_account_s_and_never_a_person_s(installed: Installation) -> None:
    again = run("token", "issue", "feed", "--certificate", installed.feed[0], *installed.here, check=False)
    assert again.exit_code == 2
    assert "before" in again.stderr
    late = installed.partners.certificate("too-late", ended=True)[0]
    ended = run("token", "issue", "feed", "--certificate", late, *installed.here, check=False)
    assert "has ended" in ended.stderr
    assert installed.id in run("token", "list", *installed.here).stdout


@pytest.mark.deep
def test_a_new_revocation_list_counts_without_a_restart(installed: Installation) -> None:
    fresh = installed.partners.certificate("fresh")
    installed.admit("feed", fresh[0])
    assert installed.ask("/fhir/Patient", fresh).status_code == 200
    installed.partners.revoke(installed.stolen[0], fresh[0])
    refused = lost = 0
    for _ in range(400):  # both generations listen for a while
        try:
            installed.ask("/health", fresh)
            refused = 0
        except _REFUSED:
            refused += 1
        try:
            assert installed.ask("/fhir/Patient", installed.feed).status_code == 200
        except _REFUSED:  # taken by the kernel, not by the process that was just ending
            lost += 1
        if refused == 20:
            break
        time.sleep(0.05)
    assert refused == 20
    assert lost <= 1


def test_nobody_is_left_when_the_server_was_killed(tmp_path: Path) -> None:
    made = Installation(tmp_path)
    os.kill(made.served.process.pid, signal.SIGKILL)
    made.served.process.wait()
    try:
        until(lambda: not made.opened(), lambda: "the port for services is still served")
    finally:
        made.served.kill()
