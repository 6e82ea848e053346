# SPDX-License-Identifier: Apache-2.0
"""Every door asked for a hidden record answers as for one that never was, byte for byte."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tests.attacks.ward import HIDDEN, nobody, told
from tests.support.clinic import Client, Clinic, heart_rate

Door = Callable[[Client, str, str], httpx.Response]


def _bundle(kind: str, *requests: dict[str, object]) -> dict[str, object]:
    return {"resourceType": "Bundle", "type": kind, "entry": [{"request": request} for request in requests]}


def _get_entry(kind: str, url: str) -> Callable[[Client, str, str], httpx.Response]:
    return lambda who, type_, id_: who.post(
        "/fhir", _bundle(kind, {"method": "GET", "url": url.format(type=type_, id=id_)})
    )


def _get(path: str, **headers: str) -> Door:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda who, type_, id_: who.get("/fhir/" + path.format(type=type_, id=id_), headers=sent)


def _search_by_post(who: Client, type_: str, id_: str) -> httpx.Response:
    form = {"content-type": "application/x-www-form-urlencoded"}
    return who.request("POST", f"/fhir/{type_}/_search", content=f"_id={id_}", headers=form)


READING: dict[str, Door] = {
    "read": _get("{type}/{id}"),
    "read if-none-match": _get("{type}/{id}", if_none_match='W/"1"'),
    "read other format": _get("{type}/{id}?_format=xml"),
    "vread": _get("{type}/{id}/_history/1"),
    "vread 2": _get("{type}/{id}/_history/2"),
    "vread nonsense": _get("{type}/{id}/_history/x"),
    "history": _get("{type}/{id}/_history"),
    "history since": _get("{type}/{id}/_history?_since=2020-01-01&_count=1"),
    "search": _get("{type}?_id={id}"),
    "search list": _get("{type}?_id={id},nothing-else"),
    "search total": _get("{type}?_id={id}&_total=accurate"),
    "search count": _get("{type}?_id={id}&_summary=count"),
    "search page of none": _get("{type}?_id={id}&_count=0&_total=accurate"),
    "search sorted": _get("{type}?_id={id}&_sort=_id"),
    "search elements": _get("{type}?_id={id}&_elements=id"),
    "search lenient": _get("{type}?_id={id}&nonsense=1", prefer="handling=lenient"),
    "search strict": _get("{type}?_id={id}&nonsense=1", prefer="handling=strict"),
    "search by post": _search_by_post,
    "search everything": _get("?_id={id}&_total=accurate"),
    "search several types": _get("?_type={type},Basic&_id={id}"),
    "search with all that it points to": _get("{type}?_id={id}&_include=*&_revinclude=*"),
    "search inside others": _get("{type}?_id={id}&_contained=both"),
    "search by what points to it": _get("{type}?_has:Provenance:target:_id={id}&_id={id}"),
    "compartment": _get("{type}/{id}/*"),
    "compartment of a type": _get("Patient/{id}/{type}"),
    "history at a time": _get("{type}/{id}/_history?_at=2020"),
    "head": lambda who, type_, id_: who.request("HEAD", f"/fhir/{type_}/{id_}"),
    "read if-modified-since": _get("{type}/{id}", if_modified_since="Sat, 29 Oct 2044 19:43:31 GMT"),
    "batch read": _get_entry("batch", "{type}/{id}"),
    "batch vread": _get_entry("batch", "{type}/{id}/_history/1"),
    "batch compartment": _get_entry("batch", "Patient/{id}/*?_total=accurate"),
    "batch search of everything": _get_entry("batch", "?_id={id}&_total=accurate"),
    "transaction compartment": _get_entry("transaction", "Patient/{id}/Observation?_total=accurate"),
    "batch search": _get_entry("batch", "{type}?_id={id}&_total=accurate"),
    "transaction read": _get_entry("transaction", "{type}/{id}"),
    "transaction search": _get_entry("transaction", "{type}?_id={id}&_total=accurate"),
}


@pytest.mark.parametrize("door", READING)
@pytest.mark.parametrize("name", HIDDEN)
def test_reading_a_hidden_record_reads_as_absent(quiet_ward: Clinic, name: str, door: str) -> None:
    who = quiet_ward.as_(name)
    for place in HIDDEN[name]:
        type_, _, id_ = place.partition("/")
        absent = READING[door](who, type_, nobody(id_))
        hidden = READING[door](who, type_, id_)
        assert told(hidden, id_) == told(absent, nobody(id_)), place
        assert hidden.status_code < 500


def _put(body_owner: str, *, if_match: str = "") -> Door:
    def door(who: Client, type_: str, id_: str) -> httpx.Response:
        headers = {"if-match": if_match} if if_match else {}
        return who.put(f"/fhir/{type_}/{id_}", _body(type_, id_, body_owner), headers=headers)

    return door


def _body(type_: str, id_: str, owner: str) -> dict[str, object]:
    if type_ == "Observation":
        return heart_rate(owner, 1, id_)
    return {"resourceType": type_, "id": id_}


def _delete(path: str, **headers: str) -> Door:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda who, type_, id_: who.delete("/fhir/" + path.format(type=type_, id=id_), headers=sent)


def _conditional_reference(who: Client, type_: str, id_: str) -> httpx.Response:
    resource = heart_rate("anna", 1)
    del resource["id"]
    resource["focus"] = [{"reference": f"{type_}?_id={id_}"}]
    request = {"method": "POST", "url": "Observation"}
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": resource, "request": request}],
    }
    return who.post("/fhir", bundle)


def _in_bundle(kind: str, method: str, *, if_match: str = "") -> Door:
    def door(who: Client, type_: str, id_: str) -> httpx.Response:
        request = {"method": method, "url": f"{type_}/{id_}"} | ({"ifMatch": if_match} if if_match else {})
        entry: dict[str, object] = {"request": request}
        if method == "PUT":
            entry["resource"] = _body(type_, id_, "bert")
        return who.post("/fhir", {"resourceType": "Bundle", "type": kind, "entry": [entry]})

    return door


def _create_if_none(who: Client, type_: str, id_: str) -> httpx.Response:
    body = _body(type_, id_, "bert")
    return who.post(f"/fhir/{type_}", body, headers={"if-none-exist": f"_id={id_}"})


WRITING: dict[str, Door] = {
    "update for bert": _put("bert"),
    "update if-match": _put("anna", if_match='W/"1"'),
    "update if-match 2": _put("anna", if_match='W/"2"'),
    "delete": _delete("{type}/{id}"),
    "delete if-match": _delete("{type}/{id}", if_match='W/"1"'),
    "delete if-match 9": _delete("{type}/{id}", if_match='W/"9"'),
    "conditional delete": _delete("{type}?_id={id}"),
    "conditional create": _create_if_none,
    "conditional reference": _conditional_reference,
    "batch delete": _in_bundle("batch", "DELETE"),
    "batch update": _in_bundle("batch", "PUT"),
    "transaction delete": _in_bundle("transaction", "DELETE", if_match='W/"1"'),
    "transaction update": _in_bundle("transaction", "PUT"),
}


@pytest.mark.parametrize("name", ["anna", "nurse"])
@pytest.mark.parametrize("door", WRITING)
def test_writing_to_a_hidden_record_answers_as_to_an_absent_one(quiet_ward: Clinic, name: str, door: str) -> None:
    """None of these doors lets either person write, so the ward stays as it is."""
    who = quiet_ward.as_(name)
    for place in HIDDEN[name]:
        type_, _, id_ = place.partition("/")
        absent = WRITING[door](who, type_, nobody(id_))
        hidden = WRITING[door](who, type_, id_)
        assert told(hidden, id_) == told(absent, nobody(id_)), place
        assert 400 <= hidden.status_code < 500 or b"403 Forbidden" in hidden.content or hidden.status_code == 204


def test_taking_the_id_of_a_hidden_record_leaves_it_untouched(ward: Clinic) -> None:
    before = ward.as_("service").get("/fhir/Observation/pulse-bert").content
    refused = ward.as_("nurse").put("/fhir/Observation/pulse-bert", heart_rate("anna", 1, "pulse-bert"))
    assert refused.status_code == 403
    outside = ward.as_("nurse").put("/fhir/Observation/pulse-bert", heart_rate("bert", 1, "pulse-bert"))
    assert refused.content == outside.content
    assert ward.as_("service").get("/fhir/Observation/pulse-bert").content == before


def test_conditional_update_matching_only_hidden_records_makes_a_new_one(ward: Clinic) -> None:
    nurse = ward.as_("nurse")
    mine = heart_rate("anna", 88)
    del mine["id"]
    made = nurse.put("/fhir/Observation?_id=pulse-bert", mine)
    assert made.status_code == 201
    assert made.json()["id"] != "pulse-bert"
    assert ward.as_("service").get("/fhir/Observation/pulse-bert").json()["meta"]["versionId"] == "1"


def test_conditional_update_matching_many_hidden_records_is_not_several(ward: Clinic) -> None:
    service, nurse = ward.as_("service"), ward.as_("nurse")
    for number in range(3):
        service.put(f"/fhir/Observation/more-{number}", heart_rate("bert", 50 + number, f"more-{number}"))
    mine = heart_rate("anna", 88)
    del mine["id"]
    several = service.put("/fhir/Observation?subject=Patient/bert", {**mine, "subject": {"reference": "Patient/bert"}})
    assert several.status_code == 412
    assert nurse.put("/fhir/Observation?subject=Patient/bert", mine).status_code == 201


def test_conditional_create_on_a_hidden_match_does_not_hand_it_out(ward: Clinic) -> None:
    mine = heart_rate("anna", 88)
    made = ward.as_("nurse").post("/fhir/Observation", mine, headers={"if-none-exist": "patient=bert"})
    assert made.status_code == 201
    assert made.json()["subject"]["reference"] == "Patient/anna"
