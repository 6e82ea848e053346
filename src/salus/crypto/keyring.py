# SPDX-License-Identifier: Apache-2.0
"""The keyring of an installation: one page key for its database files, one root key per tenant.

    <folder>/page.key   the page key, wrapped by the key provider
    <folder>/keys.db    the wrapped keys (see `key_table`), page-encrypted under a sub-key of the page key
    <folder>/keys.lock  the lock between processes

The provider is asked for the page key and for the root key of each tenant; all other keys are opened in memory
(`tenant_keys`). What it gave out is used under a lease (`leases`): it is asked again before the soft limit, and
after the hard limit nothing is given out. In a server a `keeper` does the asking, and no call in here waits for the
provider; a command asks when it needs to.

Losing this folder or the provider's key loses every record, so it has its own backups; they must be as short-lived
as erasure is to be swift.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from salus.crypto.derivation import KEY_SIZE, derive
from salus.crypto.keeper import Keeper
from salus.crypto.key_table import KeyTable
from salus.crypto.keyfile import private_folder, read_private, write_new
from salus.crypto.kms.provider import PUBLIC_WORDS, KeyProvider, away
from salus.crypto.leases import Lease, Limits
from salus.crypto.tenant_keys import TenantKeys
from salus.crypto.wiping import random_key, wipe
from salus.kernel.clock import Elapsed, elapsed_seconds
from salus.kernel.errors import Kind, Problem

__all__ = ["Keyring", "TenantKeys", "create_keyring", "open_keyring"]

_log = logging.getLogger(__name__)

_EPOCH = 1
PAGE_CONTEXT = {"purpose": "page-key"}
_TENANT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Keyring:
    """The keys of an installation. May be shared between threads; each process opens its own.

    Attributes:
        provider, table, page_file: for `rotation`; nobody else uses them.
    """

    def __init__(
        self,
        folder: Path,
        provider: KeyProvider,
        wrapped_page_key: bytes,
        limits: Limits = Limits(),  # noqa: B008  immutable
        elapsed: Elapsed = elapsed_seconds,
    ) -> None:
        """Use `create_keyring` or `open_keyring`."""
        self.provider = provider
        self.page_file = folder / "page.key"
        self._limits = limits
        self._elapsed = elapsed
        self._leases: dict[str, Lease[TenantKeys]] = {}
        self._let_go: set[str] = set()  # names whose keys were let go and are to be fetched again
        self._lock = threading.Lock()
        self._keeper: Keeper | None = None
        self._closed = False
        now = elapsed()
        self._page = Lease(_sized(provider.unwrap(wrapped_page_key, PAGE_CONTEXT)), now, limits)
        page_key = self.page_key("keys")
        self.table = KeyTable(folder / "keys.db", page_key)
        wipe(page_key)

    def page_key(self, database: str) -> bytearray:
        """The 32-byte page key of one database file, in a buffer of the caller's.

        Args:
            database: name of the database, e.g. `records`; each has a key of its own.

        Raises:
            Problem: UNAVAILABLE when it is not held any more and the provider is away.
        """
        if self._elapsed() >= self._page.ends_at:
            if self._keeper is not None:  # it is at it; nobody waits here
                raise away("the page key is not held and was asked for")
            self._renew_page()
        return derive(self._page.value, f"page/{database}")

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
        root_key, wrapping_key = random_key(), random_key()
        try:
            wrapped = self.provider.wrap(root_key, tenant_context(name, _EPOCH))
            wrapping = self.provider.wrap(wrapping_key, wrapping_context(name, _EPOCH))
        finally:
            wipe(root_key, wrapping_key)
        if not self.table.add_root(name, _EPOCH, wrapped, wrapping):
            raise Problem(Kind.CONFLICT, "This tenant exists already.")
        return self.tenant(name)

    def tenants(self) -> list[str]:
        """Names of all tenants, sorted."""
        return self.table.tenants()

    def tenant(self, name: str) -> TenantKeys:
        """The keys of a tenant.

        Raises:
            Problem: NOT_FOUND when there is no such tenant; UNAVAILABLE when the keys are not held (any more) and the
                provider is away or refuses.
        """
        lease = self._leases.get(name)
        if lease is not None:
            now = self._elapsed()
            if now < lease.ends_at and now < self._page.ends_at and (now < lease.renew_at or self._keeper is not None):
                return lease.value
        return self._late(name)

    def warming(self, name: str) -> Future[None] | None:
        """Have the keeper fetch keys that are not held.

        Returns:
            None when there is nothing to wait for; else a future that is done when `tenant` can give the keys.
        """
        if self._keeper is None:
            return None
        if self.holds(name):
            return None
        return None if self.table.root(name) is None else self._keeper.want(name)

    def keep(
        self, in_loop: Callable[[Callable[[], None]], object], told: Callable[[str], None] = lambda _: None
    ) -> None:
        """From now on a thread keeps the keys; nothing in here waits for the provider any more.

        Args:
            in_loop: runs a function on the thread that uses the keys.
            told: called there with the reason when the provider went away, with nothing when it came back.
        """
        self._keeper = Keeper(self, self._elapsed, in_loop, told)
        self._keeper.start()

    def close(self) -> None:
        """Wipe the keys and close the key table; the provider stays its owner's."""
        self._closed = True
        if self._keeper is not None:
            self._keeper.stop()
        for lease in self._leases.values():
            lease.value.forget()
        self._leases.clear()
        wipe(self._page.value)
        self._page.ends_at = 0.0
        self.table.close()

    # ── for the keeper ──────────────────────────────────────────────────────────────────────────────────────

    def due(self, now: float) -> list[str]:
        """Names whose keys are to be renewed or fetched again; the empty one is the page key."""
        names = [""] if now >= self._page.renew_at else []
        names += [name for name, lease in list(self._leases.items()) if now >= lease.renew_at]
        return [*names, *sorted(self._let_go)]

    def next_due(self) -> float:
        """Elapsed seconds when the next lease is to be renewed or ends."""
        times = [self._page.renew_at, self._page.ends_at]
        for lease in list(self._leases.values()):
            times += [lease.renew_at, lease.ends_at]
        now = self._elapsed()
        return min([at for at in times if at > now], default=now + 60)

    def holds(self, name: str) -> bool:
        """Whether a tenant's keys can be used."""
        lease = self._leases.get(name)
        now = self._elapsed()
        return lease is not None and now < lease.ends_at and now < self._page.ends_at

    def renew(self, name: str) -> None:
        """Ask the provider for a key again.

        Raises:
            Problem: UNAVAILABLE, or NOT_FOUND when the tenant has gone.
        """
        if not name or self._elapsed() >= self._page.ends_at:  # without the page key no tenant's key is given out
            self._renew_page()
        if name:
            self._fetch(name)

    def expired(self, now: float) -> bool:
        """Whether a lease has ended."""
        held = list(self._leases.values())
        return bool(held) and now >= min([self._page.ends_at, *(lease.ends_at for lease in held)])

    def let_go(self) -> None:
        """Wipe keys whose lease has ended; all of them when it is the page key's."""
        now = self._elapsed()
        page_ended = now >= self._page.ends_at
        if page_ended:
            wipe(self._page.value)
        for name, lease in list(self._leases.items()):
            if page_ended or now >= lease.ends_at:
                del self._leases[name]
                lease.value.forget()
                self._let_go.add(name)

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────

    def _late(self, name: str) -> TenantKeys:
        """Give keys that are not held, or are to be renewed."""
        if self._keeper is not None:
            return self._kept(name, self._keeper)
        with self._lock:  # many threads make one call to the provider
            lease = self._leases.get(name)
            now = self._elapsed()
            if lease is not None and now < min(lease.renew_at, self._page.ends_at):
                return lease.value
            try:
                if now >= self._page.renew_at:
                    self._renew_page()
                self._fetch(name)
            except Problem as problem:
                lease = self._leases.get(name)
                if problem.kind is not Kind.UNAVAILABLE or lease is None:
                    raise
                if now >= min(lease.ends_at, self._page.ends_at):
                    self.let_go()
                    raise
                _log.warning("the key provider is away or refuses: %s", problem.detail)
                lease.renew_at = min(now + (problem.retry_after or 1), lease.ends_at)
            return self._leases[name].value

    def _kept(self, name: str, keeper: Keeper) -> TenantKeys:
        self.let_go()
        lease = self._leases.get(name)
        if lease is not None:
            return lease.value
        if self.table.root(name) is None:
            raise _no_tenant()
        keeper.want(name)
        raise Problem(Kind.UNAVAILABLE, PUBLIC_WORDS, "the keys are not held and were asked for", retry_after=2)

    def _fetch(self, name: str) -> None:
        row = self.table.root(name)
        if row is None:
            self._let_go.discard(name)
            raise _no_tenant()
        epoch, wrapped = row
        now = self._elapsed()
        root_key = _sized(self.provider.unwrap(wrapped, tenant_context(name, epoch)))
        if self._closed:
            wipe(root_key)
            raise Problem(Kind.UNAVAILABLE, PUBLIC_WORDS, "the keyring is closed")
        lease = self._leases.get(name)
        if lease is not None and lease.value.started_from(root_key):
            self._learn_epochs(lease.value, root_key)
            lease.renew(now, self._limits)
        else:
            keys = TenantKeys(name, root_key, self.table)
            self._learn_epochs(keys, root_key)
            keys.when_unknown(lambda: self._ask_again(name))
            self._leases[name] = Lease(keys, now, self._limits)
        self._let_go.discard(name)
        wipe(root_key)

    def _learn_epochs(self, keys: TenantKeys, root_key: bytearray) -> None:
        epochs = self.table.epochs(keys.name)
        for epoch, wrapped, _ in epochs:
            if not wrapped:
                keys.learn(epoch, root_key)  # made before epochs had keys of their own
            elif not keys.knows(epoch):
                key = _sized(self.provider.unwrap(wrapped, wrapping_context(keys.name, epoch)))
                keys.learn(epoch, key)
                wipe(key)
        if not epochs:
            keys.learn(_EPOCH, root_key)
        else:
            keys.unlearn_before(epochs[0].number)

    def _ask_again(self, name: str) -> None:
        lease = self._leases.get(name)
        if lease is not None:
            lease.renew_at = 0.0
            if self._keeper is not None:
                self._keeper.want(name)  # wakes it

    def _renew_page(self) -> None:
        now = self._elapsed()
        value = _sized(self.provider.unwrap(read_private(self.page_file), PAGE_CONTEXT))
        self._page.value[:] = value
        wipe(value)
        self._page.renew(now, self._limits)


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
    page_root = random_key()
    try:
        wrapped = provider.wrap(page_root, PAGE_CONTEXT)
    finally:
        wipe(page_root)
    write_new(folder / "page.key", wrapped)
    return Keyring(folder, provider, wrapped)


