# SPDX-License-Identifier: Apache-2.0
"""Profiles against US Core 6.1.0 and 7.0.0: every example of the packages fulfils them, and damaged ones do not."""

from __future__ import annotations

import copy
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from salus.fhir.json import decode
from salus.fhir.validate.finding import Finding, Severity
from salus.fhir.validate.knowledge import Held
from salus.fhir.validate.terms import Asked
from salus.fhir.validate.validator import Validator
from salus.knowledge.library import Library

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "us-core"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared test data is not on this machine")

Json = dict[str, Any]


@cache
def package(version: str) -> tuple[Held, tuple[Json, ...]]:
    """What a package defines, and its examples."""
    held, examples = Held(), []
    with tarfile.open(DATA / f"hl7.fhir.us.core-{version}.tgz") as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is None or not member.name.endswith(".json"):
                continue
            if member.name.startswith("package/example/"):
                resource = decode(file.read())
                if "resourceType" in resource:
                    examples.append(resource)
            elif member.name.count("/") == 1 and "-" in member.name:
                held.add(decode(file.read()))
    return held, tuple(examples)


def errors(validator: Validator, resource: Json) -> list[Finding]:
    return [found for found in validator.examine(resource) if found.severity is Severity.ERROR]


@pytest.mark.parametrize("version", ["6.1.0", "7.0.0"])
def test_every_profile_is_understood_and_every_example_fulfils_its_profiles(version: str, tmp_path: Path) -> None:
    held, examples = package(version)
    library = Library(tmp_path / "nothing installed", None)
    # The code systems that are shipped are those of 6.1.0; those of 7.0.0 would come with its installation.
    validator = Validator(held, Asked(library.engine) if version == "6.1.0" else None)
    profiles = [url for url, _ in held.all("StructureDefinition")]
    assert len(profiles) > 50
    assert [url for url in profiles if not validator.knows(url)] == []
    assert len(examples) > 150
    assert {e["id"]: found for e in examples if (found := errors(validator, e))} == {}


def damaged(profile: Json, example: Json) -> Iterator[tuple[str, Json]]:
    """Without one element that the profile requires at the top of the resource."""
    for element in profile["snapshot"]["element"]:
        path = element["path"].split(".")
        if len(path) != 2 or element["min"] < 1:
            continue
        stem = path[1].removesuffix("[x]")
        names = {n for n in example if n.lstrip("_") == stem or (stem != path[1] and n.lstrip("_").startswith(stem))}
        if names:
            yield f"{path[0]}.{stem}", {name: value for name, value in example.items() if name not in names}


def test_an_example_without_a_required_element_is_refused_at_its_place() -> None:
    held, examples = package("6.1.0")
    validator = Validator(held)
    tried = 0
    for example in examples:
        for url in example.get("meta", {}).get("profile", ()):
            profile = held.find("StructureDefinition", url)
            for place, damage in damaged(profile, example) if profile else ():
                found = errors(validator, damage)
                assert place in {one.place for one in found} or any(
                    place.split(".")[0] == one.place for one in found
                ), (
                    example["id"],
                    place,
                )
                tried += 1
    assert tried > 500


def of(kind: str, id_: str) -> Json:
    every = package("6.1.0")[1]
    return copy.deepcopy(next(one for one in every if (one["resourceType"], one["id"]) == (kind, id_)))


def test_wrong_slices_codes_and_extensions_are_refused_at_their_place() -> None:
    validator = Validator(package("6.1.0")[0])

    pressure = of("Observation", "blood-pressure")
    pressure["component"][0]["code"]["coding"][0]["code"] = "0000-0"
    assert {f.place for f in errors(validator, pressure)} == {"Observation.component"}

    pressure = of("Observation", "blood-pressure")
    pressure["component"][0]["valueQuantity"]["code"] = "kPa"
    # R4's own profile of blood pressures, which is asked for by the code, misses the slice as a whole.
    assert {f.place for f in errors(validator, pressure)} == {
        "Observation.component[0].value.ofType(Quantity).code",
        "Observation.component",
    }

    patient = of("Patient", "example")
    race = next(index for index, one in enumerate(patient["extension"]) if one["url"].endswith("us-core-race"))
    inner = patient["extension"][race]["extension"]
    patient["extension"][race]["extension"] = [one for one in inner if one["url"] != "text"]
    assert {f.place for f in errors(validator, patient)} == {f"Patient.extension[{race}].extension"}

    patient = of("Patient", "example")
    patient["extension"][race]["extension"].append({"url": "made-up", "valueString": "x"})
    assert f"Patient.extension[{race}]" in {f.place.rpartition(".")[0] for f in errors(validator, patient)}

    patient = of("Patient", "example")
    patient["name"][0]["extension"] = [patient["extension"][race]]
    assert "Patient.name[0].extension[0]" in {f.place for f in errors(validator, patient)}
