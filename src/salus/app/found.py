# SPDX-License-Identifier: Apache-2.0
"""Founding: everything that must exist before the first start, made in an empty data folder."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from salus.access.load import default_policy_text
from salus.app.certificates import issue, make_authority
from salus.app.house import KEYS_FOLDER, House
from salus.audit.event import EventType
from salus.crypto.keyfile import private_folder, write_new
from salus.crypto.keyring import create_keyring
from salus.crypto.kms.local import LocalKeyProvider
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.kernel.settings import FILE_NAME, Settings, load

TLS_FOLDER = "tls"

_SETTINGS = """\
# Settings of this Salus. Every name is described in docs/reference/settings.md; what is left out has its default.
# Each can be given in the environment as well: [server] port is SALUS_SERVER_PORT.

[server]
host = "{host}"
port = {port}
base_url = "{base_url}"

[keys]
provider = "local"
root_key_file = "{root_key_file}"
"""


def found(
    folder: Path,
    *,
    port: int = 8443,
    host: str = "127.0.0.1",
    base_url: str = "",
    root_key_file: str = f"{KEYS_FOLDER}/root.key",
    passphrase: bytes | None = None,
) -> Settings:
    """Make a data folder: root key, page key, tenant `default`, certificate authority, certificate, policy, settings.

    Args:
        folder: missing or empty.
        root_key_file: best on another disk; relative to the folder.
        passphrase: seals the root key.

    Raises:
        Problem: CONFLICT when the folder holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise Problem(Kind.CONFLICT, f"{folder} is not empty. Choose another folder, or run `salus serve` on it.")
    private_folder(folder)
    private_folder(folder / KEYS_FOLDER)
    base_url = base_url or f"https://localhost:{port}"
    text = _SETTINGS.format(host=host, port=port, base_url=base_url, root_key_file=root_key_file)
    settings = Settings(folder=folder)
    key_path = settings.path(root_key_file)
    provider = LocalKeyProvider.create(key_path, passphrase)
    keyring = create_keyring(folder / KEYS_FOLDER, provider)
    keyring.create_tenant("default")
    keyring.close()
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
