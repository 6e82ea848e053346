# SPDX-License-Identifier: Apache-2.0
"""The log as a participant of the group commit: durable before the answer, or no answer."""

from __future__ import annotations

import asyncio
import logging
import shutil

import pytest

from salus.audit import store
from salus.audit.checkpoint import NoteReader
from salus.audit.event import EventType
from salus.audit.reading import entries, size
from salus.audit.signers import public_key
from salus.kernel.actor import Actor
from salus.kernel.commit import Unit, Writer
from salus.kernel.db import FileLock
from salus.kernel.errors import Kind, Problem

from .registry import TENANT, Registry


def published(registry: Registry) -> int:
    reader = NoteReader(public_key(registry.db, registry.keys))
    latest = registry.checkpoints / f"{TENANT}.latest"
    return reader.open(latest.read_text()).size if latest.exists() else 0


def refused(registry: Registry, **where: object) -> Problem:
    with pytest.raises(Problem) as caught:
        registry.commit(registry.reading(), **where)  # type: ignore[arg-type]
    assert caught.value.kind is Kind.UNAVAILABLE
    return caught.value


def test_what_was_done_can_be_read_back_in_order(registry: Registry) -> None:
    events = [registry.reading(f"obs-{i}") for i in range(5)]
    registry.commit(*events[:2])
    registry.commit(*events[2:])
    assert [(index, entry.event) for index, entry in entries(registry.db, registry.keys)] == list(enumerate(events))


def test_through_the_writer_the_entry_is_durable_when_the_request_goes_on(registry: Registry) -> None:
    lock = FileLock(registry.folder / "lock")
    writer = Writer(registry.connect(), lock, [registry.log])

    async def request(i: int) -> int:
        unit = Unit()
        registry.log.add(unit, registry.reading(f"obs-{i}"))
        await writer.submit(unit)
        return size(registry.db, TENANT)

    async def rush() -> list[int]:
        return await asyncio.gather(*(request(i) for i in range(40)))

    seen = asyncio.run(rush())
    writer.close()
    lock.close()
    assert min(seen) >= 1
    assert size(registry.db, TENANT) == 40
    assert registry.verify().ok


def test_a_unit_may_hold_several_events_and_weighs_more(registry: Registry) -> None:
    unit = Unit()
    before = unit.weight
    for i in range(3):
        registry.log.add(unit, registry.reading(f"obs-{i}"))
    assert len(unit.parts["audit"]) == 3
    assert unit.weight == before + 3


def test_at_most_one_checkpoint_a_second(registry: Registry) -> None:
    for _ in range(30):
        registry.clock.ms += 100
        registry.commit(registry.reading())
    sizes = [size for size, _ in store.checkpoint_notes(registry.db, TENANT)]
    assert sizes == [1, 11, 21]
    assert published(registry) == 21


def test_a_quiet_log_gets_its_last_checkpoint_when_nothing_waits(registry: Registry) -> None:
    registry.commit(registry.reading())
    registry.rest()
    registry.commit(registry.reading())
    assert registry.rest()  # its second is not over yet
    assert published(registry) == 1
    registry.clock.ms += 1_000
    assert not registry.rest()
    assert published(registry) == 2


def test_a_new_process_signs_what_the_last_one_left(registry: Registry) -> None:
    registry.commit(registry.reading())
    registry.commit(registry.reading())
    registry.clock.ms += 5_000
    registry.rest(registry.new_log())
    assert published(registry) == 2


def test_the_end_of_a_run_leaves_nothing_unsigned(registry: Registry) -> None:
    registry.commit(registry.reading())
    registry.commit(registry.reading())
    registry.log.checkpoint_now(registry.db)
    assert published(registry) == 2
    assert registry.verify().signed == 2


def test_a_clock_set_back_does_not_stop_checkpoints(registry: Registry) -> None:
    registry.commit(registry.reading())
    registry.clock.ms -= 3_600_000
    registry.commit(registry.reading())
    assert published(registry) == 2


def test_a_group_that_is_rolled_back_leaves_no_trace(registry: Registry) -> None:
    registry.fill(2)
    registry.clock.ms += 2_000
    part = [(TENANT, registry.clock.ms, registry.log.entry(registry.reading("lost")))]
    registry.db.execute("begin immediate")
    registry.log.begin(registry.db)
    registry.log.check(registry.db, part)
    registry.log.apply(registry.db, [part])
    registry.db.execute("rollback")
    registry.log.rolled_back()
    registry.commit(registry.reading("kept"))
    report = registry.verify()
    assert report.ok
    assert report.size == 7
    assert report.signed == 7


def test_a_rollback_of_the_very_first_group_leaves_no_trace(registry: Registry) -> None:
    part = [(TENANT, registry.clock.ms, registry.log.entry(registry.reading()))]
    registry.db.execute("begin immediate")
    registry.log.check(registry.db, part)
    registry.log.apply(registry.db, [part])
    registry.db.execute("rollback")
    registry.log.rolled_back()
    registry.commit(registry.reading())
    assert registry.verify().ok


