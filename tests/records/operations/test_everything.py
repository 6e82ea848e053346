# SPDX-License-Identifier: Apache-2.0
"""`$everything` gives a whole record: each record once, of nobody else, and what it refers to."""

from __future__ import annotations

from typing import Any

import pytest
from tests.attacks.test_audit_completeness import Watch
from tests.support.clinic import BASE, Clinic, heart_rate, put_all
from tests.support.outcomes import assert_outcome

from salus.audit.event import EventType

JSON = dict[str, Any]
ANNA = {"Patient/anna", "Observation/pulse-anna", "Condition/asthma-anna", "CareTeam/team-anna"}
AROUND = {"Practitioner/physician", "Practitioner/nurse", "Organization/clinic", "Location/ward", "Medication/aspirin"}


def names(resources: list[JSON]) -> list[str]:
    return [f"{each['resourceType']}/{each['id']}" for each in resources]


def subject(who: str) -> JSON:
    return {"reference": f"Patient/{who}"}


def old_pulse(value: int) -> JSON:
    visit = {"reference": "Encounter/visit-anna"}
    return heart_rate("anna", value, "old-anna", "2019-05-05T08:00:00Z") | {"encounter": visit}


def furnish(clinic: Clinic) -> None:
    """A visit of Anna with an order, and a note on Bert's visit that mentions her doctor."""
    person = {"reference": "Practitioner/physician"}
    visit = {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"code": "AMB"},
        "participant": [{"individual": person}],
        "location": [{"location": {"reference": "Location/ward"}}],
        "period": {"start": "2026-02-01", "end": "2026-02-01"},
    }
    put_all(
        clinic.as_("service"),
        {"resourceType": "Organization", "id": "clinic", "name": "Clinic"},
        {
            "resourceType": "Location",
            "id": "ward",
            "status": "active",
            "managingOrganization": {"reference": "Organization/clinic"},
        },
        {"resourceType": "Medication", "id": "aspirin", "code": {"text": "aspirin"}},
        {
            **visit,
            "id": "visit-anna",
            "subject": subject("anna"),
            "period": {"start": "2026-02-01", "end": "2026-02-01"},
        },
        {
            **visit,
            "id": "visit-bert",
            "subject": subject("bert"),
            "period": {"start": "2026-02-02", "end": "2026-02-02"},
        },
        {
            "resourceType": "MedicationRequest",
            "id": "order-anna",
            "status": "active",
            "intent": "order",
            "medicationReference": {"reference": "Medication/aspirin"},
            "subject": subject("anna"),
            "encounter": {"reference": "Encounter/visit-anna"},
            "authoredOn": "2026-02-01",
            "reasonReference": [{"reference": "Condition/asthma-anna"}],
        },
        {
            **heart_rate("anna", 64, "old-anna", "2019-05-05T08:00:00Z"),
            "encounter": {"reference": "Encounter/visit-anna"},
        },
    )


def test_everything_about_a_patient_is_there_once_with_what_it_refers_to(clinic: Clinic) -> None:
    furnish(clinic)
    physician = clinic.as_("physician")
    found = names(physician.find("Patient/anna/$everything"))
    whole = ANNA | {"Encounter/visit-anna", "MedicationRequest/order-anna", "Observation/old-anna"}
    assert found[0] == "Patient/anna"
    assert len(found) == len(set(found))
    assert set(found) == whole | AROUND
    modes = {
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}": entry["search"]["mode"]
        for entry in physician.get("/fhir/Patient/anna/$everything").json()["entry"]
    }
    assert {name for name, mode in modes.items() if mode == "include"} == AROUND


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50])
def test_pages_give_every_record_once_also_when_it_is_rewritten_meanwhile(clinic: Clinic, count: int) -> None:
    furnish(clinic)
    physician = clinic.as_("physician")
    matches: list[str] = []
    path: str | None = f"/fhir/Patient/anna/$everything?_count={count}"
    while path is not None:
        answer = physician.get(path)
        assert answer.status_code == 200, answer.text
        page = [entry["resource"] for entry in answer.json()["entry"] if entry["search"]["mode"] == "match"]
        assert 1 <= len(page) <= count
        matches += names(page)
        put_all(clinic.as_("service"), old_pulse(60))
        put_all(clinic.as_("service"), heart_rate("anna", 99, f"new-{len(matches)}"))  # written after the beginning
        following = [link["url"] for link in answer.json()["link"] if link["relation"] == "next"]
        path = following[0].removeprefix(BASE) if following else None
    assert len(matches) == len(set(matches))
    assert set(matches) == ANNA | {"Encounter/visit-anna", "MedicationRequest/order-anna", "Observation/old-anna"}


