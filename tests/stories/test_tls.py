# SPDX-License-Identifier: Apache-2.0
"""TLS as the real server speaks it: versions and suites, client certificates, new certificates while it runs."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.served import PATIENCE, Served, free_port, salus, until

from salus.app.certificates import issue, make_authority

TLS12 = {
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305",
}
"""Forward secrecy and authenticated encryption: all that RFC 9325 section 4.2 recommends, and ChaCha20 beside it."""


def _port(server: Served) -> int:
    return int(server.base.rsplit(":", 1)[1])


def _connect(server: Served, change: Callable[[ssl.SSLContext], object] = lambda _: None) -> tuple[str, str, bytes]:
    """Version, suite and certificate that a client gets."""
    context = ssl.create_default_context(cafile=str(server.folder / "tls" / "ca.crt"))
    change(context)
    with (
        socket.create_connection(("127.0.0.1", _port(server)), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        cipher, certificate = tls.cipher(), tls.getpeercert(binary_form=True)
        assert cipher is not None
        assert certificate is not None
        return str(tls.version()), cipher[0], certificate


def _only_12(suite: str) -> Callable[[ssl.SSLContext], None]:
    def change(context: ssl.SSLContext) -> None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(suite + ":@SECLEVEL=0")

    return change


def _refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except (OSError, httpx.TransportError):
        return True
    return False


@pytest.mark.requirement("smart@231", "g10@SEC-CNN-1")
def test_tls_1_2_is_refused_unless_set_and_1_3_keeps_hsts(served: Served) -> None:
    assert _connect(served)[0] == "TLSv1.3"
    assert _refused(lambda: _connect(served, _only_12("ALL")))
    with served.client() as client:
        assert client.get("/health").headers["strict-transport-security"].startswith("max-age=63072000")


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a service `feed`, to be copied."""
    folder: Path = tmp_path_factory.mktemp("tls") / "data"
    salus("init", "--data-dir", folder)
    salus("user", "add", "feed", "--service", "--role", "service", "--data-dir", folder)
    return folder


