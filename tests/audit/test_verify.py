# SPDX-License-Identifier: Apache-2.0
"""Attacks on a stored log: each is found, named and placed. The attacker has the page key but no tenant key."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.audit import store
from salus.audit.merkle import Frontier, leaf_hash
from salus.audit.report import FindingKind

from .registry import PHYSICIAN, TENANT, Registry, flipped, kinds
from .test_entry import drop_audit_key


def test_an_untouched_log_is_found_whole(registry: Registry) -> None:
    registry.fill()
    report = registry.verify()
    assert report.ok
    assert report.findings == []
    assert (report.size, report.signed) == (12, 12)


def test_an_empty_log_is_whole(registry: Registry) -> None:
    report = registry.verify()
    assert report.ok
    assert report.size == 0


def test_entries_after_the_last_checkpoint_are_mentioned_only(registry: Registry) -> None:
    registry.fill()
    registry.commit(registry.reading())
    report = registry.verify()
    assert report.ok
    assert [(f.kind, f.index) for f in report.findings] == [(FindingKind.UNSIGNED, 12)]


def test_attack_edited_entry(registry: Registry) -> None:
    registry.fill()
    row = registry.row(3)
    row[1] = flipped(row[1], len(row[1]) // 2)
    registry.put_row(3, row)
    report = registry.verify()
    assert not report.ok
    assert (FindingKind.EDITED, 4) in [(f.kind, f.index) for f in report.findings]
    assert FindingKind.FORKED in kinds(report)  # and the signed checkpoints do not fit either


def test_attack_outcome_of_an_entry_rewritten(registry: Registry) -> None:
    registry.fill()
    row = registry.row(6)
    array = msgspec.msgpack.decode(row[2])
    array[3] = "refused"
    row[2] = msgspec.msgpack.encode(array)
    registry.put_row(6, row)
    assert (FindingKind.EDITED, 8) in [(f.kind, f.index) for f in registry.verify().findings]


def test_attack_edited_entry_is_found_without_opening_entries(registry: Registry) -> None:
    registry.fill()
    row = registry.row(3)
    row[1] = flipped(row[1], -1)
    registry.put_row(3, row)
    assert not registry.verify(open_entries=False).ok


def test_attack_deleted_entry(registry: Registry) -> None:
    registry.fill()
    row = registry.row(3)
    registry.put_row(3, [row[0], row[2]])
    report = registry.verify()
    assert not report.ok
    places = [(f.kind, f.index) for f in report.findings]
    assert (FindingKind.REARRANGED, 3) in places
    assert (FindingKind.MISSING, 5) in places


def test_attack_deleted_group(registry: Registry) -> None:
    registry.fill()
    registry.db.execute("delete from audit_batch where first=3")
    report = registry.verify()
    assert not report.ok
    assert [f.text for f in report.findings if f.kind is FindingKind.MISSING] == ["Entries 3 to 5 are missing."]


def test_attack_deleted_group_with_the_rest_moved_up(registry: Registry) -> None:
    registry.fill()
    registry.db.execute("delete from audit_batch where first=3")
    for first in (6, 9):
        registry.db.execute("update audit_batch set first=? where first=?", (first - 3, first))
    report = registry.verify()
    assert not report.ok
    assert {3, 6} <= {f.index for f in report.findings if f.kind is FindingKind.REARRANGED}
    assert FindingKind.TRUNCATED in kinds(report)


def test_attack_reordered_entries(registry: Registry) -> None:
    registry.fill()
    registry.put_row(3, registry.row(3)[::-1])
    report = registry.verify()
    assert not report.ok
    assert [f.index for f in report.findings if f.kind is FindingKind.REARRANGED] == [3]


def test_attack_reordered_groups(registry: Registry) -> None:
    registry.fill()
    third, fourth = registry.row(3), registry.row(6)
    registry.put_row(3, fourth)
    registry.put_row(6, third)
    report = registry.verify()
    assert {3, 6} == {f.index for f in report.findings if f.kind is FindingKind.REARRANGED}


def test_attack_entry_copied_to_another_place(registry: Registry) -> None:
    registry.fill()
    row = registry.row(3)
    registry.put_row(3, [row[0], row[0], row[2]])
    assert not registry.verify().ok


def test_attack_group_stored_twice(registry: Registry) -> None:
    registry.fill()
    registry.db.execute(
        "insert into audit_batch select tenant, first + 1, count, since, until, mac, entries from audit_batch"
        " where first=3"
    )
    assert FindingKind.OVERLAP in kinds(registry.verify())


def test_attack_truncated_tail(registry: Registry) -> None:
    registry.fill()
    registry.db.execute("delete from audit_batch where first=9")
    report = registry.verify(published=False)
    assert not report.ok
    assert (report.findings[0].kind, report.findings[0].index) == (FindingKind.TRUNCATED, 9)
    assert "9 to 11 were cut off" in report.findings[0].text


def test_attack_truncated_tail_with_an_old_head_and_old_checkpoints(registry: Registry) -> None:
    registry.fill(3)
    head = registry.db.execute("select * from audit_head").fetchone()
    registry.fill(1)
    registry.db.execute("delete from audit_batch where first=9")
    registry.db.execute("delete from audit_checkpoint where size=12")
    registry.db.execute("insert or replace into audit_head values(?,?,?,?)", head)
    assert registry.verify(published=False).ok  # inside, the database is a genuine old copy
    report = registry.verify()
    assert not report.ok
    assert [(f.kind, f.index) for f in report.findings] == [(FindingKind.TRUNCATED, 9)]


def test_attack_replayed_old_database(registry: Registry) -> None:
    registry.fill(2)
    registry.db.execute("pragma wal_checkpoint(truncate)")
    old = registry.folder / "old.db"
    shutil.copy(registry.path, old)
    registry.fill(2)
    registry.db.close()
    for path in registry.folder.glob("records.db*"):
        path.unlink()
    shutil.copy(old, registry.path)
    registry.db = registry.connect()
    report = registry.verify()
    assert not report.ok
    assert "12 entries was signed, but there are only 6" in report.findings[0].text


def test_attack_replayed_old_database_that_went_on_to_grow(registry: Registry) -> None:
    registry.fill(2)
    registry.db.execute("pragma wal_checkpoint(truncate)")
    old = registry.folder / "old.db"
    shutil.copy(registry.path, old)
    registry.fill(2)
    registry.db.close()
    for path in registry.folder.glob("records.db*"):
        path.unlink()
    shutil.copy(old, registry.path)
    registry.db = registry.connect()
    registry.checkpoints, kept = registry.folder / "elsewhere", registry.checkpoints  # published where nobody looks
    registry.log = registry.new_log()
    registry.fill(3)
    registry.checkpoints = kept
    report = registry.verify()
    assert not report.ok
    forks = [f for f in report.findings if f.kind is FindingKind.FORKED]
    assert any("two histories" in f.text for f in forks)
    assert min(f.index or 0 for f in forks) == 6
    assert report.size == 15


def test_attack_forged_head(registry: Registry) -> None:
    registry.fill()
    edge = Frontier()
    for first in (0, 3, 6):
        for entry in registry.row(first):
            edge.append(leaf_hash(entry))
    registry.db.execute("delete from audit_batch where first=9")
    registry.db.execute("delete from audit_checkpoint where size=12")
    store.write_head(registry.db, TENANT, edge, b"not the key of the tenant")
    report = registry.verify(published=False)
    assert kinds(report) == {FindingKind.HEAD}
    assert not report.ok


def test_attack_head_missing(registry: Registry) -> None:
    registry.fill()
    registry.db.execute("delete from audit_head")
    assert FindingKind.HEAD in kinds(registry.verify())


def test_attack_entries_added_without_the_program(registry: Registry) -> None:
    registry.fill()
    row = registry.row(9)
    batch = store.Batch(12, 3, registry.clock.ms, registry.clock.ms, b"m" * 32, store.pack(row))
    store.insert_batch(registry.db, TENANT, batch)
    report = registry.verify()
    assert {(FindingKind.REARRANGED, 12), (FindingKind.HEAD, 12)} <= {(f.kind, f.index) for f in report.findings}


@pytest.mark.parametrize(
    "change",
    [
        lambda blob: blob[:-1],
        lambda blob: blob + b"\x00",
        lambda blob: b"\xff\xff\xff\xff" + blob[4:],
        lambda blob: b"",
    ],
)
def test_attack_row_cut_or_garbled(registry: Registry, change: Callable[[bytes], bytes]) -> None:
    registry.fill()
    blob = registry.db.execute("select entries from audit_batch where first=3").fetchone()[0]
    registry.db.execute("update audit_batch set entries=? where first=3", (change(blob),))
    report = registry.verify()
    assert not report.ok
    assert 3 in {f.index for f in report.findings}


def test_attack_time_range_of_a_row_changed_to_hide_it_from_filters(registry: Registry) -> None:
    registry.fill()
    registry.db.execute("update audit_batch set since=0, until=0 where first=3")
    assert (FindingKind.REARRANGED, 3) in [(f.kind, f.index) for f in registry.verify().findings]


def test_attack_stored_checkpoint_rewritten(registry: Registry) -> None:
    registry.fill()
    registry.db.execute("update audit_checkpoint set note=replace(note, 'salus', 'solus') where size=6")
    report = registry.verify()
    assert kinds(report) == {FindingKind.CHECKPOINT}
    assert not report.ok


def test_attack_published_checkpoint_rewritten(registry: Registry) -> None:
    registry.fill()
    path = registry.checkpoints / f"{TENANT}.log"
    path.write_text(path.read_text().replace("\n6\n", "\n7\n"))
    assert kinds(registry.verify()) == {FindingKind.CHECKPOINT}


def test_a_note_torn_by_a_crash_is_no_alarm(registry: Registry) -> None:
    registry.fill()
    path = registry.checkpoints / f"{TENANT}.log"
    path.write_bytes(path.read_bytes()[:-40])
    report = registry.verify()
    assert report.ok
    assert kinds(report) == {FindingKind.TORN_NOTE}


def test_attack_clock_rollback_is_mentioned(registry: Registry) -> None:
    registry.fill(1)
    registry.clock.ms -= 3_600_000
    registry.commit(registry.reading())
    report = registry.verify()
    assert report.ok
    assert (FindingKind.CLOCK, 3) in [(f.kind, f.index) for f in report.findings]


def test_patient_part_is_unreadable_after_its_audit_key_is_gone_and_the_proof_still_holds(
    registry: Registry,
) -> None:
    registry.fill(1)
    registry.commit(registry.reading("his", owner=registry.other))
    before = registry.verify()
    drop_audit_key(registry, registry.patient)
    after = registry.verify()
    assert after.ok
    assert after.root == before.root
    assert [f.text for f in after.findings if f.kind is FindingKind.ERASED] == [
        f"The audit key of patient {registry.patient.hex()} does not open 3 entries: it was destroyed. "
        "They stay in the proof."
    ]


def test_attack_entries_sealed_under_other_keys(registry: Registry) -> None:
    registry.ring.create_tenant("other")
    registry.fill(1)
    entry = registry.log.entry(registry.reading(actor=replace(PHYSICIAN, tenant="other"), entities=()))
    part = [(TENANT, registry.clock.ms, entry)]
    registry.db.execute("begin immediate")
    registry.log.begin(registry.db)
    registry.log.check(registry.db, part)
    registry.log.apply(registry.db, [part])
    registry.db.execute("commit")
    assert (FindingKind.UNREADABLE, 3) in [(f.kind, f.index) for f in registry.verify().findings]


def test_findings_are_bounded(registry: Registry) -> None:
    for _ in range(230):
        registry.commit(registry.reading())
    registry.db.execute("update audit_batch set mac=zeroblob(32)")
    report = registry.verify()
    assert len(report.findings) == 200
    assert report.more >= 30


@settings(max_examples=40)
@given(data=st.data())
def test_attack_any_flipped_bit_in_any_row_is_found(registry: Registry, data: st.DataObject) -> None:
    if not store.has_batches(registry.db, TENANT):
        registry.fill(2)
    first = data.draw(st.sampled_from([0, 3]))
    blob = registry.db.execute("select entries from audit_batch where first=?", (first,)).fetchone()[0]
    position = data.draw(st.integers(0, len(blob) - 1))
    registry.db.execute("update audit_batch set entries=? where first=?", (flipped(blob, position), first))
    assert not registry.verify().ok
    registry.db.execute("update audit_batch set entries=? where first=?", (blob, first))
    assert registry.verify().ok


def test_no_finding_holds_patient_data(registry: Registry) -> None:
    registry.fill()
    row = registry.row(3)
    registry.put_row(3, [flipped(entry, len(entry) // 2) for entry in row])
    registry.db.execute("delete from audit_batch where first=6")
    texts = " ".join(finding.text for finding in registry.verify().findings)
    for word in ("anna", "obs-", "dr.amara", "Observation"):
        assert word not in texts
