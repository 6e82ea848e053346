# SPDX-License-Identifier: Apache-2.0
"""A transaction of many entries: all of it or nothing, for everybody who looks while it is written."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from salus.audit.event import EventType
from salus.audit.reading import Filter
from salus.fhir import json
from salus.kernel import breath, commit
from tests.support.clinic import Clinic, heart_rate
from tests.support.forging import verified
from tests.support.raw import send_raw

MANY = 120  # more than are written in one piece


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every slice of time is over at once."""
    monkeypatch.setattr(commit, "_STEP_SECONDS", -1.0)
    monkeypatch.setattr(breath, "_SLICE", -1.0)


def bundle(value: float) -> bytes:
    entries = [
        {
            "resource": heart_rate("anna", value, f"of-{number}"),
            "request": {"method": "PUT", "url": f"Observation/of-{number}"},
        }
        for number in range(MANY)
    ]
    return json.encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})


class Desk:
    """Sends requests side by side."""

    def __init__(self, clinic: Clinic) -> None:
        self.application = clinic.application
        self.tokens = {name: clinic.token(name).encode() for name in ("service", "nurse")}

    async def send(self, who: str, method: str, path: str, query: str = "", body: bytes = b"") -> httpx.Response:
        headers = [(b"authorization", b"Bearer " + self.tokens[who]), (b"content-type", b"application/fhir+json")]
        return await send_raw(self.application, method, path, query.encode(), headers, body)

    async def value(self) -> Any:
        """What the last record of the Bundle says, None if there is none."""
        answer = await self.send("nurse", "GET", f"/fhir/Observation/of-{MANY - 1}")
        return answer.json()["valueQuantity"]["value"] if answer.status_code == 200 else None

    async def found(self, value: float) -> Any:
        """How many records of the Bundle have a value."""
        answer = await self.send("nurse", "GET", "/fhir/Observation", f"value-quantity={value}&_summary=count")
        return answer.json()["total"]


def test_nobody_sees_a_part_of_it_and_reads_are_answered_while_it_is_written(clinic: Clinic) -> None:
    desk = Desk(clinic)

    async def story() -> list[tuple[Any, Any]]:
        writing = asyncio.ensure_future(desk.send("service", "POST", "/fhir", body=bundle(111)))
        seen = []
        while not writing.done():
            seen.append((await desk.value(), await desk.found(111)))
        assert (await writing).status_code == 200
        return seen

    seen = clinic.run(story())
    assert {value for value, _ in seen} <= {None, 111}
    assert {count for _, count in seen} <= {0, MANY}
    assert seen[0] == (None, 0)
    assert clinic.run(desk.value()) == 111
    assert clinic.run(desk.found(111)) == MANY
    assert verified(clinic).findings == []


def test_a_single_write_in_the_middle_comes_before_or_after_all_of_it(clinic: Clinic) -> None:
    desk = Desk(clinic)
    clinic.run(desk.send("service", "POST", "/fhir", body=bundle(111)))
    one = json.encode(heart_rate("anna", 99, "of-7"))

    async def story() -> list[int]:
        answers = await asyncio.gather(
            desk.send("service", "POST", "/fhir", body=bundle(112)),
            desk.send("service", "PUT", "/fhir/Observation/of-7", body=one),
            desk.send("service", "POST", "/fhir", body=bundle(113)),
        )
        return [answer.status_code for answer in answers]

    assert clinic.run(story()) == [200, 200, 200]
    versions = clinic.as_("nurse").get("/fhir/Observation/of-7/_history").json()["entry"]
    assert [entry["resource"]["meta"]["versionId"] for entry in versions] == ["4", "3", "2", "1"]
    assert {entry["resource"]["valueQuantity"]["value"] for entry in versions} == {111, 112, 113, 99}
    others = clinic.as_("nurse").get("/fhir/Observation/of-8/_history").json()["entry"]
    assert [entry["resource"]["meta"]["versionId"] for entry in others] == ["3", "2", "1"]
    assert verified(clinic).findings == []


def test_one_entry_in_the_log_speaks_of_all_of_it_beside_the_reads_of_meanwhile(clinic: Clinic) -> None:
    desk = Desk(clinic)

    async def story() -> int:
        writing = asyncio.ensure_future(desk.send("service", "POST", "/fhir", body=bundle(111)))
        reads = 0
        while not writing.done():
            await desk.value()
            reads += 1
        return reads

    before, _ = clinic.log().page("default", Filter(), limit=1).entries[0]
    reads = clinic.run(story())
    entries = clinic.log().page("default", Filter(), limit=before + reads + 9).entries
    since = [entry.event.type for index, entry in entries if index > before]
    assert sorted(since) == sorted([EventType.RECORD_TRANSACTION] + [EventType.RECORD_READ] * reads)
    assert verified(clinic).findings == []
