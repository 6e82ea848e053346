# SPDX-License-Identifier: Apache-2.0
"""`$validate` over HTTP: what it says, what it needs, and what it must not tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.clinic import Clinic
from tests.support.outcomes import assert_outcome
from tests.support.packages import package

from salus.kernel.errors import Problem
from salus.knowledge.packages import installing

US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
# Without it every resource is told that it should have one (dom-6).
TEXT = {"text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}}
# R4 asks it of every heart rate.
VITAL_SIGN = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
JSON_PATCH = {"content-type": "application/json-patch+json"}
Json = dict[str, Any]


def issues(answer: Any) -> list[tuple[str, str, str]]:
    assert answer.status_code == 200, answer.text
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    return [(i["severity"], i["code"], (i.get("expression") or [""])[0]) for i in outcome["issue"]]


def asked(resource: Json | None = None, **values: str) -> Json:
    parameters: list[Json] = [{"name": "resource", "resource": resource}] if resource else []
    kinds = {"mode": "valueCode", "profile": "valueCanonical"}
    parameters += [{"name": name, kinds[name]: value} for name, value in values.items()]
    return {"resourceType": "Parameters", "parameter": parameters}


def pulse(clinic: Clinic, who: str = "anna") -> Json:
    found: Json = clinic.as_("physician").get(f"/fhir/Observation/pulse-{who}").json()
    return {**found, **TEXT, "category": [{"coding": [VITAL_SIGN]}]}


def test_a_valid_resource_an_invalid_one_and_a_doubtful_one(clinic: Clinic) -> None:
    physician = clinic.as_("physician")
    good = pulse(clinic)
    assert issues(physician.post("/fhir/Observation/$validate", good)) == [("information", "informational", "")]
    assert issues(physician.post("/fhir/Observation/$validate", asked(good))) == [("information", "informational", "")]
    bad = {**good, "status": "finished", "nonsense": 1}
    assert set(issues(physician.post("/fhir/Observation/$validate", bad))) == {
        ("error", "code-invalid", "Observation.status"),
        ("error", "structure", "Observation.nonsense"),
        ("information", "informational", "Observation"),  # profiles are not asked yet
    }
    doubtful = {**good, "meta": {"profile": ["http://x.org/StructureDefinition/unheard-of"]}}
    assert issues(physician.post("/fhir/Observation/$validate", doubtful)) == [("warning", "not-found", "Observation")]
    assert issues(physician.post("/fhir/Patient/$validate", good))[0] == ("error", "structure", "resourceType")
    assert issues(physician.post("/fhir/Patient/$validate", asked({"resourceType": "Patiend"}))) == [
        ("error", "structure", "resourceType")
    ]


def test_a_profile_is_asked_for_by_name_and_an_unknown_one_is_an_error(clinic: Clinic) -> None:
    physician = clinic.as_("physician")
    bare = {"resourceType": "Patient", **TEXT}
    found = issues(physician.post("/fhir/Patient/$validate", asked(bare, profile=f"{US_CORE}us-core-patient")))
    assert {("error", "required", f"Patient.{name}") for name in ("identifier", "name", "gender")} <= set(found)
    assert issues(physician.post(f"/fhir/Patient/$validate?profile={US_CORE}us-core-patient", bare)) == found
    unknown = physician.post("/fhir/Patient/$validate", asked(bare, profile="http://x.org/no"))
    assert issues(unknown) == [("error", "not-found", "Patient")]


def test_what_a_resource_declares_is_checked_when_it_is_written(clinic: Clinic) -> None:
    physician = clinic.as_("physician")
    declaring = {**pulse(clinic), "meta": {"profile": [f"{US_CORE}us-core-heart-rate"]}}
    declaring.pop("id")
    del declaring["effectiveDateTime"]
    refused = physician.post("/fhir/Observation", declaring)
    assert refused.status_code == 422
    assert_outcome(refused)
    assert "Observation.effective" in {place for i in refused.json()["issue"] for place in i.get("expression", ())}
    passing = {**declaring, "meta": {"profile": ["http://x.org/StructureDefinition/unheard-of"]}}
    assert physician.post("/fhir/Observation", passing).status_code == 201


def test_modes_ask_for_the_permission_and_judge_the_intention(clinic: Clinic) -> None:
    physician, anna = clinic.as_("physician"), clinic.as_("anna")
    good = pulse(clinic)
    assert anna.post("/fhir/Observation/$validate", asked(good, mode="create")).status_code == 403
    assert issues(physician.post("/fhir/Observation/$validate", asked(good, mode="create")))[0][0] == "information"
    place = "/fhir/Observation/pulse-anna/$validate"
    assert issues(physician.post(place, asked(good, mode="update")))[0][0] == "information"
    other = {**good, "id": "another"}
    assert issues(physician.post(place, asked(other, mode="update"))) == [("error", "value", "Observation.id")]
    assert issues(clinic.as_("service").post(place, asked(mode="delete")))[0][0] == "information"
    assert physician.post(place, asked(good, mode="nonsense")).status_code == 400
    assert physician.post("/fhir/Observation/$validate", asked(mode="create")).status_code == 400


def test_a_stored_record_is_judged_only_for_whom_may_see_it(clinic: Clinic) -> None:
    said = issues(clinic.as_("physician").get("/fhir/Observation/pulse-anna/$validate"))
    assert ("warning", "invariant", "Observation") in said  # dom-6: it has no narrative
    assert ("error", "required", "Observation.category") in said  # a heart rate is a vital sign
    hidden = clinic.as_("anna").get("/fhir/Observation/pulse-bert/$validate")
    absent = clinic.as_("anna").get("/fhir/Observation/never-was/$validate")
    assert (hidden.status_code, hidden.json()["issue"]) == (404, absent.json()["issue"])
    assert clinic.stranger.get("/fhir/Observation/pulse-anna/$validate").status_code == 401


def test_references_are_followed_when_asked_and_never_show_what_is_hidden(clinic: Clinic) -> None:
    physician = clinic.as_("physician")
    good = pulse(clinic)
    lost = {**good, "subject": {"reference": "Patient/never-was"}}
    assert issues(physician.post("/fhir/Observation/$validate", lost))[0][0] == "information"
    said = issues(physician.post("/fhir/Observation/$validate?references=true", lost))
    assert said == [("error", "not-found", "Observation.subject.reference")]
    assert issues(physician.post("/fhir/Observation/$validate?references=true", good))[0][0] == "information"
    of_bert = {**good, "subject": {"reference": "Patient/bert"}}
    hidden = clinic.as_("anna").post("/fhir/Observation/$validate?references=true", of_bert)
    absent = clinic.as_("anna").post("/fhir/Observation/$validate?references=true", lost)
    assert hidden.json() == absent.json()


def test_the_call_is_in_the_log_and_no_answer_repeats_a_value(clinic: Clinic) -> None:
    bad = {**pulse(clinic), "status": "Zanzibar", "Quagga": "Zebra"}
    answer = clinic.as_("physician").post("/fhir/Observation/$validate", bad)
    assert answer.status_code == 200
    assert not any(word in answer.text for word in ("Zanzibar", "Zebra"))


def test_what_the_policy_demands_stops_writing_and_an_unknown_demand_stops_all_of_it(clinic: Clinic) -> None:
    policy = clinic.folder / "policy.toml"
    shipped = policy.read_text("utf-8")
    pulse_here = pulse(clinic)
    for canonical, status in ((f"{US_CORE}us-core-heart-rate", 422), ("http://x.org/StructureDefinition/no", 422)):
        clinic.close()
        policy.write_text(f'{shipped}\n[profiles]\nObservation = ["{canonical}"]\n', "utf-8")
        clinic.open()
        physician = clinic.as_("physician")
        undated = {name: value for name, value in pulse_here.items() if name != "effectiveDateTime"}
        refused = physician.put("/fhir/Observation/pulse-anna", undated)
        assert refused.status_code == status
        change = [{"op": "remove", "path": "/effectiveDateTime"}]
        patched = physician.request("PATCH", "/fhir/Observation/pulse-anna", json=change, headers=JSON_PATCH)
        assert patched.status_code == status
        entry = {"resource": undated, "request": {"method": "PUT", "url": "Observation/pulse-anna"}}
        transaction = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        assert physician.post("/fhir", transaction).status_code == status
    assert [i["code"] for i in refused.json()["issue"]] == ["not-found"]


def test_a_large_bundle_is_judged_entry_by_entry(clinic: Clinic) -> None:
    """Between the entries whoever judges can do something else; the answer is that of one go."""
    validator = clinic.house.services.validator
    declaring = {**pulse(clinic), "meta": {"profile": [f"{US_CORE}us-core-heart-rate"]}}
    broken = {**declaring, "status": "nonsense"}
    entries = [{"fullUrl": f"urn:uuid:0190cafe-0000-7000-8000-{n:012}", "resource": {**declaring, "id": f"o{n}"}}
               for n in range(200)]  # fmt: skip
    entries[150]["resource"] = broken
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    pieces = list(validator.examining(bundle))
    assert len(pieces) > 200
    assert pieces[-1] == validator.examine(bundle)
    assert "Bundle.entry[150].resource.status" in {found.place for found in pieces[-1]}
    with pytest.raises(Problem) as caught:
        list(validator.checking(bundle, "Bundle"))
    assert [issue.place for issue in caught.value.issues] == ["Bundle.entry[150].resource.status"]


def test_a_profile_is_asked_as_soon_as_its_package_is_installed(clinic: Clinic, tmp_path: Path) -> None:
    url = "http://x.org/StructureDefinition/timed-pulse"
    made = {
        "resourceType": "StructureDefinition", "id": "timed-pulse", "url": url, "version": "1.0.0",
        "name": "TimedPulse", "status": "active", "kind": "resource", "abstract": False, "type": "Observation",
        "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Observation",
        "differential": {"element": [
            {"id": "Observation", "path": "Observation"},
            {"id": "Observation.issued", "path": "Observation.issued", "min": 1},
        ]},
    }  # fmt: skip
    physician = clinic.as_("physician")
    declaring = {**pulse(clinic), "meta": {"profile": [url]}}
    assert physician.put("/fhir/Observation/pulse-anna", declaring).status_code == 200
    with installing(clinic.house.knowledge, package(tmp_path / "p.tgz", made), 1_700_000_000_000):
        pass
    refused = physician.put("/fhir/Observation/pulse-anna", declaring)
    assert refused.status_code == 422
    assert [issue["expression"] for issue in refused.json()["issue"]] == [["Observation.issued"]]
    whole = {**declaring, "issued": "2026-03-01T08:00:00Z"}
    assert physician.put("/fhir/Observation/pulse-anna", whole).status_code == 200
    assert issues(physician.post(f"/fhir/Observation/$validate?profile={url}|1.0.0", whole))[0][0] == "information"
    assert issues(physician.post(f"/fhir/Observation/$validate?profile={url}|2.0.0", whole)) == [
        ("error", "not-found", "Observation")
    ]
