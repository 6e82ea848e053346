# SPDX-License-Identifier: Apache-2.0
"""From the section `[keys]` of the settings to a key provider.

A provider's library is imported only when its provider is asked for. Secrets come from files that nobody else can read,
from the environment, or from officers; never from arguments and never from the settings themselves.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from salus.app.unsealing import key_from_agent
from salus.crypto.keyfile import read_private
from salus.crypto.kms import root_file
from salus.crypto.kms.guard import Guarded
from salus.crypto.kms.local import LocalKeyProvider
from salus.crypto.kms.provider import KeyProvider
from salus.crypto.wiping import Secret
from salus.kernel.clock import Elapsed, elapsed_seconds
from salus.kernel.errors import Kind, Problem
from salus.kernel.settings import Settings

PASSPHRASE_VARIABLE = "SALUS_KEYS_PASSPHRASE"  # noqa: S105  the name of a variable
CREDENTIAL_VARIABLE = "SALUS_KEYS_CREDENTIAL"

LOCAL = "local"


def provider_of(settings: Settings, elapsed: Elapsed = elapsed_seconds) -> KeyProvider:
    """The key provider that the settings name.

    Args:
        elapsed: clock of the circuit breaker.

    Raises:
        Problem: INCORRECT for an unknown provider, or one whose library or settings are missing; UNAVAILABLE when a
            secret cannot be read or the root key cannot be opened.
    """
    keys = settings.keys
    if keys.provider == LOCAL:
        path = settings.path(keys.root_key_file)
        return LocalKeyProvider.open(path, local_secret(settings))
    make = PROVIDERS.get(keys.provider)
    if make is None:
        known = ", ".join((LOCAL, *PROVIDERS))
        raise Problem(Kind.INCORRECT, f"[keys] provider: {keys.provider} is not known; there are: {known}.")
    for name in REQUIRED[keys.provider]:
        if not getattr(keys, name):
            raise Problem(Kind.INCORRECT, f"[keys] {name} is missing; the provider {keys.provider} needs it.")
    return Guarded(
        make(settings), keys.timeout_seconds * 2, elapsed
    )  # signing in to the provider comes on top of the call


def passphrase_of(settings: Settings) -> bytes | None:
    """The passphrase of the root key: from a file, or from the environment; None when neither is set."""
    if settings.keys.passphrase_file:
        path = settings.path(settings.keys.passphrase_file)
        if not path.is_file():
            raise Problem(Kind.UNAVAILABLE, f"There is no passphrase file {path.name}, which [keys] names.")
        if path.stat().st_mode & 0o077:
            raise Problem(Kind.UNAVAILABLE, f"Others may read the passphrase file: chmod 600 {path.name}")
        return path.read_bytes().rstrip(b"\n")
    value = os.environ.get(PASSPHRASE_VARIABLE)
    return value.encode() if value else None


def credential_of(settings: Settings) -> Callable[[], str]:
    """How the provider's credential is read: anew at each use, since agents replace such files.

    From `credential_file`, or from the environment; empty when neither is set.
    """
    name = settings.keys.credential_file

    def read() -> str:
        if not name:
            return os.environ.get(CREDENTIAL_VARIABLE, "")
        try:
            return read_private(settings.path(name)).decode().strip()
        except UnicodeDecodeError:
            raise Problem(Kind.UNAVAILABLE, "The credential of the key provider is no text.") from None

    return read


def local_secret(settings: Settings) -> Secret | None:
    """What opens a local root key: its passphrase, the officers' key from the agent, or None for neither."""
    path = settings.path(settings.keys.root_key_file)
    if root_file.protection_of(path) == root_file.OFFICERS:
        return key_from_agent(settings.folder)
    return passphrase_of(settings)


# ── one function per provider ───────────────────────────────────────────────────────────────────────────────


def _vault(settings: Settings) -> KeyProvider:
    from salus.crypto.kms.vault import Vault, VaultLogin

    keys = settings.keys
    certificate = (
        (str(settings.path(keys.client_certificate)), str(settings.path(keys.client_key)))
        if keys.client_certificate
        else None
    )
    login = VaultLogin(credential_of(settings), certificate, _optional_path(settings, keys.ca_file), keys.namespace)
    return Vault(keys.address, keys.key, login, mount=keys.mount, signing=keys.signing_key, seconds=_seconds(settings))


def _aws(settings: Settings) -> KeyProvider:
    from salus.crypto.kms.aws import AwsKms

    keys = settings.keys
    return AwsKms(
        keys.key,
        region=keys.region,
        endpoint=keys.address,
        ca=_optional_path(settings, keys.ca_file),
        credentials=_optional_path(settings, keys.credential_file),
        signing=keys.signing_key,
        seconds=_seconds(settings),
    )


def _azure(settings: Settings) -> KeyProvider:
    from salus.crypto.kms.azure import AzureKeyVault

    keys = settings.keys
    return AzureKeyVault(
        keys.address,
        keys.key,
        credential_of(settings),
        ca=_optional_path(settings, keys.ca_file),
        signing=keys.signing_key,
        seconds=_seconds(settings),
    )


def _gcp(settings: Settings) -> KeyProvider:
    from salus.crypto.kms.gcp import GcpKms

    keys = settings.keys
    return GcpKms(
        keys.key,
        endpoint=keys.address,
        ca=_optional_path(settings, keys.ca_file),
        credentials=_optional_path(settings, keys.credential_file),
        signing=keys.signing_key,
        seconds=_seconds(settings),
    )


def _pkcs11(settings: Settings) -> KeyProvider:
    from salus.crypto.kms.pkcs11 import Pkcs11

    keys = settings.keys
    return Pkcs11(keys.module, keys.token_label, keys.key, credential_of(settings), signing=keys.signing_key)


def _seconds(settings: Settings) -> float:
    return settings.keys.timeout_seconds


def _optional_path(settings: Settings, name: str) -> str:
    return str(settings.path(name)) if name else ""


PROVIDERS: dict[str, Callable[[Settings], KeyProvider]] = {
    "openbao": _vault,
    "vault": _vault,
    "aws": _aws,
    "azure": _azure,
    "gcp": _gcp,
    "pkcs11": _pkcs11,
}
REQUIRED: dict[str, tuple[str, ...]] = {
    "openbao": ("address", "key"),
    "vault": ("address", "key"),
    "aws": ("key", "region"),
    "azure": ("address", "key"),
    "gcp": ("key",),
    "pkcs11": ("module", "token_label", "key"),
}
"""Settings without which a provider cannot be reached."""
