# SPDX-License-Identifier: Apache-2.0
"""What is malformed is refused with words, a place, and no repetition of what was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.clinic import Clinic, heart_rate, patient
from tests.support.outcomes import assert_outcome

from salus.kernel.settings import Limits

FHIR = {"content-type": "application/fhir+json"}
LIMITS = Limits(body_bytes=100_000, bundle_entries=10, requests_per_second=100_000, burst=100_000)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """A clinic with small limits; nothing here is ever accepted."""
    made = Clinic(tmp_path_factory.mktemp("strict") / "data", LIMITS)
    yield made
    made.close()
    made.loop.close()


BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "blank": b"  \n",
    "cut off": b'{"resourceType":"Patient"',
    "two documents": b'{"resourceType":"Patient"}{}',
    "duplicate key": b'{"resourceType":"Patient","active":true,"active":false}',
    "duplicate key by escape": b'{"resourceType":"Patient","active":true,"\\u0061ctive":false}',
    "duplicate key deep": b'{"resourceType":"Patient","name":[{"family":"a","family":"b"}]}',
    "broken utf-8": b'{"resourceType":"Patient","name":[{"family":"\xff\xfe"}]}',
    "overlong utf-8": b'{"resourceType":"Patient","name":[{"family":"\xc0\xaf"}]}',
    "lone surrogate": b'{"resourceType":"Patient","name":[{"family":"\\ud800"}]}',
    "byte order mark": b'\xef\xbb\xbf{"resourceType":"Patient"}',
    "utf-16": '{"resourceType":"Patient"}'.encode("utf-16"),
    "NaN": b'{"resourceType":"Observation","valueQuantity":{"value":NaN}}',
    "infinity": b'{"resourceType":"Observation","valueQuantity":{"value":-Infinity}}',
    "depth": b'{"resourceType":"Patient","extension":' + b'[{"extension":' * 5000 + b"1" + b"}]" * 5000 + b"}",
    "an array": b'[{"resourceType":"Patient"}]',
    "a text": b'"Patient"',
    "a number": b"1",
    "null": b"null",
    "a comment": b'{"resourceType":"Patient" /* x */}',
    "a trailing comma": b'{"resourceType":"Patient",}',
    "single quotes": b"{'resourceType':'Patient'}",
    "control character": b'{"resourceType":"Patient","name":[{"family":"a\x00b"}]}',
    "endless number": b'{"resourceType":"Patient","multipleBirthInteger":' + b"9" * 50_000 + b"}",
    "xml": b'<Patient xmlns="http://hl7.org/fhir"/>',
}
DOORS = (("POST", "/fhir/Patient"), ("PUT", "/fhir/Patient/p"), ("PUT", "/fhir/Patient?_id=p"), ("POST", "/fhir"))


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_json(strict: Clinic, fault: str) -> None:
    for method, path in DOORS:
        answer = strict.as_("service").request(method, path, content=BROKEN[fault], headers=FHIR)
        assert answer.status_code == 400, answer.text
        assert_outcome(answer)


@pytest.mark.parametrize("number", ["1e400", "1E+99999999999", "-1e-400", "0." + "1" * 5000, "1" + "0" * 5000])
def test_absurd_numbers(strict: Clinic, number: str) -> None:
    body = json.dumps(heart_rate("anna", 77, "n")).replace("77", number).encode()
    answer = strict.as_("service").request("PUT", "/fhir/Observation/n", content=body, headers=FHIR)
    assert answer.status_code in {400, 422}
    assert_outcome(answer)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown element": ({"nickname": "Nan"}, "Patient.nickname"),
    "wrong type": ({"active": "Nan"}, "Patient.active"),
    "not in value set": ({"gender": "Nan"}, "Patient.gender"),
    "impossible date": ({"birthDate": "2023-02-30"}, "Patient.birthDate"),
    "not an array": ({"name": {"family": "Nan"}}, "Patient.name"),
    "empty object": ({"name": [{}]}, "Patient.name[0]"),
    "empty text": ({"language": ""}, "Patient.language"),
    "two of a choice": ({"deceasedBoolean": True, "deceasedDateTime": "2024"}, "Patient"),
    "script": (
        {"text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>'}},
        "Patient.text.div",
    ),
    "dangling contained": ({"managingOrganization": {"reference": "#nobody"}}, "Patient"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_not_fhir_is_told_with_its_place(strict: Clinic, fault: str) -> None:
    change, place = WRONG[fault]
    answer = strict.as_("service").post("/fhir/Patient", patient("x", "Y", "2000-01-01") | change)
    assert answer.status_code == 422
    issues = assert_outcome(answer)
    assert any(found.startswith(place) for issue in issues for found in issue["expression"])
    assert "Nan" not in answer.text
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"request": {"method": "POST", "url": "Patient"}, "resource": patient("x", "Y", "2000-01-01") | change}
        ],
    }
    inside = assert_outcome(strict.as_("service").post("/fhir", bundle))
    assert all(found.startswith("Bundle.entry[0].resource") for issue in inside for found in issue["expression"])


@pytest.mark.parametrize("value", [5, None, True, [], {}, ["a"], 1.5, "../../etc", "a b", "", "x" * 65])
def test_a_strange_id_in_the_body(strict: Clinic, value: object) -> None:
    body = {"resourceType": "Patient", "id": value}
    for method, path in (("PUT", "/fhir/Patient/p"), ("PUT", "/fhir/Patient?identifier=nobody")):
        if not (value == "" and "?" in path):  # an empty text is as good as none; validation refuses it below
            answer = strict.as_("service").request(method, path, json=body)
            assert answer.status_code in {400, 422}, (path, answer.text)
            assert_outcome(answer)


@pytest.mark.parametrize("kind", [None, 5, [], {}, "", "patient", "Nonsense", "Resource", "DomainResource", "Element"])
def test_a_strange_resource_type(strict: Clinic, kind: object) -> None:
    for path in ("/fhir/Patient", "/fhir"):
        answer = strict.as_("service").post(path, {"resourceType": kind, "type": "batch"})
        assert answer.status_code == 400
        assert_outcome(answer)
    assert strict.as_("service").post("/fhir/Patient", {}).status_code == 400


@pytest.mark.parametrize(
    "declared",
    [
        "",
        "text/plain",
        "application/xml-patch+xml",
        "application/fhir+xml; charset=utf-16",
        "application/fhir+json; fhirVersion=3.0",
        "application/json-patch+json",
        "application/json; charset=iso-8859-1",
        "multipart/form-data",
        "json xml",
    ],
)
def test_a_body_that_is_not_declared_as_fhir(strict: Clinic, declared: str) -> None:
    body = json.dumps(patient("x", "Y", "2000")).encode()
    headers = {"content-type": declared} if declared else {}
    for path in ("/fhir/Patient", "/fhir", "/fhir/Patient/_search", "/auth/token"):
        answer = strict.as_("service").request("POST", path, content=body, headers=headers)
        assert answer.status_code == 415
        assert assert_outcome(answer)[0]["expression"] == ["http.Content-Type"]


@pytest.mark.parametrize(
    "format_", ["application/fhir+xm", "fhir+xml", "ttl", "html", "text/csv", "text/html", "", "jsonx"]
)
@pytest.mark.parametrize("path", ["Patient/anna", "Patient", "Patient/anna/_history", "metadata", "_history"])
def test_a_format_that_is_not_spoken(strict: Clinic, path: str, format_: str) -> None:
    answer = strict.as_("service").get(f"/fhir/{path}?_format={format_}")
    assert answer.status_code == 406
    assert assert_outcome(answer)[0]["expression"] == ["query._format"]
    asked = strict.as_("service").get(f"/fhir/{path}", headers={"accept": format_ or "text/html"})
    if "/" in format_:
        assert asked.status_code == 406


def test_a_body_above_the_limit(strict: Clinic) -> None:
    large = patient("x", "Y" * 100_000, "2000")
    for method, path in DOORS:
        answer = strict.as_("service").request(method, path, json=large)
        assert answer.status_code == 413
        assert_outcome(answer)


def test_a_body_above_the_limit_that_does_not_say_so(strict: Clinic) -> None:
    """Sent in chunks, without Content-Length: counted while it comes in."""

    async def chunks() -> Any:
        for _ in range(200):
            yield b" " * 1000

    service = strict.as_("service")
    sent = {**service._headers, **FHIR}
    answer = strict.run(strict.http.request("POST", "/fhir/Patient", content=chunks(), headers=sent))
    assert answer.status_code == 413


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_too_many_entries(strict: Clinic, kind: str) -> None:
    entries = [{"request": {"method": "GET", "url": "Patient/anna"}}] * 11
    answer = strict.as_("service").post("/fhir", {"resourceType": "Bundle", "type": kind, "entry": entries})
    assert answer.status_code == 413
    assert_outcome(answer)
    assert (
        strict.as_("service").post("/fhir", {"resourceType": "Bundle", "type": kind, "entry": entries[:10]}).status_code
        == 200
    )


ENTRIES: list[Any] = [
    None,
    5,
    "x",
    {},
    {"request": None},
    {"request": {"method": "GET"}},
    {"request": {"method": "PATCH", "url": "Patient/a"}},
    {"request": {"method": "get", "url": "Patient/a"}},
    {"request": {"method": ["GET"], "url": "Patient/a"}},
    {"request": {"method": "GET", "url": 5}},
    {"request": {"method": "GET", "url": ""}},
    {"request": {"method": "GET", "url": "Nonsense/1"}},
    {"request": {"method": "PUT", "url": "Patient"}},
    {"request": {"method": "DELETE", "url": "Patient"}},
    {"request": {"method": "POST", "url": "Patient/a"}, "resource": {"resourceType": "Patient"}},
    {"request": {"method": "POST", "url": "Patient"}},
    {"request": {"method": "POST", "url": "Patient"}, "resource": []},
    {"request": {"method": "POST", "url": "Patient"}, "resource": {"resourceType": "Observation"}},
    {
        "request": {"method": "PUT", "url": "Patient/a", "ifMatch": 5},
        "resource": {"resourceType": "Patient", "id": "a"},
    },
    {
        "request": {"method": "PUT", "url": "Patient/a", "ifMatch": "x"},
        "resource": {"resourceType": "Patient", "id": "a"},
    },
    {"request": {"method": "PUT", "url": "Patient/a b"}, "resource": {"resourceType": "Patient", "id": "a b"}},
    {"request": {"method": "PUT", "url": "Patient/a"}, "resource": {"resourceType": "Patient", "id": ["a"]}},
    {"request": {"method": "PUT", "url": "Patient?x=%FF"}, "resource": {"resourceType": "Patient"}},
    {
        "request": {"method": "POST", "url": "Patient", "ifNoneExist": "nonsense=1"},
        "resource": {"resourceType": "Patient"},
    },
    {"request": {"method": "POST", "url": "Patient"}, "resource": {"resourceType": "Patient"}, "fullUrl": []},
]


@pytest.mark.parametrize("entry", ENTRIES, ids=range(len(ENTRIES)))
def test_a_malformed_entry_is_named(strict: Clinic, entry: Any) -> None:
    answer = strict.as_("service").post("/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert answer.status_code in {400, 422}, answer.text
    issues = assert_outcome(answer)
    assert issues[0]["expression"][0].startswith("Bundle.entry[0]")


@pytest.mark.parametrize("entries", [None, {}, "x", 5, True])
def test_entries_that_are_no_array(strict: Clinic, entries: Any) -> None:
    for kind in ("transaction", "batch"):
        answer = strict.as_("service").post("/fhir", {"resourceType": "Bundle", "type": kind, "entry": entries})
        assert answer.status_code == 400
        assert_outcome(answer)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/fhir/Patient/anna/_history/1"),
        ("HEAD", "/auth/token"),
        ("DELETE", "/health/ready"),
        ("PUT", "/fhir/Patient/anna/_history/1"),
        ("DELETE", "/fhir/Patient/anna/_history"),
        ("GET", "/auth/token"),
        ("POST", "/health"),
        ("GET", "/fhir/Patient/_search"),
        ("TRACE", "/fhir/Patient"),
        ("CONNECT", "/fhir/Patient"),
        ("BREW", "/fhir/Patient"),
    ],
)
def test_a_method_that_an_address_does_not_answer(strict: Clinic, method: str, path: str) -> None:
    answer = strict.as_("service").request(method, path)
    assert answer.status_code == 405, answer.text
    assert_outcome(answer)
    assert answer.headers["allow"]
    assert method not in answer.headers["allow"].split(", ")


@pytest.mark.parametrize(
    "path",
    ["/fhir/Nonsense", "/fhir/Nonsense/1", "/fhir/Patient/1/2/3/4", "/nothing", "/fhir/$export", "/t/x/y"],
)
def test_an_address_where_there_is_nothing(strict: Clinic, path: str) -> None:
    answer = strict.as_("service").get(path)
    assert answer.status_code == 404
    assert_outcome(answer)


@pytest.mark.parametrize(
    "query",
    [
        "nonsense=1",
        "birthdate=yesterday",
        "_count=-1",
        "_count=x",
        "_sort=nonsense",
        "_total=perhaps",
        "_summary=x",
        "_include=Patient",
        "_elements=nonsense",
        "name=%FF",
        "name=",
        "birthdate:exact=2020",
        "&".join(f"name=a{n}" for n in range(300)),
        "name=" + ",".join("a" * 3 for _ in range(600)),
    ],
)
def test_a_search_that_is_not_understood_is_told_with_its_parameter(strict: Clinic, query: str) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    service = strict.as_("service")
    got = service.get(f"/fhir/Patient?{query}")
    posted = service.request("POST", "/fhir/Patient/_search", content=query, headers=form)
    assert got.status_code == posted.status_code == 400
    assert assert_outcome(got) == assert_outcome(posted)
    assert "yesterday" not in got.text


@pytest.mark.parametrize("coding", ["gzip", "br", "x-unheard-of", "identity, gzip"])
@pytest.mark.parametrize(("method", "path"), [*DOORS, ("POST", "/fhir/Patient/_search"), ("POST", "/fhir/Binary")])
def test_a_coded_body_is_not_taken_for_the_content(strict: Clinic, method: str, path: str, coding: str) -> None:
    headers = {**FHIR, "content-encoding": coding}
    answer = strict.as_("service").request(method, path, content=b"{}", headers=headers)
    assert answer.status_code == 415
    assert assert_outcome(answer)[0]["expression"] == ["http.Content-Encoding"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_an_address_of_its_own_is_no_resource_type(strict: Clinic, method: str) -> None:
    answer = strict.as_("service").request(method, "/fhir/metadata", json={"resourceType": "Patient"})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_no_request_stays_on_its_way_however_it_ends(clinic: Clinic) -> None:
    nurse = clinic.as_("nurse")
    ends = [
        nurse.get("/fhir/Patient/anna"),
        nurse.get("/fhir/Patient/nobody"),
        nurse.post("/fhir/Patient", content=b"{", headers=FHIR),
        nurse.get("/nothing"),
        clinic.stranger.get("/fhir/Patient/anna"),
    ]
    assert [answer.status_code for answer in ends] == [200, 404, 400, 404, 401]
    assert clinic.house.writer.on_their_way == 0


@pytest.mark.parametrize("address", ["Patient/_search", "_search?_type=Patient", "Patient/anna/Observation/_search"])
def test_a_search_by_post_takes_a_form_or_nothing(strict: Clinic, address: str) -> None:
    service = strict.as_("service")
    for declared in (FHIR, {"content-type": "text/plain"}, {}):
        answer = service.request("POST", f"/fhir/{address}", content=b"{}", headers=declared)
        assert answer.status_code == 415
        assert assert_outcome(answer)[0]["expression"] == ["http.Content-Type"]
    assert service.request("POST", f"/fhir/{address}").status_code == 200
