# SPDX-License-Identifier: Apache-2.0
"""Argon2 is slow on purpose: it may keep those waiting who sign in, and nobody else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.support.clinic import BASE, Clinic
from tests.support.served import PATIENCE

from salus.identity.factors import passwords


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """No password is judged before it is set."""
    opened, judge = threading.Event(), passwords._verify

    def waiting(*values: Any) -> bool:
        opened.wait()
        return judge(*values)

    monkeypatch.setattr(passwords, "_verify", waiting)
    yield opened
    opened.set()  # a test that fails leaves no thread waiting


async def turned_away(tasks: list[asyncio.Task[Any]], number: int) -> None:
    """Wait until so many have their answer."""
    async with asyncio.timeout(PATIENCE):
        while sum(task.done() for task in tasks) < number:
            await asyncio.sleep(0)


def test_a_flood_of_sign_ins_is_turned_away_and_the_record_answers_on(clinic: Clinic, gate: threading.Event) -> None:
    token = {"authorization": f"Bearer {clinic.token('physician')}"}

    async def sign_in(number: int) -> httpx.Response:
        sent = {"user": f"stranger{number}", "password": "wrong password here", "code": "000000", "purpose": "TREAT"}
        return await clinic.http.post(f"{BASE}/auth/token", json=sent)

    async def flood() -> tuple[list[httpx.Response], list[int], int]:
        tasks = [asyncio.create_task(sign_in(number)) for number in range(30)]
        await turned_away(tasks, 14)
        read = [(await clinic.http.get(f"{BASE}/fhir/Patient/anna", headers=token)).status_code for _ in range(10)]
        waiting = sum(not task.done() for task in tasks)
        gate.set()
        return await asyncio.gather(*tasks), read, waiting

    answers, read, waiting = clinic.run(flood())
    assert read == [200] * 10
    assert waiting == 16  # the queue
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(401) == 16
    assert statuses.count(429) == 14
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["retry-after"]) > 0


def test_who_was_turned_away_has_not_failed(clinic: Clinic, gate: threading.Event) -> None:
    """Nothing was judged, so nothing is counted: the next try does not wait."""

    async def sign_in(name: str) -> int:
        sent = {"user": name, "password": "wrong password here", "code": "000000", "purpose": "TREAT"}
        return (await clinic.http.post(f"{BASE}/auth/token", json=sent)).status_code

    async def flood() -> list[int]:
        tasks = [asyncio.create_task(sign_in(f"stranger{number}")) for number in range(20)]
        await turned_away(tasks, 4)
        gate.set()
        return await asyncio.gather(*tasks)

    statuses = clinic.run(flood())
    late = statuses.index(429)
    assert clinic.run(sign_in(f"stranger{late}")) == 401
