# SPDX-License-Identifier: Apache-2.0
"""The random keys of one tenant, wrapped in the key table: epochs of wrapping keys, and opened keys in memory.

The wrapping key of an epoch is not derived from the root key: with its epoch it can be destroyed, and with it every
copy of the key table that was made until then. Whoever holds the wrapping key of one epoch and the root key opens the
next epoch by its link, so that a running process goes on through a rotation without asking the provider.

Opened keys are kept in bounded caches; nothing here is ever written in clear.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from salus.crypto.derivation import derive
from salus.crypto.envelope import Context, SealingKey
from salus.crypto.key_table import KeyTable, Purpose, Rewrite, Row, Subject
from salus.crypto.wiping import Secret, random_key, wipe
from salus.kernel.errors import Kind, Problem

DESTROYED = "the key of its owner was destroyed"
"""Detail of the Problem for a key that was destroyed, and not only is missing."""

_OPENED = 10_000
"""How many opened keys of each purpose stay in memory; one takes about 1.3 KB."""


class WrappedKeys:
    """What `TenantKeys` stands on. May be shared between threads; processes meet in the key table.

    Attributes:
        name: the tenant.
    """

    def __init__(self, name: str, root_key: Secret, table: KeyTable) -> None:
        """Start from an unwrapped root key of 32 bytes, of which a copy is made."""
        self.name = name
        self._root = bytearray(root_key)
        self._table = table
        self._lock = threading.Lock()
        self._forgotten = False
        self._epochs: dict[int, bytearray] = {}
        self._wrapping: dict[tuple[int, Purpose], SealingKey] = {}
        self._unknown_epoch: Callable[[], None] = lambda: None
        self._opened: dict[Purpose, dict[Subject, SealingKey]] = {p: {} for p in Purpose}

    # ── epochs ──────────────────────────────────────────────────────────────────────────────────────────────

    def learn(self, epoch: int, key: Secret) -> None:
        """Take the wrapping key of an epoch; a copy is made."""
        with self._lock:
            if self._forgotten:
                raise gone_from_memory()
            if epoch in self._epochs:
                return
            for purpose in Purpose:
                raw = derive(key, f"wrap/{purpose}/epoch-{epoch}")
                self._wrapping[epoch, purpose] = SealingKey(raw)
                wipe(raw)
            if self._epochs:  # an erasure may be why there is a new one: ask the table for every key again
                self._opened[Purpose.PATIENT].clear()
                self._opened[Purpose.FORMER].clear()
            self._epochs[epoch] = bytearray(key)

    def unlearn_before(self, epoch: int) -> None:
        """Wipe the wrapping keys of epochs that have ended."""
        with self._lock:
            for ended in [number for number in self._epochs if number < epoch]:
                wipe(self._epochs.pop(ended))
                for purpose in Purpose:
                    del self._wrapping[ended, purpose]

    def knows(self, epoch: int) -> bool:
        """Whether the wrapping key of an epoch is held."""
        return epoch in self._epochs

    def when_unknown(self, ask: Callable[[], None]) -> None:
        """Have a function called when an epoch is met whose key is not held and has no link."""
        self._unknown_epoch = ask

    def newest_epoch(self) -> int:
        """The newest epoch whose wrapping key is held; new keys are wrapped under it."""
        try:
            return max(self._epochs)
        except ValueError:
            raise gone_from_memory() from None

    def link(self, epoch: int, key: Secret) -> bytes:
        """Seal the wrapping key of an epoch for those who hold the root key and the former epoch's."""
        return self._linking(epoch - 1).seal(key, ("salus/epoch-link", self.name, epoch))

    def rewrapped(self, purpose: Purpose, rows: Sequence[tuple[Subject, int, bytes]]) -> list[Rewrite]:
        """Wrap keys under the newest epoch instead of theirs; a destroyed one stays destroyed.

        Raises:
            Problem: FAULT when a stored key was tampered with.
        """
        newest, done = self.newest_epoch(), []
        wrapper = self._wrapper(purpose, newest)
        for subject, epoch, wrapped in rows:
            fresh = b""
            if wrapped:
                raw = self._wrapper(purpose, epoch).open_key(wrapped, self._context(purpose, subject, epoch))
                fresh = wrapper.seal(raw, self._context(purpose, subject, newest))
                wipe(raw)
            done.append(Rewrite(subject, epoch, wrapped, newest, fresh))
        return done

    def _linking(self, epoch: int) -> SealingKey:
        with self._lock:
            if self._forgotten:
                raise gone_from_memory()
            both = self._root + self._epochs[epoch]
        raw = derive(both, "epoch-link")
        key = SealingKey(raw)
        wipe(raw, both)
        return key

    def _follow(self) -> set[int]:
        """Learn the epochs that have begun since, by their links; gives the numbers of all that there are."""
        epochs = self._table.epochs(self.name)
        for epoch, _, link in epochs:
            if link and epoch not in self._epochs and epoch - 1 in self._epochs:
                key = self._linking(epoch - 1).open_key(link, ("salus/epoch-link", self.name, epoch))
                self.learn(epoch, key)
                wipe(key)
        return {epoch.number for epoch in epochs}

    # ── opened keys ─────────────────────────────────────────────────────────────────────────────────────────

    def _find(self, purpose: Purpose, subject: Subject) -> SealingKey | None:
        opened = self._opened[purpose]
        # With room for as many again nobody has to know which was used last.
        if 2 * len(opened) < _OPENED and (key := opened.get(subject)) is not None:
            return key
        with self._lock:
            key = opened.pop(subject, None)
            if key is not None:
                opened[subject] = key  # to the young end
                return key
        row = self._table.get(self.name, purpose, subject)
        if row is not None and not row[1]:
            raise Problem(Kind.GONE, "This record was erased.", DESTROYED)
        return None if row is None else self._open(purpose, subject, *row)

    def _add(self, missing: Sequence[tuple[Purpose, Subject]]) -> None:
        if self._table.add(self.name, [self._new(*each) for each in missing]):
            return
        self._follow()  # a rotation began
        if not self._table.add(self.name, [self._new(*each) for each in missing]):
            self._unknown_epoch()
            raise _unknown()

    def _made(self, purpose: Purpose, subject: Subject) -> SealingKey:
        key = self._find(purpose, subject)
        if key is None:
            raise Problem(Kind.FAULT, "A key could not be stored.", f"{purpose} key absent after it was added")
        return key

    def _open(self, purpose: Purpose, subject: Subject, epoch: int, wrapped: bytes) -> SealingKey:
        raw = self._wrapper(purpose, epoch).open_key(wrapped, self._context(purpose, subject, epoch))
        key = SealingKey(raw)
        wipe(raw)
        opened = self._opened[purpose]
        with self._lock:
            if self._forgotten:
                raise gone_from_memory()
            opened[subject] = key
            if len(opened) > _OPENED:
                del opened[next(iter(opened))]  # the one that was not used for the longest time
        return key

    def _new(self, purpose: Purpose, subject: Subject) -> Row:
        epoch = self.newest_epoch()
        raw = random_key()
        wrapped = self._wrapper(purpose, epoch).seal(raw, self._context(purpose, subject, epoch))
        wipe(raw)
        return purpose, subject, epoch, wrapped

    def _wrapper(self, purpose: Purpose, epoch: int) -> SealingKey:
        key = self._wrapping.get((epoch, purpose))
        if key is not None:
            return key
        if self._forgotten:
            raise gone_from_memory()
        known = self._follow()
        try:
            return self._wrapping[epoch, purpose]
        except KeyError:
            if epoch not in known:
                raise Problem(Kind.FAULT, "A stored record failed its integrity check.", "no such epoch") from None
            self._unknown_epoch()
            raise _unknown() from None

    def _context(self, purpose: Purpose, subject: Subject, epoch: int) -> Context:
        return ("salus/wrapped-key", self.name, purpose.value, subject, epoch)


def _unknown() -> Problem:
    return Problem(Kind.UNAVAILABLE, "The keys are not available.", "an epoch that is not known yet", retry_after=2)


def gone_from_memory() -> Problem:
    """What whoever asks keys that were let go is told."""
    return Problem(Kind.UNAVAILABLE, "The keys are not available.", "the tenant's keys were let go", retry_after=5)
