# SPDX-License-Identifier: Apache-2.0
"""After every rotation, and in the middle of one, the database is as it was written: `salus verify` says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support.backups import Backups
from tests.support.clinic import Clinic

from salus.app.indexing import operator
from salus.app.rotating import end_patient, rotate_index, rotate_patient, rotate_signing
from salus.cli import main
from salus.records.index_turn import begin


def whole(clinic: Clinic, folder: Path | None = None) -> bool:
    """Whether log, rows, index and contents are what was written."""
    if folder is None:
        clinic.close()
    done = CliRunner().invoke(main, ["verify", "--data-dir", str(folder or clinic.folder)])
    if folder is None:
        clinic.open()
    assert done.exit_code == 0, done.output
    return True


@pytest.mark.parametrize("kind", ["index begun", "index", "patient begun", "patient", "signing"])
def test_the_database_is_whole(clinic: Clinic, kind: str) -> None:
    house, owner = clinic.house, clinic.house.desk.owner("default", "anna")
    content = b"x" * 200_000
    headers = {"x-security-context": "Patient/anna", "content-type": "image/png"}
    assert clinic.as_("service").request("POST", "/fhir/Binary", content=content, headers=headers).is_success

    async def rotated() -> None:
        if kind == "index begun":
            await begin(operator(house, "default"))
        elif kind == "index":
            await rotate_index(house, "default")
        elif kind == "signing":
            await rotate_signing(house, "default")
        else:
            done = await rotate_patient(house, "default", owner, "anna")
            if kind == "patient":
                await end_patient(house, "default", owner, "anna", done)

    clinic.run(rotated())
    assert whole(clinic)
    assert clinic.as_("physician").get("/fhir/Patient/anna").status_code == 200


def test_a_restored_database_is_whole_with_its_new_index(clinic: Clinic, tmp_path: Path) -> None:
    backups = Backups(clinic.folder, tmp_path)
    backups.create()
    done = backups.restore(tmp_path / "again")
    assert done.exit_code == 0, done.output
    assert whole(clinic, tmp_path / "again")
