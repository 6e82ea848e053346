# SPDX-License-Identifier: Apache-2.0
"""`$meta` and its companions: labels are read, added and removed, within what the actor may do."""

from __future__ import annotations

from typing import Any

from tests.support.clinic import Clinic
from tests.support.outcomes import assert_outcome

FOLLOW_UP = {"system": "urn:example:tags", "code": "follow-up"}
RESTRICTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}


def meta(**sets: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": sets}]}


def returned(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    (parameter,) = answer.json()["parameter"]
    assert parameter["name"] == "return"
    found: dict[str, Any] = parameter["valueMeta"]
    return found


def test_a_tag_is_added_once_as_a_new_version_and_taken_away_again(clinic: Clinic) -> None:
    physician = clinic.as_("physician")
    place = "/fhir/Observation/pulse-anna"
    added = physician.post(f"{place}/$meta-add", meta(tag=[FOLLOW_UP | {"display": "Follow up"}]))
    assert returned(added)["versionId"] == "2"
    assert added.headers["etag"] == 'W/"2"'
    again = physician.post(f"{place}/$meta-add", meta(tag=[FOLLOW_UP]))
    assert returned(again) == returned(added)
    assert physician.get(place).json()["meta"]["tag"] == [FOLLOW_UP | {"display": "Follow up"}]
    assert returned(physician.get(f"{place}/$meta"))["tag"][0]["code"] == "follow-up"
    gone = returned(physician.post(f"{place}/$meta-delete", meta(tag=[FOLLOW_UP])))
    assert (gone["versionId"], "tag" in gone) == ("3", False)
    assert [entry["resource"]["meta"]["versionId"] for entry in physician.get(f"{place}/_history").json()["entry"]] == [
        "3", "2", "1",
    ]  # fmt: skip
    assert physician.find("Observation?_tag=urn:example:tags|follow-up") == []


def test_labels_in_use_are_those_of_records_that_one_may_see(clinic: Clinic) -> None:
    physician = clinic.as_("physician")
    for who in ("anna", "bert"):
        physician.post(f"/fhir/Observation/pulse-{who}/$meta-add", meta(tag=[{"system": "urn:who", "code": who}]))
    for place in ("/fhir/$meta", "/fhir/Observation/$meta"):
        assert {tag["code"] for tag in returned(physician.get(place))["tag"]} == {"anna", "bert"}
        assert {tag["code"] for tag in returned(clinic.as_("anna").get(place))["tag"]} == {"anna"}
    assert_outcome(clinic.as_("auditor").get("/fhir/Observation/$meta"))
    assert clinic.as_("auditor").get("/fhir/$meta").status_code == 403


def test_nobody_labels_a_record_out_of_their_own_grant_or_hides_what_they_may_not(clinic: Clinic) -> None:
    """The physician has no care relationship with Bert: a restricted label would be outside the clearance."""
    place = "/fhir/Observation/pulse-bert"
    refused = clinic.as_("physician").post(f"{place}/$meta-add", meta(security=[RESTRICTED]))
    assert refused.status_code == 403
    labelled = clinic.as_("service").post(f"{place}/$meta-add", meta(security=[RESTRICTED]))
    assert returned(labelled)["security"] == [RESTRICTED]
    assert clinic.as_("physician").get(place).status_code == 404
    # Nor is the label taken away by someone from whom it hides the record.
    hidden = clinic.as_("physician").post(f"{place}/$meta-delete", meta(security=[RESTRICTED]))
    absent = clinic.as_("physician").post("/fhir/Observation/nothing/$meta-delete", meta(security=[RESTRICTED]))
    assert (hidden.status_code, hidden.json()) == (absent.status_code, absent.json())
    assert hidden.status_code == 404


def test_who_may_read_and_not_write_adds_nothing(clinic: Clinic) -> None:
    answer = clinic.as_("anna").post("/fhir/Observation/pulse-anna/$meta-add", meta(tag=[FOLLOW_UP]))
    assert answer.status_code == 403
    assert returned(clinic.as_("anna").get("/fhir/Observation/pulse-anna/$meta"))["versionId"] == "1"
    for name, place in (("anna", "Observation/pulse-bert"), ("administrator", "Patient/anna")):
        assert clinic.as_(name).get(f"/fhir/{place}/$meta").status_code in {403, 404}
