# SPDX-License-Identifier: Apache-2.0
"""An element that is hidden stays hidden through every door, and cannot be asked about either."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.clinic import Clinic, condition, put_all

WHISPER = "drinks since the accident"
FINDING = "shadow on the film"

GUARDED: dict[str, Any] = {
    **condition("anna"),
    "id": "guarded",
    "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{WHISPER}</div>'},
    "note": [{"text": WHISPER}],
    "extension": [{"url": "urn:x", "valueString": WHISPER}],
    "contained": [{"resourceType": "Observation", "id": "in", "status": "final", "code": {"text": WHISPER}}],
    "evidence": [
        {"detail": [{"reference": "#in"}, {"reference": "Observation/lab-anna"}], "code": [{"text": FINDING}]}
    ],
}


@pytest.fixture
def masked(clinic: Clinic) -> Clinic:
    """A clinic with a condition whose notes billing and pharmacist must not read."""
    laboratory = {
        "resourceType": "Observation",
        "id": "lab-anna",
        "status": "final",
        "category": [{"coding": [{"code": "laboratory"}]}],
        "code": {"text": "glucose"},
        "subject": {"reference": "Patient/anna"},
    }
    put_all(clinic.as_("service"), laboratory, GUARDED)
    who = clinic.as_("service").get("/fhir/Patient/anna").json()
    who["telecom"] = [{"system": "phone", "value": "555-7788"}]
    who["address"] = [{"city": "Hiddenville"}]
    who["generalPractitioner"] = [{"reference": "Practitioner/physician"}]
    put_all(clinic.as_("service"), who)
    return clinic


DOORS = (
    "Condition/guarded",
    "Condition?_id=guarded",
    "Condition?_id=guarded&_elements=note,code,text,contained,extension",
    "Condition?patient=anna&code=195967001&_sort=code",
    "Condition?code:text=nothing,asthma",
    "Condition?_include=Condition:patient",
)


@pytest.mark.parametrize("door", DOORS)
def test_notes_are_absent_from_every_answer_to_billing(masked: Clinic, door: str) -> None:
    answer = masked.as_("billing").get(f"/fhir/{door}")
    assert answer.status_code == 200
    assert WHISPER not in answer.text
    form = {"content-type": "application/x-www-form-urlencoded"}
    if "?" in door:
        posted = masked.as_("billing").request(
            "POST", "/fhir/Condition/_search", content=door.partition("?")[2], headers=form
        )
        assert posted.status_code == 200
        assert WHISPER not in posted.text


def test_a_masked_answer_says_so_and_keeps_the_rest(masked: Clinic) -> None:
    shown = masked.as_("billing").get("/fhir/Condition/guarded").json()
    assert shown["code"] == GUARDED["code"]
    assert {"code": "SUBSETTED"}.items() <= shown["meta"]["tag"][0].items()
    assert not shown.keys() & {"note", "text", "contained", "extension"}


def test_who_may_read_all_gets_the_notes(masked: Clinic) -> None:
    """Without this the tests here could pass because nobody gets them."""
    assert WHISPER in masked.as_("physician").get("/fhir/Condition/guarded").text


@pytest.mark.parametrize("door", ["Condition/guarded/_history", "Condition/guarded/_history/1", "Condition/_history"])
def test_the_way_round_by_history_is_not_granted(masked: Clinic, door: str) -> None:
    assert masked.as_("billing").get(f"/fhir/{door}").status_code == 403
    everything = masked.as_("billing").get("/fhir/_history?_count=1000")
    assert WHISPER not in everything.text


@pytest.mark.parametrize("kind", ["batch", "transaction"])
@pytest.mark.parametrize("url", ["Condition/guarded", "Condition?patient=anna"])
def test_notes_are_absent_from_bundles(masked: Clinic, kind: str, url: str) -> None:
    bundle = {"resourceType": "Bundle", "type": kind, "entry": [{"request": {"method": "GET", "url": url}}]}
    answer = masked.as_("billing").post("/fhir", bundle)
    assert answer.json()["entry"][0]["response"]["status"] == "200 OK"
    assert WHISPER not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "phone=555-7788",
        "telecom=555-7788",
        "address=Hiddenville",
        "address-city=Hiddenville",
        "address-city:missing=true",
        "address:contains=ville",
        "general-practitioner=Practitioner/physician",
        "general-practitioner:not-a-modifier=x",
        "_sort=address-city",
        "_sort=-phone,birthdate",
        "_include=Patient:general-practitioner",
        "_include=Patient:general-practitioner:Practitioner&_id=anna",
        "_id=anna&_total=accurate&phone=555-7788",
        "_summary=count&address-city=Hiddenville",
    ],
)
def test_a_hidden_element_is_not_searched_sorted_or_followed(masked: Clinic, query: str) -> None:
    """The laboratory sees names and birth dates; an answer by address or telephone would tell them."""
    laboratory = masked.as_("laboratory")
    hit = laboratory.get(f"/fhir/Patient?{query}")
    assert hit.status_code in {400, 403}
    assert hit.content == laboratory.get(f"/fhir/Patient?{query.replace('7788', '0000')}").content
    assert "Practitioner/physician" not in hit.text


def test_include_through_a_hidden_element_is_refused(masked: Clinic) -> None:
    """The pharmacist may read laboratory results, but not which of them a diagnosis rests on."""
    pharmacist = masked.as_("pharmacist")
    assert pharmacist.get("/fhir/Observation/lab-anna").status_code == 200
    assert pharmacist.get("/fhir/Condition?_include=Condition:evidence-detail").status_code == 403
    assert pharmacist.get("/fhir/Condition?evidence-detail=Observation/lab-anna").status_code == 403
    shown = pharmacist.get("/fhir/Condition/guarded")
    assert "lab-anna" not in shown.text
    assert FINDING not in shown.text
    assert WHISPER not in shown.text


def test_a_conditional_reference_over_a_hidden_element_is_refused(masked: Clinic) -> None:
    """A bundle that would resolve only if the telephone number is right must not tell."""
    specimen = {"resourceType": "Specimen", "subject": {"reference": "Patient?phone=555-7788"}}
    entry = {"resource": specimen, "request": {"method": "POST", "url": "Specimen"}}
    right = masked.as_("laboratory").post("/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    specimen["subject"] = {"reference": "Patient?phone=555-0000"}
    wrong = masked.as_("laboratory").post("/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert right.status_code == wrong.status_code == 403
    assert right.content == wrong.content


def test_replacing_a_record_that_one_sees_in_part_is_refused(masked: Clinic) -> None:
    """A masked copy written back would erase what its reader cannot see."""
    shown = masked.as_("pharmacist").get("/fhir/Condition/guarded").json()
    assert masked.as_("pharmacist").put("/fhir/Condition/guarded", shown).status_code == 403
    assert WHISPER in masked.as_("physician").get("/fhir/Condition/guarded").text


def test_patch_as_an_oracle_is_not_answered(masked: Clinic) -> None:
    told = set()
    for value in (WHISPER, "something else"):
        patch = [{"op": "test", "path": "/note/0/text", "value": value}]
        answer = masked.as_("billing").request(
            "PATCH", "/fhir/Condition/guarded", json=patch, headers={"content-type": "application/json-patch+json"}
        )
        assert answer.status_code == 403
        told.add(answer.content)
    assert len(told) == 1
