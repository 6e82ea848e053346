# SPDX-License-Identifier: Apache-2.0
"""The doctor says when backups are missing, old or never restored on trial."""

from __future__ import annotations

from pathlib import Path

from salus.app import backup as making
from salus.app.found import found
from salus.app.safety_backups import backups_could_be_better
from salus.kernel.settings import Settings, load
from tests.support.backups import Backups, run
from tests.support.hand_clock import HandClock

DAY_MS = 86_400_000


def told(settings: Settings, clock: HandClock) -> str:
    return " ".join(each.what for each in backups_could_be_better(settings, clock))


def test_advice_follows_what_was_done(tmp_path: Path) -> None:
    found(tmp_path / "data")
    clock = HandClock()
    assert "No backups are set up" in told(load(tmp_path / "data"), clock)
    backups = Backups(tmp_path / "data", tmp_path)
    settings = load(tmp_path / "data")
    assert "No backup was made" in told(settings, clock)
    backups.create()
    assert told(settings, clock) == "No backup was ever restored on trial: nobody knows that one can be."
    drilled = run("backup", "drill", "--identity", backups.identity, "--data-dir", backups.folder)
    assert drilled.exit_code == 0, drilled.output
    assert told(settings, clock) == ""
    clock.forward(3 * DAY_MS + 3_600_000)
    assert told(settings, clock) == "The newest backup is 3 days old."
    clock.forward(100 * DAY_MS)
    assert "last restored on trial 103 days ago" in told(settings, clock)
    assert making.last_drill(settings)
