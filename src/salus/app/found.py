# SPDX-License-Identifier: Apache-2.0
"""Founding: everything that must exist before the first start, made in an empty data folder."""

from __future__ import annotations

import ipaddress
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from salus.access.load import default_policy_text
from salus.app.addresses import impossible
from salus.app.certificates import issue, make_authority
from salus.app.house import KEYS_FOLDER, House
from salus.app.providers import LOCAL, provider_of
from salus.audit.event import EventType
from salus.crypto.keyfile import private_folder, write_new
from salus.crypto.keyring import create_keyring
from salus.crypto.kms.local import LocalKeyProvider
from salus.crypto.kms.provider import KeyProvider
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.kernel.settings import FILE_NAME, Keys, Server, Settings, load

TLS_FOLDER = "tls"

_SETTINGS = """\
# Settings of this Salus. Every name is described in docs/reference/settings.md; what is left out has its default.
# Each can be given in the environment as well: [server] port is SALUS_SERVER_PORT.

[server]
host = "{host}"
port = {port}
base_url = "{base_url}"

[keys]
{keys}"""


def found(
    folder: Path,
    *,
    port: int = 8443,
    host: str = "127.0.0.1",
    base_url: str = "",
    keys: Keys | None = None,
    passphrase: bytes | None = None,
    officers: tuple[int, int] | None = None,
    hand_out: Callable[[list[str]], object] = lambda _: None,
    make_key: bool = False,
    beside: str = "",
) -> Settings:
    """Make a data folder: root key, page key, tenant `default`, certificate authority, certificate, policy, settings.

    Args:
        folder: missing or empty.
        keys: which key provider; the local one, with a file in the folder, when left out.
        passphrase: seals a local root key.
        officers: how many of how many open a local root key together.
        hand_out: called with the officers' shares, which are kept nowhere.
        make_key: make the provider's key first (PKCS#11).
        beside: what may be in the folder already.


    Raises:
        Problem: CONFLICT when the folder holds something already; INCORRECT for addresses that cannot be.
    """
    if folder.exists() and any(found.name != beside for found in folder.iterdir()):
        raise Problem(Kind.CONFLICT, f"{folder} is not empty. Choose another folder, or run `salus serve` on it.")
    for concern in impossible(Server(host=host, port=port, base_url=base_url)):
        raise Problem(Kind.INCORRECT, f"{concern.what} {concern.mend}")
    private_folder(folder)
    private_folder(folder / KEYS_FOLDER)
    base_url = base_url or f"https://localhost:{port}"
    keys = keys or Keys()
    text = _SETTINGS.format(host=host, port=port, base_url=base_url, keys=_written(keys))
    settings = Settings(folder=folder, keys=keys)
    provider, shares = _provider(settings, passphrase, officers)
    if shares:
        hand_out(shares)
    if make_key:
        provider.rotate()
    keyring = create_keyring(folder / KEYS_FOLDER, provider)
    keyring.create_tenant("default")
    keyring.close()
    provider.close()
    make_authority(folder / TLS_FOLDER)
    tls = settings.server
    issue(
        folder / TLS_FOLDER,
        settings.path(tls.tls_certificate),
        settings.path(tls.tls_key),
        hosts_of(host, base_url),
    )
    write_new(folder / "policy.toml", default_policy_text().encode())
    write_new(folder / FILE_NAME, text.encode())  # last: its presence means that the folder is whole
    return load(folder)


def keys_from(path: Path) -> Keys:
    """Read the section `[keys]` from a file of its own, for a folder that is to be made.

    Raises:
        Problem: INCORRECT when it is not there or not valid.
    """
    try:
        section = tomllib.loads(path.read_text("utf-8")).get("keys")
        return msgspec.convert(section, Keys)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError):
        raise Problem(Kind.INCORRECT, f"{path.name} holds no valid section [keys]; see the page on settings.") from None


def _provider(
    settings: Settings, passphrase: bytes | None, officers: tuple[int, int] | None
) -> tuple[KeyProvider, list[str]]:
    path = settings.path(settings.keys.root_key_file)
    if settings.keys.provider != LOCAL:
        return provider_of(settings), []
    if officers is not None:
        return LocalKeyProvider.create_for_officers(path, *officers)
    return LocalKeyProvider.create(path, passphrase), []


def _written(keys: Keys) -> str:
    """The section as TOML: what differs from the defaults, and the provider. A JSON string is a TOML string."""
    plain = Keys()
    names = ["provider", *(name for name in keys.__struct_fields__ if getattr(keys, name) != getattr(plain, name))]
    if keys.provider == LOCAL:
        names.append("root_key_file")
    return "".join(f"{name} = {json.dumps(getattr(keys, name))}\n" for name in dict.fromkeys(names))


def hosts_of(host: str, base_url: str) -> list[str]:
    """Names and addresses for the certificate: the one in the base address first, loopback always."""
    names = [urlsplit(base_url).hostname or "localhost", "localhost", "127.0.0.1", "::1"]
    try:
        if not ipaddress.ip_address(host).is_unspecified:
            names.append(host)
    except ValueError:
        names.append(host)
    return list(dict.fromkeys(names))


async def note_founding(house: House) -> None:
    """Open the audit log with the entry that says who made this Salus."""
    await house.record(Unit(), house.operator(), EventType.TENANT_CREATE, "tenant default founded")
