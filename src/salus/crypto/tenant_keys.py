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

`forget` ends all of it: the root key is wiped, opened keys go, and whoever still asks is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hmac import compare_digest

from cryptography.hazmat.primitives import hashes, hmac

from salus.crypto.blind_index import BlindIndex
from salus.crypto.derivation import derive
from salus.crypto.envelope import SealingKey
from salus.crypto.key_table import KeyTable, Purpose, Subject
from salus.crypto.wiping import Secret, wipe
from salus.crypto.wrapped_keys import DESTROYED, WrappedKeys, gone_from_memory
from salus.kernel.errors import Kind, Problem

_SURROGATE_SIZE = 16
_ATTEMPTS = 5


class TenantKeys(WrappedKeys):
    """The keys of one tenant. May be shared between threads; processes meet in the key table.

    Attributes:
        name: the tenant.
    """

    def __init__(self, name: str, root_key: Secret, table: KeyTable) -> None:
        """Start from an unwrapped root key of 32 bytes; `Keyring.tenant` does this. A copy is made."""
        super().__init__(name, root_key, table)
        naming = derive(root_key, "surrogate")
        self._surrogate = hmac.HMAC(naming, hashes.SHA256())
        indexing = derive(root_key, "index/epoch-1")
        self._indexes = {1: BlindIndex(indexing)}
        wipe(naming, indexing)
        self._sealers: dict[str, SealingKey] = {}
        self._macs: dict[str, hmac.HMAC] = {}
        self._afterwards: list[Callable[[], None]] = []

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

    def opening_key(self, owner: bytes | None, type: str, sealed: bytes) -> SealingKey:  # noqa: A002
        """The key that a record's envelope was sealed under: the one of `record_key`, or a former one of the patient.

        Raises:
            Problem: as `record_key`.
        """
        key = self.record_key(owner, type)
        if owner is None or key.made(sealed):
            return key
        self.reconsider(owner)  # another process may have renewed it
        key = self.record_key(owner, type)
        if key.made(sealed):
            return key
        former = self._find(Purpose.FORMER, owner)
        return former if former is not None and former.made(sealed) else key

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
            raise gone_from_memory() from None
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
            raise gone_from_memory() from None
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
                raise gone_from_memory()
            self._indexes[number] = opened
        return opened

    # ── another key for a patient ───────────────────────────────────────────────────────────────────────────

    def renew(self, owner: bytes) -> SealingKey:
        """Draw another key for a patient, durable on return; the former one stays until `end_renewal`.

        Whoever calls it while that is under way gets the new key.

        Raises:
            Problem: NOT_FOUND when there is no such patient; GONE when they were erased; CONFLICT when others are
                changing the same key.
        """
        for _ in range(_ATTEMPTS):
            row = self.require_patient(owner)
            if self.is_renewing(owner) or self._renewed(owner, *row):
                self.reconsider(owner)
                return self._made(Purpose.PATIENT, owner)
            self._follow()  # a rotation began
        raise Problem(Kind.CONFLICT, "The keys are being changed by others. Try again.")

    def require_patient(self, owner: bytes) -> tuple[int, bytes]:
        """Epoch and wrapped key of a patient.

        Raises:
            Problem: NOT_FOUND when there is no such patient; GONE when they were erased.
        """
        row = self._table.get(self.name, Purpose.PATIENT, owner)
        if row is None:
            raise Problem(Kind.NOT_FOUND, "There is no such patient.")
        if not row[1]:
            raise Problem(Kind.GONE, "This patient was erased.", DESTROYED)
        return row

    def _renewed(self, owner: bytes, epoch: int, wrapped: bytes) -> bool:
        newest = self.newest_epoch()
        raw = self._wrapper(Purpose.PATIENT, epoch).open_key(wrapped, self._context(Purpose.PATIENT, owner, epoch))
        former = self._wrapper(Purpose.FORMER, newest).seal(raw, self._context(Purpose.FORMER, owner, newest))
        wipe(raw)
        _, _, number, fresh = self._new(Purpose.PATIENT, owner)
        return self._table.renew(self.name, owner, wrapped, (newest, former), (number, fresh))

    def is_renewing(self, owner: bytes) -> bool:
        """Whether a former key of a patient is still there."""
        return self._table.get(self.name, Purpose.FORMER, owner) is not None

    def renewing(self) -> list[bytes]:
        """Patients whose former key is still there."""
        return [one for one in self._table.subjects(self.name, Purpose.FORMER) if isinstance(one, bytes)]

    def former_key(self, owner: bytes) -> SealingKey | None:
        """The former key of a patient, while it is there."""
        return self._find(Purpose.FORMER, owner)

    def end_renewal(self, owner: bytes) -> None:
        """Destroy the former key of a patient; what still lies under it is lost."""
        self._table.remove(self.name, Purpose.FORMER, owner)
        self.reconsider(owner)

    def reconsider(self, owner: bytes) -> None:
        """Ask the table for a patient's keys again when they are next needed."""
        with self._lock:
            for purpose in (Purpose.PATIENT, Purpose.FORMER):
                self._opened[purpose].pop(owner, None)

    # ── rotations ───────────────────────────────────────────────────────────────────────────────────────────

    def note_rotation(self, kind: str, at_ms: int) -> None:
        """Note when a kind of key was rotated, in milliseconds since the epoch."""
        self._table.note_rotation(self.name, kind, at_ms)

    def rotations(self) -> dict[str, int]:
        """When which kind of key was rotated last, in milliseconds since the epoch."""
        return self._table.rotations(self.name)

    def _sealing(self, label: str) -> SealingKey:
        raw = self._derived(label)
        key = SealingKey(raw)
        wipe(raw)
        return key

    def _derived(self, label: str) -> bytearray:
        with self._lock:  # never from a root key that is being wiped
            if self._forgotten:
                raise gone_from_memory()
            return derive(self._root, label)
