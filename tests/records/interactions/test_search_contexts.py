# SPDX-License-Identifier: Apache-2.0
"""Searches that look at more than one type: compartments, the system, and what stands beside the matches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.clinic import BASE, Client, Clinic, condition, heart_rate, patient, put_all

from salus.fhir.search.shapes import compartments
from salus.kernel.settings import Limits

JSON = dict[str, Any]
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """Anna and Bert, with a visit of Bert's at the nurse, a device and an aunt."""
    clinic = Clinic(tmp_path_factory.mktemp("place") / "data")
    visit = {"resourceType": "Encounter", "id": "visit", "status": "finished", "class": {"code": "AMB"}}
    put_all(
        clinic.as_("service"),
        {"resourceType": "Organization", "id": "top", "name": "Top"},
        {"resourceType": "Organization", "id": "middle", "name": "Middle", "partOf": _to("Organization/top")},
        {"resourceType": "Organization", "id": "low", "name": "Low", "partOf": _to("Organization/middle")},
        {
            **patient("bert", "Brown", "1955-07-01"),
            "generalPractitioner": [_to("Practitioner/physician")],
            "managingOrganization": _to("Organization/low"),
        },
        {**visit, "subject": _to("Patient/bert"), "participant": [{"individual": _to("Practitioner/nurse")}]},
        {"resourceType": "Device", "id": "cuff"},
        {"resourceType": "RelatedPerson", "id": "aunt", "patient": _to("Patient/anna")},
        {
            **heart_rate("bert", 61, "on-visit"),
            "encounter": _to("Encounter/visit"),
            "device": _to("Device/cuff"),
            "performer": [_to("Practitioner/nurse"), _to("RelatedPerson/aunt")],
        },
    )
    yield clinic
    clinic.close()
    clinic.loop.close()


def _to(target: str) -> JSON:
    return {"reference": target}


def named(entries: list[JSON]) -> list[str]:
    return [entry["fullUrl"].removeprefix(f"{BASE}/fhir/") for entry in entries]


def entries(client: Client, address: str) -> list[JSON]:
    """Entries of all pages."""
    found: list[JSON] = []
    while address:
        answer = client.get(address.removeprefix(BASE))
        assert answer.status_code == 200, answer.text
        found += answer.json().get("entry", [])
        following = [link["url"] for link in answer.json()["link"] if link["relation"] == "next"]
        address = following[0] if following else ""
    return found


# ── compartments ─────────────────────────────────────────────────────────────────────────────────────────────────────

COMPARTMENTS = {
    "Patient/bert/Observation": {"Observation/pulse-bert", "Observation/on-visit"},
    "Patient/bert/Observation?code=8867-4&encounter:missing=true": {"Observation/pulse-bert"},
    "Patient/bert/Patient": {"Patient/bert"},
    "Patient/bert/*": {
        *("Patient/bert", "Observation/pulse-bert", "Observation/on-visit", "Condition/asthma-bert"),
        *("Encounter/visit",),
    },
    "Patient/bert/*?_id=visit": {"Encounter/visit"},
    "Encounter/visit/Observation": {"Observation/on-visit"},
    "Encounter/visit/*": {"Encounter/visit", "Observation/on-visit"},
    "Practitioner/nurse/Encounter": {"Encounter/visit"},
    "Practitioner/nurse/*": {"Practitioner/nurse", "CareTeam/team-anna", "Encounter/visit", "Observation/on-visit"},
    "Practitioner/physician/Patient": {"Patient/bert"},
    "Device/cuff/Observation": {"Observation/on-visit"},
    "RelatedPerson/aunt/*": {"RelatedPerson/aunt", "Observation/on-visit"},
    "Patient/nobody/*": set(),
    "Patient/nobody/Observation": set(),
}


@pytest.mark.parametrize("address", COMPARTMENTS)
def test_what_lies_in_a_compartment(place: Clinic, address: str) -> None:
    service = place.as_("service")
    found = named(entries(service, f"/fhir/{address}"))
    assert sorted(found) == sorted(COMPARTMENTS[address])
    sign = "&" if "?" in address else "?"
    assert named(entries(service, f"/fhir/{address}{sign}_count=1")) == found
    assert service.get(f"/fhir/{address}{sign}_summary=count").json()["total"] == len(found)
    path, _, query = address.partition("?")
    posted = service.request("POST", f"/fhir/{path}/_search", content=query, headers=FORM)
    assert named(posted.json().get("entry", [])) == found


