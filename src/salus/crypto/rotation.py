# SPDX-License-Identifier: Apache-2.0
"""Rotation: a new version of the provider's key, a new epoch of a tenant, and everything wrapped anew.

Online: keys are rewrapped in slices, each a short transaction under the lock of the key table, while other processes
go on reading and making keys. Resumable: a key is under the former epoch or under the new one, never under neither, so
whoever calls `rewrap` after a crash does what is left. The former epoch ends when no key is under it any more.

Records are not touched: what changes is what their keys are wrapped under.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from salus.crypto.key_table import Epoch, Purpose, before_all
from salus.crypto.keyfile import read_private, replace_private
from salus.crypto.keyring import PAGE_CONTEXT, Keyring, tenant_context, wrapping_context
from salus.crypto.kms.provider import KeyProvider
from salus.crypto.wiping import random_key, wipe
from salus.kernel.clock import Elapsed, elapsed_seconds
from salus.kernel.errors import Kind, Problem

_SLICE = 500
"""Keys per transaction: others wait for the lock for about 15 ms."""


class Progress(NamedTuple):
    """How far a rewrap is.

    Attributes:
        done, total: keys.
        left: estimated seconds.
    """

    done: int
    total: int
    left: float


class Held(NamedTuple):
    """The keys of one purpose: how many there are, how many still under an earlier epoch, how many destroyed."""

    keys: int
    behind: int
    destroyed: int


def held(keyring: Keyring, tenant: str) -> tuple[int, dict[Purpose, Held]]:
    """The newest epoch of a tenant, and its keys by purpose.

    Raises:
        Problem: NOT_FOUND for an unknown tenant.
    """
    epochs = keyring.table.epochs(keyring.tenant(tenant).name)
    newest = epochs[-1].number if epochs else 1
    return newest, {purpose: Held(*keyring.table.count(tenant, purpose, newest)) for purpose in Purpose}


def begin_epoch(keyring: Keyring, tenant: str) -> int:
    """Begin a new epoch of a tenant with a new wrapping key; `rewrap` does the rest.

    Returns:
        Its number; of the one that is under way when a former rotation was interrupted.

    Raises:
        Problem: NOT_FOUND for an unknown tenant; CONFLICT when another process began one just now; UNAVAILABLE.
    """
    keys = keyring.tenant(tenant)
    epochs = keyring.table.epochs(tenant)
    if len(epochs) > 1:
        return epochs[-1].number
    former = epochs[-1].number if epochs else 1
    number, key = former + 1, random_key()
    try:
        wrapped = keyring.provider.wrap(key, wrapping_context(tenant, number))
        if not keyring.table.add_epoch(tenant, Epoch(number, wrapped, keys.link(number, key))):
            raise Problem(Kind.CONFLICT, "Another rotation has just begun.")
        keys.learn(number, key)
    finally:
        wipe(key)
    return number


def rewrap(
    keyring: Keyring,
    tenant: str,
    tell: Callable[[Progress], None] = lambda _: None,
    elapsed: Elapsed = elapsed_seconds,
) -> int:
    """Wrap all keys of a tenant under its newest epoch and end the former ones.

    Returns:
        How many keys were rewrapped; 0 when nothing was left to do.

    Raises:
        Problem: FAULT when a stored key was tampered with: what was done stays, and so does the former epoch.
    """
    newest, kinds = held(keyring, tenant)
    keys, table = keyring.tenant(tenant), keyring.table
    if not keys.knows(newest):
        keyring.renew(tenant)
        keys = keyring.tenant(tenant)
    done, total, start = 0, sum(kind.behind for kind in kinds.values()), elapsed()
    for purpose in Purpose:
        after = before_all(purpose)
        while rows := table.before(tenant, purpose, newest, after, _SLICE):
            table.rewrite(tenant, purpose, keys.rewrapped(purpose, rows))
            after = rows[-1][0]
            done += len(rows)
            tell(Progress(done, max(total, done), (elapsed() - start) / done * max(total - done, 0)))
    if not table.end_epochs(tenant, newest):
        raise Problem(Kind.CONFLICT, "Keys were changed at the same time. Run it again.")
    keys.unlearn_before(newest)
    return done


def rewrap_provided(keyring: Keyring) -> int:
    """Have the provider wrap page key, root keys and wrapping keys under its newest version.

    Returns:
        How many keys that were.
    """
    provider, count = keyring.provider, 1
    replace_private(keyring.page_file, provider.rewrap(read_private(keyring.page_file), PAGE_CONTEXT))
    for tenant in keyring.tenants():

        def one(table: str, epoch: int, wrapped: bytes, tenant: str = tenant) -> bytes:
            nonlocal count
            count += 1
            context = tenant_context if table == "tenant_key" else wrapping_context
            return provider.rewrap(wrapped, context(tenant, epoch))

        keyring.table.rewrite_provided(tenant, one)
    return count


def destroy_former(provider: KeyProvider, newest: str) -> list[tuple[str, str]]:
    """Destroy all versions of the provider's key before the newest. Rewrap first: what is under them is lost.

    Returns:
        Version, and when it is gone: `at once`, or a date.

    Raises:
        Problem: INCORRECT when the provider cannot, or names its versions otherwise than by numbers.
    """
    if not newest.isdecimal():
        raise Problem(Kind.INCORRECT, "The key service does not number its versions: destroy the former one there.")
    gone: list[tuple[str, str]] = []
    for number in range(int(newest) - 1, 0, -1):
        try:
            gone.append((str(number), provider.destroy_version(str(number))))
        except Problem:  # gone before
            if not gone:
                raise
            break
    return gone
