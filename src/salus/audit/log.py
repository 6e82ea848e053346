# SPDX-License-Identifier: Apache-2.0
"""The append-only log: what it means that an action was audited.

A request hands its event in with whatever else it writes (`add`), and gets its answer only when the group
commit that holds both is on the disk. The events of a group are sealed one after the other, which is cheaper
than each by itself; they become one row, the Merkle tree grows, and at most once a second a checkpoint is
signed and, after the commit, published outside the database.

The log refuses to go on (UNAVAILABLE, so nothing is released) when the stored head was forged or is missing,
when the database is older than what was published, or when a new process cannot read what was. To go on
after a deliberate restore, an operator moves the published checkpoints of the tenant away; that is a
decision, and not one for a program.

Several processes may append to one file: each looks at the head under the write lock before it relies on its
own copy.

A request that changes nothing may be answered when its entry is in the `journal` of its process (`keep`): as durable,
and far cheaper. The next group, at most a tenth of a second later, takes what waits there into the tree, before its own
entries.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from salus.audit import store
from salus.audit.checkpoint import Checkpoint
from salus.audit.entry import BODY, seal_entry
from salus.audit.event import Event
from salus.audit.journal import Journal, Sealed
from salus.audit.known import Known
from salus.audit.merkle import Frontier, leaf_hash
from salus.audit.published import Published
from salus.audit.signers import LogReader, Turn, joined, newest_number, signer_of, statement
from salus.crypto.keyring import TenantKeys
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection, exclusive
from salus.kernel.errors import Kind, Problem

_log = logging.getLogger(__name__)

_SIGN_EVERY_MS = 1_000
_KEEP_UNPUBLISHED = 100  # checkpoints kept while their folder cannot be written; the newest says it all


class AuditLog:
    """The audit log of all tenants; the participant `audit` of `salus.kernel.commit`.

    Args:
        keys_of: keys of a tenant by name; raises NOT_FOUND for an unknown one.
        clock: for the pace of checkpoints.
        checkpoints: folder for published checkpoints, best not on the database's disk.
        journal: where `keep` puts entries; None for a process that never calls it.
        vouch: called with a tenant and the MAC of its head before its log is relied on; raises `Problem` when the rest
            of the database is not as it was when the head was written.
    """

    name = store.ROOM

    def __init__(
        self,
        keys_of: Callable[[str], TenantKeys],
        clock: Clock,
        checkpoints: Path,
        journal: Journal | None = None,
        vouch: Callable[[Connection, str, bytes], None] = lambda *_: None,
    ) -> None:
        self._keys_of = keys_of
        self._vouch = vouch
        self._clock = clock
        self._published = Published(checkpoints)
        self._journal = journal
        self._folded: list[str] = []  # tenants whose journal this group has taken in
        self._tenants: dict[str, Known] = {}
        self._checked: set[str] = set()  # tenants whose head was compared in this group
        self._unsigned: set[str] | None = None  # None: not looked yet what an earlier run left
        self._to_publish: list[tuple[str, int, str]] = []
        self._to_state: dict[str, str] = {}  # by tenant: the text about its keys, after they were changed
        self._publishing_fails = False

    # ── any thread ──────────────────────────────────────────────────────────────────────────────────────────

    def entry(self, event: Event) -> bytes:
        """Seal an event into the bytes of a log entry, under the keys of the actor's tenant.

        Raises:
            Problem: NOT_FOUND for an unknown tenant, FAULT for a surrogate of the wrong length.
        """
        tenant = event.actor.tenant
        keys = self._keys_of(tenant)
        return seal_entry(event, keys, keys.sealer(BODY))

    def add(self, unit: Unit, event: Event) -> None:
        """Put an event into a unit, to be sealed and committed with whatever else the unit writes.

        The commit fails as `entry` does.
        """
        part = unit.parts.get(store.ROOM)
        if part is None:
            unit.parts[store.ROOM] = [event]
        else:
            part.append(event)
        unit.weight += 1

    # ── writer's thread ─────────────────────────────────────────────────────────────────────────────────────

    def keep(self, db: Connection, parts: Sequence[Sequence[Event]]) -> None:
        """Seal events and make them durable that go without a change; outside of any group.

        Raises:
            Problem: UNAVAILABLE when a log cannot be relied on, or as `entry`; nothing was kept.
            OSError: the journal cannot be written.
        """
        if self._journal is None:
            raise Problem(Kind.FAULT, "The audit entry cannot be kept.", "this process has no journal")
        by_tenant: dict[str, list[Event]] = {}
        for part in parts:
            for event in part:
                by_tenant.setdefault(event.actor.tenant, []).append(event)
        entries: list[Sealed] = []
        for tenant, events in by_tenant.items():
            self._rely(db, tenant)
            keys = self._keys_of(tenant)
            body_key = keys.sealer(BODY)
            entries += [(tenant, event.at_ms, seal_entry(event, keys, body_key)) for event in events]
        self._journal.append(entries)

    def kept(self) -> bool:
        """Whether entries wait for the next group."""
        return self._journal is not None and bool(self._journal.waiting)

    def begin(self, db: Connection) -> None:
        """Start a group: what waits in the journal comes first, as it came first."""
        self._checked.clear()
        self._folded.clear()
        if self._journal is None or not self._journal.waiting:
            return
        now = self._clock.now_ms()
        for tenant, entries in self._journal.waiting.items():
            try:
                self._refresh(db, tenant)
            except Problem:  # this tenant's requests are refused and say why; its entries wait on
                continue
            self._checked.add(tenant)
            self._take(db, tenant, entries, now)
            store.mark_folded(db, self._journal.name, tenant, self._journal.number)
            self._folded.append(tenant)

    def check(self, db: Connection, part: list[Event | Sealed]) -> None:
        """Seal the events of a unit; turn it away when the log of its tenant cannot be relied on.

        Raises:
            Problem: UNAVAILABLE when the head is forged or missing, or the database older than published.
        """
        for at, event in enumerate(part):
            if isinstance(event, tuple):  # sealed in a group that was rolled back
                tenant = event[0]
            else:
                tenant = event.actor.tenant
                part[at] = (tenant, event.at_ms, self.entry(event))
            if tenant not in self._checked:
                self._refresh(db, tenant)
                self._checked.add(tenant)

    def apply(self, db: Connection, parts: Sequence[Sequence[Sealed]]) -> None:
        """Append the entries of the group: one row, one head and at most one checkpoint for each tenant."""
        groups: dict[str, list[Sealed]] = {}
        for part in parts:
            for sealed in part:
                groups.setdefault(sealed[0], []).append(sealed)
        now = self._clock.now_ms()
        for tenant, group in groups.items():
            self._take(db, tenant, group, now)

    def _take(self, db: Connection, tenant: str, group: Sequence[Sealed], now: int) -> None:
        self._append(db, tenant, group)
        note = self._signed(db, tenant, now)
        if note is not None:
            self._to_publish.append((tenant, *note))
        elif self._unsigned is not None:
            self._unsigned.add(tenant)

    def committed(self) -> None:
        """Let the journal go that is in the log now, and publish what was signed."""
        if self._journal is not None and self._folded:
            self._journal.forget(self._folded)
            self._folded.clear()
        self._publish()

    def rolled_back(self) -> None:
        """Forget what was appended; the heads are read and checked anew."""
        for known in self._tenants.values():
            known.frontier = None
            known.mac = b""
        self._folded.clear()
        self._to_publish.clear()
        self._to_state.clear()
        self._unsigned = None

    def idle(self, db: Connection) -> bool:
        """Sign and publish what waits for its checkpoint; true when some must still wait for its second."""
        if self._unsigned is None:
            self._unsigned = set(store.unsigned_tenants(db))
        now = self._clock.now_ms()
        for tenant in list(self._unsigned):
            try:
                self._refresh(db, tenant)
                note = self._signed(db, tenant, now)
            except Problem:  # its requests are refused and say why; other tenants go on
                self._unsigned.discard(tenant)
                continue
            if note is not None:  # all that it covers was committed before
                self._to_publish.append((tenant, *note))
        self._publish()
        return bool(self._unsigned)

    def checkpoint_now(self, db: Connection) -> None:
        """Sign and publish every tenant's log as it is, on the disk when this returns; for the end of a run.

        Call it when the writer has stopped.

        Raises:
            Problem: UNAVAILABLE when a log cannot be relied on.
            OSError: the folder cannot be written.
        """
        with exclusive(db):
            for tenant in store.unsigned_tenants(db):
                self._refresh(db, tenant)
                note = self._signed(db, tenant, self._clock.now_ms(), at_once=True)
                if note is not None:
                    self._to_publish.append((tenant, *note))
        for tenant, size, note_text in self._to_publish:
            self._published.publish(tenant, note_text, size, durable=True)
        self._to_publish.clear()

    def close(self, db: Connection) -> None:
        """Sign, publish, and take the journal away; for the end of a run, when the writer has stopped."""
        self.checkpoint_now(db)
        if self._journal is not None:
            if self._journal.name and not self._journal.waiting:
                store.drop_journal(db, self._journal.name)
            self._journal.close()

    def turn(self, db: Connection, turn: Turn) -> None:
        """Go on with another signing key: see `signers`; inside the group whose entries say so."""
        tenant, number = turn
        known, now = self._tenants[tenant], self._clock.now_ms()
        if known.frontier is None:
            raise _refusal(tenant, "the head was not read before changing the key")
        size, root = known.frontier.size, known.frontier.root()
        former, fresh = signer_of(known.keys, number - 1), signer_of(known.keys, number)
        note = former.added_to(fresh.sign(size, root))
        store.put_checkpoint(db, tenant, size, now, note)
        store.add_signer(db, tenant, store.Signed(number, size, now, statement(former, fresh, number, size, root)))
        self._to_publish.append((tenant, size, note))
        self._to_state[tenant] = joined(store.signers(db, tenant))

    def take_in(self, db: Connection, waiting: Mapping[str, Sequence[Sealed]]) -> None:
        """Append entries that a crash has left; inside a transaction of the caller, who then calls `committed`.

        Raises:
            Problem: UNAVAILABLE when the log of one of the tenants cannot be relied on.
        """
        now = self._clock.now_ms()
        for tenant, entries in waiting.items():
            self._refresh(db, tenant)
            self._take(db, tenant, entries, now)

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────

    def _rely(self, db: Connection, tenant: str) -> None:
        """As `_refresh`, but what was read holds while nobody has written since; outside of a transaction.

        What somebody else wrote counts once this connection has read anything: before a record is released, it has.
        """
        known = self._tenants.get(tenant)
        now = db.data_version()
        if known is None or known.read_at != now or known.frontier is None or known.keys is not self._keys_of(tenant):
            self._refresh(db, tenant)
            self._tenants[tenant].read_at = db.data_version()
        else:
            self._vouch(db, tenant, known.mac)

    def _refresh(self, db: Connection, tenant: str) -> None:
        """Make the known frontier the one of the database, or refuse."""
        keys = self._keys_of(tenant)
        known = self._tenants.get(tenant)
        if known is None or known.keys is not keys:
            former, known = known, Known(keys)
            if former is not None:  # the keys were let go and are back; what is known of the log stays known
                known.frontier, known.mac = former.frontier, former.mac
            self._tenants[tenant] = known
        head = store.read_head(db, tenant)
        self._vouch(db, tenant, head.mac if head else b"")
        if head is None:
            if known.mac or store.has_batches(db, tenant):
                raise _refusal(tenant, "the head is missing although entries were written")
            fresh: Frontier | None = Frontier()
        elif known.frontier is not None and head.mac == known.mac and head.size == known.frontier.size:
            return
        else:
            fresh = store.opened_head(head, tenant, known.head_key) or store.opened_former(head, keys)
        if fresh is None:
            raise _refusal(tenant, "the stored head does not carry our MAC")
        if known.frontier is None:
            if signers := store.signers(db, tenant):
                self._to_state[tenant] = joined(signers)  # a crash may have kept it from being published
            published = self._newest_published(db, tenant, known)
            least, root = (published.size, published.root) if published else (0, b"")
        else:
            least, root = known.frontier.size, b""
        if fresh.size < least:
            raise _refusal(tenant, f"it has {fresh.size} entries, but {least} were published: cut off, or an old copy")
        if root and fresh.size == least and fresh.root() != root:
            raise _refusal(tenant, f"its first {least} entries are not those that were published")
        known.frontier = fresh
        known.mac = head.mac if head else b""

    def _newest_published(self, db: Connection, tenant: str, known: Known) -> Checkpoint | None:
        try:
            return self._published.newest(tenant, LogReader.of(db, known.keys))
        except OSError as error:  # without them an old database cannot be told from the right one
            raise _refusal(tenant, f"published checkpoints cannot be read: {type(error).__name__}") from None

    def _append(self, db: Connection, tenant: str, group: Sequence[Sealed]) -> None:
        known = self._tenants.get(tenant)
        frontier = known.frontier if known else None
        if known is None or frontier is None:  # apply without check: a wiring mistake, no reason to guess
            raise _refusal(tenant, "the head was not read before appending")
        first = frontier.size
        times = [at_ms for _, at_ms, _ in group]
        entries = [entry for _, _, entry in group]
        leaves = [leaf_hash(entry) for entry in entries]
        since, until = min(times), max(times)
        mac = store.batch_mac(known.batch_key, tenant, first, (since, until), leaves)
        batch = store.Batch(first, len(entries), since, until, mac, store.pack(entries))
        store.insert_batch(db, tenant, batch)
        append = frontier.append
        for leaf in leaves:
            append(leaf)
        known.mac = store.write_head(db, tenant, frontier, known.head_key)

    def _signed(self, db: Connection, tenant: str, now: int, *, at_once: bool = False) -> tuple[int, str] | None:
        """Sign and store a checkpoint unless the last one is younger than a second: (size, note)."""
        known = self._tenants[tenant]
        if known.frontier is None:
            return None
        size, signed_ms = store.last_checkpoint(db, tenant)
        due = at_once or abs(now - signed_ms) >= _SIGN_EVERY_MS  # abs: the clock may have been set back
        if known.frontier.size > size and not due:
            return None
        if self._unsigned is not None:
            self._unsigned.discard(tenant)
        if known.frontier.size <= size:
            return None
        signer = known.signer(newest_number(db, tenant))
        note = signer.sign(known.frontier.size, known.frontier.root())
        store.insert_checkpoint(db, tenant, known.frontier.size, now, note)
        return known.frontier.size, note

    def _publish(self) -> None:
        """Publish what is signed; what cannot be written is kept for the next time."""
        for tenant, text in list(self._to_state.items()):
            try:
                self._published.state(tenant, text)
            except OSError as error:
                _log.error("the keys of the log cannot be published: %s", type(error).__name__)
                break
            del self._to_state[tenant]
        for item in list(self._to_publish):
            tenant, size, note = item
            try:
                self._published.publish(tenant, note, size)
            except OSError as error:  # the entries themselves are safe, so requests need not fail for it
                if not self._publishing_fails:
                    _log.error("checkpoints cannot be published: %s", type(error).__name__)
                self._publishing_fails = True
                del self._to_publish[:-_KEEP_UNPUBLISHED]
                return
            self._publishing_fails = False
            self._to_publish.remove(item)


def _refusal(tenant: str, why: str) -> Problem:
    _log.error("the audit log of tenant %s is refused: %s", tenant, why)
    return Problem(
        Kind.UNAVAILABLE,
        "The audit log cannot be relied on, so nothing is released.",
        f"audit log of tenant {tenant}: {why}",
        retry_after=60,
    )