def test_a_compartment_is_posted_to_as_a_whole(place: Clinic) -> None:
    posted = place.as_("service").request("POST", "/fhir/Encounter/visit/_search", content="", headers=FORM)
    assert sorted(named(posted.json()["entry"])) == ["Encounter/visit", "Observation/on-visit"]
    assert posted.json()["link"][0]["url"] == f"{BASE}/fhir/Encounter/visit/*"


@pytest.mark.parametrize("address", ["Organization/top/Patient", "Patient/bert/Practitioner", "Patient/bert/Nonsense"])
def test_there_is_no_such_compartment(place: Clinic, address: str) -> None:
    assert place.as_("service").get(f"/fhir/{address}").status_code == 404


def test_the_five_compartments_of_r4_are_there() -> None:
    assert list(compartments()) == ["Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"]
    assert all(len(rows) > 20 for rows in compartments().values())


# ── system ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_search_over_several_types_pages_through_all_of_them(place: Clinic) -> None:
    service = place.as_("service")
    found = named(entries(service, "/fhir?_type=Patient,Observation,Condition"))
    expected = [
        f"{r['resourceType']}/{r['id']}" for t in ("Patient", "Observation", "Condition") for r in service.find(t)
    ]
    assert sorted(found) == sorted(expected)
    for size in (1, 2, 3):
        assert named(entries(service, f"/fhir?_type=Patient,Observation,Condition&_count={size}")) == found
    counted = service.get("/fhir?_type=Patient,Observation,Condition&_summary=count").json()
    assert counted["total"] == len(found)
    posted = service.request("POST", "/fhir/_search", content="_type=Patient,Observation,Condition", headers=FORM)
    assert named(posted.json()["entry"]) == found


def test_parameters_that_all_types_share_narrow_a_search_over_several(place: Clinic) -> None:
    service = place.as_("service")
    found = named(entries(service, "/fhir?_type=Condition,Observation&patient.name=brown&_sort=_id"))
    assert found == ["Condition/asthma-bert", "Observation/on-visit", "Observation/pulse-bert"]
    backwards = named(entries(service, "/fhir?_type=Condition,Observation&patient.name=brown&_sort=-_id&_count=1"))
    assert backwards == found[::-1]
    assert named(entries(service, "/fhir?_id=visit,cuff")) == ["Device/cuff", "Encounter/visit"]


@pytest.mark.parametrize(
    ("asked", "place_of"),
    [
        ("_type=Patient,Observation&birthdate=1955", "birthdate"),
        ("name=brown", "name"),
        ("_type=Nonsense", "_type"),
        ("_type=", "_type"),
        ("_type=Patient,Observation&_elements=name", "_elements"),
    ],
)
def test_a_search_over_several_types_that_is_not_understood(place: Clinic, asked: str, place_of: str) -> None:
    answer = place.as_("service").get(f"/fhir?{asked}")
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == [f"query.{place_of}"]


def test_a_named_type_without_a_grant_is_refused_and_an_unnamed_one_left_out(place: Clinic) -> None:
    assert place.as_("anna").get("/fhir?_type=Observation,Practitioner").status_code == 403
    found = named(entries(place.as_("anna"), "/fhir"))
    assert "Observation/pulse-anna" in found
    assert not any("bert" in name or name.startswith("Practitioner/") for name in found)


@pytest.mark.parametrize("kind", ["batch", "transaction"])
@pytest.mark.parametrize(
    "url", ["Patient/bert/Observation?_sort=_id", "Encounter/visit/*?_sort=_id", "?_type=Patient,Device&_sort=_id"]
)
def test_a_bundle_may_search_compartments_and_several_types(place: Clinic, kind: str, url: str) -> None:
    service = place.as_("service")
    bundle = {"resourceType": "Bundle", "type": kind, "entry": [{"request": {"method": "GET", "url": url}}]}
    answer = service.post("/fhir", bundle).json()["entry"][0]
    assert answer["response"]["status"] == "200 OK"
    alone = service.get(f"/fhir/{url}" if url[0] != "?" else f"/fhir{url}").json()
    assert answer["resource"]["entry"] == alone["entry"]
    assert answer["resource"]["entry"]


# ── beside the matches ───────────────────────────────────────────────────────────────────────────────────────────────

