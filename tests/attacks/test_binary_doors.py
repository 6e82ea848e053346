# SPDX-License-Identifier: Apache-2.0
"""Files of a patient through every door, scripts in files, and chunks that a thief of the database moves about."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest

from tests.attacks.ward import CONFIDENTIALITY
from tests.support.clinic import BASE, Clinic, heart_rate, patient

SECRET = b"Bert's scan: " + os.urandom(150_000)
SMALL = b"Bert's note, short"
OUTSIDE = ("anna", "nurse", "front-desk", "billing", "laboratory", "pharmacist", "auditor", "administrator")
PDF = {"content-type": "application/pdf"}


def keep(clinic: Clinic, id_: str, content: bytes, context: str = "Patient/bert", **headers: str) -> str:
    """PUT a file as the service."""
    named = {**PDF, **({"x-security-context": context} if context else {}), **headers}
    answer = clinic.as_("service").request("PUT", f"/fhir/Binary/{id_}", content=content, headers=named)
    assert answer.status_code in {200, 201}, answer.text
    return f"/fhir/Binary/{id_}"


@pytest.fixture
def filled(clinic: Clinic) -> Clinic:
    keep(clinic, "scan-bert", SECRET)
    keep(clinic, "scan-bert", SECRET[::-1])
    keep(clinic, "note-bert", SMALL)
    return clinic


DOORS = (
    "Binary/{}",
    "Binary/{}?_format=json",
    "Binary/{}/_history/1",
    "Binary/{}/_history",
    "Binary/{}/$meta",
    "Binary/{}/$graphql?query={{id contentType data}}",
)
LISTS = (
    "Binary?_id={}",
    "Binary/_history",
    "_history",
    "Binary",
    "?_type=Binary",
    '$graphql?query={{Binary(id:"{}"){{id data}}}}',
    "Patient/anna/$everything",
)


@pytest.mark.parametrize("who", OUTSIDE)
def test_no_door_opens_for_whom_the_file_is_not(filled: Clinic, who: str) -> None:
    person = filled.as_(who)
    for id_, content in (("scan-bert", SECRET), ("note-bert", SMALL)):
        telling = (content[:40], base64.b64encode(content[:30]).rstrip(b"="), base64.b64encode(content[::-1][:30]))
        for door in DOORS:
            for headers in ({}, {"range": "bytes=0-9"}, {"accept": "application/fhir+json"}):
                answer = person.get(f"/fhir/{door.format(id_)}", headers=headers)
                assert answer.status_code in {403, 404} or answer.json().get("errors"), (door, answer.text)
        for door in LISTS:
            answer = person.get(f"/fhir/{door.format(id_)}")
            assert not any(part in answer.content for part in telling), door
            entries = answer.json().get("entry", ()) if answer.status_code == 200 else ()
            assert id_ not in {entry.get("resource", {}).get("id") for entry in entries}, door
        batch = {
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [{"request": {"method": "GET", "url": door.format(id_)}} for door in (*DOORS[:1], *LISTS[:1])],
        }
        answer = person.post("/fhir", batch)
        assert not any(part in answer.content for part in telling)


def test_hidden_reads_like_absent(filled: Clinic) -> None:
    anna = filled.as_("anna")
    for headers in ({}, {"range": "bytes=0-1"}, {"range": "bytes=99999999-"}, {"if-none-match": "*"}):
        hidden, absent = (anna.get(f"/fhir/Binary/{id_}", headers=headers) for id_ in ("scan-bert", "no-such-one"))
        assert (hidden.status_code, hidden.content) == (absent.status_code, absent.content)


def test_nobody_writes_into_the_record_of_another(filled: Clinic) -> None:
    for who in ("anna", "nurse"):
        person = filled.as_(who)
        for content in (b"x", SECRET):
            headers = {**PDF, "x-security-context": "Patient/bert"}
            made = person.request("POST", "/fhir/Binary", content=content, headers=headers)
            absent = person.request(
                "POST", "/fhir/Binary", content=content, headers={**PDF, "x-security-context": "Patient/nobody"}
            )
            assert made.status_code == absent.status_code == 422
            assert made.content == absent.content
            taken = person.request("PUT", "/fhir/Binary/scan-bert", content=content, headers=headers)
            assert taken.status_code in {403, 422}
            nobodys = person.request("POST", "/fhir/Binary", content=content, headers=PDF)
            assert nobodys.status_code == 403
    assert filled.as_("bert").get("/fhir/Binary/scan-bert").content == SECRET[::-1]


def test_who_may_not_keep_it_need_not_send_it(filled: Clinic) -> None:
    """A refusal comes before the content: the body is not read to its end."""
    asked = 0

    async def endless() -> Any:
        nonlocal asked
        while True:
            asked += 1
            assert asked < 100
            yield bytes(16 * 1024)

    headers = {"authorization": f"Bearer {filled.token('billing')}", **PDF, "x-security-context": "Patient/bert"}
    answer = filled.run(_send(filled, endless, headers))
    assert answer == 403


async def _send(clinic: Clinic, body: Any, headers: dict[str, str]) -> int:
    flow, status = body(), 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": await anext(flow), "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/fhir/Binary", "query_string": b"", "headers": raw}
    await clinic.application({**scope, "client": ("127.0.0.9", 1)}, receive, send)
    return status


def test_who_may_not_read_the_context_may_not_read_the_file(clinic: Clinic) -> None:
    """The context is hidden from the nurse after the file was kept: the file goes with it."""
    service, nurse = clinic.as_("service"), clinic.as_("nurse")
    curve = heart_rate("anna", 70, "curve")
    service.put("/fhir/Observation/curve", curve)
    paths = [keep(clinic, f"c{n}", content, "Observation/curve") for n, content in enumerate((SECRET, SMALL))]
    assert [nurse.get(path).status_code for path in paths] == [200, 200]
    curve["meta"] = {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}
    service.put("/fhir/Observation/curve", curve)
    for path in paths:
        assert nurse.get(path).status_code == 404
        assert nurse.get(f"{path}/_history/1").status_code == 404
        assert "entry" not in nurse.get(f"{path}/_history").json()
        assert "entry" not in nurse.get(f"/fhir/Binary?_id={path.rpartition('/')[2]}").json()
    kept_later = keep(clinic, "later", SECRET, "Observation/curve")
    assert nurse.get(kept_later).status_code == 404
    assert "entry" not in nurse.get("/fhir/Binary?_id=later").json()


@pytest.mark.parametrize("context", ["Patient/", "https://elsewhere.test/Patient/bert", "#p", "Patient/x/y", "Grid/1"])
def test_a_context_that_cannot_be_checked_is_refused(clinic: Clinic, context: str) -> None:
    for content in (b"x", SECRET):
        headers = {b"content-type": b"image/png", b"x-security-context": context.encode()}
        headers[b"authorization"] = f"Bearer {clinic.token('service')}".encode()
        answer = clinic.run(clinic.http.post("/fhir/Binary", content=content, headers=list(headers.items())))
        assert 400 <= answer.status_code < 500, answer.text


def test_nothing_uploaded_runs(clinic: Clinic) -> None:
    script = b"<html><script>alert(document.domain)</script></html>"
    for content in (script, script + SECRET):
        for kind in ("text/html", "image/svg+xml", "application/xhtml+xml", "text/javascript"):
            path = keep(clinic, "page", content, **{"content-type": kind})
            answer = clinic.as_("bert").get(path, headers={"accept": "text/html,*/*;q=0.8"})
            assert answer.content == content
            assert answer.headers["content-disposition"] == "attachment"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "sandbox" in answer.headers["content-security-policy"]
            assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("kind", ["text", "text/html\x0bx", "a/b; c", "/", "text/plain;;", "a/" + "b" * 300, "image/é"])
def test_wrong_content_types_are_refused(clinic: Clinic, kind: str) -> None:
    headers = [(b"content-type", kind.encode()), (b"authorization", f"Bearer {clinic.token('service')}".encode())]
    answer = clinic.run(clinic.http.post("/fhir/Binary", content=b"x", headers=headers))
    assert answer.status_code == 415, answer.text


@pytest.mark.parametrize("kind", ["text/html", "a b", "x", "text/plain; a=b c"])
def test_a_content_type_in_json_makes_no_header_of_its_own(clinic: Clinic, kind: str) -> None:
    resource = {"resourceType": "Binary", "contentType": kind, "data": "PGI+"}
    made = clinic.as_("service").post("/fhir/Binary", resource)
    if made.status_code == 422:
        return
    answer = clinic.as_("service").get(f"/fhir/Binary/{made.json()['id']}")
    assert answer.headers["content-type"] in {kind, "application/octet-stream"}
    assert answer.headers["content-disposition"] == "attachment"


def test_a_record_names_no_content_but_its_own(clinic: Clinic) -> None:
    service = clinic.as_("service")
    keep(clinic, "scan-bert", SECRET)
    named = service.find("Binary?_id=scan-bert")[0]["_data"]
    for id_, context in (("stolen", "Patient/anna"), ("scan-bert", "Patient/anna"), ("other", "Patient/bert")):
        resource = {"resourceType": "Binary", "id": id_, "contentType": "a/b", "_data": named}
        resource["securityContext"] = {"reference": context}
        assert service.put(f"/fhir/Binary/{id_}", resource).status_code == 422
    for broken in ({}, {"extension": []}, {"extension": [{"url": "name", "valueId": "zz"}]}):
        resource = {"resourceType": "Binary", "id": "new", "contentType": "a/b"}
        resource["_data"] = {"extension": [{"url": "urn:salus:content", **broken}]}
        assert service.put("/fhir/Binary/new", resource).status_code in {400, 422}


TAMPERING = {
    "cut": "delete from content_chunk where name=:a and number=3",
    "first away": "delete from content_chunk where name=:a and number=0",
    "order": "update content_chunk set number = -number - 1 where name=:a;"
    "update content_chunk set number = case number when -1 then 1 when -2 then 0 else -number - 1 end where name=:a",
    "swap of chunks": "update content_chunk set body = (select body from content_chunk where name=:b and number=0)"
    " where name=:a and number=0",
    "last over": "update content_chunk set body = (select body from content_chunk where name=:a and number=3)"
    " where name=:a and number=2",
    "bit": "update content_chunk set body = zeroblob(length(body)) where name=:a and number=1",
    "head of another": "update content set head = (select head from content where name=:b) where name=:a",
    "no head": "delete from content where name=:a",
    "names swapped": "update content set name = x'00' where name=:a; update content set name=:a where name=:b",
}


@pytest.mark.parametrize("how", TAMPERING)
def test_chunks_that_were_moved_changed_or_cut_are_refused(clinic: Clinic, how: str) -> None:
    service = clinic.as_("service")
    a, b = keep(clinic, "a", SECRET), keep(clinic, "b", SECRET[::-1])
    names = {}
    for key, path in (("a", a), ("b", b)):
        parts = service.find(f"Binary?_id={path.rpartition('/')[2]}")[0]["_data"]["extension"][0]["extension"]
        names[key] = bytes.fromhex(next(part["valueId"] for part in parts if part["url"] == "name"))
    with clinic.behind() as db:
        for statement in TAMPERING[how].split(";"):
            db.execute(statement, {key: name for key, name in names.items() if f":{key}" in statement})
    got, failed = clinic.run(_broken_off(clinic, a))
    assert failed
    assert SECRET.startswith(got)
    assert len(got) < len(SECRET)


async def _broken_off(clinic: Clinic, path: str) -> tuple[bytes, bool]:
    """What comes of a content before it breaks off, and whether it does (or is refused at once)."""
    got, status = bytearray(), 0

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)
        got.extend(message.get("body", b""))

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    headers = [(b"authorization", f"Bearer {clinic.token('service')}".encode())]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    try:
        await clinic.application({**scope, "client": ("127.0.0.9", 1)}, receive, send)
    except Exception:  # noqa: BLE001  the server ends the connection
        return bytes(got), True
    return (b"", True) if status == 500 else (bytes(got), False)


def test_nothing_of_a_file_lies_open_in_the_database(clinic: Clinic) -> None:
    keep(clinic, "plain", b"Ward round, " * 20_000)
    for table in ("content", "content_chunk", "record"):
        for row in clinic.house.db.execute(f"select * from {table}"):
            assert not any(isinstance(value, bytes) and b"Ward round" in value for value in row)


def test_the_key_of_the_patient_is_the_key_of_the_file(clinic: Clinic) -> None:
    """With the patient's key destroyed the file is gone, whatever else there is."""
    clinic.as_("service").put("/fhir/Patient/gone", patient("gone", "Gone", "1970-01-01"))
    path = keep(clinic, "of-gone", SECRET, "Patient/gone")
    keys = clinic.house.keyring.tenant("default")
    owner = keys.surrogate("Patient", "gone")
    assert keys.keys_of([owner])
    keys._table._db.execute("delete from patient_key where owner=?", (owner,))
    clinic.close()
    clinic.open()
    answer = clinic.as_("service").get(path)
    assert answer.status_code in {404, 410}
    assert SECRET[:30] not in answer.content


def test_a_bundle_gives_no_more_than_a_read(filled: Clinic) -> None:
    entry = {"request": {"method": "GET", "url": "Binary/scan-bert"}}
    for kind in ("batch", "transaction"):
        answer = filled.as_("anna").post("/fhir", {"resourceType": "Bundle", "type": kind, "entry": [entry]})
        assert b"scan" not in answer.content.replace(f"{BASE}/fhir/Binary/scan-bert".encode(), b"")
