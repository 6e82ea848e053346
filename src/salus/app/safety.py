# SPDX-License-Identifier: Apache-2.0
"""What is not safe to start with, and what could be better: the rules behind `serve` and `doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address

from salus.access.load import load_policy
from salus.app.addresses import impossible
from salus.app.certificates import can_issue, days_left, fits, is_local, soon
from salus.app.concern import Concern
from salus.app.house import policy_text
from salus.app.listening import PROTOCOLS
from salus.app.safety_keys import keys_could_be_better, keys_unsafe
from salus.identity.factors.assurance import AAL3, LEVELS
from salus.kernel.errors import Problem
from salus.kernel.settings import Settings

DEMO_MARK = "demo-credentials.json"
"""Lies in folders that `salus demo` made: their passwords are on the disk in clear."""


_LONGEST_DAYS = 90
_AUTHORITY_WARN_DAYS = 180
_CLIENT_CA_WARN_DAYS = 60
_LONGEST_ACCESS_MINUTES = 24 * 60
_SHORTEST_KEY_DAYS = 2  # a key is published a day before it signs
_LONGEST_KEY_DAYS = 400


def unsafe(settings: Settings) -> list[Concern]:
    """Reasons not to start; empty when there is none."""
    return [concern for check in _BLOCKING for concern in check(settings)]


def red(settings: Settings) -> list[Concern]:
    """What does not stop the server, and is wrong with real records all the same."""
    return [concern for check in _RED for concern in check(settings)]


def could_be_better(settings: Settings) -> list[Concern]:
    """What does not stop the server but should be mended."""
    return [concern for check in _ADVISORY for concern in check(settings)]


def _folder(settings: Settings) -> Iterator[Concern]:
    if settings.folder.stat().st_mode & 0o077:
        yield Concern("Others may look into the data folder.", f"Run: chmod 700 {settings.folder}")


def _tls(settings: Settings) -> Iterator[Concern]:
    certificate = settings.path(settings.server.tls_certificate)
    key = settings.path(settings.server.tls_key)
    mend = "Set [server] tls_certificate and tls_key, or run: salus certificate renew"
    if not certificate.exists() or not key.exists():
        yield Concern("There is no certificate, and Salus does not speak without TLS.", mend)
        return
    if key.stat().st_mode & 0o077:
        yield Concern("Others may read the key of the certificate.", f"Run: chmod 600 {key}")
    try:
        if days_left(certificate) < 0:
            yield Concern("The certificate has expired.", mend)
        if not fits(certificate, key):
            yield Concern("The key does not belong to the certificate.", mend)
    except (Problem, ValueError, TypeError):
        yield Concern("The certificate or its key cannot be read.", mend)


def _tls_settings(settings: Settings) -> Iterator[Concern]:
    server = settings.server
    if server.tls_minimum not in PROTOCOLS:
        yield Concern("tls_minimum is neither 1.2 nor 1.3.", 'Set [server] tls_minimum = "1.3".')
    if not 1 <= server.tls_days <= _LONGEST_DAYS:
        yield Concern(f"tls_days is not from 1 to {_LONGEST_DAYS}.", "Set [server] tls_days = 7.")
    if server.client_crl and not server.client_ca:
        yield Concern("There is a revocation list but no authority of client certificates.", "Set [server] client_ca.")
    if server.services_port and not server.client_ca:
        yield Concern("There is a port for services but no authority of their certificates.", "Set [server] client_ca.")
    if server.services_port and server.services_port == server.port:
        yield Concern("The port for services is the port for everyone.", "Set [server] services_port to another one.")
    for name in ("client_ca", "client_crl"):
        value = getattr(server, name)
        if value and not settings.path(value).exists():
            yield Concern(f"There is no file where {name} says.", f"Mend [server] {name}.")
    if server.client_ca and settings.path(server.client_ca).exists():
        try:
            if days_left(settings.path(server.client_ca)) < 0:
                yield Concern("The authority of client certificates has expired: nobody could connect.", "Renew it.")
        except Problem:
            yield Concern("The authority of client certificates cannot be read.", "Mend [server] client_ca (PEM).")


def _demo_passwords(settings: Settings) -> Iterator[Concern]:
    if (settings.folder / DEMO_MARK).exists() and not _is_loopback(settings.server.host):
        yield Concern(
            "This is a demo folder: its passwords lie on the disk in clear, so only this machine may reach it.",
            'Set [server] host = "127.0.0.1", or make a folder of your own with: salus init',
        )


def _policy(settings: Settings) -> Iterator[Concern]:
    try:
        load_policy(policy_text(settings))
    except Problem as problem:
        yield Concern(f"The policy is not valid: {problem.public}", "Mend the file that [access] policy names.")


def _addresses(settings: Settings) -> Iterator[Concern]:
    yield from impossible(settings.server)


def _oauth(settings: Settings) -> Iterator[Concern]:
    oauth = settings.oauth
    if not 1 <= oauth.access_minutes <= _LONGEST_ACCESS_MINUTES:
        words = f"access_minutes is not from 1 to {_LONGEST_ACCESS_MINUTES}."
        yield Concern(words, "Set [oauth] access_minutes = 60.")
    if not 1 <= oauth.refresh_days <= oauth.grant_days:
        yield Concern("refresh_days is less than 1, or more than grant_days.", "Set [oauth] refresh_days = 100.")
    if not _SHORTEST_KEY_DAYS <= oauth.signing_key_days <= _LONGEST_KEY_DAYS:
        words = f"signing_key_days is not from {_SHORTEST_KEY_DAYS} to {_LONGEST_KEY_DAYS}."
        yield Concern(words, "Set [oauth] signing_key_days = 90.")


_Check = Callable[[Settings], Iterator[Concern]]
_BLOCKING: tuple[_Check, ...] = (
    _folder,
    keys_unsafe,
    _tls,
    _tls_settings,
    _demo_passwords,
    _policy,
    _addresses,
    _oauth,
)


# ── wrong, and somebody wants it ─────────────────────────────────────────────────────────────────────────────────────


def _laboratory(settings: Settings) -> Iterator[Concern]:
    names = sorted(settings.identity.laboratory)
    if names:
        yield Concern(
            f"A password alone opens the record for: {', '.join(names)}. This is for a test laboratory only.",
            "Empty [identity] laboratory_accounts, and restart.",
        )


_RED: tuple[_Check, ...] = (_laboratory,)


# ── advice ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _certificate_age(settings: Settings) -> Iterator[Concern]:
    certificate, folder = settings.path(settings.server.tls_certificate), settings.folder / "tls"
    if not soon(certificate):
        return
    left = days_left(certificate)
    if not is_local(folder, certificate):
        yield Concern(f"The certificate ends in {left} days.", "Put a new one in its place; no restart is needed.")
    elif not can_issue(folder):
        mend = "Put ca.key back and run: salus certificate renew"
        yield Concern(f"The certificate ends in {left} days and the key of its authority is not here.", mend)
    else:
        yield Concern(
            f"The certificate ends in {left} days.", "A running server renews it by itself; or: salus certificate renew"
        )


def _authority_age(settings: Settings) -> Iterator[Concern]:
    certificate, folder = settings.path(settings.server.tls_certificate), settings.folder / "tls"
    if is_local(folder, certificate) and days_left(folder / "ca.crt") < _AUTHORITY_WARN_DAYS:
        yield Concern(
            f"The local authority ends in {days_left(folder / 'ca.crt')} days, and all trust in it.",
            "Use certificates of another authority, or hand out a new ca.crt in time.",
        )


def _client_authority(settings: Settings) -> Iterator[Concern]:
    if settings.server.client_ca and days_left(settings.path(settings.server.client_ca)) < _CLIENT_CA_WARN_DAYS:
        left = days_left(settings.path(settings.server.client_ca))
        yield Concern(f"The authority of client certificates ends in {left} days.", "Renew it.")


def _demo_folder(settings: Settings) -> Iterator[Concern]:
    if (settings.folder / DEMO_MARK).exists():
        yield Concern("This is a demo folder with invented people.", "Keep no real records in it; use: salus init")


def _weak_officers(settings: Settings) -> Iterator[Concern]:
    try:
        roles = load_policy(policy_text(settings)).roles.values()
    except Problem:
        return
    powers = {"user:manage", "tenant:manage", "client:manage", "erasure:approve", "erasure:execute"}
    weak = sorted(role.name for role in roles if role.permissions & powers and role.assurance < LEVELS[AAL3])
    if weak:
        yield Concern(
            f"Codes of an application are enough for the power of: {', '.join(weak)}.",
            'Set assurance = "aal3" for them in the policy: they then need a passkey that stays in one device.',
        )


def _private_hosts(settings: Settings) -> Iterator[Concern]:
    named = [host.strip().lower() for host in settings.fetch.private_hosts.split(",")]
    own = sorted(
        host for host in named if host.partition(":")[0] == "localhost" or _is_loopback(host.rpartition(":")[0])
    )
    if own:
        yield Concern(
            f"Keys of clients may be fetched from this machine itself: {', '.join(own)}. For a test laboratory only.",
            "Take it out of [fetch] private_hosts, and restart.",
        )
    if settings.fetch.ca_file and not settings.path(settings.fetch.ca_file).is_file():
        yield Concern("The certificates of [fetch] ca_file are not there.", "Put the file there, or empty the setting.")


_ADVISORY: tuple[_Check, ...] = (
    keys_could_be_better,
    _certificate_age,
    _authority_age,
    _client_authority,
    _demo_folder,
    _weak_officers,
    _private_hosts,
)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
