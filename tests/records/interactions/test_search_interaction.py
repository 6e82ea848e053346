# SPDX-License-Identifier: Apache-2.0
"""Search: what surrounds the matches (https://hl7.org/fhir/R4/search.html, http.html#search)."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.support.clinic import BASE, Clinic, heart_rate, patient


def _link(bundle: dict, relation: str) -> str:
    return next((link["url"] for link in bundle["link"] if link["relation"] == relation), "")


def test_the_self_link_says_what_was_applied(clinic: Clinic) -> None:
    bundle = clinic.as_("service").get("/fhir/Patient?family=Ångström&_sort=-birthdate&_format=json&_count=7").json()
    address = urlsplit(_link(bundle, "self"))
    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{BASE}/fhir/Patient"
    assert parse_qsl(address.query) == [("family", "Ångström"), ("_sort", "-birthdate"), ("_count", "7")]
    assert [entry["fullUrl"] for entry in bundle["entry"]] == [f"{BASE}/fhir/Patient/anna"]
    assert bundle["entry"][0]["search"] == {"mode": "match"}


def test_get_and_post_answer_alike(clinic: Clinic) -> None:
    service = clinic.as_("service")
    by_get = service.get("/fhir/Patient?family=%C3%85ngstr%C3%B6m").json()
    by_post = service.request(
        "POST",
        "/fhir/Patient/_search",
        content="family=%C3%85ngstr%C3%B6m",
        headers={"content-type": "application/x-www-form-urlencoded"},
    ).json()
    assert by_get == by_post
    assert len(by_get["entry"]) == 1


def test_bytes_that_are_not_utf8_are_refused_and_never_guessed(clinic: Clinic) -> None:
    service = clinic.as_("service")
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert service.request("POST", "/fhir/Patient/_search", content=b"family=\xc3", headers=form).status_code == 400
    raw = service.request("POST", "/fhir/Patient/_search", content="family=Ångström".encode(), headers=form)
    assert len(raw.json()["entry"]) == 1


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1000])
def test_following_next_gives_every_record_once_newest_first(clinic: Clinic, count: int) -> None:
    service = clinic.as_("service")
    ids = [service.post("/fhir/Observation", heart_rate("anna", n)).json()["id"] for n in range(9)]
    found = [resource["id"] for resource in service.find(f"Observation?patient=anna&_count={count}")]
    assert found == [*reversed(ids), "pulse-anna"]


def test_total_is_told_when_asked_and_only_then(clinic: Clinic) -> None:
    service = clinic.as_("service")
    assert "total" not in service.get("/fhir/Patient?_count=1").json()
    assert "total" not in service.get("/fhir/Patient?_total=none").json()
    for query in (
        "_total=accurate&_count=1",
        "_total=accurate&gender=female,male&_count=1",
        "_total=estimate&_count=1",
    ):
        assert service.get(f"/fhir/Patient?{query}").json()["total"] == 2


@pytest.mark.parametrize("query", ["_summary=count", "_count=0"])
def test_count_only_gives_a_total_and_no_records(clinic: Clinic, query: str) -> None:
    bundle = clinic.as_("service").get(f"/fhir/Patient?{query}").json()
    assert bundle["total"] == 2
    assert "entry" not in bundle
    assert not _link(bundle, "next")


def test_elements_gives_a_part_that_says_so(clinic: Clinic) -> None:
    (found,) = clinic.as_("service").find("Observation?_id=pulse-anna&_elements=value")
    assert found["meta"]["tag"] == [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
    ]
    # what was asked for (in its JSON name), and what no Observation may lack
    assert set(found) == {"resourceType", "id", "meta", "valueQuantity", "status", "code"}


def test_include_adds_what_the_matches_point_to_once(clinic: Clinic) -> None:
    service = clinic.as_("service")
    service.post("/fhir/Observation", heart_rate("anna", 1))
    bundle = service.get("/fhir/Observation?patient=anna&_include=Observation:subject").json()
    modes = [(entry["search"]["mode"], entry["resource"]["resourceType"]) for entry in bundle["entry"]]
    assert modes == [("match", "Observation"), ("match", "Observation"), ("include", "Patient")]
    none = service.get("/fhir/Observation?patient=anna&_include=Observation:subject:Group").json()
    assert {entry["search"]["mode"] for entry in none["entry"]} == {"match"}


def test_an_unknown_parameter_is_refused_and_under_lenient_passed_over_aloud(clinic: Clinic) -> None:
    service = clinic.as_("service")
    strict = service.get("/fhir/Patient?shoe-size=43")
    assert strict.status_code == 400
    assert strict.json()["issue"][0]["expression"] == ["query.shoe-size"]
    lenient = service.get("/fhir/Patient?shoe-size=43&family=brown", headers={"prefer": "handling=lenient"}).json()
    assert "shoe-size" not in _link(lenient, "self")
    *matches, told = lenient["entry"]
    assert [entry["resource"]["id"] for entry in matches] == ["bert"]
    assert told["search"]["mode"] == "outcome"
    assert "shoe-size" in told["resource"]["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    "query",
    [
        "birthdate=soon",
        "family:contains",
        "_sort=nonsense",
        "_count=-1",
        "_include=Patient:*:Nothing",
        "_total=some",
        "gender:x=male",
    ],
)
def test_what_is_not_understood_is_refused_with_its_name(clinic: Clinic, query: str) -> None:
    answer = clinic.as_("service").get(f"/fhir/Patient?{query}")
    assert answer.status_code == 400
    name = query.partition("=")[0]
    assert any(place in {f"query.{name}", f"query.{name.partition(':')[0]}"}
               for issue in answer.json()["issue"] for place in issue["expression"])  # fmt: skip


def test_sorting_by_several_keys_puts_records_without_a_value_last(clinic: Clinic) -> None:
    service = clinic.as_("service")
    for id_, family, born in (("c", "Brown", "1990-01-01"), ("d", "Adams", "1990-01-01")):
        service.put(f"/fhir/Patient/{id_}", patient(id_, family, born))
    service.put("/fhir/Patient/e", {"resourceType": "Patient", "id": "e"})
    assert [r["id"] for r in service.find("Patient?_sort=family,-birthdate&_count=2")] == [
        "d",
        "anna",
        "c",
        "bert",
        "e",
    ]
    assert [r["id"] for r in service.find("Patient?_sort=-family,birthdate&_count=1")] == [
        "bert",
        "c",
        "anna",
        "d",
        "e",
    ]


def test_id_with_a_system_matches_nothing(clinic: Clinic) -> None:
    service = clinic.as_("service")
    assert service.find("Patient?_id=urn:x|anna") == []
    assert [r["id"] for r in service.find("Patient?_id=anna,nobody")] == ["anna"]
