# SPDX-License-Identifier: Apache-2.0
"""What US Core 6.1.0 asks of a server, search by search, over the examples of its package.

The searches come from the requirement list (`tests_us_core_v610`): each names a type and a combination of parameters.
A reader of plain JSON, which shares nothing with the index, picks an example that has all elements, asks for it, and
judges every record of the answer.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.support.clinic import Clinic

from salus.app.indexing import bring_up_to_date

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared test data is not on this machine")

Json = dict[str, Any]

# Where the elements of a parameter lie; the first list that a type has is taken.
PATHS = {
    "_id": ["id"],
    "patient": ["patient", "beneficiary", "subject"],
    "category": ["category"],
    "code": ["code"],
    "status": ["status"],
    "intent": ["intent"],
    "clinical-status": ["clinicalStatus"],
    "lifecycle-status": ["lifecycleStatus"],
    "type": ["type"],
    "role": ["participant.role"],
    "class": ["class"],
    "gender": ["gender"],
    "identifier": ["identifier"],
    "discharge-disposition": ["hospitalization.dischargeDisposition"],
    "location": ["location.location"],
    "encounter": ["encounter"],
    "practitioner": ["practitioner"],
    "specialty": ["specialty"],
    "questionnaire": ["questionnaire"],
    "description": ["description"],
    "name": ["name"],
    "family": ["name.family"],
    "address": ["address.city"],
    "birthdate": ["birthDate"],
    "death-date": ["deceasedDateTime"],
    "recorded-date": ["recordedDate"],
    "asserted-date": ["extension.valueDateTime"],
    "onset-date": ["onsetDateTime"],
    "abatement-date": ["abatementDateTime"],
    "authored": ["authoredOn", "authored"],
    "authoredon": ["authoredOn"],
    "target-date": ["target.dueDate"],
    "period": ["context.period"],
    "date": ["effectiveDateTime", "performedDateTime", "occurrenceDateTime", "date", "period"],
}
DATES = {"date", "period", "birthdate", "death-date", "authored", "authoredon", "target-date"}
DATES |= {"recorded-date", "asserted-date", "onset-date", "abatement-date"}

ASSERTED = "http://hl7.org/fhir/StructureDefinition/condition-assertedDate"
# What no example has; the one that is named gets it.
ADDED: dict[str, Json] = {
    "Condition": {
        "recordedDate": "2015-10-30",
        "abatementDateTime": "2016-01-05",
        "onsetDateTime": "2015-10-25",
        "extension": [{"url": ASSERTED, "valueDateTime": "2015-10-31"}],
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "resolved"}]
        },
        "encounter": {"reference": "Encounter/example-1"},
    },
    "CarePlan": {"period": {"start": "2021-05-01", "end": "2021-06-01"}},
    "Encounter": {"identifier": [{"system": "urn:visits", "value": "V-17"}]},
    "PractitionerRole": {
        "practitioner": {"reference": "Practitioner/practitioner-1"},
        "specialty": [{"coding": [{"system": "http://nucc.org/provider-taxonomy", "code": "208D00000X"}]}],
    },
}


@cache
def examples() -> dict[str, list[Json]]:
    """The package's examples by type, with what is added, and a Provenance for one of each type."""
    found: dict[str, list[Json]] = {}
    with tarfile.open(DATA / "us-core" / "hl7.fhir.us.core-6.1.0.tgz") as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None and member.name.startswith("package/example/"):
                resource = json.loads(file.read())
                if resource.get("resourceType") not in (None, "Bundle"):
                    found.setdefault(resource["resourceType"], []).append(resource)
    for type_, elements in ADDED.items():
        first = found.setdefault(type_, [{"resourceType": type_}])[0]
        found[type_].append({**first, "id": "with-everything", **elements})
    found["PractitionerRole"].pop(0)  # the package has none
    return found


