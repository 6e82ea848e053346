# SPDX-License-Identifier: Apache-2.0
"""Searching for resources that live inside others (https://hl7.org/fhir/R4/search.html#contained)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.clinic import BASE, Client, Clinic, put_all

JSON = dict[str, Any]


def _pill(id_: str, code: str, maker: str) -> JSON:
    return {
        "resourceType": "Medication",
        "id": id_,
        "code": {"coding": [{"system": "urn:drugs", "code": code}], "text": f"{code} of {maker}"},
        "status": "active",
        "manufacturer": {"reference": f"Organization/{maker}"},
    }


def _request(id_: str, who: str, *contained: JSON) -> JSON:
    return {
        "resourceType": "MedicationRequest",
        "id": id_,
        "status": "active",
        "intent": "order",
        "contained": list(contained),
        "medicationReference": {"reference": f"#{contained[0]['id']}"},
        "subject": {"reference": f"Patient/{who}"},
        **({"reasonReference": [{"reference": f"#{contained[1]['id']}"}]} if len(contained) > 1 else {}),
    }


@pytest.fixture(scope="module")
def pharmacy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """Requests with the medication inside, and medications of their own; a note that masks hide."""
    clinic = Clinic(tmp_path_factory.mktemp("pharmacy") / "data")
    put_all(
        clinic.as_("service"),
        {"resourceType": "Organization", "id": "north", "name": "North"},
        {"resourceType": "Organization", "id": "south", "name": "South"},
        {**_pill("jar", "aspirin", "north")},
        {**_pill("tube", "balm", "south")},
        _request("for-anna", "anna", _pill("a", "aspirin", "south")),
        _request("for-bert", "bert", _pill("b", "balm", "north")),
        {
            "resourceType": "Condition",
            "id": "sore",
            "subject": {"reference": "Patient/anna"},
            "contained": [
                {
                    "resourceType": "Observation",
                    "id": "seen",
                    "status": "final",
                    "code": {"coding": [{"code": "redness"}]},
                }
            ],
            "evidence": [{"detail": [{"reference": "#seen"}]}],
        },
    )
    yield clinic
    clinic.close()
    clinic.loop.close()


def named(client: Client, address: str) -> list[str]:
    """Names of all entries, over all pages."""
    found: list[str] = []
    address = f"/fhir/{address}"
    while address:
        answer = client.get(address.removeprefix(BASE))
        assert answer.status_code == 200, answer.text
        found += [entry["fullUrl"].removeprefix(f"{BASE}/fhir/") for entry in answer.json().get("entry", ())]
        following = [link["url"] for link in answer.json()["link"] if link["relation"] == "next"]
        address = following[0] if following else ""
    return found


CASES = {
    "Medication?code=aspirin": {"Medication/jar"},
    "Medication?code=aspirin&_contained=false": {"Medication/jar"},
    "Medication?code=aspirin&_contained=true": {"MedicationRequest/for-anna"},
    "Medication?code=urn:drugs|aspirin&_contained=both": {"Medication/jar", "MedicationRequest/for-anna"},
    "Medication?_contained=true": {"MedicationRequest/for-anna", "MedicationRequest/for-bert"},
    "Medication?code:text=balm&_contained=both": {"Medication/tube", "MedicationRequest/for-bert"},
    "Medication?code:not=balm&_contained=both": {"Medication/jar", "MedicationRequest/for-anna"},
    "Medication?status=active&code=balm&_contained=true": {"MedicationRequest/for-bert"},
    "Medication?manufacturer.name=north&_contained=both": {"Medication/jar", "MedicationRequest/for-bert"},
    "Medication?manufacturer=Organization/south&_contained=true": {"MedicationRequest/for-anna"},
    "Medication?_id=a,jar&_contained=both": {"Medication/jar", "MedicationRequest/for-anna"},
    "Medication?code=aspirin&_contained=true&_containedType=contained": {"MedicationRequest/for-anna#a"},
    "Medication?code=balm&_contained=both&_containedType=contained": {
        "Medication/tube",
        "MedicationRequest/for-bert#b",
    },
    "Medication?code=nothing&_contained=true": set(),
    "Observation?code=redness&_contained=true": {"Condition/sore"},
    "Patient?_contained=true": set(),
}


@pytest.mark.parametrize("asked", CASES)
def test_what_is_found_inside_others(pharmacy: Clinic, asked: str) -> None:
    service = pharmacy.as_("service")
    found = named(service, asked)
    assert sorted(found) == sorted(CASES[asked])
    assert named(service, f"{asked}&_count=1") == found
    assert service.get(f"/fhir/{asked}&_summary=count").json()["total"] == len(found)


def test_what_is_contained_is_given_by_itself(pharmacy: Clinic) -> None:
    asked = "Medication?code=aspirin&_contained=true&_containedType=contained"
    (entry,) = pharmacy.as_("service").get(f"/fhir/{asked}").json()["entry"]
    assert entry["resource"] == _pill("a", "aspirin", "south")
    (entry,) = pharmacy.as_("service").get(f"/fhir/{asked}&_elements=status").json()["entry"]
    assert "code" not in entry["resource"]
    assert entry["resource"]["status"] == "active"


@pytest.mark.parametrize(
    "asked",
    [
        "_contained=maybe",
        "_containedType=x",
        "_contained=true&_sort=code",
        "_contained=true&_list=x",
        "_contained:x=true",
    ],
)
def test_what_cannot_be_asked_of_contained_resources(pharmacy: Clinic, asked: str) -> None:
    assert pharmacy.as_("service").get(f"/fhir/Medication?{asked}").status_code == 400


def test_nobody_looks_into_a_container_that_is_hidden_or_masked(pharmacy: Clinic) -> None:
    assert set(named(pharmacy.as_("nurse"), "Medication?_contained=true")) == {"MedicationRequest/for-anna"}
    assert named(pharmacy.as_("nurse"), "Medication?code=balm&_contained=true&_total=accurate") == []
    assert named(pharmacy.as_("nurse"), "Observation?code=redness&_contained=true") == ["Condition/sore"]
    # The pharmacist sees conditions without what is contained in them.
    for shape in ("", "&_containedType=contained", "&_summary=count"):
        answer = pharmacy.as_("pharmacist").get(f"/fhir/Observation?code=redness&_contained=true{shape}")
        assert answer.status_code == 200
        assert not answer.json().get("entry")
        assert not answer.json().get("total")


def test_how_contained_resources_are_given_says_nothing_where_none_are_searched(pharmacy: Clinic) -> None:
    service = pharmacy.as_("service")
    plain = service.get("/fhir/Medication").json().get("entry")
    for asked in ("_containedType=contained", "_containedType=contained&_contained=false"):
        answer = service.get(f"/fhir/Medication?{asked}")
        assert answer.status_code == 200
        assert answer.json().get("entry") == plain
