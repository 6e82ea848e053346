# SPDX-License-Identifier: Apache-2.0
"""XML and JSON over HTTP: what is asked for is what comes, at every door and for refusals too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.clinic import BASE, Clinic, heart_rate

from salus.fhir import json, xml

XML = "application/fhir+xml"
XML_ANSWER = "application/fhir+xml; charset=utf-8"
JSON_ANSWER = "application/fhir+json; charset=utf-8"


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    made = Clinic(tmp_path_factory.mktemp("spoken") / "data")
    yield made
    made.close()
    made.loop.close()


DOORS = (
    ("service", "Patient/anna", 200),
    ("service", "Patient/anna/_history/1", 200),
    ("service", "Patient/anna/_history", 200),
    ("service", "Observation/_history", 200),
    ("service", "_history", 200),
    ("service", "Observation?patient=anna&_include=Observation:patient", 200),
    ("service", "metadata", 200),
    ("auditor", "AuditEvent", 200),
    ("auditor", "AuditEvent/1", 200),
    ("service", "Patient/nobody", 404),
    ("service", "Nurse/anna", 404),
    ("service", "Patient?nonsense=1", 400),
    ("researcher", "Patient/anna", 403),
    ("service", "nothing/at/all/here", 404),
    ("service", "OperationDefinition", 200),
    ("service", "Patient/anna/$everything", 200),
    ("service", "Patient/anna/$meta", 200),
    ("service", "ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender", 200),
)


@pytest.mark.parametrize(("name", "path", "status"), DOORS)
def test_every_door_answers_in_xml_what_it_answers_in_json(spoken: Clinic, name: str, path: str, status: int) -> None:
    person = spoken.as_(name)
    asked = person.get(f"/fhir/{path}", headers={"accept": XML})
    assert asked.status_code == status, asked.text
    assert asked.headers["content-type"] == XML_ANSWER
    read = xml.decode(asked.content)
    if name != "auditor" and "_history" not in path and "?" not in path:  # these hold moments and sealed links
        assert read == json.decode(person.get(f"/fhir/{path}").content)
    assert read["resourceType"] in {
        "Bundle",
        "OperationOutcome",
        "CapabilityStatement",
        "AuditEvent",
        "Patient",
        "Parameters",
        "ValueSet",
    }


def test_a_stranger_and_a_wrong_method_are_told_in_xml(spoken: Clinic) -> None:
    for answer, status in (
        (spoken.stranger.get("/fhir/Patient/anna", headers={"accept": XML}), 401),
        (spoken.as_("service").put("/fhir", {}, headers={"accept": XML}), 405),
    ):
        assert answer.status_code == status
        assert xml.decode(answer.content)["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/fhir+xml", XML_ANSWER),
        ("application/xml", XML_ANSWER),
        ("text/xml", XML_ANSWER),
        ("application/fhir+json", JSON_ANSWER),
        ("*/*", JSON_ANSWER),
        ("application/fhir+xml;q=0.5, application/fhir+json;q=0.9", JSON_ANSWER),
        ("application/fhir+json;q=0.5, application/fhir+xml", XML_ANSWER),
        ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", XML_ANSWER),
        ("text/html, */*;q=0.1", JSON_ANSWER),
        ("application/fhir+xml;q=0, */*", JSON_ANSWER),
        ("application/fhir+json; fhirVersion=4.0", "application/fhir+json; charset=utf-8; fhirVersion=4.0"),
        ('application/fhir+xml; fhirVersion="4.0"', "application/fhir+xml; charset=utf-8; fhirVersion=4.0"),
        ("application/fhir+json; fhirVersion=3.0, application/fhir+xml", XML_ANSWER),
    ],
)
def test_accept(spoken: Clinic, accept: str, expected: str) -> None:
    answer = spoken.as_("service").get("/fhir/Patient/anna", headers={"accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == expected


@pytest.mark.parametrize(
    "accept", ["text/html", "image/png", "application/fhir+json; fhirVersion=5.0", "application/fhir+xml;q=0", "x"]
)
def test_what_is_not_acceptable(spoken: Clinic, accept: str) -> None:
    answer = spoken.as_("service").get("/fhir/Patient/anna", headers={"accept": accept})
    assert answer.status_code == 406
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("format_", "expected"),
    [
        ("xml", XML_ANSWER),
        ("text/xml", XML_ANSWER),
        ("application/xml", XML_ANSWER),
        ("application/fhir+xml", XML_ANSWER),
        ("application/fhir%2Bxml", XML_ANSWER),
        ("json", JSON_ANSWER),
        ("application/fhir%2Bjson", JSON_ANSWER),
    ],
)
def test_format_wins_over_accept(spoken: Clinic, format_: str, expected: str) -> None:
    for accept in ("application/fhir+json", "application/fhir+xml", "text/html"):
        answer = spoken.as_("service").get(f"/fhir/Patient/anna?_format={format_}", headers={"accept": accept})
        assert answer.headers["content-type"] == expected


def test_format_in_the_body_of_a_search(spoken: Clinic) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = spoken.as_("service").request(
        "POST", "/fhir/Patient/_search", content="_id=anna&_format=xml", headers=form
    )
    assert answer.headers["content-type"] == XML_ANSWER
    assert xml.decode(answer.content)["entry"][0]["resource"]["id"] == "anna"


def test_pretty(spoken: Clinic) -> None:
    service = spoken.as_("service")
    plain = service.get("/fhir/Patient/anna?_pretty=false")
    pretty = service.get("/fhir/Patient/anna?_pretty=true")
    assert plain.content.count(b"\n") == 0
    assert pretty.content.count(b"\n") > 10
    assert plain.json() == pretty.json()
    written = service.get("/fhir/Patient/anna?_pretty=true&_format=xml").content
    assert xml.decode(written) == json.decode(plain.content)
    assert written.count(b"\n") > 10
    assert service.get("/fhir/Patient/anna?_pretty=1").status_code == 400


def test_pretty_keeps_the_digits_of_a_decimal(spoken: Clinic) -> None:
    service = spoken.as_("service")
    raw = json.encode(heart_rate("anna", 1, "exact")).replace(b'"value":1,', b'"value":1.10,')
    sent = service.request(
        "PUT", "/fhir/Observation/exact?_pretty=true", content=raw, headers={"content-type": "application/fhir+json"}
    )
    assert b'"value": 1.10,' in sent.content
    assert b'<value value="1.10"/>' in service.get("/fhir/Observation/exact?_format=xml").content


@pytest.mark.parametrize("media", ["application/fhir+xml", "application/xml", "text/xml; charset=UTF-8"])
def test_xml_in(spoken: Clinic, media: str) -> None:
    service = spoken.as_("service")
    resource: dict[str, Any] = heart_rate("anna", 64, "from-xml")
    sent = service.request(
        "PUT",
        "/fhir/Observation/from-xml",
        content=xml.encode(resource),
        headers={"content-type": media, "accept": XML},
    )
    assert sent.status_code in {200, 201}, sent.text
    kept = service.get("/fhir/Observation/from-xml").json()
    assert kept["valueQuantity"] == resource["valueQuantity"]
    assert xml.decode(sent.content)["meta"]["versionId"]


def test_a_transaction_in_xml(spoken: Clinic) -> None:
    new = "urn:uuid:00000001-0000-4000-8000-000000000000"
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": new,
                "resource": {"resourceType": "Patient", "name": [{"family": "X"}]},
                "request": {"method": "POST", "url": "Patient"},
            },
            {
                "resource": {**heart_rate("anna", 5), "subject": {"reference": new}},
                "request": {"method": "POST", "url": "Observation"},
            },
        ],
    }
    sent = spoken.as_("service").request(
        "POST", "/fhir?_format=xml", content=xml.encode(bundle), headers={"content-type": XML}
    )
    assert sent.status_code == 200, sent.text
    answered = xml.decode(sent.content)
    assert [entry["response"]["status"] for entry in answered["entry"]] == ["201 Created", "201 Created"]


def test_a_fhirpath_patch_in_xml(spoken: Clinic) -> None:
    body = (
        '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/><part><name value="type"/>'
        '<valueCode value="replace"/></part><part><name value="path"/><valueString value="Patient.gender"/></part>'
        '<part><name value="value"/><valueCode value="other"/></part></parameter></Parameters>'
    )
    sent = spoken.as_("service").request("PATCH", "/fhir/Patient/bert", content=body, headers={"content-type": XML})
    assert sent.status_code == 200, sent.text
    assert sent.json()["gender"] == "other"


ATTACKS = {
    "external entity": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
    "billion laughs": '<!DOCTYPE x [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;"><!ENTITY e "&b;&b;&b;">]>',
    "remote document type": '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/evil.dtd">',
}


@pytest.mark.parametrize("prologue", ATTACKS.values(), ids=ATTACKS)
def test_entities_are_never_looked_at(spoken: Clinic, prologue: str) -> None:
    body = f'{prologue}<Patient xmlns="http://hl7.org/fhir"><language value="&e;"/></Patient>'
    for method, path in (("POST", "Patient"), ("PUT", "Patient/x"), ("POST", ""), ("PATCH", "Patient/anna")):
        answer = spoken.as_("service").request(
            method, f"/fhir/{path}".rstrip("/"), content=body, headers={"content-type": XML}
        )
        assert answer.status_code == 400
        assert "root:" not in answer.text
        assert "document type" in answer.json()["issue"][0]["diagnostics"]


def test_the_capability_statement_names_formats_patches_and_profiles(spoken: Clinic) -> None:
    statement = spoken.stranger.get("/fhir/metadata").json()
    assert {"application/fhir+json", "application/fhir+xml"} <= set(statement["format"])
    assert "application/json-patch+json" in statement["patchFormat"]
    resources = {one["type"]: one for one in statement["rest"][0]["resource"]}
    assert "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient" in resources["Patient"]["supportedProfile"]
    assert "supportedProfile" not in resources["Basic"]
    assert {"code": "patch"} in resources["Patient"]["interaction"]


def test_further_pages_come_in_the_format_of_the_first(spoken: Clinic) -> None:
    for path in ("Patient?_count=1&_format=xml&_pretty=true", "Patient/_history?_count=1&_format=text/xml"):
        first = spoken.as_("service").get(f"/fhir/{path}")
        links = {one["relation"]: one["url"] for one in xml.decode(first.content)["link"]}
        second = spoken.as_("service").get(links["next"].removeprefix(BASE))
        assert second.status_code == 200, second.text
        assert second.headers["content-type"] == XML_ANSWER
        assert len(xml.decode(second.content)["entry"]) == 1


def test_the_deepest_record_can_be_read_in_xml(spoken: Clinic) -> None:
    """A reference may name whoever assigned its identifier, and so on; 200 levels are let in."""
    service = spoken.as_("service")
    inner: dict[str, Any] = {"display": "x"}
    for _ in range(95):
        inner = {"identifier": {"assigner": inner}}
    resource = {**heart_rate("anna", 1, "deep"), "performer": [inner]}
    assert service.put("/fhir/Observation/deep", resource).status_code in {200, 201}
    read = service.get("/fhir/Observation/deep", headers={"accept": XML})
    assert read.status_code == 200
    assert xml.decode(read.content)["performer"] == [inner]
    again = service.request("PUT", "/fhir/Observation/deep", content=read.content, headers={"content-type": XML})
    assert again.status_code == 200


@pytest.mark.parametrize("wrapped", [True, False])
def test_an_operation_takes_and_gives_xml(spoken: Clinic, wrapped: bool) -> None:
    sent: dict[str, Any] = heart_rate("anna", 64)
    if wrapped:
        sent = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": sent}]}
    headers = {"content-type": XML, "accept": XML}
    answer = spoken.as_("service").request(
        "POST", "/fhir/Observation/$validate", content=xml.encode(sent), headers=headers
    )
    assert answer.status_code == 200, answer.text
    assert xml.decode(answer.content)["resourceType"] == "OperationOutcome"
