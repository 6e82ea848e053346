# SPDX-License-Identifier: Apache-2.0
"""Each way to search is a door: the nurse cares for Anna, and no search may tell her of Bert."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.support.clinic import JSON, Clinic, put_all

_BERT = {"reference": "Patient/bert"}
_HIDDEN: tuple[JSON, ...] = (
    {
        "resourceType": "Observation",
        "id": "bert-pressure",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9", "display": "Zanzibar panel"}]},
        "subject": _BERT,
        "component": [
            {
                "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
                "valueQuantity": {"value": 150, "system": "http://unitsofmeasure.org", "code": "mm[Hg]"},
            }
        ],
    },
    {
        "resourceType": "Encounter",
        "id": "bert-visit",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": _BERT,
    },
    {
        "resourceType": "Encounter",
        "id": "bert-part",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": _BERT,
        "partOf": {"reference": "Encounter/bert-visit"},
    },
)

DOORS = (
    "Observation?_content=zanzibar",
    "Observation?code:text=zanzibar",
    "Observation?component-code-value-quantity=8480-6$gt100",
    "Observation?component-value-quantity=19.9983|http://unitsofmeasure.org|kPa",
    'Observation?_filter=subject re Patient/bert or value-string co "x"',
    "Observation?_filter=subject.family eq brown",
    "Observation?_filter=not (code eq 8867-4)",
    "Observation?code:not=8867-4",
    "Patient?phonetic=brawn",
    "Patient?_content=brown",
    "Patient?_filter=family sw br",
    "Encounter?part-of:below=bert-visit",
    "Encounter?part-of:above=bert-part",
)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    made = Clinic(tmp_path_factory.mktemp("doors") / "data")
    try:
        put_all(made.as_("service"), *_HIDDEN)
        yield made
    finally:
        made.close()
        made.loop.close()


@pytest.mark.parametrize("search", DOORS)
@pytest.mark.parametrize("total", ["accurate", "estimate"])
def test_attack_no_search_tells_of_a_patient_out_of_sight(clinic: Clinic, search: str, total: str) -> None:
    path, _, query = search.partition("?")
    address = f"/fhir/{path}?{quote(query, safe='=&')}&_total={total}"
    seen = clinic.as_("nurse").get(address)
    assert seen.status_code == 200, seen.text
    assert "bert" not in seen.text.replace("Patient%2Fbert", "").replace(quote(query, safe="=&"), "").lower()
    everything = clinic.as_("service").get(address).json()
    mine = [entry["resource"]["id"] for entry in seen.json().get("entry", ())]
    assert "bert" in str(everything.get("entry", ""))  # there is something to hide
    if total == "accurate":
        assert seen.json()["total"] == len(mine)
    assert seen.json()["total"] < everything["total"]


def test_an_estimate_is_never_less_than_there_is(clinic: Clinic) -> None:
    service = clinic.as_("service")
    for search in ("Patient?birthdate=gt1950", "Observation?code:text=zanz", "Patient?family:exact=Brown"):
        counted = service.get(f"/fhir/{search}&_total=accurate").json()["total"]
        assert service.get(f"/fhir/{search}&_total=estimate").json()["total"] >= counted > 0
