# SPDX-License-Identifier: Apache-2.0
"""The 40 real Synthea bundles through the command line: whole, digit by digit, and found again."""

from __future__ import annotations

import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.support.clinic import JSON, Client, Clinic
from tests.support.served import salus

from salus.fhir import json as fhir_json

BUNDLES = Path(__file__).parents[2].parent / "shared" / "data" / "synthea-r4-bundles.tar.xz"

pytestmark = pytest.mark.skipif(not BUNDLES.exists(), reason="shared/data/synthea-r4-bundles.tar.xz is absent")


@dataclass
class Imported:
    """A clinic with the bundles in it, and the bundles themselves."""

    service: Client
    folder: Path
    said: str
    bundles: list[JSON]
    own: Counter[str]

    def total(self, query: str) -> int:
        """How many a search finds."""
        answer = self.service.get(f"/fhir/{query}{'&' if '?' in query else '?'}_summary=count").json()
        return int(answer["total"])

    def resources(self, type_: str) -> list[JSON]:
        """All of a type as they were sent."""
        return [e["resource"] for b in self.bundles for e in b["entry"] if e["resource"]["resourceType"] == type_]


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Imported]:
    clinic = Clinic(tmp_path_factory.mktemp("synthea") / "data")
    service = clinic.as_("service")
    types = ("Patient", "Practitioner", "Observation", "Condition")
    own = Counter({type_: service.get(f"/fhir/{type_}?_summary=count").json()["total"] for type_ in types})
    clinic.close()
    said = salus("import", BUNDLES, "--data-dir", clinic.folder).stdout
    clinic.open()
    with tarfile.open(BUNDLES) as tar:
        bundles = [json.load(stream, parse_float=Decimal) for member in tar if (stream := tar.extractfile(member))]
    yield Imported(clinic.as_("service"), clinic.folder, said, bundles, own)
    clinic.close()
    clinic.loop.close()


def test_every_resource_of_the_forty_bundles_is_there(imported: Imported) -> None:
    sent = Counter(entry["resource"]["resourceType"] for bundle in imported.bundles for entry in bundle["entry"])
    assert f"imported {sent.total()} resources, refused 0" in imported.said
    for type_, count in sent.items():
        assert imported.total(type_) == count + imported.own[type_], type_


def test_values_come_back_as_they_were_sent(imported: Imported) -> None:
    """Whole resources are compared, with references and what the server owns left out; decimals digit by digit."""
    for type_ in ("Patient", "Claim", "ImagingStudy", "AllergyIntolerance", "DiagnosticReport"):
        kept = Counter(_shape(resource) for resource in _all(imported.service, type_))
        sent = Counter(_shape(resource) for resource in imported.resources(type_))
        assert not sent - kept, type_


def test_decimals_of_observations_keep_every_digit(imported: Imported) -> None:
    sent = Counter(str(o["valueQuantity"]["value"]) for o in imported.resources("Observation") if "valueQuantity" in o)
    kept = Counter(
        str(o["valueQuantity"]["value"])
        for o in _all(imported.service, "Observation")
        if "valueQuantity" in o and not o["id"].startswith("pulse-")
    )
    assert kept == sent


def test_no_reference_was_left_pointing_into_a_bundle(imported: Imported) -> None:
    for type_ in ("Observation", "Claim", "ExplanationOfBenefit"):
        for resource in _all(imported.service, type_):
            assert "urn:uuid" not in json.dumps(_references(resource)), resource["id"]


def test_searches_across_patients_find_what_is_in_the_bundles(imported: Imported) -> None:
    observations = imported.resources("Observation")
    coded = Counter(o["code"]["coding"][0]["code"] for o in observations)
    for code, count in coded.most_common(8):
        own = 2 if code == "8867-4" else 0
        assert imported.total(f"Observation?code=http://loinc.org|{code}") == count + own
    after = [o for o in observations if o["effectiveDateTime"] >= "2018"]
    assert imported.total("Observation?date=ge2018&date=lt2026") == sum(o["effectiveDateTime"] < "2026" for o in after)
    heavy = [
        o
        for o in observations
        if o["code"]["coding"][0]["code"] == "29463-7" and o["valueQuantity"]["value"] > Decimal("80")
    ]
    assert imported.total("Observation?code=29463-7&value-quantity=gt80") == len(heavy) > 0
    families = Counter(p["name"][0]["family"] for p in imported.resources("Patient"))
    family, count = families.most_common(1)[0]
    assert imported.total(f"Patient?family:exact={family}") == count


def test_each_patients_records_are_found_by_reference(imported: Imported) -> None:
    for bundle in imported.bundles[:5]:
        person = bundle["entry"][0]["resource"]
        number = next(i["value"] for i in person["identifier"] if "value" in i)
        (found,) = imported.service.find(f"Patient?identifier={number}")
        for type_ in ("Observation", "Condition", "Encounter"):
            sent = sum(e["resource"]["resourceType"] == type_ for e in bundle["entry"])
            assert imported.total(f"{type_}?patient={found['id']}") == sent


def test_a_second_import_brings_nothing_new(imported: Imported, tmp_path: Path) -> None:
    again = salus("import", BUNDLES, "--data-dir", imported.folder).stdout
    assert "imported 0 resources, refused 0, 40 dealt with by an earlier run" in again


# ── comparing ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _all(client: Client, type_: str) -> Iterator[JSON]:
    path = f"/fhir/{type_}?_count=1000"
    while path:
        bundle = fhir_json.decode(client.get(path).content)
        yield from (entry["resource"] for entry in bundle.get("entry", ()))
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        path = re.sub(r"^https://[^/]+", "", links.get("next", ""))


def _shape(resource: JSON) -> str:
    """The resource without id, meta and references, in one spelling; decimals as text."""
    return json.dumps(_without(resource, top=True), sort_keys=True, default=str)


def _without(node: Any, *, top: bool = False) -> Any:
    if isinstance(node, dict):
        hidden = {"id", "meta", "reference"} if top else {"reference"}
        return {name: _without(value) for name, value in node.items() if name not in hidden}
    if isinstance(node, list):
        return [_without(item) for item in node]
    return node


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        found = [node["reference"]] if isinstance(node.get("reference"), str) else []
        return found + [each for value in node.values() for each in _references(value)]
    if isinstance(node, list):
        return [each for item in node for each in _references(item)]
    return []
