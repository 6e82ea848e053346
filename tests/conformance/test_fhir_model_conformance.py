# SPDX-License-Identifier: Apache-2.0
"""JSON and validation against material written by others: JSONTestSuite, HL7's examples and validator cases, Synthea,
and the snapshots of US Core, which restate R4's elements and so test the table of definitions itself."""

from __future__ import annotations

import gzip
import importlib.util
import json
import lzma
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from salus.fhir.definitions import structure
from salus.fhir.json import decode, encode
from salus.fhir.validate import check
from salus.fhir.validate.finding import Severity
from salus.fhir.validate.knowledge import Held
from salus.fhir.validate.validator import Validator
from salus.kernel.errors import Problem

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared test data is not on this machine")

# Official examples that we refuse, and why.
FAULTY_EXAMPLES = {
    ("StructureDefinition", "Definition"): "sdf-4",
    ("StructureDefinition", "Event"): "sdf-4",
    ("StructureDefinition", "FiveWs"): "sdf-4",
    ("StructureDefinition", "Request"): "sdf-4",
    # 67 characters, where R4 allows 64
    ("SearchParameter", "questionnaireresponse-extensions-QuestionnaireResponse-item-subject"): "id",
    # The validator lets modifiers of example.org pass; a record whose meaning may be turned is not for a chart.
    ("Basic", "referral"): "modifier extension that is not known",
    ("Patient", ""): "modifier extension that is not known",
    # an extension of extensions with a part that its own definition does not have
    ("Bundle", "hla-1"): "a part that the definition",
}
# Cases that HL7's validator accepts and we refuse.
STRICTER = {
    "json-comments-1.json": "comments are not JSON (RFC 8259); the validator has an option to pass over them",
    "ext-derived-circle.json": "an extension that is its own base; the same file is listed as invalid as well",
}
# Cases that HL7's validator refuses, and that we accept: displays that are none of those that the system has.
BEYOND = {
    "LOINC": {"ips-nz-pj.json", "sdoh-type-slice.json"},
    "CVX": {"bundle-id-collection.json"},
}


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None:
                yield member.name.partition("/")[2], file.read()


def verdict(raw: bytes) -> str:
    try:
        check(decode(raw))
    except Problem as problem:
        return " ".join([problem.public, *(f"{issue.place} {issue.text}" for issue in problem.issues)])
    return ""


def test_json_test_suite() -> None:
    seen = {"y": 0, "n": 0, "i": 0}
    for name, raw in members(DATA / "json-parsing.tar.gz"):
        said, value = "", None
        try:
            value = decode(raw)
        except Problem as problem:
            said = problem.issues[0].text
        kind = name[0]
        if kind == "y" and isinstance(json.loads(raw), dict):
            # The suite has two files with a repeated name, which RFC 7493 forbids and we refuse.
            assert (value is None) == ("duplicated_key" in name), name
        elif kind == "y":
            assert "A JSON object is expected" in said, name
        elif kind == "n":
            assert said, name
        if value is not None:
            assert decode(encode(value)) == value, name
        seen[kind] = seen.get(kind, 0) + 1
    assert seen["y"] > 90
    assert seen["n"] > 180


def test_official_examples_are_accepted_and_survive_a_round_trip() -> None:
    refused = {}
    for line in gzip.decompress((DATA / "r4-examples.ndjson.gz").read_bytes()).splitlines():
        resource = decode(line)
        assert decode(encode(resource)) == resource
        said = verdict(line)
        if said:
            refused[resource["resourceType"], resource.get("id", "")] = said
    assert set(refused) == set(FAULTY_EXAMPLES)
    for key, reason in FAULTY_EXAMPLES.items():
        assert reason in refused[key]


def test_synthea_patients_are_accepted() -> None:
    with lzma.open(DATA / "synthea-r4-bundles.tar.xz") as stream, tarfile.open(fileobj=stream) as tar:
        for index, member in enumerate(tar):
            file = tar.extractfile(member)
            if file is None or index % 8:  # every eighth keeps the test quick
                continue
            for entry in decode(file.read())["entry"]:
                check(entry["resource"])


def test_validator_cases() -> None:
    """As the validator ran them: with artefacts and options of the case; extensions that nobody defines are errors."""
    files = dict(members(DATA / "validator-cases.tar.gz"))
    wrong: dict[str, set[str]] = {"valid": set(), "invalid": set()}
    seen = {"valid": 0, "invalid": 0}
    for case in json.loads(files["cases.json"]):
        name, expected = case["case"]["file"], case["expected"]
        seen[expected] += 1
        held = Held()
        for other in (*case["case"].get("supporting", ()), *case["case"].get("profiles", ())):
            if other.endswith(".json"):
                held.add(decode(files[other]))
        validator = Validator(
            held,
            strict_extensions=True,
            strict_examples=case["case"].get("examples") is False,
            markdown_without_html=case["case"].get("noHtmlInMarkdown", False),
        )
        actual = "invalid" if refuses(validator, files[name]) else "valid"
        if actual != expected:
            wrong[expected].add(name)
    assert wrong["valid"] == set(STRICTER)
    assert wrong["invalid"] == set().union(*BEYOND.values())
    assert len(wrong["valid"]) * 20 <= seen["valid"]
    assert len(wrong["invalid"]) * 10 <= seen["invalid"]


def refuses(validator: Validator, raw: bytes) -> bool:
    try:
        return any(found.severity is Severity.ERROR for found in validator.examine(decode(raw)))
    except Problem:
        return True


def test_elements_and_cardinalities_are_those_that_us_core_restates() -> None:
    """Nested elements of our table against the `base` of every snapshot element in US Core 6.1.0 and 7.0.0."""
    compared = 0
    for archive in sorted((DATA / "us-core").glob("*.tgz")):
        for _, raw in members(archive):
            if b'"StructureDefinition"' not in raw[:4000]:
                continue
            compared += _compare(json.loads(raw))
    assert compared > 3000


def test_value_sets_are_those_of_the_official_examples() -> None:
    """Codes of required bindings against the ValueSet and CodeSystem resources among HL7's examples."""
    source = Path(__file__).parents[2] / "tools" / "compile_definitions.py"
    spec = importlib.util.spec_from_file_location("compile_definitions", source)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    lines = gzip.decompress((DATA / "r4-examples.ndjson.gz").read_bytes()).splitlines()
    terms = tool.Terminology(json.loads(line) for line in lines)
    compared = 0
    for url, codes in structure().value_sets.items():
        if url in terms.sets and (official := terms.expand(url)) is not None:
            assert list(codes) == official, url
            compared += 1
    assert compared > 150


def _compare(profile: dict[str, Any]) -> int:
    types = structure().types
    if (
        profile.get("resourceType") != "StructureDefinition"
        or profile["type"] not in types
        or "snapshot" not in profile
    ):
        return 0
    count = 0
    for element in profile["snapshot"]["element"]:
        base = element["base"]
        parent, _, name = base["path"].rpartition(".")
        if parent not in types:
            continue
        field = next((f for f in types[parent].fields if f.name == name), None)
        assert field is not None, base["path"]
        assert (field.min, field.max) == (base["min"], base["max"]), base["path"]
        count += 1
    return count
