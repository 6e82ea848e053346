# SPDX-License-Identifier: Apache-2.0
"""What is not safe to start with, and what could be better: the rules behind `serve` and `doctor`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from salus.access.load import load_policy
from salus.app.certificates import RENEW_BEFORE_DAYS, days_left, fits
from salus.app.house import PASSPHRASE_VARIABLE, policy_text
from salus.kernel.errors import Problem
from salus.kernel.settings import Settings

DEMO_MARK = "demo-credentials.json"
"""Lies in folders that `salus demo` made: their passwords are on the disk in clear."""


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that is wrong, and what mends it."""

    what: str
    mend: str


def unsafe(settings: Settings) -> list[Concern]:
    """Reasons not to start; empty when there is none."""
    return [concern for check in _BLOCKING for concern in check(settings)]


def could_be_better(settings: Settings) -> list[Concern]:
    """What does not stop the server but should be mended."""
    return [concern for check in _ADVISORY for concern in check(settings)]


def _folder(settings: Settings) -> Iterator[Concern]:
    if settings.folder.stat().st_mode & 0o077:
        yield Concern("Others may look into the data folder.", f"Run: chmod 700 {settings.folder}")


def _root_key(settings: Settings) -> Iterator[Concern]:
    if settings.keys.provider != "local":
        return
    path = settings.path(settings.keys.root_key_file)
    if not path.exists():
        yield Concern("The root key file is missing.", f"Put it back as {path}, or set [keys] root_key_file.")
    elif path.stat().st_mode & 0o077:
        yield Concern("Others may read the root key.", f"Run: chmod 600 {path}")


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


def _base_url(settings: Settings) -> Iterator[Concern]:
    if not settings.base_url.startswith("https://"):
        yield Concern("base_url does not start with https://.", "Set [server] base_url.")


_Check = Callable[[Settings], Iterator[Concern]]
_BLOCKING: tuple[_Check, ...] = (_folder, _root_key, _tls, _demo_passwords, _policy, _base_url)


# ── advice ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _key_beside_data(settings: Settings) -> Iterator[Concern]:
    path = settings.path(settings.keys.root_key_file)
    if path.is_relative_to(settings.folder.absolute()) and not needs_passphrase(settings):
        yield Concern(
            "The root key lies beside the data without a passphrase: whoever copies the folder can read everything.",
            "Move it to another disk and set [keys] root_key_file, or make a folder with: salus init --passphrase",
        )


def _certificate_age(settings: Settings) -> Iterator[Concern]:
    left = days_left(settings.path(settings.server.tls_certificate))
    if left < RENEW_BEFORE_DAYS:
        yield Concern(f"The certificate ends in {left} days.", "Run: salus certificate renew")


def _demo_folder(settings: Settings) -> Iterator[Concern]:
    if (settings.folder / DEMO_MARK).exists():
        yield Concern("This is a demo folder with invented people.", "Keep no real records in it; use: salus init")


_ADVISORY: tuple[_Check, ...] = (_key_beside_data, _certificate_age, _demo_folder)


def needs_passphrase(settings: Settings) -> bool:
    """Whether the root key is sealed and no passphrase is at hand."""
    try:
        content = json.loads(settings.path(settings.keys.root_key_file).read_bytes())
    except (OSError, ValueError):
        return False
    sealed = isinstance(content, dict) and content.get("protection") != "none"
    return sealed and not settings.keys.passphrase_file and PASSPHRASE_VARIABLE not in os.environ


def offer_passphrase(passphrase: bytes | None) -> None:
    """Make a passphrase known to this process and its workers; it is never an argument and never on the disk."""
    if passphrase:
        os.environ[PASSPHRASE_VARIABLE] = passphrase.decode()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