def open_keyring(
    folder: Path,
    provider: KeyProvider,
    limits: Limits = Limits(),  # noqa: B008  immutable
    elapsed: Elapsed = elapsed_seconds,
) -> Keyring:
    """Open the keyring of an installation.

    Args:
        limits: how long keys are used without asking the provider again.
        elapsed: clock of the leases.

    Raises:
        Problem: UNAVAILABLE when a file is missing or unsafe, the provider is away, or it is not the one
            that wrapped this keyring.
    """
    wrapped = read_private(folder / "page.key")
    if not (folder / "keys.db").is_file():
        # A new, empty table would look like a healthy installation in which every patient was erased.
        raise Problem(Kind.UNAVAILABLE, "The keys are not available.", "keys.db is missing: restore it from its backup")
    return Keyring(folder, provider, wrapped, limits, elapsed)


def tenant_context(tenant: str, epoch: int) -> dict[str, str]:
    """What a tenant's root key is wrapped for."""
    return {"tenant": tenant, "purpose": "tenant-root", "epoch": str(epoch)}


def wrapping_context(tenant: str, epoch: int) -> dict[str, str]:
    """What the wrapping key of a tenant's epoch is wrapped for."""
    return {"tenant": tenant, "purpose": "tenant-wrapping", "epoch": str(epoch)}


def _sized(key: bytearray) -> bytearray:
    if len(key) != KEY_SIZE:
        raise away("the provider gave back something that is no key")
    return key


def _no_tenant() -> Problem:
    return Problem(Kind.NOT_FOUND, "There is no such tenant.")
