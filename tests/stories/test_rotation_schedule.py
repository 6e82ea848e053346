# SPDX-License-Identifier: Apache-2.0
"""What is due to be rotated is said, and one command does it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.clinic import Clinic

from salus.app.rotating import rotate_patient, rotate_signing
from salus.app.schedule import INDEX, KMS, PATIENT, SIGNING, TENANT, Planned, planned
from salus.cli import main

_DAY_MS = 86_400_000


def run(folder: Path, *words: str) -> Result:
    done = CliRunner().invoke(main, [*words, "--data-dir", str(folder)])
    assert done.exit_code == 0, done.output
    return done


def plan(clinic: Clinic) -> dict[str, Planned]:
    house = clinic.house
    return {one.kind: one for one in planned(house.db, house.keyring, house.settings, "default")}


def now(clinic: Clinic) -> int:
    return clinic.house.clock.now_ms()


def due(clinic: Clinic, later_days: int) -> set[str]:
    return {kind for kind, one in plan(clinic).items() if one.is_due(now(clinic) + later_days * _DAY_MS)}


def test_nothing_is_due_at_first_and_everything_in_time(clinic: Clinic) -> None:
    assert all(one.never for one in plan(clinic).values())
    assert due(clinic, 0) == set()
    assert due(clinic, 91) == {TENANT}
    assert due(clinic, 366) == {KMS, TENANT, INDEX, SIGNING}
    assert plan(clinic)[PATIENT].due is None  # a patient's key is changed for a reason, not by the calendar


def test_a_rotation_counts_from_when_it_was_made(clinic: Clinic) -> None:
    clinic.house.keyring.table.note_rotation("default", SIGNING, now(clinic) - 366 * _DAY_MS)
    assert due(clinic, 0) == {SIGNING}
    assert "DUE since" in plan(clinic)[SIGNING].words(now(clinic))
    clinic.run(rotate_signing(clinic.house, "default"))
    assert due(clinic, 0) == set()
    assert "last on" in plan(clinic)[SIGNING].words(now(clinic))


@pytest.mark.parametrize("kind", [KMS, TENANT, SIGNING])
def test_status_and_doctor_say_it_and_rotate_due_does_it(clinic: Clinic, kind: str) -> None:
    clinic.house.keyring.table.note_rotation("" if kind == KMS else "default", kind, 1)
    clinic.close()
    lines = [json.loads(line) for line in run(clinic.folder, "keys", "status", "--json").output.splitlines()]
    assert sum("DUE since" in str(line["value"]) for line in lines) == 1
    assert f"salus keys rotate {kind}" in run(clinic.folder, "doctor").output
    run(clinic.folder, "keys", "rotate", "due")
    assert "DUE" not in run(clinic.folder, "keys", "status").output
    assert "no key of default is due" in run(clinic.folder, "doctor").output
    assert "Nothing is due." in run(clinic.folder, "keys", "rotate", "due").output
    clinic.open()


def test_what_was_begun_and_not_finished_is_said_and_finished(clinic: Clinic) -> None:
    owner = clinic.house.desk.owner("default", "anna")
    clinic.run(rotate_patient(clinic.house, "default", owner, "anna"))  # and killed before its end
    assert plan(clinic)[PATIENT].unfinished == "1 patients"
    clinic.close()
    assert "NOT FINISHED" in run(clinic.folder, "keys", "status").output
    assert "salus keys rewrap" in run(clinic.folder, "doctor").output
    assert "The former key is destroyed" in run(clinic.folder, "keys", "rewrap").output
    assert "NOT FINISHED" not in run(clinic.folder, "keys", "status").output
    clinic.open()
    assert clinic.as_("physician").get("/fhir/Patient/anna").status_code == 200
