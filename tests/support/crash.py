# SPDX-License-Identifier: Apache-2.0
"""Load on the real server, killed in the middle of it, and the questions to ask afterwards."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from random import Random

import httpx

from salus.app.house import House
from salus.audit.reader import AuditReader
from salus.audit.reading import Filter
from salus.kernel.settings import load
from tests.support.clinic import JSON, heart_rate
from tests.support.served import Served, salus

_TYPE = {"content-type": "application/fhir+json"}
_LIMITS = "\n[limits]\nrequests_per_second = 100000\nburst = 100000\n"


@dataclass
class Acknowledged:
    """What the server said it had done.

    Attributes:
        versions: body by `Type/id/_history/n`.
        bundles: records of each transaction.
        requests: ids of all answered requests.
    """

    versions: dict[str, JSON] = field(default_factory=dict)
    bundles: list[list[str]] = field(default_factory=list)
    requests: set[str] = field(default_factory=set)


def prepare(folder: str, port: int) -> str:
    """Make a data folder with a service account; gives its token."""
    salus("init", "--data-dir", folder, "--port", str(port))
    with open(f"{folder}/salus.toml", "a") as settings:  # noqa: PTH123
        settings.write(_LIMITS)
    salus("user", "add", "feed", "--service", "--role", "service", "--data-dir", folder)
    return salus("token", "issue", "feed", "--data-dir", folder).stdout.strip()


def load_and_kill(server: Served, token: str, answers: int, known: Acknowledged, seed: int) -> None:
    """Write and read from four sides, then kill -9 everything after some answers; adds what was acknowledged."""
    stop = threading.Event()
    lock = threading.Lock()
    threads = [
        threading.Thread(
            target=_side, args=(server, token, known, lock, stop, Random(f"{seed}/{side}"), f"s{seed}-{side}")
        )
        for side in range(4)
    ]
    for thread in threads:
        thread.start()
    enough = len(known.requests) + answers
    while len(known.requests) < enough and any(thread.is_alive() for thread in threads):
        time.sleep(0.005)
    server.kill()
    stop.set()
    for thread in threads:
        thread.join()


def _side(
    server: Served,
    token: str,
    known: Acknowledged,
    lock: threading.Lock,
    stop: threading.Event,
    random: Random,
    name: str,
) -> None:
    mine: list[str] = []
    number = 0
    with server.client(token) as client:
        while not stop.is_set():
            number += 1
            try:
                _step(client, known, lock, random, f"{name}-{number}", mine)
            except httpx.TransportError:
                return


def _step(
    client: httpx.Client, known: Acknowledged, lock: threading.Lock, random: Random, tag: str, mine: list[str]
) -> None:
    chosen = random.random()
    if chosen < 0.4:
        answer = client.post("/fhir/Observation", json=heart_rate(f"patient-{tag}", 60), headers=_TYPE)
    elif chosen < 0.6 and mine:
        id_ = random.choice(mine)
        answer = client.put(f"/fhir/Observation/{id_}", json=heart_rate("moving", 61, id_=id_), headers=_TYPE)
    elif chosen < 0.8 and mine:
        answer = client.get(f"/fhir/Observation/{random.choice(mine)}")
    else:
        answer = client.post("/fhir", json=_bundle(tag), headers=_TYPE)
    assert answer.status_code in {200, 201}, answer.text
    body = answer.json()
    with lock:
        known.requests.add(answer.headers["x-request-id"])
        if body["resourceType"] == "Bundle":
            known.bundles.append([entry["response"]["location"] for entry in body["entry"]])
            return
        known.versions[f"Observation/{body['id']}/_history/{body['meta']['versionId']}"] = body
    if body["meta"]["versionId"] == "1" and body["id"] not in mine:
        mine.append(body["id"])


def _bundle(tag: str) -> JSON:
    entries = []
    for n in range(3):
        sent = heart_rate(f"patient-{tag}", n)
        sent["identifier"] = [{"system": "urn:bundle", "value": tag}]
        entries.append({"resource": sent, "request": {"method": "POST", "url": "Observation"}})
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def assert_nothing_lost(server: Served, token: str, known: Acknowledged) -> None:
    """Every acknowledged version is there as it was answered; transactions are there whole or not at all."""
    with server.client(token) as client:
        for place, body in known.versions.items():
            assert client.get(f"/fhir/{place}").json() == body, place
        for bundle in known.bundles:
            for place in bundle:
                assert client.get(f"/fhir/{place}").status_code == 200, place
        tags: dict[str, int] = {}
        path = "/fhir/Observation?_count=500"
        while path:
            page = client.get(path).json()
            for entry in page.get("entry", ()):
                for identifier in entry["resource"].get("identifier", ()):
                    tags[identifier["value"]] = tags.get(identifier["value"], 0) + 1
            path = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
        assert set(tags.values()) <= {3}, tags


def assert_audited(server: Served, known: Acknowledged) -> None:
    """With the server stopped: the log is whole and has an entry for every answer that was given."""
    assert "The log is whole." in salus("audit", "verify", "--data-dir", server.folder).stdout
    house = House(load(server.folder))
    try:
        reader = AuditReader(house.db, house.keyring.tenant, house.settled)
        written: set[str] = set()
        before: int | None = None
        while True:
            page = reader.page("default", Filter(), limit=1000, before=before)
            written.update(entry.event.request for _, entry in page.entries)
            before = page.before
            if before is None:
                break
        assert known.requests <= written
    finally:
        house.close()
