# SPDX-License-Identifier: Apache-2.0
"""Settings: one TOML file, then environment variables, nothing else.

`[server] port` in the file is `SALUS_SERVER_PORT` in the environment. Unknown names are refused, so that a typing error
never leaves a default in force unnoticed. Each field is described in `docs/reference/settings.md`; a test compares.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from salus.kernel.errors import Kind, Problem


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where and how Salus listens."""

    host: str = "127.0.0.1"
    port: int = 8443
    workers: int = 2
    base_url: str = ""  # empty: https://localhost:<port>
    tls_certificate: str = "tls/server.crt"
    tls_key: str = "tls/server.key"
    tls_minimum: str = "1.3"
    tls_days: int = 7
    client_ca: str = ""
    client_crl: str = ""
    services_port: int = 0


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which provider holds the key above all others, and how it is reached. Secrets lie in files, never in here."""

    provider: str = "local"
    root_key_file: str = "keys/root.key"
    passphrase_file: str = ""
    soft_seconds: int = 300
    hard_seconds: int = 3600
    timeout_seconds: float = 2.0
    address: str = ""
    key: str = ""
    signing_key: str = ""
    credential_file: str = ""
    ca_file: str = ""
    client_certificate: str = ""
    client_key: str = ""
    mount: str = "transit"
    namespace: str = ""
    region: str = ""
    module: str = ""
    token_label: str = ""
    rotate_kms_days: int = 365
    rotate_tenant_days: int = 90
    rotate_index_days: int = 365
    rotate_signing_days: int = 365


class Access(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the policy is."""

    policy: str = "policy.toml"


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lifetimes of tokens, and what signing in asks for."""

    token_hours: int = 12
    service_token_days: int = 365
    breached_list: str = "breached.bin"
    laboratory_accounts: str = ""  # login names of a test laboratory's machines, separated by commas

    @property
    def laboratory(self) -> frozenset[str]:
        """The accounts for which a password alone is enough; empty outside a test laboratory."""
        return frozenset(name.strip() for name in self.laboratory_accounts.split(",")) - {""}


class OAuth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long applications may act for people, and when signing keys are replaced."""

    access_minutes: int = 60
    refresh_days: int = 100  # a refresh token that nobody uses; each use begins this time anew
    grant_days: int = 395  # the whole, however often it is used: 13 months
    signing_key_days: int = 90


class Fetch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Documents that are fetched from addresses which others named: keys of clients, metadata of identity providers."""

    private_hosts: str = ""  # host or host:port, separated by commas
    ca_file: str = ""


class Knowledge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Definitions of others: FHIR packages and code systems."""

    packages: str = ""  # empty: nothing is installed at the start


class Validation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How strictly records are judged beyond FHIR R4 itself."""

    known_profiles: bool = False  # true: meta.profile may name installed profiles only
    known_extensions: bool = False  # true: an extension without an installed definition is an error
    known_examples: bool = False  # true: with known_extensions, those of example.org and the like as well
    known_codes: bool = False  # true: a code that its code system does not have is an error
    markdown_without_html: bool = False  # true: HTML within markdown is an error


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one request may cost."""

    body_bytes: int = 32 * 1024 * 1024
    content_bytes: int = 1024 * 1024 * 1024
    bundle_entries: int = 5_000
    requests_per_second: int = 200
    burst: int = 400
    search_candidates: int = 20_000
    conditional_deletes: int = 1
    page_size: int = 20
    page_size_max: int = 1_000


class Store(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the server looks after the rows it keeps."""

    look_hours: int = 24  # between two looks at every row; 0: only when somebody runs `salus verify`


class Backup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where backups go and who may open them. What opens them does not belong on the server."""

    recipient: str = ""
    place: str = ""
    keys_place: str = ""
    keys_days: int = 30
    endpoint: str = ""
    region: str = ""
    credential_file: str = ""
    ca_file: str = ""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set. Relative paths start at `folder`, where the file lies."""

    server: Server = msgspec.field(default_factory=Server)
    keys: Keys = msgspec.field(default_factory=Keys)
    access: Access = msgspec.field(default_factory=Access)
    identity: Identity = msgspec.field(default_factory=Identity)
    oauth: OAuth = msgspec.field(default_factory=OAuth)
    fetch: Fetch = msgspec.field(default_factory=Fetch)
    knowledge: Knowledge = msgspec.field(default_factory=Knowledge)
    validation: Validation = msgspec.field(default_factory=Validation)
    limits: Limits = msgspec.field(default_factory=Limits)
    store: Store = msgspec.field(default_factory=Store)
    backup: Backup = msgspec.field(default_factory=Backup)
    folder: Path = Path()

    def path(self, value: str) -> Path:
        """A path from the settings, made absolute."""
        return (self.folder / value).absolute()

    @property
    def base_url(self) -> str:
        """The address under which others reach this server, without a slash at the end."""
        return self.server.base_url.rstrip("/") or f"https://localhost:{self.server.port}"


FILE_NAME = "salus.toml"
SECTIONS: dict[str, type[msgspec.Struct]] = {
    "server": Server,
    "keys": Keys,
    "access": Access,
    "identity": Identity,
    "oauth": OAuth,
    "fetch": Fetch,
    "knowledge": Knowledge,
    "validation": Validation,
    "limits": Limits,
    "store": Store,
    "backup": Backup,
}


def load(folder: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read `salus.toml` in the data folder and the environment.

    Args:
        folder: the data folder.
        environ: variables named `SALUS_<SECTION>_<NAME>` override the file.

    Raises:
        Problem: INCORRECT with the name of the setting that is unknown or of the wrong type; NOT_FOUND without a file.
    """
    file = folder / FILE_NAME
    try:
        raw: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise Problem(Kind.NOT_FOUND, f"There is no {FILE_NAME} in {folder}. Run `salus init` to make one.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Problem(Kind.INCORRECT, f"{FILE_NAME} is not valid TOML: {error}") from None
    for section, struct in SECTIONS.items():
        for field in struct.__struct_fields__:
            value = environ.get(f"SALUS_{section}_{field}".upper())
            if value is not None:
                raw.setdefault(section, {})[field] = value
    try:
        loaded = msgspec.convert(raw, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(Kind.INCORRECT, f"{FILE_NAME} or the environment: {error}") from None
    return msgspec.structs.replace(loaded, folder=folder)
