# SPDX-License-Identifier: Apache-2.0
"""fhirpy (PyPI) against a served Salus: every method of its client, its resources, references and sets of results."""

from __future__ import annotations

import asyncio
import datetime
from typing import Any

import pytest
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound
from fhirpy.base.searchset import Raw

from tests.clients.conftest import PULSES, Ward

ALL = [f"pulse-{number}" for number in range(PULSES)]


@pytest.fixture
def client(ward: Ward) -> SyncFHIRClient:
    return SyncFHIRClient(
        ward.fhir, authorization=f"Bearer {ward.token}", requests_config={"verify": str(ward.authority)}
    )


def _patient(client: SyncFHIRClient, family: str, **more: Any) -> Any:
    return client.resource("Patient", name=[{"family": family}], **more)


def _ids(found: Any) -> list[str]:
    return [each["id"] for each in found]


# ── reading and searching ────────────────────────────────────────────────────────────────────────────────────────────


def test_it_reads(client: SyncFHIRClient) -> None:
    assert client.get("Patient", "ada")["birthDate"] == "1990-05-01"
    assert client.get("Patient/ada")["id"] == "ada"
    read = client.reference("Patient", "ada").to_resource()
    assert read.refresh()["birthDate"] == "1990-05-01"
    with pytest.raises(ResourceNotFound):
        client.get("Patient", "nobody")


def test_it_searches_and_pages(client: SyncFHIRClient) -> None:
    pulses = client.resources("Observation").search(patient="ada", code="http://loinc.org|8867-4")
    assert len(pulses.limit(2).fetch()) == 2
    assert _ids(pulses.sort("-date").limit(2).fetch_all()) == ALL[::-1]
    assert _ids(pulses.sort("date").limit(3)) == ALL
    assert pulses.count() == PULSES
    assert pulses.sort("date").first()["id"] == "pulse-0"
    assert pulses.search(_id="pulse-3").get()["id"] == "pulse-3"
    with pytest.raises(MultipleResourcesFound):
        pulses.get()
    with pytest.raises(ResourceNotFound):
        pulses.search(_id="nobody").get()
    assert client.resources("Observation").search(_id="nobody").first() is None


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"value_quantity__gt": 64}, 2),
        ({"date__ge": datetime.date(2026, 3, 2), "date__lt": "2026-03-04"}, 2),
        ({"date__gt": datetime.datetime(2026, 3, 5, 8, 0, tzinfo=datetime.UTC)}, 2),
        ({"patient__Patient__name": "client"}, PULSES),
        ({"subject__Patient__birthdate__ge": "1990", "code": ["8867-4"]}, PULSES),
        ({"subject__Patient__birthdate__lt": "1990"}, 0),
        ({"code__text": "rate"}, 0),
        ({"code__missing": False}, PULSES),
        ({"status__not": ["preliminary", "final"]}, 0),
        ({"_lastUpdated__gt": 2020}, PULSES),
        ({"_id": "pulse-1,pulse-2"}, 2),
    ],
)
def test_it_narrows_by_keywords(client: SyncFHIRClient, asked: dict[str, Any], found: int) -> None:
    pulses = client.resources("Observation").search(patient=client.reference("Patient", "ada"), **asked)
    assert pulses.count() == len(pulses.fetch_all()) == found


def test_it_brings_along_and_looks_back(client: SyncFHIRClient) -> None:
    pulses, patients = client.resources("Observation").search(patient="ada"), client.resources("Patient")
    one = pulses.search(_id="pulse-0")
    for asked in (one.include("Observation", "subject"), one.include("Observation", "subject", "Patient")):
        assert [entry.resource.resourceType for entry in asked.fetch_raw().entry] == ["Observation", "Patient"]
        assert _ids(asked.fetch()) == ["pulse-0"]
    everything = one.include("*").include("Patient", "general-practitioner", iterate=True).fetch_raw()
    assert len(everything.entry) == 2
    ada = patients.search(_id="ada").revinclude("Observation", "subject").fetch_raw()
    assert [entry.search.mode for entry in ada.entry] == ["match"] + ["include"] * PULSES
    assert _ids(patients.has("Observation", "patient", code="8867-4").fetch()) == ["ada"]
    assert patients.has("Observation", "subject", code="1-2").count() == 0
    assert _ids(
        patients.search(Raw(**{"_filter": 'family co "lien"', "_has:Observation:patient:status": "final"}))
    ) == ["ada"]
    (part,) = patients.search(_id="ada").elements("gender").fetch()
    assert set(part) == {"resourceType", "id", "meta", "gender"}
    followed = pulses.first().subject.to_resource()
    assert followed.to_reference().id == followed.id == "ada"


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_writes_a_resource(client: SyncFHIRClient) -> None:
    made = _patient(client, "Fhirpy", active=True).create()
    made["gender"] = "other"
    made.save()
    made["birthDate"], made["active"] = "1999", False
    assert made.save(fields=["birthDate"])["active"] is True
    assert made.patch(telecom=[{"system": "phone", "value": "1"}])["telecom"] == [{"system": "phone", "value": "1"}]
    assert "telecom" not in made.patch(telecom=None)
    assert made.update()["meta"]["versionId"] == "6"
    assert client.patch("Patient", made.id, gender="female")["gender"] == "female"
    assert client.patch(f"Patient/{made.id}", birthDate=None).get("birthDate") is None
    assert made.to_reference().patch(active=False)["active"] is False
    assert made.refresh()["gender"] == "female"
    client.delete(made.reference)
    with pytest.raises(ResourceNotFound):
        made.refresh()
    again = _patient(client, "Fhirpy").create()
    again.delete()
    last = _patient(client, "Fhirpy").create()
    last.to_reference().delete()
    assert client.resources("Patient").search(name="Fhirpy").count() == 0