def test_care_dates_types_and_since_narrow_it(clinic: Clinic) -> None:
    furnish(clinic)
    physician = clinic.as_("physician")

    def asked(query: str) -> set[str]:
        return set(names(physician.find(f"Patient/anna/$everything?{query}")))

    early = asked("end=2019-12-31&_type=Observation,Encounter,MedicationRequest")
    assert early == {"Observation/old-anna"}
    late = asked("start=2026-02-01&end=2026-02-01&_type=Observation,Encounter,MedicationRequest")
    assert late == {"Encounter/visit-anna", "MedicationRequest/order-anna"}
    assert "Condition/asthma-anna" in asked("start=2026-02-01"), "without a date of care it is kept"
    assert asked("_type=Medication") == set()
    assert asked("_type=MedicationRequest&_type=Medication") == {"MedicationRequest/order-anna", "Medication/aspirin"}
    stamp = physician.get("/fhir/Observation/old-anna").json()["meta"]["lastUpdated"]
    assert asked(f"_since={stamp}&_type=Observation") == {"Observation/old-anna"}
    for wrong in ("start=yesterday", "_count=0", "_since=2026", "_type=Nonsense", "mode=x"):
        assert_outcome(physician.get(f"/fhir/Patient/anna/$everything?{wrong}"))


def test_a_condition_lasts_until_it_abates(clinic: Clinic) -> None:
    coded = {"resourceType": "Condition", "subject": subject("anna"), "code": {"text": "x"}, "onsetDateTime": "2010"}
    resolved = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "resolved"}]}
    over = {**coded, "id": "over", "abatementDateTime": "2011", "clinicalStatus": resolved}
    put_all(clinic.as_("service"), {**coded, "id": "lasting"}, over)
    found = clinic.as_("physician").find("Patient/anna/$everything?start=2020-01-01&_type=Condition")
    assert set(names(found)) == {"Condition/asthma-anna", "Condition/lasting"}


def test_the_type_gives_all_patients_that_one_may_see(clinic: Clinic) -> None:
    assert set(names(clinic.as_("nurse").find("Patient/$everything?_count=2"))) == ANNA | {"Practitioner/nurse"}
    assert set(names(clinic.as_("anna").find("Patient/$everything"))) == ANNA
    everyone = set(names(clinic.as_("physician").find("Patient/$everything?_count=3")))
    assert everyone > ANNA | {"Patient/bert", "Observation/pulse-bert", "Condition/asthma-bert"}


def test_everything_about_an_encounter(clinic: Clinic) -> None:
    furnish(clinic)
    found = names(clinic.as_("physician").find("Encounter/visit-anna/$everything"))
    own = {"Encounter/visit-anna", "MedicationRequest/order-anna", "Observation/old-anna"}
    around = {"Patient/anna", "Condition/asthma-anna", *AROUND} - {"Practitioner/nurse"}
    assert found[0] == "Encounter/visit-anna"
    assert set(found) == own | around
    assert set(names(clinic.as_("physician").find("Encounter/visit-anna/$everything?_count=1"))) == own | around


def test_the_answer_to_post_is_the_same(clinic: Clinic) -> None:
    sent = {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueCode": "Observation"}]}
    answer = clinic.as_("physician").post("/fhir/Patient/anna/$everything", sent)
    assert names([entry["resource"] for entry in answer.json()["entry"]]) == ["Observation/pulse-anna"]


def test_each_page_is_one_entry_that_names_what_was_given(clinic: Clinic) -> None:
    watch = Watch(clinic)
    clinic.as_("physician").find("Patient/anna/$everything?_count=3")
    events = watch.events()
    assert [event.type for event in events] == [EventType.RECORD_OPERATION] * 2
    named = [{name for _, name, _, _ in watch.touched(event)} for event in events]
    assert named[0] == {"Patient/anna", "CareTeam/team-anna", "Condition/asthma-anna", "Practitioner/nurse"}
    assert named[1] == {"Observation/pulse-anna"}
    assert all(event.query.startswith("Patient/anna/$everything?_count=3") for event in events)