BESIDE = {
    "Patient?_id=bert&_revinclude=Observation:patient": {"Observation/pulse-bert", "Observation/on-visit"},
    "Patient?_id=bert&_revinclude=Observation:subject&_revinclude=Encounter:patient": {
        *("Observation/pulse-bert", "Observation/on-visit", "Encounter/visit"),
    },
    "Patient?_id=bert&_revinclude=Observation:*": {"Observation/pulse-bert", "Observation/on-visit"},
    "Patient?_id=bert&_revinclude=*": {
        *("Observation/pulse-bert", "Observation/on-visit", "Encounter/visit", "Condition/asthma-bert"),
    },
    "Patient?_id=bert&_revinclude=Observation:performer": set(),
    "Patient?_id=bert&_include=*": {"Practitioner/physician", "Organization/low"},
    "Patient?_id=bert&_include=Patient:*": {"Practitioner/physician", "Organization/low"},
    "Patient?_id=bert&_include=Patient:general-practitioner:Practitioner": {"Practitioner/physician"},
    "Patient?_id=bert&_include=Patient:general-practitioner:Organization": set(),
    "Patient?_id=bert&_include=Patient:organization&_include=Organization:partof": None,
    "Patient?_id=bert&_include=Patient:organization&_include:iterate=Organization:partof": {
        *("Organization/low", "Organization/middle", "Organization/top"),
    },
    "Patient?_id=bert&_include:iterate=Patient:organization": {"Organization/low"},
    "Organization?_id=top&_revinclude:iterate=Organization:partof": {"Organization/middle", "Organization/low"},
    "Organization?_id=top&_revinclude:iterate=Organization:partof&_revinclude:iterate=Patient:organization": {
        *("Organization/middle", "Organization/low", "Patient/bert"),
    },
    "Observation?_id=on-visit&_include=Observation:encounter&_include:iterate=Encounter:participant": {
        *("Encounter/visit", "Practitioner/nurse"),
    },
    "Observation?_id=on-visit&_include=Observation:*:Patient": {"Patient/bert"},
    "Observation?_id=pulse-bert,on-visit&_include=Observation:patient&_revinclude:iterate=Observation:patient": {
        "Patient/bert"
    },
}


@pytest.mark.parametrize("asked", BESIDE)
def test_what_stands_beside_the_matches(place: Clinic, asked: str) -> None:
    answer = place.as_("service").get(f"/fhir/{asked}")
    expected = BESIDE[asked]
    if expected is None:  # it starts at a type that is not searched
        assert answer.status_code == 400
        return
    modes = [(entry["search"]["mode"], *named([entry])) for entry in answer.json()["entry"]]
    beside = [name for mode, name in modes if mode == "include"]
    assert sorted(beside) == sorted(expected)
    assert all(mode in {"match", "include"} for mode, _ in modes)


def test_included_records_are_in_the_audit_entry(place: Clinic) -> None:
    place.as_("service").get("/fhir/Patient?_id=bert&_revinclude=Encounter:patient&_include=Patient:organization")
    newest = place.as_("auditor").get("/fhir/AuditEvent?_count=1").text
    for name in ("Patient/bert", "Encounter/visit", "Organization/low"):
        assert name in newest


