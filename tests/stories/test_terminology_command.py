# SPDX-License-Identifier: Apache-2.0
"""An operator loads a licensed code system; a clinic that was told "not here" gets its answer, without a restart."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support import releases
from tests.support.clinic import Clinic

from salus.cli import main

SCT = "http://snomed.info/sct"


def condition(id_: str, code: str) -> dict[str, object]:
    status = {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}
    return {
        "resourceType": "Condition",
        "id": id_,
        "clinicalStatus": {"coding": [status]},
        "subject": {"reference": "Patient/anna"},
        "code": {"coding": [{"system": SCT, "code": code}]},
    }


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_snomed_is_loaded_asked_and_removed(clinic: Clinic, tmp_path: Path) -> None:
    nurse = clinic.as_("nurse")
    look = f"/fhir/CodeSystem/$lookup?system={SCT}&code=103"
    assert nurse.get(look).status_code == 404
    expand = f"/fhir/ValueSet/$expand?url={SCT}?fhir_vs=isa/101"
    said = run("terminology", "load", "snomed", releases.snomed(tmp_path / "release"), "--data-dir", clinic.folder)
    assert said.exit_code == 0, said.output
    assert "loaded SNOMED CT" in said.output
    assert "names:" in said.output  # how far it is
    display = {each["name"]: each for each in nurse.get(look).json()["parameter"]}["display"]
    assert display["valueString"] == "Shiny ball"
    for number, code in enumerate(("101", "102", "103")):
        clinic.as_("service").put(f"/fhir/Condition/shiny-{number}", condition(f"shiny-{number}", code))
    found = {
        query: {each["id"] for each in nurse.find(f"Condition?{query}")}
        for query in (f"code:below={SCT}|101", f"code:above={SCT}|103", f"code:in={SCT}?fhir_vs=refset/900")
    }
    assert list(found.values()) == [{"shiny-0", "shiny-2"}, {"shiny-0", "shiny-1", "shiny-2"}, {"shiny-2"}]
    listed = nurse.get(expand).json()["expansion"]
    assert [each["code"] for each in listed["contains"]] == ["101", "103"]
    related = f"/fhir/CodeSystem/$subsumes?system={SCT}&codeA=100&codeB=103"
    assert nurse.get(related).json()["parameter"][0]["valueCode"] == "subsumes"
    assert SCT in run("terminology", "list", "--data-dir", clinic.folder).output
    assert run("terminology", "remove", SCT, "--data-dir", clinic.folder).exit_code == 0
    assert nurse.get(look).status_code == 404
    entries = clinic.as_("auditor").get("/fhir/AuditEvent?_count=50").json()["entry"]
    names = [entry["resource"]["subtype"][-1]["code"] for entry in entries]
    assert (names.count("terminology.load"), names.count("terminology.remove")) == (1, 1)


@pytest.mark.parametrize("words", [("load", "icd", "."), ("load", "loinc", "/nowhere"), ("remove", "http://loinc.org")])
def test_misuse_is_told(clinic: Clinic, words: tuple[str, ...]) -> None:
    assert run("terminology", *words, "--data-dir", clinic.folder).exit_code == 2


def test_a_release_that_is_none_changes_nothing(clinic: Clinic, tmp_path: Path) -> None:
    path = releases.loinc(tmp_path / "release")
    shutil.rmtree(path / "LoincTable")
    said = run("terminology", "load", "loinc", path, "--data-dir", clinic.folder)
    assert said.exit_code == 2
    assert "Loinc.csv" in said.output