def test_each_tenant_has_a_log_of_its_own(registry: Registry) -> None:
    other = registry.ring.create_tenant("other")
    theirs = registry.reading(actor=Actor("other", "dr.else", "user", (), "TREAT"), entities=())
    registry.commit(registry.reading(), theirs, registry.reading())
    assert (size(registry.db, TENANT), size(registry.db, "other")) == (2, 1)
    assert [entry.event for _, entry in entries(registry.db, other)] == [theirs]
    assert public_key(registry.db, registry.keys) != public_key(registry.db, registry.ring.tenant("other"))


def test_an_unknown_tenant_has_no_log(registry: Registry) -> None:
    stranger = registry.reading(actor=Actor("nowhere", "x", "user", (), ""), entities=())
    with pytest.raises(Problem) as caught:
        registry.log.entry(stranger)
    assert caught.value.kind is Kind.NOT_FOUND


def test_attack_forged_head_stops_the_release_of_data(registry: Registry) -> None:
    registry.fill()
    registry.db.execute("update audit_head set size=6, frontier=zeroblob(64)")
    problem = refused(registry, log=registry.new_log())
    assert "MAC" in problem.detail
    assert TENANT not in problem.public


def test_attack_head_deleted(registry: Registry) -> None:
    registry.fill()
    registry.db.execute("delete from audit_head")
    assert "missing" in refused(registry).detail
    assert "missing" in refused(registry, log=registry.new_log()).detail


def test_attack_the_whole_log_deleted(registry: Registry) -> None:
    registry.fill()
    for table in ("audit_head", "audit_batch", "audit_checkpoint"):
        registry.db.execute(f"delete from {table}")
    assert refused(registry, log=registry.new_log())


def test_attack_replayed_old_database_is_not_written_to(registry: Registry) -> None:
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
    assert "cut off" in refused(registry).detail  # the running process knows better
    assert "published" in refused(registry, log=registry.new_log()).detail  # and so does a new one


def test_attack_other_history_of_the_same_size(registry: Registry) -> None:
    registry.fill(1)
    registry.db.close()
    for path in registry.folder.glob("records.db*"):
        path.unlink()
    registry.db = registry.connect()
    store.prepare(registry.db)
    elsewhere = registry.folder / "elsewhere"
    registry.checkpoints, kept = elsewhere, registry.checkpoints
    registry.log = registry.new_log()
    registry.fill(1)
    registry.checkpoints = kept
    assert "not those" in refused(registry, log=registry.new_log()).detail


def test_a_damaged_tenant_does_not_hold_up_the_others(registry: Registry) -> None:
    registry.ring.create_tenant("other")
    theirs = registry.reading(actor=Actor("other", "dr.else", "user", (), "TREAT"), entities=())
    registry.commit(registry.reading(), theirs)
    registry.db.execute("update audit_head set mac=zeroblob(32) where tenant=?", (TENANT,))
    refused(registry)
    registry.commit(theirs)
    registry.clock.ms += 2_000
    assert not registry.rest(registry.new_log())
    assert size(registry.db, "other") == 2


def test_a_folder_that_cannot_be_written_stops_no_request(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    registry.commit(registry.reading())
    away = registry.checkpoints.rename(registry.folder / "away")
    registry.checkpoints.write_text("in the way")
    with caplog.at_level(logging.ERROR):
        registry.fill(3)
    assert [record.getMessage() for record in caplog.records] == ["checkpoints cannot be published: FileExistsError"]
    assert size(registry.db, TENANT) == 10
    registry.checkpoints.unlink()
    away.rename(registry.checkpoints)
    registry.rest()
    assert published(registry) == 10
    assert registry.verify().ok


def test_a_new_process_that_cannot_read_what_was_published_refuses(registry: Registry) -> None:
    registry.fill(1)
    registry.checkpoints.rename(registry.folder / "away")
    registry.checkpoints.write_text("in the way")
    assert "cannot be read" in refused(registry, log=registry.new_log()).detail


def test_logs_hold_no_values(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    registry.fill()
    registry.db.execute("update audit_head set mac=zeroblob(32)")
    with caplog.at_level(logging.DEBUG):
        refused(registry, log=registry.new_log())
    assert "dr.amara" not in caplog.text
    assert "obs-" not in caplog.text


def test_appending_without_the_check_is_refused(registry: Registry) -> None:
    part = [(TENANT, registry.clock.ms, registry.log.entry(registry.reading()))]
    with pytest.raises(Problem) as caught:
        registry.new_log().apply(registry.db, [part])
    assert caught.value.kind is Kind.UNAVAILABLE


def test_events_without_a_patient_are_kept_too(registry: Registry) -> None:
    event = registry.reading(type=EventType.AUTH_SIGNIN, entities=(), reason="password and code")
    registry.commit(event)
    assert [entry.event for _, entry in entries(registry.db, registry.keys)] == [event]
