# SPDX-License-Identifier: Apache-2.0
"""Every door to records under a scope with a condition: `patient/Observation.rs?category=…|laboratory`.

A physician, who may see everything, has launched an application for Anna. It sees her laboratory results, and of
everything else not even that it is there, by whatever way it asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from salus.access.permissions import SYSTEM, Permission
from tests.support.clinic import BASE, Client, Clinic, heart_rate, put_all
from tests.support.launched import launched
from tests.support.route_table import every_route

JSON = dict[str, Any]
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
LAB = f"category={CATEGORY}|laboratory"
SCOPE = f"patient/Observation.rs?{LAB}"
SEEN = {"lab-1", "lab-2", "lab-3", "both", "became-lab"}
HIDDEN = ("vital", "foreign-lab", "pulse-anna", "became-vital", "lab-bert", "pulse-bert")


def observation(id_: str, who: str, *categories: str, system: str = CATEGORY, when: str = "2026-03-01") -> JSON:
    """An Observation in some categories."""
    made = heart_rate(who, 70, id_, f"{when}T08:00:00Z")
    if categories:
        made["category"] = [{"coding": [{"system": system, "code": code}]} for code in categories]
    return made


def furnish_categories(clinic: Clinic) -> Clinic:
    """Records of two patients in several categories, some of which changed theirs."""
    service = clinic.as_("service")
    put_all(
        service,
        *(observation(f"lab-{n}", "anna", "laboratory", when=f"2026-03-0{n}") for n in (1, 2, 3)),
        observation("both", "anna", "vital-signs", "laboratory"),
        observation("vital", "anna", "vital-signs"),
        observation("foreign-lab", "anna", "laboratory", system="http://example.org/other"),
        observation("lab-bert", "bert", "laboratory"),
        observation("became-lab", "anna", "vital-signs"),
        observation("became-vital", "anna", "laboratory"),
        observation("gone-lab", "anna", "laboratory"),
        observation("gone-vital", "anna", "vital-signs"),
        observation("became-lab", "anna", "laboratory"),
        observation("became-vital", "anna", "vital-signs"),
        {
            "resourceType": "DiagnosticReport",
            "id": "report",
            "status": "final",
            "code": {"text": "Report"},
            "subject": {"reference": "Patient/anna"},
            "result": [{"reference": f"Observation/{id_}"} for id_ in ("lab-1", "vital")],
        },
        {
            "resourceType": "List",
            "id": "pile",
            "status": "current",
            "mode": "working",
            "subject": {"reference": "Patient/anna"},
            "entry": [{"item": {"reference": f"Observation/{id_}"}} for id_ in (*SEEN, *HIDDEN)],
        },
        *(
            {"resourceType": "Device", "id": f"device-{who}", "patient": {"reference": f"Patient/{who}"}}
            for who in ("anna", "bert")
        ),
        {"resourceType": "Device", "id": "device-of-nobody"},
    )
    for id_ in ("gone-lab", "gone-vital"):
        assert service.delete(f"/fhir/Observation/{id_}").status_code == 204
    return clinic


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """Such a clinic, made once; for attacks that change nothing."""
    clinic = furnish_categories(Clinic(tmp_path_factory.mktemp("lab") / "data"))
    yield clinic
    clinic.close()
    clinic.loop.close()


@pytest.fixture(scope="module")
def app(lab: Clinic) -> Client:
    """The application."""
    return launched(lab, "physician", SCOPE, patient="anna")


def ids(answer: httpx.Response, type_: str = "Observation") -> set[str]:
    """Ids of the records of a type in a Bundle."""
    assert answer.status_code == 200, answer.text
    entries = answer.json().get("entry", ())
    return {e["resource"]["id"] for e in entries if e.get("resource", {}).get("resourceType") == type_}


# ── one record ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_reading_what_the_condition_covers(app: Client) -> None:
    for id_ in SEEN:
        assert app.get(f"/fhir/Observation/{id_}").status_code == 200


@pytest.mark.parametrize("id_", [*HIDDEN, "gone-vital"])
@pytest.mark.parametrize("tail", ["", "/_history", "/_history/1", "/_history/2", "/$meta"])
def test_what_it_does_not_cover_reads_like_what_is_absent(app: Client, id_: str, tail: str) -> None:
    hidden = app.get(f"/fhir/Observation/{id_}{tail}")
    absent = app.get(f"/fhir/Observation/nothing{tail}")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.json()["issue"] == absent.json()["issue"]


def test_a_former_version_is_judged_by_what_it_held(app: Client) -> None:
    assert app.get("/fhir/Observation/became-lab/_history/1").status_code == 404
    history = app.get("/fhir/Observation/became-lab/_history").json()
    assert [entry["resource"]["meta"]["versionId"] for entry in history["entry"]] == ["2"]


def test_a_deletion_is_told_of_what_was_covered(app: Client) -> None:
    assert app.get("/fhir/Observation/gone-lab").status_code == 410
    assert app.get("/fhir/Observation/gone-vital").status_code == 404


# ── many records ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "query",
    [
        "",
        "patient=anna",
        "patient=anna,bert",
        "category:not=nothing",
        "category=laboratory,vital-signs",
        "_sort=date",
        "_sort=-_lastUpdated",
        "code=8867-4",
        "status=final",
        "date=ge2020",
        "subject:Patient.birthdate=1980-02-29",
        "_filter=status eq final or status eq amended",
        "_list=pile",
        "_id=" + ",".join([*sorted(SEEN), *HIDDEN]),
        "_summary=data",
    ],
)
def test_searches_find_and_count_what_is_covered(lab: Clinic, query: str) -> None:
    app = launched(lab, "physician", SCOPE, "patient/List.rs", "patient/Patient.rs", patient="anna")
    joined = "&" if query else ""
    answer = app.get(f"/fhir/Observation?{query}{joined}_total=accurate&_count=50")
    assert ids(answer) == SEEN
    assert answer.json()["total"] == len(SEEN)
    counted = app.get(
        f"/fhir/Observation?{query.replace('_summary=data', '')}{joined}_summary=count".replace("&&", "&")
    )
    assert counted.json()["total"] == len(SEEN)
    form = {"content-type": "application/x-www-form-urlencoded"}
    posted = app.request("POST", "/fhir/Observation/_search", content=f"{query}{joined}_count=50", headers=form)
    assert ids(posted) == SEEN


@pytest.mark.parametrize(
    "query",
    ["category=vital-signs&category:not=laboratory", "_id=vital", "patient=bert", "category=http://example.org/other|"],
)
def test_searches_for_what_is_not_covered_find_nothing(app: Client, query: str) -> None:
    answer = app.get(f"/fhir/Observation?{query}&_total=accurate").json()
    assert answer["total"] == 0
    assert "entry" not in answer


@pytest.mark.parametrize("order", ["", "&_sort=date", "&_sort=-_id"])
def test_a_page_link_of_one_application_is_of_no_use_to_another(lab: Clinic, app: Client, order: str) -> None:
    page = app.get(f"/fhir/Observation?_count=2{order}").json()
    following = next(link["url"] for link in page["link"] if link["relation"] == "next").removeprefix(BASE)
    assert app.get(following).status_code == 200
    for other in (
        launched(lab, "physician", "user/*.cruds"),
        launched(lab, "physician", "patient/Observation.rs?category=imaging", patient="anna"),
        launched(lab, "physician", SCOPE, patient="bert"),
        lab.as_("physician"),
    ):
        assert other.get(following).status_code == 400


@pytest.mark.parametrize("order", ["", "&_sort=date", "&_sort=-_id"])
def test_pages_show_what_is_covered_and_no_more(app: Client, order: str) -> None:
    found = app.find(f"Observation?_count=2{order}")
    assert sorted(one["id"] for one in found) == sorted(SEEN)


def test_histories_of_types_and_of_everything(app: Client) -> None:
    expected = {(id_, "1") for id_ in SEEN - {"became-lab"}} | {("became-lab", "2"), ("gone-lab", "1")}
    for path in ("/fhir/Observation/_history", "/fhir/_history"):
        entries = app.get(f"{path}?_count=100").json()["entry"]
        held = {(e["resource"]["id"], e["resource"]["meta"]["versionId"]) for e in entries if "resource" in e}
        assert held == expected, path
        assert {e["request"]["url"] for e in entries if "resource" not in e} == {"Observation/gone-lab"}


def test_the_compartment_and_everything(app: Client, lab: Clinic) -> None:
    assert ids(app.get("/fhir/Patient/anna/Observation?_count=50")) == SEEN
    assert ids(app.get("/fhir/Patient/anna/*?_count=50")) == SEEN
    assert "entry" not in app.get("/fhir/Patient/bert/Observation").json()
    with_patient = launched(lab, "physician", SCOPE, "patient/Patient.rs", patient="anna")
    everything = with_patient.get("/fhir/Patient/anna/$everything?_count=100")
    assert ids(everything) == SEEN
    assert ids(everything, "Patient") == {"anna"}
    assert ids(everything, "Condition") == set()


def test_a_search_over_the_system(app: Client) -> None:
    assert ids(app.get("/fhir?_type=Observation&_count=50")) == SEEN
    assert ids(app.get("/fhir?_count=50")) == SEEN


# ── through other records ────────────────────────────────────────────────────────────────────────────────────────────


def test_includes_leave_out_what_is_not_covered(lab: Clinic) -> None:
    app = launched(lab, "physician", SCOPE, "patient/DiagnosticReport.rs", "patient/Patient.rs", patient="anna")
    assert ids(app.get("/fhir/DiagnosticReport?_include=DiagnosticReport:result")) == {"lab-1"}
    assert ids(app.get("/fhir/Patient?_id=anna&_revinclude=Observation:patient")) == SEEN
    assert ids(app.get("/fhir/Patient?_id=anna&_revinclude:iterate=Observation:*&_include=*")) == SEEN


def test_chains_and_reverse_chains_do_not_pass_through_what_is_not_covered(lab: Clinic) -> None:
    app = launched(lab, "physician", SCOPE, "patient/DiagnosticReport.rs", "patient/Patient.rs", patient="anna")
    assert ids(app.get("/fhir/DiagnosticReport?result.category=laboratory"), "DiagnosticReport") == {"report"}
    assert ids(app.get("/fhir/DiagnosticReport?result:Observation._id=vital"), "DiagnosticReport") == set()
    assert ids(app.get("/fhir/DiagnosticReport?result.category:not=laboratory"), "DiagnosticReport") == set()
    for condition in ("_id=vital", "_id=pulse-anna", "category=nothing"):
        assert ids(app.get(f"/fhir/Patient?_has:Observation:patient:{condition}"), "Patient") == set()
    assert ids(app.get("/fhir/Patient?_has:Observation:patient:_id=lab-1"), "Patient") == {"anna"}


@pytest.mark.parametrize(
    "query",
    [
        "Patient?_has:Condition:patient:code=195967001",
        "Patient?_has:Observation:patient:code=8867-4",
        "Condition?patient.name=x",
    ],
)
def test_a_chain_needs_a_scope_for_each_type_that_it_passes(lab: Clinic, query: str) -> None:
    app = launched(lab, "physician", "patient/Patient.r", "patient/Condition.r", patient="anna")
    assert app.get(f"/fhir/{query}").status_code == 403


def test_a_list_of_records_opens_none_of_them(lab: Clinic) -> None:
    app = launched(lab, "physician", SCOPE, "patient/List.rs", patient="anna")
    assert ids(app.get("/fhir/List?_include=List:item")) == SEEN


def test_graphql(lab: Clinic) -> None:
    app = launched(lab, "physician", SCOPE, "patient/DiagnosticReport.rs", "patient/Patient.rs", patient="anna")

    def ask(query: str, place: str = "") -> JSON:
        answer = app.get(f"/fhir/{place}$graphql", params={"query": query})
        assert answer.status_code in {200, 400, 404}, answer.text
        return answer.json()

    listed = ask("{ObservationList(_count: 50) {id}}")
    assert {one["id"] for one in listed["data"]["ObservationList"]} == SEEN
    assert "vital" not in str(ask('{Observation(id: "vital") {id status}}').get("data"))
    report = ask('{DiagnosticReport(id: "report") {result {resource {... on Observation {id status}}}}}')
    assert [one.get("resource") for one in report["data"]["DiagnosticReport"]["result"]] in (
        [{"id": "lab-1", "status": "final"}, None],
        [{"id": "lab-1", "status": "final"}],
    )
    back = ask(
        "{ObservationList(_reference: patient, _count: 50) {id subject {resource {... on Patient {id}}}}}",
        "Patient/anna/",
    )
    assert {one["id"] for one in back["data"]["ObservationList"]} == SEEN
    assert "data" not in ask("{ObservationList(_reference: patient) {id}}", "Patient/bert/") or "lab-bert" not in str(
        ask("{ObservationList(_reference: patient) {id}}", "Patient/bert/")
    )


def test_lastn(app: Client) -> None:
    assert ids(app.get("/fhir/Observation/$lastn?patient=Patient/anna&code=8867-4&max=50")) == SEEN


@pytest.mark.requirement("smart@130")
def test_batches_are_judged_entry_by_entry(app: Client) -> None:
    wanted = [
        "Observation/lab-1",
        "Observation/vital",
        "Condition/asthma-anna",
        "Observation?_summary=count",
        "Patient/anna",
    ]
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": url}} for url in wanted],
    }
    answer = app.post("/fhir", bundle).json()
    assert [entry["response"]["status"][:3] for entry in answer["entry"]] == ["200", "404", "403", "200", "403"]
    assert answer["entry"][3]["resource"]["total"] == len(SEEN)


def test_a_transaction_with_one_entry_outside_is_refused_whole(app: Client) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"request": {"method": "GET", "url": url}} for url in ("Observation/lab-1", "Patient/anna")],
    }
    assert app.post("/fhir", bundle).status_code == 403


# ── conditions of other kinds ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("smart@370")
@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["category=laboratory"], SEEN | {"foreign-lab"}),
        (["category=laboratory,vital-signs"], SEEN | {"foreign-lab", "vital", "became-vital"}),
        ([f"category={CATEGORY}|laboratory&category={CATEGORY}|vital-signs"], {"both"}),
        ([LAB, f"category={CATEGORY}|vital-signs"], SEEN | {"vital", "became-vital"}),
        ([f"{LAB}&date=ge2026-03-02"], {"lab-2", "lab-3"}),
        (["status=final&date=2026-03-03"], {"lab-3"}),
        (["code=http://loinc.org|1"], set()),
        (["subject=Patient/bert"], set()),
        (["value-quantity=gt100"], set()),
        (
            ["value-quantity=70||/min&category=laboratory&date=lt2026-03-02"],
            {"lab-1", "both", "became-lab", "foreign-lab"},
        ),
    ],
)
def test_conditions_of_every_kind_agree_in_reads_searches_and_counts(
    lab: Clinic, conditions: list[str], expected: set[str]
) -> None:
    app = launched(lab, "physician", *(f"patient/Observation.rs?{each}" for each in conditions), patient="anna")
    found = app.get("/fhir/Observation?_count=50&_total=accurate")
    assert ids(found) == expected
    assert found.json()["total"] == len(expected)
    assert app.get("/fhir/Observation?_summary=count").json()["total"] == len(expected)
    assert ids(app.get("/fhir/Observation?_sort=_id&_count=50")) == expected
    for id_ in (*SEEN, *HIDDEN):
        assert (app.get(f"/fhir/Observation/{id_}").status_code == 200) is (id_ in expected), id_


@pytest.mark.requirement("smart@140", "smart@368")
def test_scopes_of_two_contexts_add_up_record_by_record(lab: Clinic) -> None:
    app = launched(
        lab, "physician", f"user/Observation.rs?{LAB}", "patient/Observation.rs?category=vital-signs", patient="anna"
    )
    expected = SEEN | {"vital", "became-vital", "lab-bert"}
    assert ids(app.get("/fhir/Observation?_count=50&_total=accurate")) == expected
    assert app.get("/fhir/Observation?_summary=count").json()["total"] == len(expected)
    for id_ in (*SEEN, *HIDDEN):
        assert (app.get(f"/fhir/Observation/{id_}").status_code == 200) is (id_ in expected), id_


def test_devices_are_held_to_the_patient(lab: Clinic) -> None:
    app = launched(lab, "physician", "patient/*.rs", patient="anna")
    assert ids(app.get("/fhir/Device"), "Device") == {"device-anna"}
    assert app.get("/fhir/Device/device-anna").status_code == 200
    assert app.get("/fhir/Device/device-bert").status_code == 404
    assert app.get("/fhir/Device/device-of-nobody").status_code == 404


@pytest.mark.requirement("smart@142", "smart@266")
def test_a_backend_service_is_held_to_the_condition_too(lab: Clinic) -> None:
    service = launched(lab, "service", f"system/Observation.rs?{LAB}", kind="service")
    assert ids(service.get("/fhir/Observation?_count=50")) == SEEN | {"lab-bert"}
    assert service.get("/fhir/Observation/vital").status_code == 404
    assert service.get("/fhir/Patient/anna").status_code == 403
    person = launched(lab, "service", "patient/*.rs", "user/*.rs", kind="service", patient="anna")
    assert person.get("/fhir/Observation/lab-1").status_code == 403


# ── what is not about records ────────────────────────────────────────────────────────────────────────────────────────

OTHERS = [
    (route.method, route.pattern)
    for route in every_route()
    if not route.page and route.permission in SYSTEM - {Permission.TERMINOLOGY_READ}
]


@pytest.mark.parametrize(("method", "pattern"), OTHERS)
def test_an_application_cannot_reach_what_is_not_about_records(lab: Clinic, method: str, pattern: str) -> None:
    path = re.sub(r"\{\w+\}", "x", pattern)
    refused = {401, 403} if method == "GET" else {400, 401, 403, 415, 422}
    for who in ("administrator", "security-officer", "auditor", "privacy-officer"):
        app = launched(lab, who, "user/*.cruds", "patient/*.cruds", "openid", patient="anna")
        answer = app.request(method, path, json={} if method in {"POST", "PUT", "PATCH"} else None)
        assert answer.status_code in refused, (who, answer.status_code, answer.text)
