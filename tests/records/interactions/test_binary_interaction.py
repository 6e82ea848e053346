# SPDX-License-Identifier: Apache-2.0
"""Binary: content of any type and size, as it was sent, whole and in parts.  https://hl7.org/fhir/R4/binary.html"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.support.clinic import Clinic, heart_rate

from salus.kernel.settings import Limits

FHIR = {"accept": "application/fhir+json"}
PNG = {"content-type": "image/png"}
ANNA = {"x-security-context": "Patient/anna"}
LARGE = os.urandom(200_000)
SMALL = b"\x89PNG and a little more"


def sent(clinic: Clinic, content: bytes, who: str = "physician", **headers: str) -> str:
    """POST content; gives the path of the record."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = clinic.as_(who).request("POST", "/fhir/Binary", content=content, headers={**PNG, **ANNA, **named})
    assert answer.status_code == 201, answer.text
    return "/fhir/" + answer.headers["location"].partition("/fhir/")[2].partition("/_history")[0]


@pytest.mark.parametrize(
    "content", [b"", b"x", SMALL, LARGE, LARGE[: 48 * 1024], LARGE[: 2 * 48 * 1024], LARGE[:49153]]
)
def test_content_comes_back_as_it_was_sent(clinic: Clinic, content: bytes) -> None:
    answer = clinic.as_("physician").get(sent(clinic, content))
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["etag"] == 'W/"1"'
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert answer.headers["content-length"] == str(len(content))


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_fhir_shows_the_same_record(clinic: Clinic, content: bytes) -> None:
    path = sent(clinic, content)
    shown = clinic.as_("physician").get(path, headers=FHIR).json()
    assert base64.b64decode(shown["data"]) == content
    assert shown["contentType"] == "image/png"
    assert shown["securityContext"] == {"reference": "Patient/anna"}
    assert "_data" not in shown
    assert clinic.as_("physician").get(f"{path}?_format=json").json() == shown
    assert clinic.as_("physician").get(f"{path}?_format=xml").headers["content-type"].startswith("application/fhir+xml")


@pytest.mark.parametrize(
    ("accept", "raw"),
    [
        ("*/*", True),
        ("image/png", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("application/fhir+json;q=0, */*", True),
        ("application/fhir+json", False),
        ("application/fhir+xml, */*;q=0.1", False),
        ("application/json", False),
    ],
)
def test_what_is_accepted_decides_the_form(clinic: Clinic, accept: str, raw: bool) -> None:
    answer = clinic.as_("physician").get(sent(clinic, LARGE), headers={"accept": accept})
    assert (answer.content == LARGE) is raw
    assert answer.headers["content-type"].startswith("application/fhir+") is not raw


def test_a_resource_in_json_reads_as_content(clinic: Clinic) -> None:
    physician = clinic.as_("physician")
    resource = {
        "resourceType": "Binary",
        "contentType": "text/plain; charset=utf-8",
        "securityContext": {"reference": "Patient/anna"},
        "data": base64.b64encode(SMALL).decode(),
    }
    for kind in ("application/fhir+json", "application/json"):
        answer = physician.post("/fhir/Binary", resource, headers={"content-type": kind})
        assert answer.status_code == 201, answer.text
        raw = physician.get(f"/fhir/Binary/{answer.json()['id']}")
        assert (raw.content, raw.headers["content-type"]) == (SMALL, "text/plain; charset=utf-8")


@pytest.mark.parametrize(("kind", "content"), [("application/json", b'{"a": 1}'), ("text/xml", b"<a><b/></a>")])
def test_json_and_xml_of_others_is_content(clinic: Clinic, kind: str, content: bytes) -> None:
    path = sent(clinic, content, content_type=kind)
    assert clinic.as_("physician").get(path).content == content


def test_versions_history_delete_and_put(clinic: Clinic) -> None:
    physician, service = clinic.as_("physician"), clinic.as_("service")
    path = sent(clinic, LARGE)
    other = os.urandom(100_000)
    changed = physician.request("PUT", path, content=other, headers={**PNG, **ANNA, "if-match": 'W/"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, 'W/"2"')
    stale = physician.request("PUT", path, content=LARGE, headers={**PNG, **ANNA, "if-match": 'W/"1"'})
    assert stale.status_code == 412
    assert physician.get(path).content == other
    assert physician.get(f"{path}/_history/1").content == LARGE
    assert physician.get(path, headers={"if-none-match": 'W/"2"'}).status_code == 304
    assert service.delete(path).status_code == 204
    assert physician.get(path).status_code == 410
    assert physician.get(f"{path}/_history/2").content == other
    methods = [entry["request"]["method"] for entry in physician.get(f"{path}/_history").json()["entry"]]
    assert methods == ["DELETE", "PUT", "POST"]
    made = service.request("PUT", "/fhir/Binary/own-id", content=LARGE, headers={**PNG, **ANNA})
    assert made.status_code == 201
    assert service.get("/fhir/Binary/own-id").content == LARGE


def test_a_large_one_is_told_of_in_searches_and_may_be_sent_back(clinic: Clinic) -> None:
    service = clinic.as_("service")
    path = sent(clinic, LARGE)
    id_ = path.rpartition("/")[2]
    [found] = service.find(f"Binary?_id={id_}")
    assert "data" not in found
    parts = {part["url"]: part for part in found["_data"]["extension"][0]["extension"]}
    assert parts["size"]["valueDecimal"] == len(LARGE)
    found["contentType"] = "image/jpeg"
    assert service.put(path, found).status_code == 200
    answer = service.get(path)
    assert (answer.content, answer.headers["content-type"]) == (LARGE, "image/jpeg")
    tag = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "seen"}]}}]}
    assert service.post(f"{path}/$meta-add", tag).status_code == 200
    assert service.get(path).content == LARGE


