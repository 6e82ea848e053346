# SPDX-License-Identifier: Apache-2.0
"""Scopes say what may be done: each letter by itself, for writes what a record is and what it becomes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.attacks.test_scope_doors import CATEGORY, LAB, SCOPE, furnish_categories, observation
from tests.support.clinic import Client, Clinic, condition, heart_rate
from tests.support.launched import launched

JSON = dict[str, Any]
PATCH = {"content-type": "application/json-patch+json"}


@pytest.fixture
def lab(clinic: Clinic) -> Clinic:
    return furnish_categories(clinic)


def attempts(app: Client) -> dict[str, int]:
    """The status of every interaction with an Observation, by the letter that stands for it; deletes at the end."""
    new = observation("", "anna", "laboratory")
    del new["id"]
    patch = [{"op": "replace", "path": "/status", "value": "amended"}]
    return {
        "c": app.post("/fhir/Observation", new).status_code,
        "r read": app.get("/fhir/Observation/lab-1").status_code,
        "r vread": app.get("/fhir/Observation/lab-1/_history/1").status_code,
        "r history": app.get("/fhir/Observation/lab-1/_history").status_code,
        "u": app.put("/fhir/Observation/lab-1", observation("lab-1", "anna", "laboratory")).status_code,
        "u made": app.put("/fhir/Observation/fresh", observation("fresh", "anna", "laboratory")).status_code,
        "ru patch": app.request("PATCH", "/fhir/Observation/lab-2", json=patch, headers=PATCH).status_code,
        "s": app.get("/fhir/Observation?_id=lab-1").status_code,
        "s history of the type": app.get("/fhir/Observation/_history").status_code,
        "s history of everything": app.get("/fhir/_history").status_code,
        "s search of everything": app.get("/fhir?_type=Observation").status_code,
        "cs": app.request("POST", "/fhir/Observation", json=new, headers={"if-none-exist": "_id=lab-3"}).status_code,
        "us": app.put("/fhir/Observation?_id=lab-3", observation("lab-3", "anna", "laboratory")).status_code,
        "d": app.delete("/fhir/Observation/lab-3").status_code,
        "ds": app.delete("/fhir/Observation?_id=lab-2").status_code,
    }


@pytest.mark.requirement("smart@95", "smart@123", "smart@266", "smart@370", "g10@DAT-PAT-9")
@pytest.mark.parametrize("letters", ["c", "r", "u", "d", "s", "rs", "cud", "cruds"])
@pytest.mark.parametrize("query", ["", f"?{LAB}"])
def test_each_letter_opens_its_interactions_and_no_other(lab: Clinic, letters: str, query: str) -> None:
    # The account could do everything; it is a person's, so that `patient/` scopes speak for it.
    app = launched(lab, "service", f"patient/Observation.{letters}{query}", patient="anna")
    for asked, status in attempts(app).items():
        needed = set(asked.partition(" ")[0])
        if needed <= set(letters):
            assert status in {200, 201, 204}, (asked, status)
        else:
            assert status == 403, (asked, status)


@pytest.mark.requirement("smart@369")
@pytest.mark.parametrize(("word", "letters"), [("read", "rs"), ("write", "cud"), ("*", "cruds")])
def test_the_words_of_version_1(lab: Clinic, word: str, letters: str) -> None:
    for asked, status in attempts(launched(lab, "service", f"patient/Observation.{word}", patient="anna")).items():
        assert (status < 300) is (set(asked.partition(" ")[0]) <= set(letters)), (asked, status)


@pytest.mark.requirement("smart@119")
def test_the_policy_is_not_widened_by_any_scope(lab: Clinic) -> None:
    anna = launched(lab, "anna", "patient/*.cruds", "user/*.cruds", patient="anna")
    assert anna.get("/fhir/Observation/lab-1").status_code == 200
    assert anna.get("/fhir/Observation/lab-bert").status_code == 404
    assert anna.put("/fhir/Observation/lab-1", observation("lab-1", "anna")).status_code == 403
    assert launched(lab, "anna", "patient/*.cruds", patient="bert").get("/fhir/Observation/lab-bert").status_code == 404
    nurse = launched(lab, "nurse", "user/*.cruds", "patient/*.cruds", patient="bert")
    assert nurse.get("/fhir/Observation/lab-bert").status_code == 404


def test_a_record_cannot_be_written_out_of_the_condition_or_to_another_patient(lab: Clinic) -> None:
    app = launched(lab, "service", f"patient/Observation.cruds?{LAB}", patient="anna")
    for outside in (
        observation("lab-1", "anna", "vital-signs"),
        observation("lab-1", "anna", "laboratory", system="http://example.org/other"),
        observation("lab-1", "anna"),
        observation("lab-1", "bert", "laboratory"),
    ):
        assert app.put("/fhir/Observation/lab-1", outside).status_code == 403
        assert app.post("/fhir/Observation", {k: v for k, v in outside.items() if k != "id"}).status_code == 403
    to_vital = [{"op": "replace", "path": "/category/0/coding/0/code", "value": "vital-signs"}]
    assert app.request("PATCH", "/fhir/Observation/lab-1", json=to_vital, headers=PATCH).status_code == 403
    assert app.get("/fhir/Observation/lab-1").json()["meta"]["versionId"] == "1"


def test_a_record_outside_cannot_be_written_into_the_condition(lab: Clinic) -> None:
    app = launched(lab, "service", f"patient/Observation.cruds?{LAB}", patient="anna")
    taken = app.put("/fhir/Observation/vital", observation("vital", "anna", "laboratory"))
    assert taken.status_code == 403
    into = [{"op": "replace", "path": "/category/0/coding/0/code", "value": "laboratory"}]
    assert app.request("PATCH", "/fhir/Observation/vital", json=into, headers=PATCH).status_code == 404
    assert app.delete("/fhir/Observation/vital").status_code == 404
    assert app.delete("/fhir/Observation?_id=vital").status_code == 204  # nothing matched
    assert lab.as_("physician").get("/fhir/Observation/vital").json()["meta"]["versionId"] == "1"


def test_a_patch_is_no_oracle_about_what_is_outside(lab: Clinic) -> None:
    app = launched(lab, "service", f"patient/Observation.cruds?{LAB}", patient="anna")
    for value in ("final", "amended"):
        test = [{"op": "test", "path": "/status", "value": value}]
        assert app.request("PATCH", "/fhir/Observation/vital", json=test, headers=PATCH).status_code == 404


def test_conditional_requests_match_what_is_covered_alone(lab: Clinic) -> None:
    app = launched(lab, "service", f"patient/Observation.cruds?{LAB}", patient="anna")
    new = observation("", "anna", "laboratory")
    del new["id"]
    made = app.request("POST", "/fhir/Observation", json=new, headers={"if-none-exist": "_id=vital"})
    assert made.status_code == 201  # as if nothing were there
    several = app.request("POST", "/fhir/Observation", json=new, headers={"if-none-exist": "category=vital-signs"})
    assert several.status_code == 200  # `both` alone, of all that are vital signs
    assert several.json()["id"] == "both"


def test_what_is_made_without_r_is_not_shown(lab: Clinic) -> None:
    new = observation("", "anna", "laboratory")
    del new["id"]
    asking = {"prefer": "return=representation"}
    app = launched(lab, "service", "patient/Observation.cu", patient="anna")
    made = app.request("POST", "/fhir/Observation", json=new, headers=asking)
    assert made.status_code == 201
    assert made.content == b""
    assert made.headers["location"]
    changed = app.request(
        "PUT", "/fhir/Observation/lab-1", json=observation("lab-1", "anna", "laboratory"), headers=asking
    )
    assert changed.status_code == 200
    assert changed.content == b""
    entry = {"request": {"method": "POST", "url": "Observation"}, "resource": new}
    for kind in ("batch", "transaction"):
        bundle = {"resourceType": "Bundle", "type": kind, "entry": [entry]}
        answer = app.request("POST", "/fhir", json=bundle, headers=asking).json()
        assert answer["entry"][0]["response"]["status"].startswith("201")
        assert "resource" not in answer["entry"][0]
    seeing = launched(lab, "service", "patient/Observation.cr", patient="anna")
    assert seeing.request("POST", "/fhir/Observation", json=new, headers=asking).json()["status"] == "final"


def test_what_is_made_outside_the_readable_part_is_not_shown(lab: Clinic) -> None:
    app = launched(lab, "service", "patient/Observation.c", SCOPE, patient="anna")
    for categories, shown in ((("laboratory",), True), (("vital-signs",), False)):
        new = observation("", "anna", *categories)
        del new["id"]
        made = app.post("/fhir/Observation", new)
        assert made.status_code == 201
        assert bool(made.content) is shown


@pytest.mark.requirement("smart@130")
def test_bundles_are_judged_entry_by_entry(lab: Clinic) -> None:
    app = launched(lab, "service", "patient/Observation.c", patient="anna")
    new = observation("", "anna", "laboratory")
    del new["id"]

    def entry(method: str, url: str, resource: JSON | None = None) -> JSON:
        made: JSON = {"request": {"method": method, "url": url}}
        return made | ({"resource": resource} if resource else {})

    wanted = [
        entry("POST", "Observation", new),
        entry("GET", "Observation/lab-1"),
        entry("PUT", "Observation/lab-1", observation("lab-1", "anna", "laboratory")),
        entry("DELETE", "Observation/lab-1"),
        entry("POST", "Condition", {k: v for k, v in condition("anna").items() if k != "id"}),
        entry("POST", "Observation", {**new, "subject": {"reference": "Patient/bert"}}),
    ]
    answer = app.post("/fhir", {"resourceType": "Bundle", "type": "batch", "entry": wanted}).json()
    assert [one["response"]["status"][:3] for one in answer["entry"]] == ["201", "403", "403", "403", "403", "403"]
    count = lab.as_("physician").get("/fhir/Observation?_summary=count").json()["total"]
    for second in wanted[1:]:
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [wanted[0], second]}
        assert app.post("/fhir", bundle).status_code == 403
    assert lab.as_("physician").get("/fhir/Observation?_summary=count").json()["total"] == count


@pytest.mark.requirement("smart@136", "smart@170", "smart@367")
def test_a_clinician_in_a_launch_for_one_patient_is_held_to_them_everywhere(lab: Clinic) -> None:
    app = launched(lab, "physician", "patient/*.cruds", patient="anna")
    assert lab.as_("physician").get("/fhir/Patient/bert").status_code == 200
    for path in (
        "Patient/bert",
        "Observation/lab-bert",
        "Condition/asthma-bert",
        "Patient/bert/$everything",
        "Patient/bert/_history",
    ):
        assert app.get(f"/fhir/{path}").status_code == 404, path
    assert {one["id"] for one in app.find("Patient")} == {"anna"}
    assert app.get("/fhir/Patient?name=brown&_summary=count").json()["total"] == 0
    assert app.get("/fhir/Practitioner/physician").status_code == 200
    assert (
        app.put("/fhir/Practitioner/physician", {"resourceType": "Practitioner", "id": "physician"}).status_code == 403
    )
    moved = heart_rate("bert", 70, "pulse-anna")
    assert app.put("/fhir/Observation/pulse-anna", moved).status_code == 403
    listed = app.get("/fhir/_history?_count=1000").json()["entry"]
    assert listed
    assert not [entry["fullUrl"] for entry in listed if "bert" in entry["fullUrl"]]
    matched = app.post(
        "/fhir/Patient/$match",
        {
            "resourceType": "Parameters",
            "parameter": [
                {
                    "name": "resource",
                    "resource": {
                        "resourceType": "Patient",
                        "name": [{"family": "Brown", "given": ["Bert"]}],
                        "birthDate": "1955-07-01",
                    },
                }
            ],
        },
    )
    assert "bert" not in matched.text.lower()


def test_rights_that_end_count_at_the_next_request(lab: Clinic) -> None:
    app = launched(lab, "nurse", "patient/*.rs", patient="anna")
    assert app.get("/fhir/Observation/lab-1").status_code == 200
    assert lab.as_("service").delete("/fhir/CareTeam/team-anna").status_code == 204
    assert app.get("/fhir/Observation/lab-1").status_code == 404


def test_nothing_about_scopes_is_told_to_whoever_is_refused(lab: Clinic) -> None:
    app = launched(lab, "physician", SCOPE, patient="anna")
    refused = app.get("/fhir/Condition/asthma-anna")
    assert refused.status_code == 403
    assert "laboratory" not in refused.text
    assert CATEGORY not in refused.text
