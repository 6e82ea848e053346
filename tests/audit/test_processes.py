# SPDX-License-Identifier: Apache-2.0
"""Several processes on one file, and processes that are killed: the log stays whole and keeps every promise."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from salus.audit.reading import entries, size
from salus.audit.report import FindingKind
from tests.support.served import PATIENCE

from .registry import TENANT, Registry, kinds

APPENDER = Path(__file__).with_name("appender.py")


def start(registry: Registry, name: str, groups: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(APPENDER), str(registry.folder), name, str(groups)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_append_at_once(registry: Registry) -> None:
    names = ["north", "south"]
    running = [start(registry, name, 25) for name in names]
    for process in running:
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    report = registry.verify()
    assert report.ok
    assert report.size == report.signed == 150
    by_actor = Counter(entry.event.actor.id for _, entry in entries(registry.db, registry.keys))
    assert by_actor == {"north": 75, "south": 75}


def crash(registry: Registry, after: int) -> int:
    """Run an appender and kill it after so many groups; returns how many it promised were durable."""
    process = start(registry, f"life-{after}", 10_000)
    assert process.stdout is not None
    promised = 0
    for _ in range(after):
        process.stdout.readline()
        promised += 1
    process.kill()
    rest, _ = process.communicate(timeout=PATIENCE)
    return promised + rest.count("\n")


@pytest.mark.parametrize("afters", [(1, 4, 9)])
def test_kill_between_append_and_checkpoint(registry: Registry, afters: tuple[int, ...]) -> None:
    promised = 0
    for after in afters:
        promised += 3 * crash(registry, after)
        report = registry.verify()
        assert report.ok, report.findings
        assert kinds(report) <= {FindingKind.UNSIGNED, FindingKind.TORN_NOTE}
        assert report.size >= promised  # what was answered is kept; what was on its way may be
        promised = report.size
    registry.log.checkpoint_now(registry.db)
    registry.commit(registry.reading())
    assert size(registry.db, TENANT) == promised + 1
    assert registry.verify().ok


@pytest.mark.deep
def test_kill_loop(registry: Registry) -> None:
    test_kill_between_append_and_checkpoint(registry, tuple(range(1, 13)))
