# SPDX-License-Identifier: Apache-2.0
"""What is not safe to start with, and what could be better, in the section `[keys]`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from salus.app.concern import Concern
from salus.app.providers import LOCAL, PASSPHRASE_VARIABLE, PROVIDERS, REQUIRED
from salus.crypto.kms import root_file
from salus.kernel.settings import Settings

_LONGEST_HARD = 86_400  # seconds; a revoked key should not be usable for longer than a day
_LONGEST_TIMEOUT = 30.0


def keys_unsafe(settings: Settings) -> Iterator[Concern]:
    """Reasons not to start."""
    keys = settings.keys
    if keys.provider == LOCAL:
        yield from _root_key(settings)
    elif keys.provider not in PROVIDERS:
        yield Concern("The key provider is not known.", f"[keys] provider is one of: {', '.join((LOCAL, *PROVIDERS))}.")
        return
    else:
        for name in REQUIRED[keys.provider]:
            if not getattr(keys, name):
                yield Concern(f"The key provider needs [keys] {name}.", f"Set it, or SALUS_KEYS_{name.upper()}.")
        yield from _address(settings)
    yield from _files(settings)
    if not 1 <= keys.soft_seconds <= keys.hard_seconds <= _LONGEST_HARD:
        yield Concern(
            "[keys] soft_seconds and hard_seconds are out of range.",
            f"1 <= soft_seconds <= hard_seconds <= {_LONGEST_HARD}.",
        )
    if not 0 < keys.timeout_seconds <= _LONGEST_TIMEOUT:
        yield Concern("[keys] timeout_seconds is out of range.", f"More than 0, at most {_LONGEST_TIMEOUT:g}.")


def keys_could_be_better(settings: Settings) -> Iterator[Concern]:
    """What should be mended."""
    if settings.keys.provider != LOCAL:
        return
    path = settings.path(settings.keys.root_key_file)
    beside = path.is_relative_to(settings.folder.absolute())
    if beside and root_file.protection_of(path) == root_file.NONE:
        yield Concern(
            "The root key lies beside the data without a passphrase: whoever copies the folder can read everything.",
            "Move it to another disk and set [keys] root_key_file, split it (salus keys split), or use a key service.",
        )


def needs_passphrase(settings: Settings) -> bool:
    """Whether the root key is sealed under a passphrase and none is at hand."""
    keys = settings.keys
    sealed = root_file.protection_of(settings.path(keys.root_key_file)) == root_file.PASSPHRASE
    return keys.provider == LOCAL and sealed and not keys.passphrase_file and PASSPHRASE_VARIABLE not in os.environ


def offer_passphrase(passphrase: bytes | None) -> None:
    """Make a passphrase known to this process and its workers; it is never an argument and never on the disk."""
    if passphrase:
        os.environ[PASSPHRASE_VARIABLE] = passphrase.decode()


def _root_key(settings: Settings) -> Iterator[Concern]:
    path = settings.path(settings.keys.root_key_file)
    if not path.exists():
        yield Concern("The root key file is missing.", f"Put it back as {path}, or set [keys] root_key_file.")
    elif path.stat().st_mode & 0o077:
        yield Concern("Others may read the root key.", f"Run: chmod 600 {path}")


def _address(settings: Settings) -> Iterator[Concern]:
    address = settings.keys.address
    if address and urlsplit(address if "://" in address else f"https://{address}").scheme != "https":
        yield Concern(
            "The address of the key provider is not HTTPS: keys would cross the network in clear.",
            "Set [keys] address to https://…, and [keys] ca_file if its certificate is your own.",
        )


def _files(settings: Settings) -> Iterator[Concern]:
    keys = settings.keys
    for name in ("credential_file", "client_key"):
        value = getattr(keys, name)
        if value:
            yield from _private(settings.path(value), name)
    for name in ("ca_file", "client_certificate", "module"):
        value = getattr(keys, name)
        if value and not settings.path(value).is_file():
            yield Concern(f"[keys] {name} names a file that is not there.", f"Put it back as {settings.path(value)}.")
    if bool(keys.client_certificate) != bool(keys.client_key):
        yield Concern("[keys] client_certificate and client_key belong together.", "Set both, or neither.")


def _private(path: Path, name: str) -> Iterator[Concern]:
    if not path.is_file():
        yield Concern(f"[keys] {name} names a file that is not there.", f"Put it back as {path}.")
    elif path.stat().st_mode & 0o077:
        yield Concern(f"Others may read the file of [keys] {name}.", f"Run: chmod 600 {path}")
