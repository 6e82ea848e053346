# SPDX-License-Identifier: Apache-2.0
"""What is shipped is whole: it expands where its code systems are there, and says why where they are not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from salus.fhir.definitions import structure
from salus.fhir.terminology.protocol import Cause, Coding
from salus.fhir.terminology.written import Asked, expand
from salus.kernel.errors import Kind, Problem
from salus.knowledge.library import Library
from salus.knowledge.packages import installing
from salus.knowledge.shipped import shipped

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "us-core"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return Library(tmp_path_factory.mktemp("nothing") / "knowledge.db", lambda: None)


def test_nine_of_ten_value_sets_expand_and_the_others_are_told_why(library: Library) -> None:
    membership = library.engine().membership
    ended: Counter[str] = Counter()
    for file in shipped():
        for type_, url in file.keys:
            value_set = membership.value_set(url) if type_ == "ValueSet" else None
            if value_set is None:
                continue
            try:
                expand(membership, value_set, Asked("urn:uuid:1", "2020-01-01T00:00:00Z", count=20))
                ended["listed"] += 1
            except Problem as problem:
                ended[problem.kind.value] += 1
    assert ended["listed"] > 0.9 * ended.total()
    assert ended.keys() <= {"listed", Kind.NOT_FOUND.value, Kind.TOO_COSTLY.value}


def test_required_bindings_hold_the_same_codes_as_the_table_of_the_validator(library: Library) -> None:
    engine = library.engine()
    compared = 0
    for url, codes in structure().value_sets.items():
        members = engine.members(url)
        if members is not None:
            compared += 1
            assert {code for _, code in members} == set(codes), url
    assert compared > 100


@pytest.mark.parametrize(
    ("system", "code", "display"),
    [
        ("http://terminology.hl7.org/CodeSystem/v2-0203", "MR", "Medical record number"),
        ("http://terminology.hl7.org/CodeSystem/v3-ActReason", "TREAT", "treatment"),
        ("http://hl7.org/fhir/administrative-gender", "female", "Female"),
        ("http://unitsofmeasure.org", "mm[Hg]", ""),
    ],
)
def test_codes_that_every_clinic_uses(library: Library, system: str, code: str, display: str) -> None:
    assert library.engine().validate_in_system(Coding(system, code, display)).result is True


def test_licensed_systems_are_not_claimed(library: Library) -> None:
    engine = library.engine()
    for system in ("http://loinc.org", "http://snomed.info/sct", "http://www.nlm.nih.gov/research/umls/rxnorm"):
        verdict = engine.validate_in_system(Coding(system, "1"))
        assert verdict.result is None
        assert verdict.cause in {Cause.UNKNOWN_SYSTEM, Cause.INCOMPLETE}


@pytest.mark.parametrize("version", ["6.1.0", "7.0.0"])
def test_us_core_installs_without_a_refusal(tmp_path: Path, version: str) -> None:
    path = DATA / f"hl7.fhir.us.core-{version}.tgz"
    if not path.is_file():
        pytest.skip("the collection ../shared/data/us-core is not here")
    library = Library(tmp_path / "knowledge.db", lambda: None)
    with installing(library, path, 1) as report:
        pass
    assert report.refused == []
    assert report.installed["StructureDefinition"] > 50
    found = library.find(
        "StructureDefinition", "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient", version
    )
    assert found is not None
    assert any(each["url"].endswith("us-core-race") for each in library.search_parameters())
    library.close()
