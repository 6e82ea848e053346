# SPDX-License-Identifier: Apache-2.0
"""The tool that forges audit entries for demonstration: harmless to what it is given, and caught in what it makes."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.support.clinic import Clinic
from tests.support.served import PATIENCE, salus


def forge(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "tools" / "forge.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def state(folder: Path) -> dict[str, str]:
    """Hashes of the files; without the shared memory of SQLite, which readers write too."""
    files = (file for file in folder.rglob("*") if file.is_file() and not file.name.endswith("-shm"))
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture
def closed(clinic: Clinic) -> Path:
    """The data folder of a clinic in which the nurse has read a record, and nobody is any more."""
    assert clinic.as_("nurse").get("/fhir/Patient/anna").status_code == 200
    clinic.house.close()
    clinic.open()
    return clinic.folder


def test_the_forging_tool_refuses_to_work_without_a_copy(closed: Path, tmp_path: Path) -> None:
    before = state(closed)
    (tmp_path / "there").mkdir()
    for arguments in (
        (closed,),
        (closed, "--copy", closed),
        (closed, "--copy", tmp_path / "there"),
        (closed, "--copy", closed / "inside"),
        (tmp_path / "there", "--copy", tmp_path / "new"),
    ):
        done = forge(*arguments)
        assert done.returncode == 2, arguments
        assert done.stderr.startswith("forge: ")
    assert state(closed) == before
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("how", "found"), [((), "rearranged"), (("--thorough",), "forked")])
def test_a_forged_entry_is_named_and_the_original_stays_whole(
    closed: Path, tmp_path: Path, how: tuple[str, ...], found: str
) -> None:
    done = forge(closed, "--copy", tmp_path / "copy", "--account", "bert", *how)
    assert "now says bert instead of nurse" in done.stdout, done.stderr
    number = int(done.stdout.split("entry ")[1].split(" ")[0])
    caught = salus("audit", "verify", "--data-dir", tmp_path / "copy", check=False)
    assert caught.returncode == 1
    place = re.search(rf"FOUND {found} at entry (\d+)", caught.stdout)
    assert place is not None, caught.stdout
    assert int(place[1]) == number if found == "rearranged" else int(place[1]) <= number
    assert "The log was tampered with." in caught.stdout
    assert salus("audit", "verify", "--data-dir", closed).stdout.endswith("The log is whole.\n")
