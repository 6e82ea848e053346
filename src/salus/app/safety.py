# SPDX-License-Identifier: Apache-2.0
"""What is not safe to start with, and what could be better: the rules behind `serve` and `doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address

from salus.access.load import load_policy
from salus.app.certificates import RENEW_BEFORE_DAYS, days_left, fits
from salus.app.concern import Concern
from salus.app.house import policy_text
from salus.app.safety_keys import keys_could_be_better, keys_unsafe
from salus.kernel.errors import Problem
from salus.kernel.settings import Settings

DEMO_MARK = "demo-credentials.json"
"""Lies in folders that `salus demo` made: their passwords are on the disk in clear."""


def unsafe(settings: Settings) -> list[Concern]:
    """Reasons not to start; empty when there is none."""
    return [concern for check in _BLOCKING for concern in check(settings)]


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
_BLOCKING: tuple[_Check, ...] = (_folder, keys_unsafe, _tls, _demo_passwords, _policy, _base_url)


# ── advice ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _certificate_age(settings: Settings) -> Iterator[Concern]:
    left = days_left(settings.path(settings.server.tls_certificate))
    if left < RENEW_BEFORE_DAYS:
        yield Concern(f"The certificate ends in {left} days.", "Run: salus certificate renew")


def _demo_folder(settings: Settings) -> Iterator[Concern]:
    if (settings.folder / DEMO_MARK).exists():
        yield Concern("This is a demo folder with invented people.", "Keep no real records in it; use: salus init")


_ADVISORY: tuple[_Check, ...] = (keys_could_be_better, _certificate_age, _demo_folder)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
