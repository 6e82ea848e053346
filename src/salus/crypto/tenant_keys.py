# SPDX-License-Identifier: Apache-2.0
"""All keys of one tenant, below its root key.

    wrapping key of an epoch (random, wrapped by the key provider)
    └─ HKDF wrap/…       wraps the random keys of patients, their audit entries, resource types and later indexes
    tenant root key (random, wrapped by the key provider)
    ├─ HKDF index/…      first key of the blind index; the later ones are random, so that they can be destroyed
    ├─ HKDF surrogate    names patients, authors and labels beside the records
    └─ HKDF derive/… seal/…   what other rooms ask for by purpose

Patient keys are random, never derived: only so does destroying one destroy the patient's records. A patient
has two, made together: one for the records, one for what the audit log says about them, which may have to
live longer. Opened keys are kept in bounded caches; nothing here is ever written in clear.

The wrapping key is not derived from the root key: with its epoch it can be destroyed, and with it every copy of the key
table that was made until then. Whoever holds the wrapping key of one epoch and the root key opens the next epoch by its
link, so that a running process goes on through a rotation without asking the provider.

`forget` ends all of it: the root key is wiped, opened keys go, and whoever still asks is refused.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from hmac import compare_digest

from cryptography.hazmat.primitives import hashes, hmac

from salus.crypto.blind_index import BlindIndex
from salus.crypto.derivation import derive
from salus.crypto.envelope import Context, SealingKey
from salus.crypto.key_table import KeyTable, Purpose, Rewrite, Row, Subject
from salus.crypto.wiping import Secret, random_key, wipe
from salus.kernel.errors import Kind, Problem

_SURROGATE_SIZE = 16
DESTROYED = "the key of its owner was destroyed"
"""Detail of the Problem for a key that was destroyed, and not only is missing."""

_OPENED = 10_000
"""How many opened keys of each purpose stay in memory; one takes about 1.3 KB."""


class TenantKeys:
    """The keys of one tenant. May be shared between threads; processes meet in the key table.

    Attributes:
        name: the tenant.
    """

    def __init__(self, name: str, root_key: Secret, table: KeyTable) -> None:
        """Start from an unwrapped root key of 32 bytes; `Keyring.tenant` does this. A copy is made."""
        self.name = name
        self._root = bytearray(root_key)
        self._table = table
        self._lock = threading.Lock()
        self._forgotten = False
        self._epochs: dict[int, bytearray] = {}
        self._wrapping: dict[tuple[int, Purpose], SealingKey] = {}
        self._unknown_epoch: Callable[[], None] = lambda: None
        naming = derive(root_key, "surrogate")
        self._surrogate = hmac.HMAC(naming, hashes.SHA256())
        indexing = derive(root_key, "index/epoch-1")
        self._indexes = {1: BlindIndex(indexing)}
        wipe(naming, indexing)
        self._sealers: dict[str, SealingKey] = {}
        self._macs: dict[str, hmac.HMAC] = {}
        self._afterwards: list[Callable[[], None]] = []
        self._opened: dict[Purpose, dict[Subject, SealingKey]] = {p: {} for p in Purpose}

    def forget(self) -> None:
        """Wipe the root key and let go of everything below it; every later call is refused."""
        with self._lock:
            self._forgotten = True
            wipe(self._root, *self._epochs.values())
            self._epochs.clear()
            self._wrapping.clear()
            self._sealers.clear()
            self._macs.clear()
            for opened in self._opened.values():
                opened.clear()
            del self._surrogate, self._indexes
        for let_go in self._afterwards:
            let_go()
        self._afterwards.clear()

    def when_forgotten(self, let_go: Callable[[], None]) -> None:
        """Have a function called when these keys are let go, to let go of what was made from them."""
        self._afterwards.append(let_go)

    def started_from(self, root_key: Secret) -> bool:
        """Whether this is the root key of these keys."""
        return compare_digest(self._root, root_key)

    def record_key(self, owner: bytes | None, type: str, *, create: bool = False) -> SealingKey:  # noqa: A002
        """The key that seals a record.

        Args:
            owner: surrogate of the one patient who owns the record; None when none or several do.
            type: resource type, which has a key of its own for records without one owner.
            create: make a missing key; it is durable before this returns.

        Raises:
            Problem: GONE when the key was destroyed, or there is none and `create` is false; FAULT when the stored
                key was tampered with.
        """
        purpose, subject = (Purpose.TYPE, type) if owner is None else (Purpose.PATIENT, owner)
        key = self._find(purpose, subject)
        if key is not None:
            return key
        if not create:
            raise Problem(Kind.GONE, "This record was erased.", "the key of its owner does not exist")
        if owner is None:
            self._add([(Purpose.TYPE, type)])
        else:
            self.ensure_patients([owner])
        return self._made(purpose, subject)

    def audit_key(self, owner: bytes) -> SealingKey:
        """The key of what the audit log says about one patient; made when it is missing.

        Args:
            owner: surrogate of the patient, 16 bytes.

        Raises:
            Problem: FAULT when the stored key was tampered with.
        """
        key = self._find(Purpose.AUDIT, owner)
        if key is None:
            self._add([(Purpose.AUDIT, owner)])
            key = self._made(Purpose.AUDIT, owner)
        return key

    def keys_of(self, owners: Iterable[bytes]) -> dict[bytes, SealingKey]:
        """Record keys of many patients with few queries; a patient without a key (erased) is left out.

        Raises:
            Problem: FAULT when a stored key was tampered with.
        """
        opened = self._opened[Purpose.PATIENT]
        wanted = dict.fromkeys(owners)
        keys = {owner: key for owner in wanted if (key := opened.get(owner)) is not None}
        cold = [owner for owner in wanted if owner not in keys]
        for owner, (epoch, wrapped) in self._table.get_many(self.name, Purpose.PATIENT, cold).items():
            if isinstance(owner, bytes) and wrapped:
                keys[owner] = self._open(Purpose.PATIENT, owner, epoch, wrapped)
        return keys

    def ensure_patients(self, owners: Iterable[bytes]) -> None:
        """Make the record and audit keys of those patients who have none, in one durable transaction.

        Args:
            owners: surrogates of 16 bytes; duplicates do no harm.
        """
        opened = self._opened[Purpose.PATIENT]
        cold: list[Subject] = [owner for owner in dict.fromkeys(owners) if owner not in opened]
        missing = cold
        if cold:
            known = self._table.get_many(self.name, Purpose.PATIENT, cold)
            missing = [owner for owner in cold if owner not in known]
        if missing:
            purposes = (Purpose.PATIENT, Purpose.AUDIT)
            self._add([(purpose, owner) for owner in missing for purpose in purposes])

    def derived(self, purpose: str) -> bytearray:
        """A 32-byte key for another room's purpose: the same at every call, never one used in here.

        The buffer is the caller's, to be wiped when it is not needed any more.
        """
        return self._derived(f"derive/{purpose}")

    def mac(self, purpose: str) -> hmac.HMAC:
        """HMAC-SHA256 under the key of `derived`; kept, so ask as often as needed, and use a `copy()`."""
        mac = self._macs.get(purpose)
        if mac is None:
            key = self.derived(purpose)
            mac = self._macs[purpose] = hmac.HMAC(key, hashes.SHA256())
            wipe(key)
        return mac

    def sealer(self, purpose: str) -> SealingKey:
        """A sealing key for another room's purpose; kept, so ask as often as needed."""
        key = self._sealers.get(purpose)
        if key is None:
            key = self._sealers[purpose] = self._sealing(f"seal/{purpose}")
        return key

    def surrogate(self, kind: str, value: str) -> bytes:
        """The opaque name of a value in this tenant: HMAC-SHA256(key, kind + "|" + value), cut to 16 bytes.

        Args:
            kind: what sort of value; a constant without `|`.
            value: e.g. a patient id or a category code.
        """
        try:
            mac = self._surrogate.copy()
        except AttributeError:
            raise _let_go() from None
        mac.update(f"{kind}|{value}".encode())
        return mac.finalize()[:_SURROGATE_SIZE]

    def index(self, number: int = 1) -> BlindIndex:
        """The blind index of the tenant under one of its keys.

        Raises:
            Problem: FAULT when there is no such key (any more), or it was tampered with.
        """
        try:
            return self._indexes[number]
        except AttributeError:
            raise _let_go() from None
        except KeyError:
            return self._opened_index(number)

    def make_index(self, number: int) -> None:
        """Make the random key of a further blind index, durable on return; one that is there stays."""
        if self._table.get(self.name, Purpose.INDEX, str(number)) is None:
            self._add([(Purpose.INDEX, str(number))])
        self._opened_index(number)

    def destroy_index(self, number: int) -> None:
        """Destroy the key of a blind index that nothing lies under any more; the first one is derived and stays."""
        self._indexes.pop(number, None)
        if self._table.get(self.name, Purpose.INDEX, str(number)) is not None:
            self._table.destroy(self.name, Purpose.INDEX, str(number))

    def has_index(self, number: int) -> bool:
        """Whether an index key is there and was not destroyed."""
        row = self._table.get(self.name, Purpose.INDEX, str(number))
        return number == 1 or (row is not None and bool(row[1]))

    def index_numbers(self) -> list[int]:
        """Numbers of the index keys that there are or were, in order."""
        return sorted({1, *(int(number) for number in self._table.subjects(self.name, Purpose.INDEX))})

    def _opened_index(self, number: int) -> BlindIndex:
        subject = str(number)
        row = self._table.get(self.name, Purpose.INDEX, subject)
        if row is None or not row[1]:
            raise Problem(Kind.FAULT, "The index cannot be used.", f"there is no index key {number}")
        epoch, wrapped = row
        raw = self._wrapper(Purpose.INDEX, epoch).open_key(wrapped, self._context(Purpose.INDEX, subject, epoch))
        opened = BlindIndex(raw)
        wipe(raw)
        with self._lock:
            if self._forgotten:
                raise _let_go()
            self._indexes[number] = opened
        return opened

    # ── rotations ───────────────────────────────────────────────────────────────────────────────────────────

    def note_rotation(self, kind: str, at_ms: int) -> None:
        """Note when a kind of key was rotated, in milliseconds since the epoch."""
        self._table.note_rotation(self.name, kind, at_ms)

    def rotations(self) -> dict[str, int]:
        """When which kind of key was rotated last, in milliseconds since the epoch."""
        return self._table.rotations(self.name)

    # ── epochs ──────────────────────────────────────────────────────────────────────────────────────────────

    def learn(self, epoch: int, key: Secret) -> None:
        """Take the wrapping key of an epoch; a copy is made."""
        with self._lock:
            if self._forgotten:
                raise _let_go()
            if epoch in self._epochs:
                return
            for purpose in Purpose:
                raw = derive(key, f"wrap/{purpose}/epoch-{epoch}")
                self._wrapping[epoch, purpose] = SealingKey(raw)
                wipe(raw)
            if self._epochs:  # an erasure may be why there is a new one: ask the table for every key again
                self._opened[Purpose.PATIENT].clear()
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
            raise _let_go() from None

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
                raise _let_go()
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
                raise _let_go()
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
            raise _let_go()
        known = self._follow()
        try:
            return self._wrapping[epoch, purpose]
        except KeyError:
            if epoch not in known:
                raise Problem(Kind.FAULT, "A stored record failed its integrity check.", "no such epoch") from None
            self._unknown_epoch()
            raise _unknown() from None

    def _sealing(self, label: str) -> SealingKey:
        raw = self._derived(label)
        key = SealingKey(raw)
        wipe(raw)
        return key

    def _derived(self, label: str) -> bytearray:
        with self._lock:  # never from a root key that is being wiped
            if self._forgotten:
                raise _let_go()
            return derive(self._root, label)

    def _context(self, purpose: Purpose, subject: Subject, epoch: int) -> Context:
        return ("salus/wrapped-key", self.name, purpose.value, subject, epoch)


def _unknown() -> Problem:
    return Problem(Kind.UNAVAILABLE, "The keys are not available.", "an epoch that is not known yet", retry_after=2)


def _let_go() -> Problem:
    return Problem(Kind.UNAVAILABLE, "The keys are not available.", "the tenant's keys were let go", retry_after=5)