def test_one_range(clinic: Clinic) -> None:
    physician = clinic.as_("physician")
    for content in (SMALL, LARGE):
        path, size = sent(clinic, content), len(content)
        for asked, start, end in (
            ("bytes=0-0", 0, 1),
            ("bytes=5-9", 5, 10),
            ("bytes=3-", 3, size),
            ("bytes=-4", size - 4, size),
            (f"bytes=-{size * 2}", 0, size),
            (f"bytes=2-{size * 9}", 2, size),
            (f"bytes={size // 3}-{size // 2}", size // 3, size // 2 + 1),
        ):
            answer = physician.get(path, headers={"range": asked})
            assert (answer.status_code, answer.content) == (206, content[start:end])
            assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
            assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("asked", ["bytes=999999-", "bytes=-0", f"bytes={2**60}-{2**61}"])
def test_a_range_outside(clinic: Clinic, asked: str) -> None:
    answer = clinic.as_("physician").get(sent(clinic, LARGE), headers={"range": asked})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(LARGE)}")
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-1,4-5", "bytes=" + ",".join(["0-"] * 1000), "bytes=9-3", "lines=1-2", "bytes=-", "bytes=x", "0-1"],
)
def test_many_ranges_and_what_is_none_give_the_whole(clinic: Clinic, asked: str) -> None:
    answer = clinic.as_("physician").get(sent(clinic, LARGE), headers={"range": asked})
    assert (answer.status_code, answer.content) == (200, LARGE)


def test_a_range_only_if_it_is_the_same_version(clinic: Clinic) -> None:
    physician, path = clinic.as_("physician"), sent(clinic, LARGE)
    date = physician.get(path).headers["last-modified"]
    for condition, status in ((date, 206), ('W/"1"', 200), ("Thu, 01 Jan 1970 00:00:00 GMT", 200)):
        headers = {"range": "bytes=0-9", "if-range": condition}
        assert physician.get(path, headers=headers).status_code == status


def test_head_tells_the_length_and_sends_nothing(clinic: Clinic) -> None:
    answer = clinic.as_("physician").request("HEAD", sent(clinic, LARGE))
    assert (answer.content, answer.headers["content-length"]) == (b"", str(len(LARGE)))


async def _flow(size: int) -> AsyncIterator[bytes]:
    piece = bytes(64 * 1024)
    for _ in range(size // len(piece)):
        yield piece


def test_memory_stays_flat(clinic: Clinic) -> None:
    """30 MB in and out, taken piece by piece: at no time does the server hold a fifth of it."""
    size = 30 * 1024 * 1024
    headers = {"authorization": f"Bearer {clinic.token('service')}", **PNG, **ANNA}
    clinic.as_("service").get(sent(clinic, LARGE, "service"))
    tracemalloc.start()
    try:
        answer = clinic.run(clinic.http.request("PUT", "/fhir/Binary/film", content=_flow(size), headers=headers))
        assert answer.status_code == 201, answer.text
        got = clinic.run(_drained(clinic, {**headers, "path": "/fhir/Binary/film"}))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert got == size
    assert peak < 6 * 1024 * 1024


async def _drained(clinic: Clinic, headers: dict[str, str]) -> int:
    """How many bytes come, with none of them kept; straight from the application, since the test client gathers all."""
    got = 0

    async def send(message: dict[str, Any]) -> None:
        nonlocal got
        got += len(message.get("body", b""))

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "method": "GET",
        "path": headers["path"],
        "query_string": b"",
        "headers": [(b"authorization", headers["authorization"].encode())],
        "client": ("127.0.0.9", 1),
    }
    await clinic.application(scope, receive, send)
    return got


