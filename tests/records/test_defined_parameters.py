# SPDX-License-Identifier: Apache-2.0
"""SearchParameters that a clinic defines: refused, indexed, ready, changed and gone again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from salus.app.house import House
from salus.app.indexing import bring_up_to_date, operator
from salus.audit.event import EventType
from salus.kernel.errors import Kind, Problem
from salus.records.draft import unit_of
from salus.records.interactions import update
from salus.records.reindexing import pending
from tests.support.clinic import JSON, Clinic, put_all

EYE = "http://clinic.example/eye-colour"


def parameter(code: str = "eye-colour", **changed: object) -> JSON:
    """A parameter over an extension of Patient."""
    made = {
        "resourceType": "SearchParameter",
        "id": code,
        "url": f"http://clinic.example/SearchParameter/{code}",
        "name": "EyeColour",
        "status": "active",
        "description": "Colour of the eyes",
        "code": code,
        "base": ["Patient"],
        "type": "string",
        "expression": f"Patient.extension.where(url='{EYE}').value.ofType(string)",
    }
    return {name: value for name, value in {**made, **changed}.items() if value is not None}


def patient(id_: str, colour: str) -> JSON:
    return {"resourceType": "Patient", "id": id_, "extension": [{"url": EYE, "valueString": colour}]}


def ids(clinic: Clinic, query: str) -> list[str]:
    return sorted(found["id"] for found in clinic.as_("service").find(query))


def index_all(clinic: Clinic) -> list[str]:
    return clinic.run(bring_up_to_date(clinic.house, "default"))


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = Clinic(tmp_path / "data")
    try:
        yield made
    finally:
        made.close()
        made.loop.close()


@pytest.mark.parametrize(
    "expression",
    [
        f"Patient.extension.where(url='{EYE}').value.ofType(string)",  # the subset of R4's own parameters
        "Patient.extension.where(url.endsWith('eye-colour')).value.select($this as string)",  # the whole of FHIRPath
    ],
)
def test_a_parameter_can_be_used_once_every_record_is_indexed(clinic: Clinic, expression: str) -> None:
    service = clinic.as_("service")
    put_all(service, patient("before", "Green"), patient("other", "blue"), parameter(expression=expression))
    waiting = service.get("/fhir/Patient?eye-colour=green")
    assert waiting.status_code == 400
    assert "still being indexed" in waiting.text
    put_all(service, patient("after", "grünlich"), patient("later", "green"))
    assert index_all(clinic) == []
    assert ids(clinic, "Patient?eye-colour=green") == ["before", "later"]
    assert ids(clinic, "Patient?eye-colour:exact=Green") == ["before"]
    assert ids(clinic, "Patient?eye-colour:missing=false") == ["after", "before", "later", "other"]
    assert ids(clinic, "Patient?eye-colour=grun") == ["after"]
    named = [found["id"] for found in service.find("Patient?eye-colour:missing=false&_sort=eye-colour,_id")]
    assert named == ["other", "before", "later", "after"]
    put_all(service, patient("before", "brown"))
    assert ids(clinic, "Patient?eye-colour=green") == ["later"]


def test_a_chain_may_end_in_a_parameter_that_was_defined(clinic: Clinic) -> None:
    put_all(clinic.as_("service"), parameter(), {**patient("anna", "green"), "gender": "female"})
    index_all(clinic)
    assert ids(clinic, "Observation?subject:Patient.eye-colour=green") == ["pulse-anna"]


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"code": "birthdate"}, "SearchParameter.code"),
        ({"code": "_x.y"}, "SearchParameter.code"),
        ({"type": "composite"}, "SearchParameter.component"),
        ({"base": ["Patient", "Dragon"]}, "SearchParameter.base[1]"),
        ({"expression": None}, "SearchParameter.expression"),
        ({"expression": "Patient.name.where("}, "SearchParameter.expression"),
        ({"expression": "Patient.wings()"}, "SearchParameter.expression"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(clinic: Clinic, changed: JSON, place: str) -> None:
    answer = clinic.as_("service").put("/fhir/SearchParameter/x", {**parameter(), "id": "x", **changed})
    if changed.get("expression", "") is None:
        body = {name: value for name, value in {**parameter(), "id": "x"}.items() if name != "expression"}
        answer = clinic.as_("service").put("/fhir/SearchParameter/x", body)
    assert answer.status_code in {400, 422}, answer.text
    assert any(place in issue.get("expression", []) for issue in answer.json()["issue"]), answer.text


def test_the_same_code_for_the_same_type_is_taken_once(clinic: Clinic) -> None:
    put_all(clinic.as_("service"), parameter())
    answer = clinic.as_("service").put("/fhir/SearchParameter/second", {**parameter(), "id": "second"})
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["code"] == "duplicate"


def test_a_draft_has_no_effect_and_what_is_gone_is_unknown(clinic: Clinic) -> None:
    service = clinic.as_("service")
    put_all(service, parameter(status="draft"))
    assert service.get("/fhir/Patient?eye-colour=x").status_code == 400
    assert not [each for each in pending(operator(clinic.house, "default")) if "eye" in each.words]
    put_all(service, parameter())
    index_all(clinic)
    assert service.get("/fhir/Patient?eye-colour=x").status_code == 200
    assert service.delete("/fhir/SearchParameter/eye-colour").status_code in {200, 204}
    assert service.get("/fhir/Patient?eye-colour=x").status_code == 400


def test_a_changed_expression_is_indexed_anew(clinic: Clinic) -> None:
    service = clinic.as_("service")
    put_all(service, {**patient("p", "green"), "language": "en"}, parameter())
    index_all(clinic)
    put_all(service, parameter(expression="Patient.language.toString()"))
    assert service.get("/fhir/Patient?eye-colour=en").status_code == 400
    index_all(clinic)
    assert ids(clinic, "Patient?eye-colour=en") == ["p"]
    assert ids(clinic, "Patient?eye-colour=green") == []


def test_us_core_s_parameters_work_out_of_the_box(clinic: Clinic) -> None:
    race = {
        "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
        "extension": [
            {"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "2106-3"}},
            {"url": "text", "valueString": "White"},
        ],
    }
    put_all(clinic.as_("service"), {"resourceType": "Patient", "id": "p", "extension": [race]})
    assert index_all(clinic) == []
    assert ids(clinic, "Patient?race=2106-3") == ["p"]
    assert index_all(clinic) == []  # nothing is left, and nothing is done twice


def test_race_a_record_written_for_the_former_definitions_is_made_anew(clinic: Clinic) -> None:
    ctx = clinic.context()
    prepared, _ = update.stage(ctx, "Patient", "late", patient("late", "green"))
    put_all(clinic.as_("service"), parameter())
    index_all(clinic)
    event = ctx.event(EventType.RECORD_UPDATE, reason="test", entities=prepared.entities)
    with pytest.raises(Problem) as refused:
        clinic.run(ctx.commit(unit_of([prepared]), event))
    assert refused.value.kind is Kind.CONFLICT
    put_all(clinic.as_("service"), patient("late", "green"))
    assert ids(clinic, "Patient?eye-colour=green") == ["late"]


def test_two_processes_another_one_notices_what_became_ready(clinic: Clinic) -> None:
    other = House(clinic.settings)
    try:
        assert "eye-colour" not in operator(other, "default").lens.registry.parameters("Patient")
        put_all(clinic.as_("service"), patient("p", "green"), parameter())
        seen = operator(other, "default").lens.registry.parameters("Patient")["eye-colour"]
        assert seen.unsupported
        index_all(clinic)
        seen = operator(other, "default").lens.registry.parameters("Patient")["eye-colour"]
        assert not seen.unsupported
    finally:
        other.close()


def test_after_a_new_version_of_indexing_searches_open_records_until_all_are_indexed(clinic: Clinic) -> None:
    service = clinic.as_("service")
    put_all(service, patient("p", "green"))
    with clinic.behind() as db:
        db.execute("update record set indexed=0")
        db.execute("delete from blind_token")
        db.execute(
            "insert or replace into index_state(tenant, version, definitions, changes) values('default', 0, 0, 1)"
        )
    assert ids(clinic, "Patient?birthdate=1980-02-29") == ["anna"]  # found without its tokens
    assert "the index itself" in [each.words for each in pending(operator(clinic.house, "default"))]
    assert index_all(clinic) == []
    assert ids(clinic, "Patient?birthdate=1980-02-29") == ["anna"]
    left = "select count(*) from record where current=1 and deleted=0 and indexed=0"
    assert clinic.house.db.execute(left).get == 0


def test_attack_a_nurse_cannot_define_parameters(clinic: Clinic) -> None:
    answer = clinic.as_("nurse").put("/fhir/SearchParameter/eye-colour", parameter())
    assert answer.status_code == 403


def test_attack_a_masked_role_cannot_search_by_what_it_may_not_see(clinic: Clinic) -> None:
    """The pharmacist sees Conditions without note, evidence, contained and extension."""
    service = clinic.as_("service")
    made = parameter(
        "told",
        base=["Condition"],
        expression="Condition.note.text.lower()",
    )
    put_all(service, made)
    index_all(clinic)
    assert clinic.as_("pharmacist").get("/fhir/Condition?patient=Patient/anna&told=x").status_code == 403
    for door in ("told=x", "_content=x", "_text=x", "_filter=evidence eq x", "_filter=told pr true", "_sort=evidence"):
        answer = clinic.as_("pharmacist").get(f"/fhir/Condition?patient=Patient/anna&{door}")
        assert answer.status_code == 403, door
