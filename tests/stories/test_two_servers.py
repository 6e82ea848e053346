# SPDX-License-Identifier: Apache-2.0
"""Two server processes on one data folder at the same moment."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.clinic import heart_rate
from tests.support.served import PATIENCE, Served, free_port, salus, until

_TYPE = {"content-type": "application/fhir+json"}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Served, str]]:
    """Two servers and the token of a service."""
    folder: Path = tmp_path_factory.mktemp("pair") / "data"
    ports = free_port(), free_port()
    salus("init", "--data-dir", folder, "--port", str(ports[0]))
    settings = folder / "salus.toml"
    settings.write_text(settings.read_text() + "\n[limits]\nrequests_per_second = 100000\nburst = 100000\n")
    salus("user", "add", "feed", "--service", "--role", "service", "--data-dir", folder)
    token = salus("token", "issue", "feed", "--data-dir", folder).stdout.strip()
    one = Served(folder, ports[0])
    two = Served(folder, ports[1], env={"SALUS_SERVER_PORT": str(ports[1])})
    yield one, two, token
    one.stop()
    two.stop()


def _at_once(
    pair: tuple[Served, Served, str], requests: list[tuple[str, str, Any, dict[str, str]]]
) -> list[httpx.Response]:
    """Send all requests at once, in turn to one server and the other."""
    one, two, token = pair
    trust = ssl.create_default_context(cafile=str(one.folder / "tls" / "ca.crt"))
    headers = {"authorization": f"Bearer {token}", **_TYPE}

    async def everything() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=40)
        async with httpx.AsyncClient(verify=trust, headers=headers, timeout=PATIENCE, limits=limits) as client:
            return await asyncio.gather(
                *(
                    client.request(method, f"{(one, two)[n % 2].base}{url}", json=body, headers=more)
                    for n, (method, url, body, more) in enumerate(requests)
                )
            )

    return asyncio.run(everything())


def _versions(pair: tuple[Served, Served, str], record: str) -> list[int]:
    (answer,) = _at_once(pair, [("GET", f"/fhir/{record}/_history?_count=1000", None, {})])
    return [int(entry["response"]["etag"][3:-1]) for entry in answer.json()["entry"]]


def test_of_twenty_updates_over_two_servers_exactly_one_wins(pair: tuple[Served, Served, str]) -> None:
    body = {"resourceType": "Patient", "id": "fought-over"}
    _at_once(pair, [("PUT", "/fhir/Patient/fought-over", body, {})])
    for version in (1, 2):
        requests = [("PUT", "/fhir/Patient/fought-over", body, {"if-match": f'W/"{version}"'})] * 20
        assert sorted(a.status_code for a in _at_once(pair, requests)) == [200] + [412] * 19
    plain = [("PUT", "/fhir/Patient/fought-over", body, {})] * 30
    assert {a.status_code for a in _at_once(pair, plain)} == {200}
    assert _versions(pair, "Patient/fought-over") == list(range(33, 0, -1))


def test_conditional_creates_over_two_servers_make_exactly_one_record(pair: tuple[Served, Served, str]) -> None:
    sent = {"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": "two"}]}
    requests = [("POST", "/fhir/Patient", sent, {"if-none-exist": "identifier=urn:mrn|two"})] * 20
    answers = _at_once(pair, requests)
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_the_first_key_of_a_patient_raced_by_two_processes_opens_everything(pair: tuple[Served, Served, str]) -> None:
    """Both processes make a key for a patient that neither has seen; only one may count, or records are lost."""
    for number in range(8):
        who = f"raced-{number}"
        created = _at_once(pair, [("POST", "/fhir/Observation", heart_rate(who, n), {}) for n in range(6)])
        assert {answer.status_code for answer in created} == {201}
        paths = [f"/fhir/Observation/{answer.json()['id']}" for answer in created]
        read = _at_once(pair, [("GET", path, None, {}) for path in (*paths, *reversed(paths))])  # by both servers
        assert {answer.status_code for answer in read} == {200}


def test_the_log_of_two_processes_is_one_whole_log(pair: tuple[Served, Served, str]) -> None:
    _at_once(pair, [("POST", "/fhir/Observation", heart_rate("someone", n), {}) for n in range(40)])
    found = salus("audit", "verify", "--data-dir", pair[0].folder)
    assert "The log is whole." in found.stdout


def test_a_tenant_added_while_serving_is_reached_and_walled_off(pair: tuple[Served, Served, str]) -> None:
    one, two, token = pair
    added = salus("tenant", "add", "north", "--data-dir", one.folder).stdout.strip()
    assert added == f"{one.base}/t/north/fhir"
    salus("user", "add", "n", "--service", "--role", "service", "--tenant", "north", "--data-dir", one.folder)
    theirs = salus("token", "issue", "n", "--tenant", "north", "--data-dir", one.folder).stdout.strip()
    sent = {"resourceType": "Patient", "id": "same-id"}
    for server in (one, two):
        with server.client(theirs) as client:
            made = client.put("/t/north/fhir/Patient/same-id", json=sent, headers=_TYPE)
            assert made.status_code in {200, 201}
            assert "/t/north/fhir/" in made.headers["location"]
            assert client.get("/fhir/Patient/same-id").status_code == 401
        with server.client(token) as client:
            assert client.get("/fhir/Patient/same-id").status_code == 404
            assert client.get("/t/north/fhir/Patient/same-id").status_code == 401


def test_a_token_issued_or_revoked_on_the_command_line_counts_at_once(pair: tuple[Served, Served, str]) -> None:
    one, _, _ = pair
    fresh = salus("token", "issue", "feed", "--label", "short", "--data-dir", one.folder).stdout.strip()
    with one.client(fresh) as client:
        assert client.get("/fhir/Patient?_count=1").status_code == 200
        listed = salus("token", "list", "--json", "--data-dir", one.folder).stdout.splitlines()
        (id_,) = [row["id"] for row in map(json.loads, listed) if row["label"] == "short"]
        salus("token", "revoke", id_, "--data-dir", one.folder)
        time.sleep(1.1)  # what other processes do is seen within a second
        assert client.get("/fhir/Patient?_count=1").status_code == 401


def test_a_search_parameter_defined_on_one_server_is_indexed_and_answered_by_both(
    pair: tuple[Served, Served, str],
) -> None:
    url = "http://clinic.example/eye-colour"
    people = [
        {
            "resourceType": "Patient",
            "id": f"eye-{n}",
            "extension": [{"url": url, "valueString": ("green", "blue")[n % 2]}],
        }
        for n in range(12)
    ]
    _at_once(pair, [("PUT", f"/fhir/Patient/{each['id']}", each, {}) for each in people[:8]])
    parameter = {
        "resourceType": "SearchParameter",
        "id": "eye-colour",
        "url": "http://clinic.example/SearchParameter/eye-colour",
        "name": "EyeColour",
        "status": "active",
        "description": "Colour of the eyes",
        "code": "eye-colour",
        "base": ["Patient"],
        "type": "string",
        "expression": f"Patient.extension.where(url='{url}').value.ofType(string)",
    }
    (made,) = _at_once(pair, [("PUT", "/fhir/SearchParameter/eye-colour", parameter, {})])
    assert made.status_code == 201, made.text
    _at_once(pair, [("PUT", f"/fhir/Patient/{each['id']}", each, {}) for each in people[8:]])
    asked: list[tuple[str, str, Any, dict[str, str]]] = [
        ("GET", "/fhir/Patient?eye-colour=green&_count=50", None, {})
    ] * 2
    answers: list[httpx.Response] = []

    def indexed() -> bool:
        answers[:] = _at_once(pair, asked)
        assert all("still being indexed" in answer.text for answer in answers if answer.status_code != 200)
        return all(answer.status_code == 200 for answer in answers)

    until(indexed)
    green = {f"eye-{n}" for n in range(0, 12, 2)}
    for answer in answers:
        assert {entry["resource"]["id"] for entry in answer.json()["entry"]} == green
    one, _, _ = pair
    assert "nothing is pending" in salus("reindex", "--status", "--data-dir", one.folder).stdout
    assert "every record of default is indexed" in salus("doctor", "--data-dir", one.folder, check=False).stdout