def test_the_largest_file(small_clinic: Clinic) -> None:
    clinic, most = small_clinic, 150_000
    assert clinic.as_("service").get(sent(clinic, LARGE[:most], "service")).content == LARGE[:most]
    headers = {"authorization": f"Bearer {clinic.token('service')}", **PNG, **ANNA}
    announced = clinic.run(clinic.http.post("/fhir/Binary", content=LARGE, headers=headers))
    flowing = clinic.run(clinic.http.post("/fhir/Binary", content=_flow(1024 * 1024), headers=headers))
    assert (announced.status_code, flowing.status_code) == (413, 413)
    assert len(clinic.as_("service").find("Binary")) == 1
    assert _uploads(clinic) == 0


@pytest.fixture
def small_clinic(tmp_path: Any) -> Any:
    """A clinic that takes files up to 150 000 bytes."""
    made = Clinic(tmp_path / "data", Limits(content_bytes=150_000, requests_per_second=100_000, burst=100_000))
    yield made
    made.close()
    made.loop.close()


def test_an_upload_that_breaks_off_leaves_nothing(clinic: Clinic) -> None:
    before = _chunks(clinic)
    assert clinic.run(_breaking(clinic, 4 * 1024 * 1024)) == 400
    assert clinic.as_("service").get("/fhir/Binary/half").status_code == 404
    assert (_uploads(clinic), _chunks(clinic)) == (0, before)


async def _breaking(clinic: Clinic, after: int) -> int:
    """PUT a file and go away in the middle; gives the status that nobody hears any more."""
    left, status = after, 0

    async def receive() -> dict[str, Any]:
        nonlocal left
        left -= 64 * 1024
        if left < 0:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": bytes(64 * 1024), "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    named = {"authorization": f"Bearer {clinic.token('service')}", **PNG, **ANNA}
    headers = [(name.encode(), value.encode()) for name, value in named.items()]
    scope = {"type": "http", "method": "PUT", "path": "/fhir/Binary/half", "query_string": b"", "headers": headers}
    await clinic.application({**scope, "client": ("127.0.0.9", 1)}, receive, send)
    return status


def test_a_race_is_won_by_one_after_the_other(clinic: Clinic) -> None:
    headers = {"authorization": f"Bearer {clinic.token('service')}", **PNG, **ANNA}

    async def both() -> list[httpx.Response]:
        sends = (clinic.http.put("/fhir/Binary/raced", content=bytes([n]) * 200_000, headers=headers) for n in (1, 2))
        return list(await asyncio.gather(*sends))

    assert sorted(answer.status_code for answer in clinic.run(both())) == [200, 201]
    versions = [clinic.as_("service").get(f"/fhir/Binary/raced/_history/{n}").content for n in (1, 2)]
    assert {version[:1] for version in versions} == {b"\1", b"\2"}
    assert _uploads(clinic) == 0


def test_reads_and_writes_are_in_the_log(clinic: Clinic) -> None:
    path = sent(clinic, LARGE)
    clinic.as_("physician").get(path)
    clinic.as_("bert").get(path)
    found = clinic.as_("auditor").get("/fhir/AuditEvent?_count=10").text
    assert found.count(path.rpartition("/")[2]) >= 3


def test_a_context_may_be_any_record(clinic: Clinic) -> None:
    clinic.as_("service").put("/fhir/Observation/curve", heart_rate("anna", 71, "curve"))
    path = sent(clinic, LARGE, x_security_context="Observation/curve")
    assert clinic.as_("anna").get(path).content == LARGE
    assert clinic.as_("bert").get(path).status_code == 404


def _uploads(clinic: Clinic) -> Any:
    clinic.run(clinic.house.settled())
    return clinic.house.db.execute("select count(*) from content_upload").fetchone()[0]  # type: ignore[index]


def _chunks(clinic: Clinic) -> Any:
    clinic.run(clinic.house.settled())
    return clinic.house.db.execute("select count(*) from content_chunk").fetchone()[0]  # type: ignore[index]
