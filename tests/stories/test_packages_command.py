# SPDX-License-Identifier: Apache-2.0
"""An operator installs a package; the running server knows it, and the log says who did it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.clinic import Clinic
from tests.support.packages import about, archive, code_system, package

from salus.cli import main

URL = "http://example.org/colours"


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_a_package_comes_is_listed_and_goes(clinic: Clinic, tmp_path: Path) -> None:
    path = package(tmp_path / "p.tgz", code_system(), described=about(dependencies={"other.guide": "1.0.0"}))
    said = run("package", "install", path, "--data-dir", clinic.folder)
    assert said.exit_code == 0, said.output
    assert "installed example.colours#1.0.0: 1 CodeSystem" in said.output
    assert "other.guide#1.0.0" in said.output
    assert clinic.context("physician").knowledge.find("CodeSystem", URL) is not None
    assert "is installed already" in run("package", "install", path, "--data-dir", clinic.folder).output
    clinic.close()
    clinic.open()
    assert clinic.context("physician").knowledge.find("CodeSystem", URL) is not None
    listed = run("package", "list", "--data-dir", clinic.folder).output
    assert "example.colours" in listed
    assert "hl7.fhir.us.core" in listed
    assert "the library opens: 1 packages" in run("doctor", "--data-dir", clinic.folder).output
    assert run("package", "remove", "example.colours#1.0.0", "--data-dir", clinic.folder).exit_code == 0
    assert clinic.context("physician").knowledge.find("CodeSystem", URL) is None
    assert run("package", "remove", "example.colours", "--data-dir", clinic.folder).exit_code == 2
    entries = clinic.as_("auditor").get("/fhir/AuditEvent?_count=50").json()["entry"]
    names = [entry["resource"]["subtype"][-1]["code"] for entry in entries]
    assert names.count("package.install") == 1
    assert names.count("package.remove") == 1


def test_a_folder_of_packages_with_a_bad_one_in_it(clinic: Clinic, tmp_path: Path) -> None:
    folder = tmp_path / "packages"
    folder.mkdir()
    package(folder / "a.tgz", code_system())
    archive(folder / "b.tgz", {"package/nothing.json": {}})
    said = run("package", "install", folder, "--data-dir", clinic.folder)
    assert said.exit_code == 1
    assert "refused b.tgz" in said.output
    assert clinic.context("physician").knowledge.find("CodeSystem", URL) is not None


def test_a_server_installs_what_its_settings_name_and_stops_when_it_cannot(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr("salus.cli.start.run_server", lambda settings: started.append(settings.base_url))
    monkeypatch.setattr("salus.cli.start.check_free", lambda _: None)  # nobody listens in this test
    settings = clinic.folder / "salus.toml"
    settings.write_text(settings.read_text("utf-8") + '\n[knowledge]\npackages = "packages"\n', "utf-8")
    assert run("serve", "--data-dir", clinic.folder).exit_code == 4  # the folder is missing
    folder = clinic.folder / "packages"
    folder.mkdir()
    package(folder / "a.tgz", code_system())
    for _ in range(2):
        said = run("serve", "--data-dir", clinic.folder)
        assert said.exit_code == 0, said.output
    assert clinic.as_("nurse").get(f"/fhir/CodeSystem/$lookup?system={URL}&code=red").status_code == 200
    archive(folder / "b.tgz", {"package/nothing.json": {}})
    said = run("serve", "--data-dir", clinic.folder)
    assert said.exit_code == 2
    assert "b.tgz" in said.output
    assert len(started) == 2
