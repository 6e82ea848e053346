# SPDX-License-Identifier: Apache-2.0
"""The journal of the audit log: what a crash leaves is found again, and what somebody does to it is noticed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from salus.audit.event import EventType
from salus.audit.journal import Journal, Left, last_numbers, left
from salus.audit.log import AuditLog
from salus.audit.reading import entries, size
from salus.audit.recovery import behind, recover
from salus.crypto.envelope import SealingKey
from salus.kernel.commit import Unit
from salus.kernel.db import exclusive

from .registry import NURSE, PHYSICIAN, TENANT, Registry

KEY = bytes(range(32))


@pytest.fixture
def folder(registry: Registry) -> Path:
    return registry.folder / "journals"


class Desk:
    """A process with a journal over a clinic's log; `crash` leaves everything as kill -9 does."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self.registry = registry
        self.folder = folder
        self.journal = Journal(folder, SealingKey(KEY))
        self.log = AuditLog(registry.ring.tenant, registry.clock, registry.checkpoints, self.journal)

    def read(self, number: int) -> None:
        """One answered read."""
        unit = Unit()
        self.log.add(unit, self.registry.reading(request=f"request-{number}"))
        self.log.keep(self.registry.db, [unit.parts["audit"]])

    def group(self) -> None:
        """A group commit with nothing else in it."""
        with exclusive(self.registry.db):
            self.log.begin(self.registry.db)
        self.log.committed()

    def crash(self) -> Path:
        """Die, and leave the file."""
        path = self.folder / f"{self.journal.name}.journal"
        assert self.journal._file is not None
        self.journal._file.close()
        self.journal._file = None
        return path


@pytest.fixture
def desk(registry: Registry, folder: Path) -> Desk:
    return Desk(registry, folder)


def recovered(desk: Desk) -> list[tuple[EventType, str]]:
    """What the log says after another process has started."""
    log = AuditLog(desk.registry.ring.tenant, desk.registry.clock, desk.registry.checkpoints)
    recover(log, desk.registry.db, desk.folder, SealingKey(KEY), desk.registry.clock)
    found = entries(desk.registry.db, desk.registry.keys)
    return [(entry.event.type, entry.event.request) for _, entry in found]


def reads(*numbers: int) -> list[tuple[EventType, str]]:
    return [(EventType.RECORD_READ, f"request-{number}") for number in numbers]


def test_a_group_takes_the_journal_in_and_the_file_is_used_again(desk: Desk) -> None:
    for number in range(5):
        desk.read(number)
    assert size(desk.registry.db, TENANT) == 0
    assert behind(desk.registry.db, desk.folder)
    desk.group()
    assert size(desk.registry.db, TENANT) == 5
    assert not behind(desk.registry.db, desk.folder)
    before = (desk.folder / f"{desk.journal.name}.journal").stat().st_size
    for number in range(5, 400):
        desk.read(number)
        desk.group()
    assert (desk.folder / f"{desk.journal.name}.journal").stat().st_size == before
    desk.log.close(desk.registry.db)
    assert not list(desk.folder.iterdir())
    assert desk.registry.verify().ok
    assert recovered(desk) == reads(*range(400))


def test_what_a_crash_leaves_is_taken_in_once(desk: Desk) -> None:
    desk.read(1)
    desk.group()
    for number in (2, 3, 4):
        desk.read(number)
    desk.crash()
    assert recovered(desk) == reads(1, 2, 3, 4)
    assert recovered(desk) == reads(1, 2, 3, 4)
    assert not list(desk.folder.iterdir())
    assert desk.registry.verify().ok


def test_a_crash_after_the_group_and_before_the_file_is_reused(desk: Desk) -> None:
    for number in (1, 2, 3):
        desk.read(number)
    desk.group()
    desk.crash()
    assert recovered(desk) == reads(1, 2, 3)


def test_the_journal_of_a_living_process_is_left_alone(desk: Desk) -> None:
    desk.read(1)
    assert recovered(desk) == []
    assert list(left(desk.folder)) == []
    assert last_numbers(desk.folder) == {desk.journal.name: 1}


def test_a_group_that_fails_leaves_the_entries_where_they_were(desk: Desk) -> None:
    desk.read(1)
    desk.registry.db.execute("begin immediate")
    desk.log.begin(desk.registry.db)
    desk.registry.db.execute("rollback")
    desk.log.rolled_back()
    assert desk.log.kept()
    desk.read(2)
    desk.group()
    desk.log.close(desk.registry.db)
    assert recovered(desk) == reads(1, 2)


def torn(path: Path) -> None:
    """The last frame reached the disk in part."""
    data = bytearray(path.read_bytes())
    data[2 * 4096 + 200 : 3 * 4096] = bytes(3896)
    path.write_bytes(data)


def test_a_torn_last_frame_is_no_tampering(desk: Desk) -> None:
    for number in (1, 2, 3):
        desk.read(number)
    torn(desk.crash())
    assert recovered(desk) == reads(1, 2)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 + 100] ^= 1
    path.write_bytes(data)


def _swap(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:4096] + data[8192:12288] + data[4096:8192] + data[12288:])


@pytest.mark.parametrize("attack", [_flip, _swap, Path.unlink])
def test_an_altered_or_missing_journal_leaves_a_gap_entry(desk: Desk, attack: Callable[[Path], None]) -> None:
    desk.read(0)
    desk.group()
    for number in (1, 2, 3):
        desk.read(number)
    attack(desk.crash())
    found = recovered(desk)
    assert found[0] == reads(0)[0]
    assert found[-1][0] is EventType.AUDIT_GAP
    assert reads(3)[0] not in found
    assert recovered(desk) == found  # told once


def test_a_journal_of_another_process_in_its_place_does_not_open(desk: Desk, registry: Registry, folder: Path) -> None:
    other = Desk(registry, folder)
    for one in (desk, other):
        one.read(1)
    mine, theirs = desk.crash(), other.crash()
    mine.write_bytes(theirs.read_bytes())
    with mine.open("rb") as file:
        assert Left(mine, file).frames(SealingKey(KEY), 0) == ([], False)


def test_no_plain_text_lies_in_the_file(desk: Desk) -> None:
    desk.read(1)
    data = (desk.folder / f"{desk.journal.name}.journal").read_bytes()
    for word in (PHYSICIAN.id, NURSE.id, "request-1", "record.read", TENANT):
        assert word.encode() not in data
