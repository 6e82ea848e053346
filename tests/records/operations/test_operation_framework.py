# SPDX-License-Identifier: Apache-2.0
"""What holds for every operation: addresses, methods, formats, entries of a batch, definitions, audit."""

from __future__ import annotations

import pytest
from tests.attacks.test_audit_completeness import Watch
from tests.support.clinic import BASE, Clinic
from tests.support.outcomes import assert_outcome

from salus.audit.event import EventType, Outcome
from salus.fhir.validate import check
from salus.records.operations.table import OPERATIONS

PLACE = "/fhir/Observation/pulse-anna"
TAG = {
    "resourceType": "Parameters",
    "parameter": [{"name": "meta", "valueMeta": {"tag": [{"system": "urn:example:tags", "code": "follow-up"}]}}],
}


def test_the_definitions_are_read_and_searched_without_a_credential(clinic: Clinic) -> None:
    found = clinic.stranger.find("OperationDefinition")
    assert [each["id"] for each in found] == [operation.definition.id for operation in OPERATIONS]
    assert len({each["url"] for each in found}) == len(found)
    for each in found:
        check(each, "OperationDefinition")
        assert each["url"] == f"{BASE}/fhir/OperationDefinition/{each['id']}"
        assert clinic.stranger.get(f"/fhir/OperationDefinition/{each['id']}").json() == each
    by_code = clinic.stranger.find("OperationDefinition?code=meta-add")
    assert [each["id"] for each in by_code] == ["Resource-meta-add"]
    form = {"content-type": "application/x-www-form-urlencoded"}
    posted = clinic.stranger.request("POST", "/fhir/OperationDefinition/_search", content="code=meta-add", headers=form)
    assert posted.json() == clinic.stranger.get("/fhir/OperationDefinition?code=meta-add").json()
    assert_outcome(clinic.stranger.get("/fhir/OperationDefinition?nonsense=1"))
    assert clinic.stranger.get("/fhir/OperationDefinition/nothing").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{PLACE}/$meta-add", 405),
        ("DELETE", f"{PLACE}/$meta", 405),
        ("GET", f"{PLACE}/$nothing", 404),
        ("GET", "/fhir/$nothing", 404),
        ("GET", "/fhir/Nothing/$meta", 404),
        ("GET", "/fhir/Observation/absent/$meta", 404),
        ("GET", f"{PLACE}/$meta?unknown=1", 400),
        ("POST", f"{PLACE}/$meta-add", 400),
        ("GET", f"{PLACE}/$meta?_format=text/turtle", 406),
    ],
)
def test_an_address_answers_what_it_should(clinic: Clinic, method: str, path: str, status: int) -> None:
    answer = clinic.as_("physician").request(method, path)
    assert answer.status_code == status, answer.text
    assert_outcome(answer)


def test_a_body_that_is_no_parameters_is_refused(clinic: Clinic) -> None:
    physician = clinic.as_("physician")
    assert physician.post(f"{PLACE}/$meta-add", {"resourceType": "Patient"}).status_code == 400
    wrong = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": "x"}}]}
    assert physician.post(f"{PLACE}/$meta-add", wrong).status_code == 422
    plain = physician.request("POST", f"{PLACE}/$meta-add", content=b"tag", headers={"content-type": "text/plain"})
    assert plain.status_code == 415


def test_without_a_token_there_is_no_operation(clinic: Clinic) -> None:
    for path in ("/fhir/$meta", "/fhir/Observation/$meta", f"{PLACE}/$meta"):
        assert clinic.stranger.get(path).status_code == 401


def test_a_batch_takes_operations_and_a_transaction_does_not(clinic: Clinic) -> None:
    requests = [
        {"request": {"method": "GET", "url": "Observation/pulse-anna/$meta"}},
        {"request": {"method": "POST", "url": "Observation/pulse-anna/$meta-add"}, "resource": TAG},
        {"request": {"method": "GET", "url": "Observation/pulse-anna/$meta-add"}},
        {"request": {"method": "GET", "url": "$nothing"}},
        {"request": {"method": "GET", "url": "$meta"}},
    ]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": requests}
    answer = clinic.as_("physician").post("/fhir", bundle).json()
    assert [entry["response"]["status"][:3] for entry in answer["entry"]] == ["200", "200", "400", "404", "200"]
    assert answer["entry"][1]["resource"]["parameter"][0]["valueMeta"]["versionId"] == "2"
    assert clinic.as_("auditor").post("/fhir", bundle).json()["entry"][0]["response"]["status"][:3] == "403"
    refused = clinic.as_("physician").post("/fhir", bundle | {"type": "transaction"})
    assert refused.status_code == 400
    assert refused.json()["issue"][0]["expression"] == ["Bundle.entry[0].request.url"]


