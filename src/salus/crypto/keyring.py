# SPDX-License-Identifier: Apache-2.0
"""The keyring of an installation: one page key for its database files, one root key per tenant.

    <folder>/page.key   the page key, wrapped by the key provider
    <folder>/keys.db    the wrapped keys (see `key_table`), page-encrypted under a sub-key of the page key
    <folder>/keys.lock  the lock between processes

The provider is asked once for the page key and once per tenant; all other keys are opened in memory
(`tenant_keys`). Losing this folder or the provider's key loses every record, so it has its own backups; they
must be as short-lived as erasure is to be swift.
"""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

from salus.crypto.key_table import KeyTable
from salus.crypto.keyfile import private_folder, read_private, write_new
from salus.crypto.kms.provider import KeyProvider
from salus.crypto.tenant_keys import TenantKeys, derive
from salus.kernel.errors import Kind, Problem

__all__ = ["Keyring", "TenantKeys", "create_keyring", "open_keyring"]

_KEY_SIZE = 32
_EPOCH = 1
_PAGE_CONTEXT = {"purpose": "page-key"}
_TENANT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Keyring:
    """The keys of an installation. May be shared between threads; each process opens its own."""

    def __init__(self, folder: Path, provider: KeyProvider, page_root: bytes) -> None:
        """Use `create_keyring` or `open_keyring`."""
        self._provider = provider
        self._page_root = page_root
        self._table = KeyTable(folder / "keys.db", self.page_key("keys"))
        self._tenants: dict[str, TenantKeys] = {}
        self._lock = threading.Lock()

    def page_key(self, database: str) -> bytes:
        """The 32-byte page key of one database file.

        Args:
            database: name of the database, e.g. `records`; each has a key of its own.
        """
        return derive(self._page_root, f"page/{database}")

    def create_tenant(self, name: str) -> TenantKeys:
        """Make the root key of a new tenant; durable on return.

        Args:
            name: 1 to 63 lower-case letters, digits and hyphens, the first not a hyphen.

        Raises:
            Problem: INCORRECT for another name, CONFLICT when the tenant exists, UNAVAILABLE when the
                provider is away.
        """
        if _TENANT_NAME.fullmatch(name) is None:
            raise Problem(
                Kind.INCORRECT,
                "A tenant name has 1 to 63 lower-case letters, digits and hyphens, the first no hyphen.",
            )
        root_key = os.urandom(_KEY_SIZE)
        wrapped = self._provider.wrap(root_key, _tenant_context(name, _EPOCH))
        if not self._table.add_root(name, _EPOCH, wrapped):
            raise Problem(Kind.CONFLICT, "This tenant exists already.")
        return self.tenant(name)

    def tenants(self) -> list[str]:
        """Names of all tenants, sorted."""
        return self._table.tenants()

    def tenant(self, name: str) -> TenantKeys:
        """The keys of a tenant; the provider is asked at the first call only.

        Raises:
            Problem: NOT_FOUND when there is no such tenant, UNAVAILABLE when the provider is away or refuses.
        """
        keys = self._tenants.get(name)
        if keys is not None:
            return keys
        with self._lock:  # many requests at start-up make one call to the provider
            keys = self._tenants.get(name)
            if keys is None:
                keys = self._tenants[name] = self._unwrapped(name)
            return keys

    def close(self) -> None:
        """Close the key table and forget the tenants' keys."""
        self._tenants.clear()
        self._table.close()

    def _unwrapped(self, name: str) -> TenantKeys:
        row = self._table.root(name)
        if row is None:
            raise Problem(Kind.NOT_FOUND, "There is no such tenant.")
        epoch, wrapped = row
        return TenantKeys(name, self._provider.unwrap(wrapped, _tenant_context(name, epoch)), self._table)


def create_keyring(folder: Path, provider: KeyProvider) -> Keyring:
    """Make the keyring of a new installation.

    Args:
        folder: made with mode 0700 when it is missing.
        provider: wraps the page key and, later, the tenants' root keys.

    Raises:
        Problem: CONFLICT when the folder holds a keyring or a key table, UNAVAILABLE when it is not private
            or the provider is away.
    """
    private_folder(folder)
    if os.path.lexists(folder / "keys.db"):
        raise Problem(Kind.CONFLICT, "A keyring is already there.", "keys.db exists and is never overwritten")
    page_root = os.urandom(_KEY_SIZE)
    write_new(folder / "page.key", provider.wrap(page_root, _PAGE_CONTEXT))
    return Keyring(folder, provider, page_root)


def open_keyring(folder: Path, provider: KeyProvider) -> Keyring:
    """Open the keyring of an installation.

    Raises:
        Problem: UNAVAILABLE when a file is missing or unsafe, the provider is away, or it is not the one
            that wrapped this keyring.
    """
    page_root = provider.unwrap(read_private(folder / "page.key"), _PAGE_CONTEXT)
    if not (folder / "keys.db").is_file():
        # A new, empty table would look like a healthy installation in which every patient was erased.
        raise Problem(Kind.UNAVAILABLE, "The keys are not available.", "keys.db is missing: restore it from its backup")
    return Keyring(folder, provider, page_root)


def _tenant_context(tenant: str, epoch: int) -> dict[str, str]:
    return {"tenant": tenant, "purpose": "tenant-root", "epoch": str(epoch)}