def test_it_writes_by_condition(client: SyncFHIRClient) -> None:
    named = client.resources("Patient").search(name="Conditional")
    made, created = named.get_or_create(_patient(client, "Conditional"))
    assert created
    assert named.get_or_create(_patient(client, "Conditional")) == (made, False)
    assert _patient(client, "Conditional").create(name="Conditional") == made
    changed, created = named.update(_patient(client, "Conditional", active=False))
    assert (changed.id, created, changed.active) == (made.id, False, False)
    assert named.patch(gender="other")["gender"] == "other"
    _, status = named.delete()
    assert (status, named.count()) == (204, 0)


def test_it_calls_operations(client: SyncFHIRClient) -> None:
    ada = client.reference("Patient", "ada").to_resource()
    assert client.execute("Patient/ada/$meta", method="get")["resourceType"] == "Parameters"
    assert len(ada.execute("$everything", method="get")["entry"]) == PULSES + 1
    assert ada.to_reference().execute("$everything")["type"] == "searchset"
    last = client.resources("Observation").execute(
        "$lastn", method="get", params={"patient": "Patient/ada", "code": "http://loinc.org|8867-4"}
    )
    assert _ids(entry["resource"] for entry in last["entry"]) == ["pulse-6"]
    assert _patient(client, "Valid").is_valid()
    wrong = client.resource("Patient", gender="nobody")
    assert not wrong.is_valid()
    with pytest.raises(OperationOutcome):
        wrong.is_valid(raise_exception=True)
    sent = client.resource("Bundle", type="batch", entry=[{"request": {"method": "GET", "url": "Patient/ada"}}]).save()
    assert sent.entry[0].resource["id"] == "ada"
    entry = {"resource": _patient(client, "Bundled").serialize(), "request": {"method": "POST", "url": "Patient"}}
    done = client.resource("Bundle", type="transaction", entry=[entry]).create()
    assert done.entry[0].response.status.startswith("201")


def test_it_understands_why_it_is_refused(client: SyncFHIRClient) -> None:
    with pytest.raises(OperationOutcome) as refused:
        client.resource("Observation", status="final", code={"text": 5}).create()
    issues: list[dict[str, Any]] = refused.value.resource["issue"]
    assert issues[0]["expression"] == ["Observation.code.text"]


# ── the same, asynchronously ─────────────────────────────────────────────────────────────────────────────────────────


def test_its_other_half_does_the_same(ward: Ward) -> None:
    asyncio.run(_asynchronously(ward))


async def _asynchronously(ward: Ward) -> None:
    config = {"ssl": ward.trusting()}
    client = AsyncFHIRClient(ward.fhir, authorization=f"Bearer {ward.token}", aiohttp_config=config)
    pulses = client.resources("Observation").search(patient="ada")
    assert (await client.get("Patient", "ada"))["id"] == "ada"
    assert _ids(await pulses.sort("date").limit(2).fetch_all()) == ALL
    assert [pulse.id async for pulse in pulses.sort("-date").limit(3)] == ALL[::-1]
    assert await pulses.count() == PULSES
    assert (await (await pulses.first()).subject.to_resource()).id == "ada"
    assert (await pulses.search(_id="pulse-1").include("Observation", "subject").fetch_raw()).entry[
        1
    ].resource.id == "ada"
    named = client.resources("Patient").search(name="Asynchronous")
    made = client.resource("Patient", name=[{"family": "Asynchronous"}])
    assert await made.is_valid()
    await made.create()
    assert (await made.patch(gender="other"))["meta"]["versionId"] == "2"
    made["active"] = True
    assert (await made.save(fields=["active"]))["meta"]["versionId"] == "3"
    same, created = await named.get_or_create(client.resource("Patient", name=[{"family": "Asynchronous"}]))
    assert (same.id, created) == (made.id, False)
    with pytest.warns(DeprecationWarning, match="first arg"):  # fhirpy warns whether it is given or not
        assert (await named.patch(gender=None)).get("gender") is None
    assert (await named.get()).id == made.id
    assert (await made.execute("$meta", method="get"))["resourceType"] == "Parameters"
    await made.delete()
    assert await named.first() is None