def required() -> list[tuple[str, tuple[str, ...]]]:
    """Type and parameters of every search of the requirement list."""
    path = DATA / "requirements" / "tests_us_core_v610.csv.gz"
    if not path.is_file():
        return []
    with gzip.open(path, "rt") as file:
        titles = {row["title"] for row in csv.DictReader(file)}
    matches = [re.fullmatch(r"Server returns valid results for (\w+) search by (.+)", title) for title in titles]
    return sorted((match[1], tuple(match[2].split(" + "))) for match in matches if match)


def values(resource: Json, parameter: str) -> list[str]:
    """What a record has for a parameter, as a search would write it."""
    for path in PATHS[parameter]:
        level: list[Any] = [resource]
        for step in path.split("."):
            level = [item for node in level if isinstance(node, dict) for item in _listed(node.get(step))]
        if found := [text for node in level for text in _texts(node)]:
            return found
    return []


def _listed(node: Any) -> list[Any]:
    return node if isinstance(node, list) else [] if node is None else [node]


def _texts(node: Any) -> list[str]:
    if not isinstance(node, dict):
        return [str(node)]
    if "reference" in node:
        return [node["reference"]]
    if "coding" in node:
        return [text for coding in node["coding"] for text in _texts(coding)]
    if "start" in node:  # a period fills more than the moment at which it starts, so it is not equal to it
        return ["ge" + node["start"]]
    if "code" in node or "value" in node:
        return [f"{node['system']}|{node.get('code', node.get('value'))}"] if "system" in node else []
    return [text for key in ("family", "given") for text in _listed(node.get(key))]  # a name


def asked(type_: str, parameters: tuple[str, ...]) -> tuple[Json, dict[str, str]]:
    """An example that has all of them, and the question that should find it."""
    for resource in examples().get(type_, ()):
        found = {parameter: values(resource, parameter) for parameter in parameters}
        if all(found.values()):
            return resource, {parameter: texts[0] for parameter, texts in found.items()}
    raise AssertionError("no example has all elements of this search")


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """A clinic that keeps every example."""
    made = Clinic(tmp_path_factory.mktemp("us-core") / "data")
    kept = [resource for resources in examples().values() for resource in resources]
    kept += [_provenance(type_, resources[-1]["id"]) for type_, resources in examples().items()]
    entries = [{"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}} for r in kept]
    answer = made.as_("service").post("/fhir", {"resourceType": "Bundle", "type": "batch", "entry": entries})
    refused = [e for e in answer.json()["entry"] if not e["response"]["status"].startswith("201")]
    assert refused == []
    made.run(bring_up_to_date(made.house, "default"))  # the parameters of US Core; a server does it by itself
    yield made
    made.close()
    made.loop.close()


def _provenance(type_: str, id_: str) -> Json:
    return {
        "resourceType": "Provenance",
        "id": f"of-{type_}",
        "target": [{"reference": f"{type_}/{id_}"}],
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"who": {"reference": "Practitioner/practitioner-1"}}],
    }


def fits(resource: Json, parameter: str, value: str) -> bool:
    """Whether a record of the answer has what was asked for."""
    has = values(resource, parameter)
    if parameter in DATES:
        return any(text >= value if value.startswith("ge") else text[:10] == value[:10] for text in has)
    if parameter in ("name", "family", "address"):
        return any(text.lower().startswith(value.lower()) for text in has)
    return value in has


def ids(clinic: Clinic, type_: str, query: dict[str, str]) -> set[str]:
    return {found["id"] for found in clinic.as_("service").find(f"{type_}?{urlencode(query)}")}