@pytest.fixture
def start(founded: Path, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts a server on a copy of the folder."""
    folder = tmp_path / "data"
    shutil.copytree(founded, folder)
    folder.chmod(0o700)
    running: list[Served] = []

    def begin(shows: tuple[Path, Path] | None = None, workers: int = 1, **env: str) -> Served:
        port = free_port()
        env["SALUS_SERVER_PORT"] = str(port)
        running.append(Served(folder, port, workers=workers, env=env, shows=shows))
        return running[-1]

    yield begin
    for server in running:
        server.stop()


def test_tls_1_2_by_a_setting_has_modern_suites_only(start: Callable[..., Served]) -> None:
    server = start(SALUS_SERVER_TLS_MINIMUM="1.2")
    assert _connect(server)[0] == "TLSv1.3"
    every = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    every.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    names = {str(suite["name"]) for suite in every.get_ciphers() if suite["protocol"] != "TLSv1.3"}
    taken = {name for name in names if not _refused(lambda name=name: _connect(server, _only_12(name)))}
    assert {name for name in TLS12 if "ECDSA" in name} == taken  # the certificate's key is ECDSA
    assert len(names) > 3 * len(TLS12)  # the others were really asked for


# ── client certificates ──────────────────────────────────────────────────────────────────────────────────────────────


def _client_of(authority: Path, to: Path) -> tuple[Path, Path]:
    """A certificate for a client, and its key."""
    signer = serialization.load_pem_private_key((authority / "ca.key").read_bytes(), password=None)
    issuer = x509.load_pem_x509_certificate((authority / "ca.crt").read_bytes())
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "feed")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("feed.example.org")]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    to.mkdir(parents=True)
    files = to / "client.crt", to / "client.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def _revoke(authority: Path, certificate: Path, to: Path) -> Path:
    """A revocation list that names the certificate."""
    signer = serialization.load_pem_private_key((authority / "ca.key").read_bytes(), password=None)
    issuer = x509.load_pem_x509_certificate((authority / "ca.crt").read_bytes())
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    now, serial = datetime.now(UTC), x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number
    gone = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(now - timedelta(minutes=5))
        .next_update(now + timedelta(days=7))
        .add_revoked_certificate(gone)
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    to.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return to


def test_client_certificates_are_verified_and_the_token_is_still_asked_for(
    start: Callable[..., Served], tmp_path: Path
) -> None:
    partners, strangers = tmp_path / "partners", tmp_path / "strangers"
    make_authority(partners)
    make_authority(strangers)
    ours, theirs = _client_of(partners, tmp_path / "ours"), _client_of(strangers, tmp_path / "theirs")
    gone = _client_of(partners, tmp_path / "gone")
    listed = _revoke(partners, gone[0], tmp_path / "partners.crl")
    env = {"SALUS_SERVER_CLIENT_CA": str(partners / "ca.crt"), "SALUS_SERVER_CLIENT_CRL": str(listed)}
    server = start(shows=ours, **env)
    of_server = _client_of(server.folder / "tls", tmp_path / "local")
    issue(partners, tmp_path / "servers.crt", tmp_path / "servers.key", ["feed.example.org"])  # not for clients
    token = salus(
        "token", "issue", "feed", "--purpose", "TREAT", "--scope", "system/*.rs", "--data-dir", server.folder
    ).stdout.split()[-1]
    with server.client(token) as client:
        assert client.get("/fhir/Patient").status_code == 200
    with server.client() as client:
        assert client.get("/fhir/Patient").status_code == 401  # the certificate opens the door, not the records
    for shown in (None, theirs, gone, of_server, (tmp_path / "servers.crt", tmp_path / "servers.key")):
        server.shows = shown
        with server.client(token) as client:
            assert _refused(lambda client=client: client.get("/health")), shown
    server.shows = ours


_PEER = """
import sys
from pathlib import Path
from salus.app.listening import Listener
from salus.kernel.settings import load
Listener(load(Path(sys.argv[1])), "tests.support.peer:application").run()
"""


def test_the_server_below_does_not_tell_who_the_client_is(founded: Path, tmp_path: Path) -> None:
    """Why tokens cannot be bound to certificates (RFC 8705 section 3). When this fails they can: see ADR 32."""
    make_authority(tmp_path / "partners")
    shown = _client_of(tmp_path / "partners", tmp_path / "ours")
    port = free_port()
    env = {
        **os.environ,
        "SALUS_SERVER_CLIENT_CA": str(tmp_path / "partners" / "ca.crt"),
        "SALUS_SERVER_PORT": str(port),
        "SALUS_SERVER_WORKERS": "1",
    }
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", _PEER, founded], env=env, cwd=root)
    try:
        trust = ssl.create_default_context(cafile=str(founded / "tls" / "ca.crt"))
        trust.load_cert_chain(*shown)
        address = f"https://localhost:{port}/"
        until(lambda: process.poll() is not None or not _refused(lambda: httpx.get(address, verify=trust)))
        told = httpx.get(address, verify=trust).json()
        assert "client" in told["scope"]
        assert [name for name in told["scope"] + told["extensions"] if "tls" in name or "cert" in name] == []
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


# ── new certificates ─────────────────────────────────────────────────────────────────────────────────────────────────


class _Load:
    """Clients that work all the time: some keep their connection, one connects anew for each request."""

    def __init__(self, server: Served, token: str) -> None:
        self.answers: list[object] = []
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(server, token, fresh)) for fresh in (False, False, True)
        ]

    def __enter__(self) -> _Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _work(self, server: Served, token: str, fresh: bool) -> None:
        client = server.client(token)
        while not self._end.wait(0.005):
            try:
                self.answers.append(client.post("/fhir/Patient", json={"resourceType": "Patient"}).status_code)
            except httpx.TransportError as error:
                self.answers.append(repr(error))
            if fresh:
                client.close()
                client = server.client(token)
        client.close()


def _reloaded_under_load(server: Served) -> None:
    folder = server.folder
    log = folder.parent / "server.log"
    token = salus(
        "token", "issue", "feed", "--purpose", "TREAT", "--scope", "system/*.c", "--data-dir", folder
    ).stdout.split()[-1]
    first = _connect(server)[2]
    with _Load(server, token) as load:
        key = folder / "tls" / "server.key"
        kept = key.read_bytes()
        shutil.copy(folder / "tls" / "ca.key", key)  # somebody's mistake: the key of another certificate
        os.kill(server.process.pid, signal.SIGHUP)
        until(lambda: "is not put to use" in log.read_text())
        assert _connect(server)[2] == first
        key.write_bytes(kept)
        renewed = salus("certificate", "renew", "--data-dir", folder).stdout  # and nobody tells the server
        fresh = x509.load_pem_x509_certificate((folder / "tls" / "server.crt").read_bytes())
        expected = fresh.public_bytes(serialization.Encoding.DER)
        # Old workers answer beside new ones for a while; then only new ones do.
        until(lambda: all(_connect(server)[2] == expected for _ in range(12)))
        assert fresh.fingerprint(hashes.SHA256()).hex() in renewed.replace(":", "").lower()
        until(lambda: len(load.answers) > 50)
    assert [answer for answer in load.answers if answer != 201] == []
    assert server.process.poll() is None


def test_a_new_certificate_is_put_to_use_and_no_request_fails(start: Callable[..., Served]) -> None:
    limits = {"SALUS_LIMITS_REQUESTS_PER_SECOND": "10000", "SALUS_LIMITS_BURST": "10000"}
    _reloaded_under_load(start(**limits))


@pytest.mark.deep
def test_five_new_certificates_in_a_row_and_no_request_fails(start: Callable[..., Served]) -> None:
    limits = {"SALUS_LIMITS_REQUESTS_PER_SECOND": "10000", "SALUS_LIMITS_BURST": "10000"}
    server = start(workers=2, **limits)
    for _ in range(5):
        (server.folder.parent / "server.log").write_text("")
        _reloaded_under_load(server)
