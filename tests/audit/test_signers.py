# SPDX-License-Identifier: Apache-2.0
"""The key that signs the log is changed: what it signed stays good, what it signs from then on is worth nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from salus.audit import store
from salus.audit.checkpoint import NoteReader
from salus.audit.event import EventType
from salus.audit.log import AuditLog
from salus.audit.report import FindingKind
from salus.audit.signers import LogReader, SignerWrites, Turn, followed, public_key, signer_of
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem

from .registry import TENANT, Registry, kinds


def turn(registry: Registry, *, log: AuditLog | None = None) -> str:
    """Change keys as the writer does, in one group; gives the new public key."""
    log, db = log or registry.log, registry.db
    unit, number = Unit(), len(store.signers(db, TENANT)) + 2
    log.add(unit, registry.reading(type=EventType.KEYS_ROTATE, entities=()))
    signers = SignerWrites(log)
    db.execute("begin immediate")
    log.begin(db)
    log.check(db, unit.parts["audit"])
    signers.check(db, Turn(TENANT, number))
    log.apply(db, [unit.parts["audit"]])
    signers.apply(db, [Turn(TENANT, number)])
    db.execute("commit")
    log.committed()
    return public_key(db, registry.keys)


def latest(registry: Registry) -> str:
    return (registry.checkpoints / f"{TENANT}.latest").read_text("utf-8")


def statements(registry: Registry) -> str:
    return (registry.checkpoints / f"{TENANT}.keys").read_text("utf-8")


def test_the_log_goes_on_and_is_whole_over_three_keys(registry: Registry) -> None:
    first = public_key(registry.db, registry.keys)
    registry.fill()
    second = turn(registry)
    registry.fill()
    third = turn(registry)
    registry.fill()
    assert len({first, second, third}) == 3
    assert registry.verify().ok
    assert registry.verify().findings == []
    assert NoteReader(third).open(latest(registry)).size == registry.verify().size
    for former in (first, second):
        with pytest.raises(Problem, match="not signed by the key"):
            NoteReader(former).open(latest(registry))


def test_the_checkpoint_of_the_change_is_signed_by_both_keys(registry: Registry) -> None:
    """Whoever knows only the former key, or only the new one, sees the same size and root."""
    registry.fill()
    first = public_key(registry.db, registry.keys)
    second = turn(registry)
    both = latest(registry)
    assert NoteReader(first).open(both) == NoteReader(second).open(both)
    assert NoteReader(first).open(both).size == store.signers(registry.db, TENANT)[0].since == 13


def test_an_outsider_follows_from_the_key_that_was_kept_to_the_newest(registry: Registry) -> None:
    first = public_key(registry.db, registry.keys)
    registry.fill()
    second = turn(registry)
    registry.fill()
    third = turn(registry)
    assert followed(first, statements(registry)) == [first, second, third]
    assert followed(second, statements(registry)) == [second, third]
    assert followed(third, statements(registry)) == [third]
    forged = statements(registry).replace(third, signer_of(registry.keys, 9).public)
    with pytest.raises(Problem) as caught:
        followed(first, forged)
    assert caught.value.kind is Kind.INVALID


def test_a_statement_is_no_checkpoint(registry: Registry) -> None:
    registry.fill(1)
    second = turn(registry)
    with pytest.raises(Problem) as caught:
        NoteReader(second).open(statements(registry))
    assert caught.value.kind is Kind.INVALID


def test_a_stolen_former_key_signs_nothing_that_is_believed(registry: Registry) -> None:
    """It continues the log as if it had never been changed; it puts another root under an old size."""
    registry.fill()
    turn(registry)
    registry.fill()
    assert registry.verify().ok
    stolen, size = signer_of(registry.keys, 1), registry.verify().size
    reader = LogReader.of(registry.db, registry.keys)
    root = registry.verify().root
    with pytest.raises(Problem, match="replaced before"):
        reader.open(stolen.sign(size, root))
    registry.log._published.publish(TENANT, stolen.sign(size + 5, bytes(32)), size + 5)
    report = registry.verify()
    assert kinds(report) == {FindingKind.CHECKPOINT}
    registry.log._published.publish(TENANT, stolen.sign(6, bytes(32)), 6)
    assert FindingKind.FORKED in kinds(registry.verify())


def test_the_change_cannot_be_taken_back_in_the_database(registry: Registry) -> None:
    """So that the stolen former key would be believed again."""
    registry.fill()
    turn(registry)
    registry.fill()
    registry.db.execute("delete from audit_signer")
    report = registry.verify()
    assert not report.ok
    assert any("does not know" in finding.text for finding in report.findings)


def test_an_old_database_is_noticed_across_a_change_of_keys(registry: Registry, tmp_path: Path) -> None:
    registry.fill()
    kept = registry.path.read_bytes(), registry.path.with_name("records.db-wal").read_bytes()
    turn(registry)
    registry.fill()
    registry.db.close()
    registry.path.write_bytes(kept[0])
    registry.path.with_name("records.db-wal").write_bytes(kept[1])
    registry.path.with_name("records.db-shm").unlink(missing_ok=True)
    registry.db = registry.connect()
    registry.log = registry.new_log()
    with pytest.raises(Problem) as caught:
        registry.commit(registry.reading())
    assert caught.value.kind is Kind.UNAVAILABLE
    assert "were published" in (caught.value.detail or "")


def test_another_process_signs_with_the_new_key_at_once(registry: Registry) -> None:
    other = registry.new_log()
    registry.commit(registry.reading(), log=other)
    second = turn(registry)
    registry.clock.ms += 2_000
    registry.commit(registry.reading(), log=other)
    assert NoteReader(second).open(latest(registry)).size == 3
    assert registry.verify().ok


def test_only_one_of_two_that_change_at_once_does_it(registry: Registry) -> None:
    registry.fill(1)
    turn(registry)
    with pytest.raises(Problem) as caught:
        SignerWrites(registry.log).check(registry.db, Turn(TENANT, 2))
    assert caught.value.kind is Kind.CONFLICT


def test_a_crash_before_the_statement_is_published_is_made_good(registry: Registry) -> None:
    registry.fill(1)
    first = public_key(registry.db, registry.keys)
    turn(registry)
    (registry.checkpoints / f"{TENANT}.keys").unlink()
    registry.commit(registry.reading(), log=registry.new_log())
    assert len(followed(first, statements(registry))) == 2