@pytest.mark.parametrize(("type_", "parameters"), required(), ids=lambda value: "+".join(value) if value else "")
def test_a_search_that_us_core_asks_for(clinic: Clinic, type_: str, parameters: tuple[str, ...]) -> None:
    resource, query = asked(type_, parameters)
    service = clinic.as_("service")
    found = service.find(f"{type_}?{urlencode(query)}")
    assert resource["id"] in {r["id"] for r in found}
    assert [r["id"] for r in found if not all(fits(r, *pair) for pair in query.items())] == []
    # POST gives the same
    posted = service.request("POST", f"/fhir/{type_}/_search", data={**query, "_count": "1000"})
    assert {e["resource"]["id"] for e in posted.json()["entry"]} == {r["id"] for r in found}
    # `patient=ID` and `patient=Patient/ID`
    if "patient" in query:
        assert ids(clinic, type_, {**query, "patient": query["patient"].split("/")[1]}) == {r["id"] for r in found}
    for parameter, value in query.items():
        if parameter in DATES and not value.startswith("ge"):
            for comparator, holds in (("ge", True), ("le", True), ("gt", False), ("lt", False)):
                compared = ids(clinic, type_, {**query, parameter: comparator + value})
                assert (resource["id"] in compared) is holds, (parameter, comparator)
        elif "|" in value:  # the code alone
            assert resource["id"] in ids(clinic, type_, {**query, parameter: value.split("|")[1]})
        elif parameter in ("status", "intent", "lifecycle-status"):  # any of several
            assert resource["id"] in ids(clinic, type_, {**query, parameter: f"{value},entered-in-error"})


@pytest.mark.parametrize("type_", sorted({type_ for type_, _ in required()}))
def test_read_versions_history_and_provenance(clinic: Clinic, type_: str) -> None:
    service = clinic.as_("service")
    id_ = examples()[type_][-1]["id"]
    assert service.get(f"/fhir/{type_}/{id_}").json()["id"] == id_
    assert service.get(f"/fhir/{type_}/{id_}/_history/1").json()["id"] == id_
    assert len(service.get(f"/fhir/{type_}/{id_}/_history").json()["entry"]) == 1
    bundle = service.get(f"/fhir/{type_}?_id={id_}&_revinclude=Provenance:target").json()
    modes = {(entry["resource"]["resourceType"], entry["search"]["mode"]) for entry in bundle["entry"]}
    assert modes == {(type_, "match"), ("Provenance", "include")}


def test_the_medication_of_a_request_comes_along(clinic: Clinic) -> None:
    """Medication List Guidance: all and active medications of a patient, with what the references name."""
    pointing = [r for r in examples()["MedicationRequest"] if "medicationReference" in r]
    requests = [r for r in pointing if not r["medicationReference"]["reference"].startswith("#")]
    assert requests
    for request in requests:
        patient = request["subject"]["reference"]
        query = f"patient={patient}&intent={request['intent']}&_include=MedicationRequest:medication"
        bundle = clinic.as_("service").get(f"/fhir/MedicationRequest?{query}").json()
        found = {f"{e['resource']['resourceType']}/{e['resource']['id']}": e["search"]["mode"] for e in bundle["entry"]}
        assert found[f"MedicationRequest/{request['id']}"] == "match"
        assert found[request["medicationReference"]["reference"]] == "include"


def test_the_capability_statement_says_so(clinic: Clinic) -> None:
    """Everything that the CapabilityStatement of US Core marks SHALL or SHOULD stands in ours."""
    with tarfile.open(DATA / "us-core" / "hl7.fhir.us.core-6.1.0.tgz") as tar:
        file = tar.extractfile("package/CapabilityStatement-us-core-server.json")
        assert file is not None
        theirs = json.loads(file.read())
    ours = clinic.stranger.get("/fhir/metadata").json()
    assert "instantiates" not in ours  # its security section asks for SMART App Launch, which is not there
    of_type = {resource["type"]: resource for resource in ours["rest"][0]["resource"]}
    for resource in theirs["rest"][0]["resource"]:
        mine = of_type[resource["type"]]
        for key, name in (("interaction", "code"), ("searchParam", "name")):
            assert {item[name] for item in resource.get(key, ())} <= {item[name] for item in mine[key]}
        assert set(resource.get("searchRevInclude", ())) <= set(mine["searchRevInclude"])
        includes = {":".join(text.split(":")[:2]) for text in resource.get("searchInclude", ())}
        assert includes <= set(mine["searchInclude"])
        profiles = {url for url in resource.get("supportedProfile", ()) if "/us/core/" in url}
        assert profiles <= set(mine.get("supportedProfile", ()))
