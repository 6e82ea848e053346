# SPDX-License-Identifier: Apache-2.0
"""Search over the official R4 examples and over Synthea's patients.

Set apart because the data is not part of the project.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from salus.fhir.compartment import BESIDE, PatientCompartment, compartment_types
from salus.fhir.references import rewrite
from salus.fhir.search.extract import Extractor
from salus.fhir.search.match import matches
from salus.fhir.search.parameters import parameters
from salus.fhir.search.query import parse

DATA = Path(__file__).parents[2].parent / "shared" / "data"
EXAMPLES = DATA / "r4-examples.ndjson.gz"
SYNTHEA = DATA / "synthea-r4-bundles.tar.xz"

needs_examples = pytest.mark.skipif(not EXAMPLES.exists(), reason="shared/data/r4-examples.ndjson.gz is absent")
needs_synthea = pytest.mark.skipif(not SYNTHEA.exists(), reason="shared/data/synthea-r4-bundles.tar.xz is absent")

SHAPES: dict[str, tuple[type | tuple[type, ...], ...]] = {
    "token": (str, str),
    "reference": (str,),
    "identifier": (str, str),
    "string": (str,),
    "uri": (str,),
    "text": (str,),
    "date": ((int, type(None)), (int, type(None))),
    "number": (Decimal,),
    "quantity": (Decimal, str, str, str, (float, type(None)), str),
    "range": ((Decimal, type(None)), (Decimal, type(None)), str, str, str),
    "sound": (frozenset,),
    "position": (float, float),
    "of-type": (str, str, str),
}


@cache
def examples() -> tuple[dict[str, Any], ...]:
    with gzip.open(EXAMPLES, "rt", encoding="utf-8") as lines:
        return tuple(json.loads(line, parse_float=Decimal) for line in lines)


def bundles(count: int) -> Iterator[dict[str, Any]]:
    with tarfile.open(SYNTHEA) as packed:
        for member in packed:
            file = packed.extractfile(member) if member.isfile() else None
            if file is not None:
                yield json.load(io.TextIOWrapper(file, "utf-8"), parse_float=Decimal)
                count -= 1
            if not count:
                return


@needs_examples
def test_every_official_example_yields_rows_of_the_fixed_shapes() -> None:
    extractor = Extractor()
    kinds: Counter[str] = Counter()
    for resource in examples():
        asked = parameters(resource["resourceType"]).values()
        families = {family for found in asked for family in found.families}
        for row in extractor.rows(resource, texts=True):
            kinds[row[1]] += 1
            assert row[0] in families
            shape = SHAPES[row[1]]
            assert len(row) == 2 + len(shape), row[:2]
            assert all(isinstance(value, kind) for value, kind in zip(row[2:], shape, strict=True)), row[:2]
    assert set(kinds) == set(SHAPES)


@needs_examples
def test_an_official_example_s_rows_are_what_its_elements_say() -> None:
    patient = next(r for r in examples() if r["resourceType"] == "Patient" and r.get("id") == "example")
    found = Extractor().rows(patient)
    expected = {
        ("name.family", "string", "Chalmers"),
        ("name.given", "string", "Peter"),
        ("gender", "token", "http://hl7.org/fhir/administrative-gender", "male"),
        ("active", "token", "http://terminology.hl7.org/CodeSystem/special-values", "true"),
        ("telecom[system=phone]", "token", "", "(03) 5555 6473"),
        ("identifier", "token", "urn:oid:1.2.36.146.595.217.0.1", "12345"),
        ("managingOrganization", "reference", "Organization/1"),
        ("birthDate", "date", 157_161_600_000, 157_248_000_000),
        ("address.city", "string", "PleasantVille"),
        ("deceased[true]", "token", "http://terminology.hl7.org/CodeSystem/special-values", "false"),
    }
    assert expected <= set(found)


@needs_examples
def test_every_example_is_found_by_its_own_values() -> None:
    """Each token and reference of a resource, put as a query, matches the resource it was taken from."""
    extractor = Extractor()
    checked = 0
    for resource in examples()[::5]:
        type_ = resource["resourceType"]
        rows = extractor.rows(resource)
        for found in parameters(type_).values():
            for row in rows:
                if row[0] not in found.families or row[1] != found.kind or not (text := as_query(row)):
                    continue
                if found.targets and row[2].partition("/")[0] not in found.targets:
                    continue
                assert matches(parse(type_, [(found.code, text)]).clauses[0], rows), (type_, found.code)
                checked += 1
    assert checked > 3_000


def as_query(row: tuple[Any, ...]) -> str:
    values = [
        str(value).replace("\\", "\\\\").replace(",", "\\,").replace("|", "\\|").replace("$", "\\$")
        for value in row[2:]
    ]
    match row[1]:
        case "token":
            return "|".join(values) if row[2] else values[1]
        case "uri" | "string":
            return values[0]
        case "reference":
            # Some examples have a bare word where a canonical URL belongs; as a query it is an id.
            return values[0] if "/" in row[2] else ""
        case "quantity":
            return "|".join(values[:3]) if row[4] else ""
        case "number":
            return values[0]
    return ""


@needs_examples
def test_only_compartment_types_have_patients() -> None:
    compartment = PatientCompartment()
    for resource in examples():
        found = compartment.patients(resource)
        assert list(found) == sorted(set(found))
        if found and not resource.get("contained") and resource["resourceType"] != "Bundle":
            assert resource["resourceType"] in {*compartment_types(), *BESIDE}


@needs_synthea
def test_every_synthea_record_has_its_patient_once_rewritten() -> None:
    compartment, extractor = PatientCompartment(), Extractor()
    for bundle in bundles(4):
        entries = bundle["entry"]
        mapping = {
            e["fullUrl"]: f"{e['resource']['resourceType']}/{n}" for n, e in enumerate(entries) if "fullUrl" in e
        }
        (patient,) = [mapping[e["fullUrl"]] for e in entries if e["resource"]["resourceType"] == "Patient"]
        for number, entry in enumerate(entries):
            resource = entry["resource"]
            rewrite(resource, mapping)
            resource["id"] = str(number)
            assert not [row for row in extractor.rows(resource) if row[1] == "reference" and row[2] in mapping]
            if resource["resourceType"] in {*compartment_types(), *BESIDE}:
                assert compartment.patients(resource) == (patient.partition("/")[2],)
            else:
                assert compartment.patients(resource) == ()
