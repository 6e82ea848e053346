# SPDX-License-Identifier: Apache-2.0
"""What could be better about backups: whether there are any, how old they are, and whether one was ever restored."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from salus.app.backup import last_drill, last_made
from salus.app.concern import Concern
from salus.kernel.clock import Clock, SystemClock
from salus.kernel.errors import Problem
from salus.kernel.settings import Settings

_DAY_MS = 86_400_000
_OLD_DAYS = 2
_DRILL_DAYS = 90


def backups_could_be_better(settings: Settings, clock: Clock | None = None) -> Iterator[Concern]:
    """What should be mended."""
    if not settings.backup.place or not settings.backup.keys_place or not settings.backup.recipient:
        text = "No backups are set up: a broken disk or an intruder would take everything."
        yield Concern(text, "Set [backup] recipient, place and keys_place, and run from a timer: salus backup create")
        return
    now = (clock or SystemClock()).now_ms()
    try:
        made, drill = last_made(settings), last_drill(settings)
    except Problem as problem:
        yield Concern(problem.public, "Then run: salus backup create")
        return
    if not made:
        yield Concern("No backup was made to the places that are set.", "Run from a timer: salus backup create")
        return
    if (days := _days(made, now)) >= _OLD_DAYS:
        yield Concern(f"The newest backup is {days} days old.", "Run from a timer: salus backup create")
    if not drill:
        text = "No backup was ever restored on trial: nobody knows that one can be."
        yield Concern(text, "Run: salus backup drill --identity FILE")
    elif (days := _days(drill, now)) >= _DRILL_DAYS:
        text = f"A backup was last restored on trial {days} days ago."
        yield Concern(text, "Run: salus backup drill --identity FILE")


def _days(at: str, now: int) -> int:
    """Whole days since an instant."""
    return int((now - datetime.fromisoformat(at).timestamp() * 1000) // _DAY_MS)
