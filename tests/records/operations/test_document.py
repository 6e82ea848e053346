# SPDX-License-Identifier: Apache-2.0
"""`$document` gathers what a Composition refers to, under the eyes of whoever asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.clinic import Clinic, put_all
from tests.support.outcomes import assert_outcome

from salus.fhir.validate import check

JSON = dict[str, Any]
RESTRICTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
LETTER = "/fhir/Composition/letter/$document"
PARAMETERS = {"resourceType": "Parameters", "parameter": [{"name": "persist", "valueBoolean": True}]}


def furnish(clinic: Clinic) -> None:
    """A letter about Anna that refers to a pulse, a restricted note and a stranger's pulse."""
    entries = ("Observation/pulse-anna", "DocumentReference/secret", "Observation/pulse-bert")
    put_all(
        clinic.as_("service"),
        {
            "resourceType": "DocumentReference",
            "id": "secret",
            "meta": {"security": [RESTRICTED]},
            "status": "current",
            "subject": {"reference": "Patient/anna"},
            "content": [{"attachment": {"contentType": "text/plain"}}],
        },
        {
            "resourceType": "Composition",
            "id": "letter",
            "status": "final",
            "type": {"text": "Letter"},
            "subject": {"reference": "Patient/anna"},
            "date": "2026-03-02",
            "author": [{"reference": "Practitioner/physician"}],
            "title": "Letter",
            "section": [{"title": "All", "entry": [{"reference": name} for name in entries]}],
        },
    )


def inside(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert bundle["type"] == "document"
    return [f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in bundle["entry"]]


def test_a_document_holds_the_composition_first_and_what_it_refers_to(clinic: Clinic) -> None:
    furnish(clinic)
    answer = clinic.as_("service").get(LETTER)
    check(answer.json(), "Bundle")
    found = inside(answer)
    assert found[0] == "Composition/letter"
    assert set(found[1:]) == {
        "Patient/anna", "Practitioner/physician", "Observation/pulse-anna", "DocumentReference/secret",
        "Observation/pulse-bert", "Patient/bert",
    }  # fmt: skip
    by_id = clinic.as_("service").get("/fhir/Composition/$document?id=Composition/letter")
    assert inside(by_id) == found


def test_what_one_may_not_read_is_left_out_and_labels_come_along(clinic: Clinic) -> None:
    furnish(clinic)
    service = clinic.as_("service").get(LETTER).json()
    assert service["meta"]["security"] == [RESTRICTED]
    anna = clinic.as_("anna").get(LETTER)
    assert set(inside(anna)) == {
        "Composition/letter", "Patient/anna", "Observation/pulse-anna", "DocumentReference/secret",
    }  # fmt: skip
    physician = clinic.as_("physician").get(LETTER)
    assert "DocumentReference/secret" not in inside(physician)
    assert "security" not in physician.json()["meta"]
    assert clinic.as_("bert").get(LETTER).status_code == 404
    assert clinic.as_("front-desk").get(LETTER).status_code == 403


def test_graph_and_wrong_names_are_refused(clinic: Clinic) -> None:
    furnish(clinic)
    physician = clinic.as_("physician")
    for path in (
        f"{LETTER}?graph=urn:x",
        f"{LETTER}?persist=true",  # GET keeps nothing
        "/fhir/Composition/$document",
        "/fhir/Composition/$document?id=Patient/anna",
        "/fhir/Composition/$document?id=http://elsewhere.example/Composition/1",
        "/fhir/Composition/nothing/$document",
    ):
        assert_outcome(physician.get(path))


def test_nobody_keeps_a_document_under_the_default_policy(clinic: Clinic) -> None:
    furnish(clinic)
    for name in ("physician", "service", "anna"):
        assert clinic.as_(name).post(LETTER, PARAMETERS).status_code == 403


def test_a_kept_document_belongs_to_the_patients_in_it(clinic: Clinic, tmp_path: Path) -> None:
    furnish(clinic)
    clinic.close()
    policy = clinic.folder / "policy.toml"
    granted = policy.read_text("utf-8").replace('"BodyStructure", ', '"BodyStructure", "Bundle", ', 1)
    policy.write_text(granted, "utf-8")
    clinic.open()
    incomplete = clinic.as_("physician").post(LETTER, PARAMETERS)
    assert incomplete.status_code == 422, "the restricted note is hidden from the physician"
    answer = clinic.as_("service").post(LETTER, PARAMETERS)
    assert len(inside(answer)) == 7
    place = answer.headers["location"].partition("/fhir/")[2]
    bundle = place.partition("/_history")[0]
    assert clinic.as_("service").get(f"/fhir/{bundle}").json() == answer.json()
    assert clinic.as_("physician").get(f"/fhir/{bundle}").status_code == 404, "it carries the label of the note"
    # Bert's pulse is in it as well: so it is neither Anna's alone nor Bert's.
    assert [clinic.as_(name).get(f"/fhir/{bundle}").status_code for name in ("anna", "bert", "nurse")] == [404] * 3