def test_head_asks_like_get_and_keeps_nothing(clinic: Clinic) -> None:
    physician = clinic.as_("physician")
    asked = physician.request("HEAD", f"{PLACE}/$meta")
    assert (asked.status_code, asked.content) == (200, b"")
    assert physician.request("HEAD", f"{PLACE}/$meta-add").status_code == 405
    kept = physician.request("HEAD", "/fhir/Composition/x/$document?persist=true")
    assert kept.status_code == 400


def test_answers_come_in_xml_as_well(clinic: Clinic) -> None:
    answer = clinic.as_("physician").get(f"{PLACE}/$meta", headers={"accept": "application/fhir+xml"})
    assert answer.headers["content-type"].startswith("application/fhir+xml")
    assert "<Parameters" in answer.text
    body = (
        '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="meta"/><valueMeta><tag>'
        '<system value="urn:example:tags"/><code value="from-xml"/></tag></valueMeta></parameter></Parameters>'
    )
    sent = {"content-type": "application/fhir+xml"}
    added = clinic.as_("physician").request("POST", f"{PLACE}/$meta-add", content=body, headers=sent)
    assert added.json()["parameter"][0]["valueMeta"]["tag"] == [{"system": "urn:example:tags", "code": "from-xml"}]


def test_every_call_leaves_one_entry_that_names_it(clinic: Clinic) -> None:
    watch = Watch(clinic)
    clinic.as_("physician").get(f"{PLACE}/$meta")
    clinic.as_("physician").get(f"{PLACE}/$meta?unknown=1")
    clinic.token("auditor")
    clinic.as_("auditor").get(f"{PLACE}/$meta")
    clinic.as_("physician").post(f"{PLACE}/$meta-add", TAG)
    events = [event for event in watch.events() if event.type is not EventType.TOKEN_ISSUE]
    kinds = [(event.type, event.outcome, event.query) for event in events]
    assert kinds == [
        (EventType.RECORD_OPERATION, Outcome.GRANTED, "Observation/pulse-anna/$meta"),
        (EventType.RECORD_OPERATION, Outcome.FAILED, "Observation/pulse-anna/$meta"),
        (EventType.RECORD_OPERATION, Outcome.REFUSED, "Observation/pulse-anna/$meta"),
        (EventType.RECORD_UPDATE, Outcome.GRANTED, "Observation/pulse-anna/$meta-add"),
    ]
    assert watch.touched(events[0]) == [("anna", "Observation/pulse-anna", 1, "R")]
    assert watch.touched(events[3]) == [("anna", "Observation/pulse-anna", 2, "U")]


def test_the_capability_statement_lists_every_operation_where_it_can_be_called(clinic: Clinic) -> None:
    (rest,) = clinic.stranger.get("/fhir/metadata").json()["rest"]
    on_system = {each["name"]: each["definition"] for each in rest["operation"]}
    on_types = {
        resource["type"]: {each["name"]: each["definition"] for each in resource.get("operation", ())}
        for resource in rest["resource"]
    }
    for definition in (operation.definition for operation in OPERATIONS):
        url = f"{BASE}/fhir/OperationDefinition/{definition.id}"
        if "system" in definition.levels:
            assert on_system[definition.code] == url
        for type_ in definition.types or ("Patient", "Observation", "Basic"):
            if definition.levels != ("system",):
                assert on_types[type_][definition.code] == url
    assert on_types["AuditEvent"] == {}


def test_the_log_keeps_no_more_than_an_address_would_hold(clinic: Clinic) -> None:
    watch = Watch(clinic)
    query = '{Patient(id: "anna"){id}}' + "#" * 15_000
    answer = clinic.as_("physician").request(
        "POST", "/fhir/$graphql", content=query, headers={"content-type": "application/graphql"}
    )
    assert answer.status_code == 200
    (event,) = watch.events()
    assert event.query.startswith("$graphql?query=%7BPatient")
    assert len(event.query) < 10_000
