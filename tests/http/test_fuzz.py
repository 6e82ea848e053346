# SPDX-License-Identifier: Apache-2.0
"""Nothing that is sent makes the server fail: every answer is below 500, and every refusal is an OperationOutcome."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.attacks.ward import furnish
from tests.support.clinic import Clinic, condition, heart_rate, patient
from tests.support.shooting import QUICK, noise, people, quoted, shoot

from salus.fhir.definitions import resource_types
from salus.fhir.search.parameters import parameters

JSON = dict[str, Any]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """A clinic to be shot at; the shots may change it, and each must be answered all the same."""
    made = furnish(Clinic(tmp_path_factory.mktemp("target") / "data"))
    yield made
    made.close()
    made.loop.close()


words = st.sampled_from(
    [
        *resource_types()[:40],
        "Patient",
        "Observation",
        "anna",
        "bert",
        "pulse-anna",
        "_history",
        "_search",
        "1",
        "2",
        "fhir",
        "t",
        "default",
        "metadata",
        "AuditEvent",
        "$everything",
        "..",
        ".",
        "",
        "%2F",
        "%00",
        "%FF",
        "%C3%A9",
        "0",
        "-1",
        "99999999999999999999",
        "%D9%A3",
        "²",
        "a" * 300,
        "'",
        '"',
        ";",
        "*",
        "?",
        "#",
    ]
)
paths = st.lists(words | noise.map(quoted), max_size=7).map("/".join).map(lambda path: "/" + path)
names = st.sampled_from(
    [
        *sorted({name for type_ in ("Patient", "Observation", "Claim", "AuditEvent") for name in parameters(type_)}),
        "_count",
        "_page",
        "_sort",
        "_include",
        "_elements",
        "_total",
        "_summary",
        "_format",
        "_pretty",
        "_since",
        "_id",
        "_lastUpdated",
        "_has:Observation:patient:code",
        "_has:Observation:patient:_has:Provenance:target:agent",
        "_has:x:y",
        "_has",
        "_filter",
        "_text",
        "_content",
        "_list",
        "_type",
        "_revinclude",
        "_contained",
        "near",
        "subject:Patient.name",
        "patient",
        "altid",
    ]
)
modifiers = st.sampled_from(
    [
        *("", ":exact", ":contains", ":missing", ":not", ":text", ":identifier", ":Patient", ":x", ":"),
        *(":above", ":below", ":in", ":not-in", ":of-type", ":iterate", ".", ".name", ":Patient.name"),
    ]
)
values = st.sampled_from(
    [
        "",
        "|",
        "a|b",
        "|b",
        "a|",
        "a|b|c",
        "1",
        "1.50",
        "-1e5",
        "1e308",
        "1e999999",
        "gt1",
        "ap0",
        "ne5||mg",
        "1|u|mg",
        "2024",
        "2024-02-30",
        "ge2024-02-29T23:59:60Z",
        "sa0001",
        "eb9999-12-31",
        "true",
        "count",
        "accurate",
        ",",
        "Patient/anna",
        "https://localhost:8443/fhir/Patient/bert",
        "urn:uuid:x",
        "#x",
        "Observation:subject:Patient",
        "*",
        "Provenance:target",
        "Observation:*",
        "name%20eq%20%22a%22",
        "not%20(code%20eq%20x%20or%20date%20gt%202020)",
        "code%20eq%20%22",
        "(" * 300,
        "subject.name%20co%20a%20and%20",
        "http://snomed.info/sct|",
        "http://hl7.org/fhir/ValueSet/observation-status",
        "51.5|-0.1|5|km",
        "a$b",
        "$",
        "\\",
        "\\,",
        "a\\",
        "a" * 5000,
        "%00",
        "%FF",
        "%F0%9F%92%A9",
        "code,-date",
        "-",
        "anna,bert",
        "0",
        "1001",
    ]
) | noise.map(quoted)
queries = st.lists(st.tuples(names, modifiers, values), max_size=5).map(
    lambda parts: "&".join(f"{name}{modifier}={value}" for name, modifier, value in parts)
)


@QUICK
@given(people, st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]), paths, queries)
def test_any_address(target: Clinic, name: str, method: str, path: str, query: str) -> None:
    shoot(target, name, method, path, query)


@QUICK
@given(
    people,
    st.sampled_from(["Patient", "Observation", "Condition", "Claim", "AuditEvent", "Practitioner", "Encounter"]),
    queries,
    st.booleans(),
)
def test_any_search(target: Clinic, name: str, type_: str, query: str, lenient: bool) -> None:
    headers = {"prefer": "handling=lenient"} if lenient else {}
    shoot(target, name, "GET", f"/fhir/{type_}", query, headers=headers)
    shoot(target, name, "GET", f"/fhir/Patient/anna/{type_}", query, headers=headers)
    shoot(target, name, "GET", "/fhir", f"_type={type_},Patient&{query}", headers=headers)
    form = headers | {"content-type": "application/x-www-form-urlencoded"}
    shoot(target, name, "POST", f"/fhir/{type_}/_search", content=query.encode(), headers=form)


header_values = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=30)


@QUICK
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "if-match",
                "if-none-match",
                "if-none-exist",
                "prefer",
                "accept",
                "content-type",
                "host",
                "cookie",
                "x-forwarded-for",
                "x-request-id",
                "if-modified-since",
                "range",
                "expect",
                "accept-charset",
            ]
        ),
        header_values
        | st.sampled_from(['W/"1"', "*", '"', 'W/"99999999999"', "patient=bert", "nonsense=%FF", "return=minimal"]),
    ),
    st.sampled_from(["GET", "PUT", "POST", "DELETE"]),
    st.sampled_from(
        ["/fhir/Patient/anna", "/fhir/Observation", "/fhir/Observation/pulse-anna", "/fhir", "/auth/token"]
    ),
)
def test_any_headers(target: Clinic, headers: dict[str, str], method: str, path: str) -> None:
    body = json.dumps(heart_rate("anna", 1)).encode()
    shoot(target, "service", method, path, headers={"content-type": "application/fhir+json"} | headers, content=body)


@QUICK
@given(st.binary(max_size=60), st.sampled_from(["/fhir", "/fhir/Patient", "/auth/token"]))
def test_any_bytes_as_body(target: Clinic, body: bytes, path: str) -> None:
    shoot(target, "service", "POST", path, content=body, headers={"content-type": "application/json"})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | noise,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(noise | st.sampled_from(["reference", "url"]), inner),
    max_leaves=6,
)
SEEDS: list[JSON] = [patient("anna", "Å", "1980-02-29"), heart_rate("anna", 70), condition("anna")]


@st.composite
def mutated(draw: st.DrawFn) -> JSON:
    """A resource with a part replaced by anything."""
    resource = json.loads(json.dumps(draw(st.sampled_from(SEEDS))))
    node: Any = resource
    for _ in range(draw(st.integers(0, 3))):
        inner = [
            value for value in (node.values() if isinstance(node, dict) else node) if isinstance(value, dict | list)
        ]
        if not inner:
            break
        node = draw(st.sampled_from(inner))
    key: Any = draw(st.sampled_from([*node])) if isinstance(node, dict) else draw(st.integers(0, len(node) - 1))
    node[key] = draw(json_values)
    return resource  # type: ignore[no-any-return]


@QUICK
@given(mutated(), st.sampled_from(["POST", "PUT", "conditional"]))
def test_any_resource(target: Clinic, resource: JSON, how: str) -> None:
    type_ = "Observation"
    path = f"/fhir/{type_}/x" if how == "PUT" else f"/fhir/{type_}"
    query = "_id=nobody" if how == "conditional" else ""
    body = json.dumps(resource).encode("utf-8", "surrogatepass")
    method = "POST" if how == "POST" else "PUT"
    shoot(target, "service", method, path, query, content=body, headers={"content-type": "application/fhir+json"})


requests = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]) | json_values,
        "url": st.sampled_from(
            ["Patient", "Patient/anna", "Patient?_id=x", "Observation/x", "Patient/a/_history/1", "/"]
        )
        | json_values,
        "ifMatch": st.sampled_from(['W/"1"', "x"]) | json_values,
        "ifNoneExist": st.sampled_from(["_id=x", "?_id=x", "nonsense=1", "patient=anna"]) | json_values,
    },
)
entries = st.fixed_dictionaries(
    {},
    optional={
        "request": requests | json_values,
        "resource": mutated() | json_values,
        "fullUrl": st.sampled_from(["urn:uuid:a", "urn:uuid:b"]) | json_values,
    },
)


@QUICK
@given(st.sampled_from(["transaction", "batch"]), st.lists(entries | json_values, max_size=4), people)
def test_any_bundle(target: Clinic, kind: str, sent: list[Any], name: str) -> None:
    body = json.dumps({"resourceType": "Bundle", "type": kind, "entry": sent}).encode("utf-8", "surrogatepass")
    shoot(target, name, "POST", "/fhir", content=body, headers={"content-type": "application/fhir+json"})


PATCHES = {"content-type": "application/json-patch+json"}
pointers = st.sampled_from(
    ["", "/", "/name", "/name/0", "/name/-", "/name/0/given/0", "/valueQuantity/value", "/id", "/meta", "/~2", "x"]
) | noise.map(lambda text: "/" + text)
operations = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]) | json_values,
        "path": pointers | json_values,
        "from": pointers | json_values,
        "value": json_values,
    },
)
targets = st.sampled_from(["/fhir/Patient/anna", "/fhir/Observation/pulse-anna", "/fhir/Condition/nobody"])


@QUICK
@given(st.lists(operations | json_values, max_size=4) | json_values, targets, people)
def test_any_json_patch(target: Clinic, patch: Any, path: str, name: str) -> None:
    shoot(target, name, "PATCH", path, content=json.dumps(patch).encode("utf-8", "surrogatepass"), headers=PATCHES)


expressions = st.sampled_from(
    [
        *("Patient", "Patient.name", "Patient.name[0]", "Patient.name.given", "Observation.value", "descendants()"),
        *(
            "Patient.birthDate",
            "Patient.name.where(family.exists())",
            "resolve()",
            "%resource",
            "1",
            "Patient.name | 1",
        ),
        *(
            "Patient.contained[0].id",
            "Patient.birthDate.extension",
            "Patient.id",
            "$this",
            "iif(true, name, name)",
            "(",
        ),
    ]
)
parts = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["type", "path", "name", "value", "index", "source", "destination"]) | json_values,
        "valueCode": st.sampled_from(["add", "insert", "delete", "replace", "move"]) | json_values,
        "valueString": expressions | st.sampled_from(["name", "birthDate", "value", "contact"]) | json_values,
        "valueInteger": st.integers(-1, 3) | json_values,
        "valueHumanName": json_values,
        "part": json_values,
        "_valueString": json_values,
    },
)


def fhirpath_operation(kind: str, path: str, name: str, value: Any, numbers: tuple[int, int, int]) -> JSON:
    """An operation that is nearly right."""
    all_parts = {
        "type": {"valueCode": kind},
        "path": {"valueString": path},
        "name": {"valueString": name},
        "value": value,
        **{
            each: {"valueInteger": number}
            for each, number in zip(("index", "source", "destination"), numbers, strict=True)
        },
    }
    wanted = {
        "add": ("type", "path", "name", "value"),
        "insert": ("type", "path", "value", "index"),
        "delete": ("type", "path"),
        "replace": ("type", "path", "value"),
        "move": ("type", "path", "source", "destination"),
    }[kind]
    return {"name": "operation", "part": [{"name": each, **all_parts[each]} for each in wanted]}


nearly = st.builds(
    fhirpath_operation,
    st.sampled_from(["add", "insert", "delete", "replace", "move"]),
    expressions,
    st.sampled_from(["name", "birthDate", "value", "value[x]", "valueString", "contact", "extension", "nothing"]),
    st.sampled_from(
        [
            {"valueString": "x"},
            {"valueHumanName": {"family": "x"}},
            {"valueQuantity": {"value": 1}},
            {"valueDate": "2000-01-01"},
            {"part": [{"name": "name", "valueHumanName": {"text": "x"}}]},
            {"part": [{"name": "url", "valueUri": "urn:x"}, {"name": "value", "valueString": "x"}]},
            {"resource": {"resourceType": "Patient"}},
        ]
    ),
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)),
)
wild = st.fixed_dictionaries(
    {"name": st.just("operation") | json_values}, optional={"part": st.lists(parts | json_values, max_size=5)}
)


@QUICK
@given(st.lists(nearly | wild | json_values, max_size=3), targets)
def test_any_fhirpath_patch(target: Clinic, sent: list[Any], path: str) -> None:
    body = json.dumps({"resourceType": "Parameters", "parameter": sent}).encode("utf-8", "surrogatepass")
    shoot(target, "service", "PATCH", path, content=body, headers={"content-type": "application/fhir+json"})


tags = st.sampled_from(
    [
        *("<name>", "</name>", '<id value="x"/>', '<birthDate value="2000"/>', '<extension url="x">', "</extension>"),
        *("<contained>", "</contained>", "<Patient>", "</Patient>", '<given value="x"/>', "<text>", "</text>", "&x;"),
        *(
            '<div xmlns="http://www.w3.org/1999/xhtml">',
            "</div>",
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "<!DOCTYPE x>",
            "\0",
        ),
        *('<entry><request><method value="POST"/><url value="Patient"/></request></entry>', '<type value="batch"/>'),
    ]
)


@QUICK
@given(
    st.lists(tags | noise, max_size=10).map("".join),
    st.sampled_from(["Patient", "Bundle", "Parameters", "Binary"]),
    st.sampled_from(
        [("POST", "/fhir"), ("POST", "/fhir/Patient"), ("PUT", "/fhir/Patient/x"), ("PATCH", "/fhir/Patient/anna")]
    ),
)
def test_any_xml(target: Clinic, inside: str, type_: str, door: tuple[str, str]) -> None:
    body = f'<{type_} xmlns="http://hl7.org/fhir">{inside}</{type_}>'.encode("utf-8", "surrogatepass")
    shoot(target, "service", *door, content=body, headers={"content-type": "application/fhir+xml"})


@QUICK
@given(json_values, json_values, json_values, json_values)
def test_any_sign_in(target: Clinic, user: Any, password: Any, code: Any, purpose: Any) -> None:
    sent = {"user": user, "password": password, "code": code, "purpose": purpose}
    body = json.dumps(sent).encode("utf-8", "surrogatepass")
    shoot(target, "anna", "POST", "/auth/token", content=body, headers={"content-type": "application/json"})
