# SPDX-License-Identifier: Apache-2.0
"""`salus import --report`: what was refused stands there, whatever became of the run."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result
from tests.support.clinic import Clinic

from salus.cli import main


def _import(clinic: Clinic, *arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["import", *map(str, arguments), "--data-dir", str(clinic.folder)])


def test_the_report_is_added_to(clinic: Clinic, tmp_path: Path) -> None:
    report = tmp_path / "refused.tsv"
    for name in ("a.ndjson", "b.ndjson"):
        refused = f'{{"resourceType":"Patient","birthDate":"{name}"}}'
        (tmp_path / name).write_text(f'{refused}\n{{"resourceType":"Patient","id":"{name}"}}\n')
        answer = _import(clinic, tmp_path / name, "--report", report)
        assert answer.exit_code == 1
        assert "imported 1 resources, refused 1" in answer.stdout
        assert f"refused {tmp_path / name}" in answer.stderr
    again = _import(clinic, tmp_path / "a.ndjson", "--report", report)
    assert "2 dealt with by an earlier run" in again.stdout
    lines = [line.split("\t") for line in report.read_text().splitlines()]
    assert [(Path(file).name, place) for file, place, _ in lines] == [
        ("a.ndjson", "line 1, Patient.birthDate"),
        ("b.ndjson", "line 1, Patient.birthDate"),
    ]


def test_a_report_that_cannot_be_written_is_told_before_anything_is_taken(clinic: Clinic, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"resourceType":"Patient","id":"untaken"}')
    answer = _import(clinic, tmp_path / "p.json", "--report", tmp_path / "no" / "refused.tsv")
    assert answer.exit_code == 2
    assert "The report cannot be written" in answer.stderr
    assert clinic.as_("service").get("/fhir/Patient/untaken").status_code == 404
