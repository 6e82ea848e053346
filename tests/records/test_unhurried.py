# SPDX-License-Identifier: Apache-2.0
"""Searches that take long: they answer the same, let others in between, and see one moment of the records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from salus.access.permissions import Permission
from salus.fhir import json
from salus.kernel import breath
from salus.kernel.errors import Kind, Problem
from salus.records import unhurried
from salus.records.context import Context
from salus.records.interactions import create, read, search
from tests.support.clinic import JSON, Clinic, heart_rate, put_all

MANY = 30


@pytest.fixture
def crowd(clinic: Clinic) -> Clinic:
    put_all(clinic.as_("service"), *(heart_rate("anna", 60 + number, f"of-{number}") for number in range(MANY)))
    return clinic


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is done in time, and every slice is over at once."""
    monkeypatch.setattr(unhurried, "AT_ONCE", -1.0)
    monkeypatch.setattr(breath, "_SLICE", -1.0)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is done in time."""
    monkeypatch.setattr(unhurried, "AT_ONCE", 3600.0)


ASKED = [
    "Observation?code:not=1-2&_sort=date",
    "Observation?status=final&_count=7&_total=accurate",
    "Observation?value-quantity=ge70&_summary=count",
    "Observation?status=final&_include=Observation:subject&_elements=status",
    "Patient?_has:Observation:patient:status=final&_revinclude=Observation:patient",
    "Observation?subject:Patient.gender=female",
    "Observation?_filter=status eq final and subject.gender eq female",
    "Patient/anna/Observation?status=final",
    "?_type=Patient,Observation&_lastUpdated=gt2020",
    "Observation/$lastn?patient=Patient/anna&code=8867-4&max=3",
    '$graphql?query={ObservationList(status: "final", _count: 40) {id status}}',
]


def _shown(clinic: Clinic, asked: str) -> Any:
    answer = clinic.as_("nurse").get(f"/fhir/{asked}").json()
    found = [(entry["resource"], entry.get("search")) for entry in answer.get("entry", ())]
    return found, answer.get("total"), answer.get("data"), [link["relation"] for link in answer.get("link", ())]


@pytest.mark.parametrize("asked", ASKED)
def test_the_answer_is_the_same(crowd: Clinic, asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = _shown(crowd, asked)
    assert at_once != ([], None, None, ["self"])
    monkeypatch.setattr(unhurried, "AT_ONCE", -1.0)
    monkeypatch.setattr(breath, "_SLICE", -1.0)
    assert _shown(crowd, asked) == at_once


def test_pages_of_a_long_search_lead_to_the_end(crowd: Clinic, slow: None) -> None:
    nurse, found = crowd.as_("nurse"), []
    answer = nurse.get("/fhir/Observation?status=final&_sort=value-quantity&_count=7").json()
    while answer:
        found += [entry["resource"]["id"] for entry in answer.get("entry", ())]
        following = [link["url"] for link in answer["link"] if link["relation"] == "next"]
        answer = nurse.get(following[0].partition(":8443")[2]).json() if following else None
    assert len(found) == len(set(found)) >= MANY


def _asked(ctx: Context) -> Any:
    return search.search(ctx, "Observation", [("status", "final"), ("_sort", "value-quantity"), ("_count", "100")])


def test_others_are_served_in_between(crowd: Clinic, slow: None) -> None:
    done: list[str] = []

    async def told(name: str, work: Any) -> None:
        await work
        done.append(name)

    ctx, *others = [crowd.context("nurse") for _ in range(4)]

    async def both() -> None:
        long = asyncio.create_task(told("search", _asked(ctx)))
        await asyncio.sleep(0)
        assert not done
        for number, other in enumerate(others):
            await told(f"read {number}", read.read(other, "Patient", "anna"))
        await long

    crowd.run(both())
    assert done == ["read 0", "read 1", "read 2", "search"]


def test_race_what_is_written_between_the_slices_is_not_half_seen(crowd: Clinic, slow: None) -> None:
    """A record moved to the front while the search is on its way would be missed, or given twice."""
    seen: list[JSON] = []

    nurse, service = crowd.context("nurse"), crowd.context("service")

    async def both() -> None:
        long = asyncio.create_task(_asked(nurse))
        await asyncio.sleep(0)
        await create.create(service, "Observation", heart_rate("anna", 1))
        assert not long.done()
        seen.append(json.decode(await long))

    crowd.run(both())
    values = [entry["resource"]["valueQuantity"]["value"] for entry in seen[0]["entry"]]
    assert 1 not in values
    assert sorted(values) == values
    assert len(crowd.as_("nurse").find("Observation?status=final&_count=100")) == len(values) + 1


def test_long_searches_wait_for_each_other_and_all_are_answered(crowd: Clinic, slow: None) -> None:
    contexts = [crowd.context(name) for name in ("nurse", "physician", "service")]

    async def several() -> list[bytes]:
        return await asyncio.gather(*map(_asked, contexts))

    assert all(len(json.decode(answer)["entry"]) >= MANY for answer in crowd.run(several()))


def test_who_goes_away_leaves_no_transaction_behind(crowd: Clinic, slow: None) -> None:
    nurse = crowd.context("nurse")

    async def away() -> None:
        long = asyncio.create_task(_asked(nurse))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        long.cancel()
        with pytest.raises(asyncio.CancelledError):
            await long

    crowd.run(away())
    assert not crowd.house.services.aside.locked()
    assert len(crowd.as_("nurse").find("Observation?status=final&_count=100")) >= MANY


@pytest.mark.parametrize("pace", ["slow", "alone"])
def test_a_problem_on_the_way_is_told_and_noted(crowd: Clinic, pace: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(pace)

    def costly(ctx: Context) -> None:
        ctx.store.reader.pace()
        raise Problem(Kind.TOO_COSTLY, "too many")

    ctx = crowd.context("nurse")
    with pytest.raises(Problem, match="too many"):
        crowd.run(unhurried.unhurried(ctx, costly))
    assert ctx.store.reader.pace is ctx.store.reader.at_ease
    assert ctx.store.aside().reader.pace is ctx.store.aside().reader.at_ease
    assert crowd.as_("nurse").find("Observation?status=final")


def test_the_connection_of_long_searches_cannot_write(crowd: Clinic, slow: None) -> None:
    connections: list[Callable[..., Any]] = []

    def peek(ctx: Context) -> None:
        ctx.store.reader.pace()
        connections.append(ctx.store.reader._db.execute)

    crowd.run(unhurried.unhurried(crowd.context("nurse"), peek))
    with pytest.raises(Exception, match="readonly"):
        connections[0]("delete from record")


@pytest.mark.parametrize("asked", ["Observation?status=final&_count=100", "Observation?code:not=1-2&_sort=date"])
def test_attack_a_long_search_shows_no_more_than_a_short_one(crowd: Clinic, slow: None, asked: str) -> None:
    put_all(crowd.as_("service"), heart_rate("bert", 99, "of-bert"))
    assert "of-bert" not in {found["id"] for found in crowd.as_("anna").find(asked)}
    assert crowd.as_("auditor").get(f"/fhir/{asked}").status_code == 403
    permit = crowd.context("anna").decide(Permission.RECORD_SEARCH, "Observation")
    with crowd.house.services.store.aside().reader.snapshot():
        rows = list(crowd.house.services.store.aside().reader.candidates(permit, ""))
    assert len(rows) == len(crowd.as_("anna").find("Observation?_count=100"))