def test_too_many_to_include_are_cut_with_a_word(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("salus.records.includes.MAX_INCLUDED", 3)
    for number in range(5):
        put_all(clinic.as_("service"), heart_rate("bert", 60 + number, f"more-{number}"))
    bundle = clinic.as_("service").get("/fhir/Patient?_id=bert&_revinclude=Observation:patient").json()
    modes = [entry["search"]["mode"] for entry in bundle["entry"]]
    assert modes == ["match", "include", "include", "include", "outcome"]
    assert bundle["entry"][-1]["resource"]["issue"][0]["code"] == "too-costly"


# ── which part is shown ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def told(clinic: Clinic) -> Client:
    """Bert's record with a narrative, contacts and links."""
    service = clinic.as_("service")
    narrative = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Bert</div>'}
    put_all(
        service,
        {
            **patient("bert", "Brown", "1955-07-01"),
            "text": narrative,
            "active": True,
            "contact": [{"name": {"text": "Ann"}}],
            "link": [
                {"other": _to("Patient/anna"), "type": "seealso", "extension": [{"url": "urn:x", "valueCode": "x"}]}
            ],
            "maritalStatus": {"text": "married"},
        },
        {**condition("bert"), "text": narrative},
    )
    return service


PORTIONS = {
    "_summary=true": {"name", "birthDate", "gender", "active", "link"},
    "_summary=text": {"text", "active", "link"},
    "_summary=data": {"name", "birthDate", "gender", "active", "link", "contact", "maritalStatus"},
    "_summary=false": {"name", "birthDate", "gender", "active", "link", "contact", "maritalStatus", "text"},
    "_elements=name": {"name", "active", "link"},
    "_elements=Patient.name,gender": {"name", "gender", "active", "link"},
    "_elements=deceased": {"active", "link"},
}


@pytest.mark.parametrize("asked", PORTIONS)
def test_the_part_that_is_shown(told: Client, asked: str) -> None:
    """Elements that change the meaning of others (`active`, `link`) are never left out without their carrier."""
    (shown,) = told.find(f"Patient?_id=bert&{asked}")
    kept = set(shown) - {"resourceType", "id", "meta"}
    assert kept == PORTIONS[asked]
    tagged = [tag["code"] for tag in shown["meta"].get("tag", [])]
    assert tagged == ([] if asked == "_summary=false" else ["SUBSETTED"])


def test_a_summary_goes_into_the_parts_of_an_element(told: Client) -> None:
    (shown,) = told.find("Patient?_id=bert&_summary=true")
    assert shown["link"] == [{"other": _to("Patient/anna"), "type": "seealso"}]


def test_included_records_are_summarized_as_the_matches(told: Client) -> None:
    found = told.find("Condition?_id=asthma-bert&_include=Condition:patient&_summary=data")
    assert [r["resourceType"] for r in found] == ["Condition", "Patient"]
    assert not any("text" in r for r in found)
    found = told.find("Condition?_id=asthma-bert&_include=Condition:patient&_elements=code,Patient.gender")
    assert "maritalStatus" not in found[1]
    assert found[1]["gender"] == "male"


def test_text_does_not_go_with_includes(told: Client) -> None:
    assert told.get("/fhir/Condition?_include=Condition:patient&_summary=text").status_code == 400


# ── pages ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("sort", ["", "&_sort=_id", "&_sort=-birthdate"])
def test_pages_lead_forwards_backwards_and_to_the_first(clinic: Clinic, sort: str) -> None:
    service = clinic.as_("service")
    for number in range(5):
        put_all(service, patient(f"p-{number}", "Many", f"199{number}-01-01"))
    pages, address = [], f"/fhir/Patient?name=many&_count=2{sort}"
    while address:
        bundle = service.get(address.removeprefix(BASE)).json()
        pages.append(bundle)
        address = _link(bundle, "next")
        put_all(service, patient("p-3", "Many", "1993-01-01"))  # rewritten meanwhile: it keeps its place
    ids = [named(page["entry"]) for page in pages]
    assert [len(page) for page in ids] == [2, 2, 1]
    assert not _link(pages[0], "previous") and not _link(pages[0], "first")  # noqa: PT018
    assert named(service.get(_link(pages[2], "previous").removeprefix(BASE)).json()["entry"]) == ids[1]
    back = service.get(_link(pages[1], "previous").removeprefix(BASE)).json()
    assert named(back["entry"]) == ids[0]
    assert not _link(back, "previous")
    assert named(service.get(_link(pages[2], "first").removeprefix(BASE)).json()["entry"]) == ids[0]


@pytest.mark.parametrize("sort", ["_id", "-birthdate,_id", "-_lastUpdated,_id"])
def test_an_order_that_is_not_at_hand_any_more_is_worked_out_again(clinic: Clinic, sort: str) -> None:
    """As when another process answers the next page: what is given is the same."""
    service = clinic.as_("service")
    for number in range(9):
        put_all(service, patient(f"p-{number}", "Many", f"199{number % 4}-01-01"))
    first = service.get(f"/fhir/Patient?name=many&_count=2&_sort={sort}").json()
    put_all(service, patient("p-2", "Many", "1970-01-01"), patient("p-6", "Gone", "1970-01-01"))
    assert service.delete("/fhir/Patient/p-4").status_code == 204
    given = []
    for forget in (False, True):
        rest, address = [], _link(first, "next")
        while address:
            if forget:
                clinic.house.services.orders.__init__()  # type: ignore[misc]
            bundle = service.get(address.removeprefix(BASE)).json()
            rest += named(bundle.get("entry", []))
            address = _link(bundle, "next")
        given.append(rest)
    assert given[0] == given[1]
    assert len({*given[0], *named(first["entry"])} & {f"Patient/p-{number}" for number in (0, 1, 2, 3, 5, 7, 8)}) == 7


def _link(bundle: JSON, relation: str) -> str:
    return next((link["url"] for link in bundle["link"] if link["relation"] == relation), "")


def test_the_self_link_shows_the_page_size_that_was_applied(tmp_path: Any) -> None:
    clinic = Clinic(tmp_path / "data", Limits(requests_per_second=100_000, burst=100_000, page_size_max=5))
    try:
        assert "_count=5" in _link(clinic.as_("service").get("/fhir/Patient?_count=900").json(), "self")
    finally:
        clinic.close()
        clinic.loop.close()


# ── references by canonical ──────────────────────────────────────────────────────────────────────────────────────────


def test_references_by_canonical_are_followed(clinic: Clinic) -> None:
    service = clinic.as_("service")
    form = {"resourceType": "Questionnaire", "status": "active", "url": "http://clinic.example/forms/pain"}
    answered = {"resourceType": "QuestionnaireResponse", "status": "completed", "subject": _to("Patient/anna")}
    put_all(
        service,
        {**form, "id": "pain-1", "version": "1", "title": "Pain then"},
        {**form, "id": "pain-2", "version": "2", "title": "Pain now"},
        {**answered, "id": "first", "questionnaire": "http://clinic.example/forms/pain|1"},
        {**answered, "id": "any", "questionnaire": "http://clinic.example/forms/pain"},
        {**answered, "id": "other", "questionnaire": "http://elsewhere.example/forms/sleep"},
        {
            "resourceType": "Provenance",
            "id": "p",
            "recorded": "2026-03-01T08:00:00Z",
            "target": [_to("QuestionnaireResponse/any")],
            "agent": [{"who": _to("Practitioner/nurse")}],
        },
    )

    def ids(asked: str) -> set[str]:
        return {resource["id"] for resource in service.find(asked)}

    assert ids("QuestionnaireResponse?questionnaire:Questionnaire.title=pain then") == {"first", "any"}
    assert ids("QuestionnaireResponse?questionnaire.title=pain now&patient=anna") == {"any"}
    assert ids("QuestionnaireResponse?_id=first&_include=QuestionnaireResponse:questionnaire") == {"first", "pain-1"}
    assert ids("QuestionnaireResponse?_id=any&_include=*") == {"any", "pain-1", "pain-2", "anna"}
    assert ids("QuestionnaireResponse?_id=other&_include=QuestionnaireResponse:questionnaire") == {"other"}
    assert ids("QuestionnaireResponse?_id=any&_revinclude=Provenance:target") == {"any", "p"}
    pointing = "&_revinclude=QuestionnaireResponse:questionnaire"
    assert ids(f"Questionnaire?_id=pain-1{pointing}") == {"pain-1", "first", "any"}
    assert ids(f"Questionnaire?_id=pain-2{pointing}") == {"pain-2", "any"}
    assert ids(f"Questionnaire?title=pain{pointing}&_revinclude:iterate=Provenance:target") == {
        *("pain-1", "pain-2", "first", "any", "p"),
    }
    assert ids("Questionnaire?_has:QuestionnaireResponse:questionnaire:_id=first") == {"pain-1"}
    assert ids("Questionnaire?_has:QuestionnaireResponse:questionnaire:patient=anna") == {"pain-1", "pain-2"}
    assert ids("Questionnaire?_id=pain-2&_has:QuestionnaireResponse:questionnaire:_id=first") == set()
    assert ids("Questionnaire?_id=pain-2&_has:QuestionnaireResponse:questionnaire:status=completed") == {"pain-2"}
    assert ids("Questionnaire?_has:QuestionnaireResponse:questionnaire:patient.name=brown") == set()
    asked = "_has:QuestionnaireResponse:questionnaire:_has:Provenance:target:agent=Practitioner/nurse"
    assert ids(f"Questionnaire?{asked}") == {"pain-1", "pain-2"}
    shown = clinic.as_("anna").find("QuestionnaireResponse?_id=any&_include=*")  # whatever the policy lets her see
    assert {resource["resourceType"] for resource in shown} <= {"QuestionnaireResponse", "Patient", "Questionnaire"}
