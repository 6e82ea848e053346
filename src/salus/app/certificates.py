# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of one's own and short-lived certificates from it, so that TLS works before anyone asks.

For a server that others reach by name, put a certificate of your organisation or of a public authority in its place.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from salus.crypto.keyfile import private_folder, write_new
from salus.kernel.errors import Kind, Problem

CA_DAYS = 3650
SERVER_DAYS = 7
"""Short-lived as browsers' rules call it (CA/Browser Forum Baseline Requirements 1.6.1): no revocation is needed."""
_MONTH = timedelta(days=30)
_BACKDATED = timedelta(minutes=5)  # clocks of clients differ


def make_authority(folder: Path) -> None:
    """Make `ca.crt` and `ca.key` (0600) in a private folder.

    Raises:
        Problem: CONFLICT when they exist.
    """
    private_folder(folder)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Salus local authority")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _builder(name, name, key.public_key(), CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signing_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    write_new(folder / "ca.key", _pem(key))
    write_new(folder / "ca.crt", certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "ca.crt").chmod(0o644)


def issue(folder: Path, certificate_file: Path, key_file: Path, hosts: list[str], days: int = SERVER_DAYS) -> None:
    """Issue a server certificate from the local authority, replacing what is there.

    Args:
        hosts: names and addresses that the server is reached by.
        days: how long it lasts.

    Raises:
        Problem: UNAVAILABLE when the authority or its key is not there.
    """
    authority = _load(folder / "ca.crt")
    try:
        signer = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
    except (OSError, ValueError):
        raise Problem(Kind.UNAVAILABLE, "The key of the local authority is missing or cannot be read.") from None
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise Problem(Kind.UNAVAILABLE, "The key of the local authority is not one that Salus made.")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    certificate = (
        _builder(name, authority.subject, key.public_key(), days)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signing_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    for file, data in (
        (key_file, _pem(key)),
        (certificate_file, certificate.public_bytes(serialization.Encoding.PEM)),
    ):
        fresh = file.with_suffix(file.suffix + ".new")
        fresh.unlink(missing_ok=True)
        write_new(fresh, data)
        fresh.replace(file)


def fingerprint(certificate_file: Path) -> str:
    """SHA-256 fingerprint of a certificate, in the colon form that browsers and OpenSSL show."""
    digest = _load(certificate_file).fingerprint(hashes.SHA256())
    return ":".join(f"{byte:02X}" for byte in digest)


def days_left(certificate_file: Path) -> int:
    """Whole days until a certificate ends; negative when it has.

    Raises:
        Problem: UNAVAILABLE when there is none or it cannot be read.
    """
    return (_load(certificate_file).not_valid_after_utc - datetime.now(UTC)).days


def soon(certificate_file: Path) -> bool:
    """Whether a certificate should be renewed: less than a third of its life, or of a month, is left.

    Raises:
        Problem: as `days_left`.
    """
    certificate = _load(certificate_file)
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - datetime.now(UTC) < min(life, _MONTH * 3) / 3


def is_local(folder: Path, certificate_file: Path) -> bool:
    """Whether a certificate was signed by the local authority whose folder this is, and by nobody else."""
    try:
        _load(certificate_file).verify_directly_issued_by(_load(folder / "ca.crt"))
    except (Problem, ValueError, TypeError, InvalidSignature):
        return False
    return True


def is_foreign(folder: Path, certificate_file: Path) -> bool:
    """Whether somebody else issued it; what is no certificate at all is nobody's."""
    try:
        _load(certificate_file)
    except Problem:
        return False
    return not is_local(folder, certificate_file)


def can_issue(folder: Path) -> bool:
    """Whether the key of the local authority is here; it may be kept elsewhere."""
    return (folder / "ca.key").exists()


def fits(certificate_file: Path, key_file: Path) -> bool:
    """Whether key and certificate belong together."""
    key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    return key.public_key() == _load(certificate_file).public_key()


def _load(file: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError):
        raise Problem(Kind.UNAVAILABLE, f"{file.name} is missing or is no certificate.") from None


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signing_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signing_certificates,
        key_cert_sign=signing_certificates,
        crl_sign=signing_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def shown(certificate_file: Path) -> tuple[str, int]:
    """What a client certificate is known by: its SHA-256 in hex, and its end in milliseconds since the epoch.

    Raises:
        Problem: INVALID when it cannot be read.
    """
    certificate = _load(certificate_file)
    return certificate.fingerprint(hashes.SHA256()).hex(), int(certificate.not_valid_after_utc.timestamp() * 1000)
