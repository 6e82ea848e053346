# SPDX-License-Identifier: Apache-2.0
"""Checking a log from the first entry to the last, and saying in words what is wrong and where.

What proves what:
- the MAC of each batch: these entries stand where they were written (names the place of an edit);
- the tree, recomputed from all entries, against the head under its MAC: nothing was taken from the end;
- the tree at the size of every signed checkpoint: the log only ever grew;
- the checkpoints published outside: the database is not an old copy, and there is only one history;
- every entry opens: its content is what was sealed.

Reads only, in one pass and one snapshot. Takes no decision about what to do.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from salus.audit import store
from salus.audit.checkpoint import Checkpoint
from salus.audit.entry import open_entry
from salus.audit.merkle import Frontier, leaf_hash
from salus.audit.published import Published
from salus.audit.report import HARMLESS, Finding, FindingKind, Report
from salus.audit.signers import LogReader
from salus.crypto.keyring import TenantKeys
from salus.kernel.clock import instant
from salus.kernel.db import Connection
from salus.kernel.errors import Problem

_CLOCK_TOLERANCE_MS = 60_000
_MOST_FINDINGS = 200


@dataclass(slots=True)
class _Notes:
    """Genuine checkpoints: by size the roots that were signed, and where each was seen."""

    roots: dict[int, dict[bytes, set[str]]] = field(default_factory=dict)

    def add(self, point: Checkpoint, place: str) -> None:
        self.roots.setdefault(point.size, {}).setdefault(point.root, set()).add(place)


def verify(db: Connection, keys: TenantKeys, checkpoints: Path | None, *, open_entries: bool = True) -> Report:
    """Check the log of the tenant `keys.name`.

    Args:
        db: database of the log; no transaction may be open.
        keys: keys of the tenant.
        checkpoints: folder of the published checkpoints; None leaves out what only they can show.
        open_entries: also open every entry; slower, and finds the exact entry of an edit.
    """
    tenant = keys.name
    # Before the snapshot: what was published by now must be in the database.
    published = list(Published(checkpoints).notes(tenant)) if checkpoints is not None else []
    db.execute("begin")
    try:
        check = _Check(keys, LogReader.of(db, keys), open_entries=open_entries)
        check.read_notes(published, "published")
        check.read_notes((note for _, note in store.checkpoint_notes(db, tenant)), "stored")
        for batch in store.batches(db, tenant):
            check.batch(batch)
        check.head(store.read_head(db, tenant))
    finally:
        db.execute("rollback")
    check.end()
    return check.report()


class _Check:
    """One verification under way."""

    def __init__(self, keys: TenantKeys, reader: LogReader, *, open_entries: bool) -> None:
        self._keys = keys
        self._reader = reader
        self._open_entries = open_entries
        self._head_key = keys.derived(store.HEAD_KEY)
        self._batch_key = keys.derived(store.BATCH_KEY)
        self._notes = _Notes()
        self._tree = Frontier()
        self._next = 0  # index that the next batch should start with
        self._latest_ms = 0
        self._signed = 0
        self._diverged = False
        self._erased: dict[bytes, int] = {}
        self._findings: list[Finding] = []
        self._more = 0
        self._ok = True

    def _found(self, kind: FindingKind, index: int | None, text: str) -> None:
        self._ok = self._ok and kind in HARMLESS
        if len(self._findings) < _MOST_FINDINGS:
            self._findings.append(Finding(kind, index, text))
        else:
            self._more += 1

    def read_notes(self, notes: Iterable[str], place: str) -> None:
        """Take in signed notes from one place."""
        seen: set[str] = set()  # the latest note also stands in the log file
        for note in notes:
            if note in seen:
                continue
            seen.add(note)
            try:
                self._notes.add(self._reader.open(note), place)
            except Problem as problem:
                whole = place == "stored" or (note.endswith("\n") and "\n\n— " in note)
                kind = FindingKind.CHECKPOINT if whole else FindingKind.TORN_NOTE
                self._found(kind, None, f"A {place} checkpoint cannot be used: {problem.public}")

    def batch(self, batch: store.Batch) -> None:
        """Check one row and grow the tree by it."""
        if batch.first > self._next:
            text = f"Entries {self._next} to {batch.first - 1} are missing."
            self._found(FindingKind.MISSING, self._next, text)
            self._diverged = True  # the tree cannot be grown over a gap
        elif batch.first < self._next:
            self._found(FindingKind.OVERLAP, batch.first, f"Entry {batch.first} and those after it exist twice.")
        try:
            entries = store.unpack(batch.entries)
        except ValueError:
            entries = []
        leaves = [leaf_hash(entry) for entry in entries]
        mac = store.batch_mac(self._batch_key, self._keys.name, batch.first, (batch.since, batch.until), leaves)
        genuine = hmac.compare_digest(mac, batch.mac) and len(entries) == batch.length
        named = self._contents(batch.first, entries, genuine=genuine)
        if not genuine and not named:
            last = batch.first + max(batch.length, len(entries), 1) - 1
            text = (
                f"Entries {batch.first} to {last} are not the ones that were written there: some were "
                "removed, exchanged, added or put in another order, or the row was changed."
            )
            self._found(FindingKind.REARRANGED, batch.first, text)
        self._grow(leaves)
        self._clock(batch)
        self._next = batch.first + batch.length

    def _contents(self, first: int, entries: list[bytes], *, genuine: bool) -> bool:
        """Open the entries of a batch; true when an edited one was named."""
        if not self._open_entries and genuine:
            return False
        named = False
        for index, entry in enumerate(entries, first):
            try:
                unreadable = open_entry(entry, self._keys).unreadable
            except Problem:
                kind = FindingKind.UNREADABLE if genuine else FindingKind.EDITED
                self._found(kind, index, f"Entry {index} does not open: " + _WHY_CLOSED[genuine])
                named = True
                continue
            if unreadable and not genuine:
                text = f"Entry {index} does not open: the part of a patient was changed after it was written."
                self._found(FindingKind.EDITED, index, text)
                named = True
            elif unreadable:
                for owner in unreadable:
                    self._erased[owner] = self._erased.get(owner, 0) + 1
        return named

    def _grow(self, leaves: list[bytes]) -> None:
        """Append leaves and compare the root at every size that was signed."""
        tree, roots = self._tree, self._notes.roots
        for leaf in leaves:
            tree.append(leaf)
            if tree.size in roots:
                self._compare(tree.size, tree.root())

    def _compare(self, size: int, root: bytes) -> None:
        signed = self._notes.roots[size]
        if len(signed) > 1:
            text = f"Two different checkpoints of {size} entries were signed: the log has had two histories."
            self._found(FindingKind.FORKED, size - 1, text)
        if signed.keys() == {root}:
            self._signed = size
        if not self._diverged and any(other != root for other in signed):
            self._diverged = True  # every later checkpoint differs for the same reason
            places = " and ".join(sorted({place for other in signed if other != root for place in signed[other]}))
            text = (
                f"The first {size} entries are not those of the {places} checkpoint of that size. Something "
                f"between entry {self._signed} and {size - 1} was changed, or the database has another "
                "history than the one that was signed."
            )
            self._found(FindingKind.FORKED, self._signed, text)

    def _clock(self, batch: store.Batch) -> None:
        if batch.since < self._latest_ms - _CLOCK_TOLERANCE_MS:
            text = (
                f"Between {batch.first} and {batch.first + batch.length - 1} an entry is dated "
                f"{instant(batch.since)}, before one that stands earlier ({instant(self._latest_ms)}): the "
                "clock was set back, or a request took long."
            )
            self._found(FindingKind.CLOCK, batch.first, text)
        self._latest_ms = max(self._latest_ms, batch.until)

    def head(self, head: store.Head | None) -> None:
        """Compare what was read with the stored head."""
        size = self._tree.size
        if head is None:
            if size:
                self._found(FindingKind.HEAD, None, "The head of the log is missing although there are entries.")
            return
        opened = store.opened_head(head, self._keys.name, self._head_key) or store.opened_former(head, self._keys)
        genuine = opened is not None
        if not genuine:
            self._found(FindingKind.HEAD, None, "The head of the log is forged: its MAC does not hold.")
        elif head.size > self._next:
            text = f"The log had {head.size} entries: {self._next} to {head.size - 1} were cut off its end."
            self._found(FindingKind.TRUNCATED, self._next, text)
        elif head.size < self._next:
            text = f"Entries from {head.size} on were added without the program, or the head is an old one."
            self._found(FindingKind.HEAD, head.size, text)
        elif head.frontier != self._tree.pack() and self._ok:  # else it follows from what was found before
            self._found(FindingKind.HEAD, None, "The tree over the entries is not the one that the head states.")

    def end(self) -> None:
        """What only shows when everything was read."""
        size = self._next
        if self._reader.unknown:
            text = (
                f"A checkpoint was signed by key {max(self._reader.unknown)} of this log, which the database does not "
                "know: it is an old copy, or what it says of its keys was changed."
            )
            self._found(FindingKind.CHECKPOINT, None, text)
        beyond = [larger for larger in self._notes.roots if larger > size]
        if beyond:
            text = (
                f"A checkpoint of {max(beyond)} entries was signed, but there are only {size}: the end was "
                "cut off, or an old copy of the database was put in place."
            )
            self._found(FindingKind.TRUNCATED, size, text)
        for owner, count in self._erased.items():
            text = (
                f"The audit key of patient {owner.hex()} does not open {count} entries: it was destroyed. "
                "They stay in the proof."
            )
            self._found(FindingKind.ERASED, None, text)
        if self._signed < size and not self._diverged:
            text = f"The last {size - self._signed} entries are not yet covered by a signed checkpoint."
            self._found(FindingKind.UNSIGNED, self._signed, text)

    def report(self) -> Report:
        """The result."""
        return Report(self._ok, self._tree.size, self._tree.root(), self._signed, self._findings, self._more)


_WHY_CLOSED = {
    True: "it stands as it was written, but not under the keys of this tenant.",
    False: "it was changed after it was written.",
}
