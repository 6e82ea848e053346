# SPDX-License-Identifier: Apache-2.0
"""Somebody else's large Bundle does not keep others waiting for the whole of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support.clinic import Clinic, heart_rate
from tests.support.raw import send_raw

from salus.fhir import json, xml

MANY = 400


def bundle(kind: str) -> dict[str, Any]:
    entries = [
        {
            "resource": heart_rate("anna", number, f"o{number}"),
            "request": {"method": "PUT", "url": f"Observation/o{number}"},
        }
        for number in range(MANY)
    ]
    entries[0]["resource"]["note"] = [{"text": "long " * 60_000}]  # beyond what is decoded at once
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


@pytest.mark.parametrize("media", ["application/fhir+json", "application/fhir+xml"])
@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_a_read_is_answered_while_a_bundle_is_prepared(clinic: Clinic, kind: str, media: str) -> None:
    sent = bundle(kind)
    body = json.encode(sent) if media.endswith("json") else xml.encode(sent)
    done: list[str] = []

    async def ask(name: str, method: str, path: str, content: bytes = b"") -> None:
        headers = [(b"authorization", f"Bearer {clinic.token('service')}".encode()), (b"content-type", media.encode())]
        answer = await send_raw(clinic.application, method, path, b"", headers, content)
        assert answer.status_code == 200, answer.text
        done.append(name)

    async def both() -> None:
        large = asyncio.ensure_future(ask("bundle", "POST", "/fhir", body))
        while not large.done():
            await ask("read", "GET", "/fhir/Patient/anna")
        await large

    clinic.token("service")
    clinic.run(both())
    assert done[0] == "read"  # how many more depends on the machine and its disk
    assert clinic.as_("service").get("/fhir/Observation?_summary=count").json()["total"] == MANY + 2
