# SPDX-License-Identifier: Apache-2.0
"""A clinic with two patients and one person per role, over a real store with real keys, policy and audit.

Requests go through the whole ASGI application in this process; `tests.support.served` starts the real server.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from salus.app.found import found
from salus.app.house import House
from salus.app.server import build_application
from salus.audit.reader import AuditReader
from salus.http.limits import RateLimit
from salus.kernel.clock import Clock, Elapsed
from salus.kernel.commit import Unit
from salus.kernel.db import Connection, open_database
from salus.kernel.settings import Keys, Limits, Settings, load
from salus.records.context import Context

T = TypeVar("T")
JSON = dict[str, Any]
BASE = "https://localhost:8443"

# name: (roles, purpose, party); `anna` and `bert` are the patients, the stranger has no token at all.
PEOPLE: dict[str, tuple[tuple[str, ...], str, str]] = {
    "physician": (("physician",), "TREAT", "Practitioner/physician"),
    "nurse": (("nurse",), "TREAT", "Practitioner/nurse"),
    "front-desk": (("front-desk",), "HOPERAT", ""),
    "billing": (("billing",), "HPAYMT", ""),
    "laboratory": (("laboratory",), "TREAT", "Practitioner/laboratory"),
    "pharmacist": (("pharmacist",), "TREAT", "Practitioner/pharmacist"),
    "anna": (("patient",), "PATRQT", "Patient/anna"),
    "bert": (("patient",), "PATRQT", "Patient/bert"),
    "researcher": (("researcher",), "HRESCH", ""),
    "security-officer": (("security-officer",), "HOPERAT", ""),
    "privacy-officer": (("privacy-officer",), "HOPERAT", ""),
    "auditor": (("auditor",), "HOPERAT", ""),
    "administrator": (("administrator",), "HOPERAT", ""),
    "service": (("service",), "TREAT", ""),
}


class Client:
    """One person's way in; every call waits for the answer."""

    def __init__(self, clinic: Clinic, headers: dict[str, str]) -> None:
        self._clinic = clinic
        self._headers = headers

    def request(
        self, method: str, path: str, *, json: Any = None, headers: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        """Send a request; `path` is below the server's address, e.g. `/fhir/Patient/anna`."""
        sent = {**self._headers, **(headers or {})}
        if json is not None:
            sent.setdefault("content-type", "application/fhir+json")
        return self._clinic.run(self._clinic.http.request(method, path, json=json, headers=sent, **more))

    def get(self, path: str, **more: Any) -> httpx.Response:
        """GET."""
        return self.request("GET", path, **more)

    def post(self, path: str, json: Any = None, **more: Any) -> httpx.Response:
        """POST JSON."""
        return self.request("POST", path, json=json, **more)

    def put(self, path: str, json: Any = None, **more: Any) -> httpx.Response:
        """PUT JSON."""
        return self.request("PUT", path, json=json, **more)

    def delete(self, path: str, **more: Any) -> httpx.Response:
        """DELETE."""
        return self.request("DELETE", path, **more)

    def find(self, type_and_query: str) -> list[JSON]:
        """Search, follow every page, and give the resources of all entries."""
        found: list[JSON] = []
        answer = self.get(f"/fhir/{type_and_query}")
        while True:
            assert answer.status_code == 200, answer.text
            bundle = answer.json()
            found += [entry["resource"] for entry in bundle.get("entry", ())]
            following = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
            if following is None:
                return found
            answer = self.get(following.removeprefix(BASE))


class Clinic:
    """A data folder, the house over it, and people with tokens.

    Attributes:
        folder: the data folder.
        house: the wired rooms.
        application: the ASGI application itself.
        http: a client of the ASGI application; use `as_` instead.

    Args:
        pattern: the folder of a clinic to be a copy of, keys and all; that takes a third of the time.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits | None = None,
        clock: Clock | None = None,
        *,
        keys: Keys | None = None,
        elapsed: Elapsed | None = None,
        pattern: Path | None = None,
    ) -> None:
        self.loop = asyncio.new_event_loop()
        self.clock = clock
        self.elapsed = elapsed
        self.folder = folder
        if pattern is not None:
            shutil.copytree(pattern, folder)
        made = load(folder) if pattern is not None else found(folder, keys=keys)
        generous = limits or Limits(requests_per_second=100_000, burst=100_000)
        self.settings = Settings(
            server=made.server,
            keys=made.keys,
            access=made.access,
            identity=made.identity,
            knowledge=made.knowledge,
            limits=generous,
            folder=folder,
        )
        self.open()
        if pattern is not None:
            self.token("service")  # as whoever furnishes a clinic has one
            return
        for name, (roles, _, party) in PEOPLE.items():
            unit = Unit()
            self.house.users.add_service(unit, "default", name, roles=roles, display=name, party=party)
            self.run(self._commit(unit))
        self._furnish()

    def open(self) -> None:
        """Open the house (again, after `close`)."""
        self.house = House(self.settings, clock=self.clock, elapsed=self.elapsed)
        self.application = build_application(self.house)
        # How many requests a test makes in a second is up to the machine; who tests limits stops the clock (`limits`).
        self.limits(100_000, 100_000)
        transport = httpx.ASGITransport(self.application, client=("127.0.0.9", 1))
        self.http = httpx.AsyncClient(transport=transport, base_url=BASE)
        self._tokens: dict[str, str] = {}

    def limits(self, per_second: float, burst: float, elapsed: Elapsed = time.monotonic) -> None:
        """Allow strangers and programs so many requests, as this clock counts seconds."""
        self.application._unknown = RateLimit(per_second, burst, elapsed)
        self.application._programs = RateLimit(per_second, burst, elapsed)

    def close(self) -> None:
        """Stop, as a server would."""
        self.run(self.http.aclose())
        self.house.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return self.loop.run_until_complete(work)

    async def _commit(self, unit: Unit) -> None:
        await self.house.writer.submit(unit)

    def as_(self, name: str) -> Client:
        """Somebody of `PEOPLE`, signed in for their usual purpose."""
        return Client(self, {"authorization": f"Bearer {self.token(name)}"})

    @property
    def stranger(self) -> Client:
        """Somebody without a token."""
        return Client(self, {})

    def token(self, name: str) -> str:
        """A person's token; the same one at every call."""
        if name not in self._tokens:
            user = self.house.users.find("default", name)
            assert user is not None
            unit = Unit()
            self._tokens[name], _ = self.house.tokens.issue(unit, user, PEOPLE[name][1])
            self.run(self._commit(unit))
        return self._tokens[name]

    @contextmanager
    def behind(self) -> Iterator[Connection]:
        """The database as somebody with its page key opens it: nothing of Salus notices what is done there."""
        key = self.house.keyring.page_key("records")
        with closing(open_database(self.folder / "records.db", key)) as db:
            yield db

    def log(self) -> AuditReader:
        """The audit log, when it has everything that was answered."""
        self.run(self.house.settled())
        return AuditReader(self.house.db, self.house.keyring.tenant, self.house.settled)

    def context(self, name: str = "service") -> Context:
        """The context of a person, for calling interactions directly."""
        actor = self.house.tokens.lookup("default", self.token(name))
        return Context(self.house.services, actor, "test")

    def _furnish(self) -> None:
        """Anna is in the nurse's care, Bert is not; each has an observation and a condition."""
        service = self.as_("service")
        for name in ("physician", "nurse", "laboratory", "pharmacist"):
            service.put(f"/fhir/Practitioner/{name}", {"resourceType": "Practitioner", "id": name})
        for who, born in (("anna", "1980-02-29"), ("bert", "1955-07-01")):
            family = {"anna": "Ångström", "bert": "Brown"}[who]
            put_all(service, patient(who, family, born), heart_rate(who, 70), condition(who))
        put_all(
            service,
            {
                "resourceType": "CareTeam",
                "id": "team-anna",
                "status": "active",
                "subject": {"reference": "Patient/anna"},
                "participant": [{"member": {"reference": "Practitioner/nurse"}}],
            },
        )


def put_all(client: Client, *resources: JSON) -> None:
    """PUT resources under their ids; each must be taken."""
    for resource in resources:
        answer = client.put(f"/fhir/{resource['resourceType']}/{resource['id']}", resource)
        assert answer.status_code in {200, 201}, answer.text


def patient(id_: str, family: str, born: str) -> JSON:
    """A Patient."""
    return {
        "resourceType": "Patient",
        "id": id_,
        "name": [{"family": family, "given": [id_.title()]}],
        "birthDate": born,
        "gender": "female" if id_ == "anna" else "male",
    }


def heart_rate(patient_id: str, value: float, id_: str = "", when: str = "2026-03-01T08:00:00Z") -> JSON:
    """A heart rate of a patient."""
    return {
        "resourceType": "Observation",
        "id": id_ or f"pulse-{patient_id}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": f"Patient/{patient_id}"},
        "effectiveDateTime": when,
        "valueQuantity": {"value": value, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
    }


def condition(patient_id: str) -> JSON:
    """Asthma of a patient."""
    return {
        "resourceType": "Condition",
        "id": f"asthma-{patient_id}",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "195967001"}]},
        "subject": {"reference": f"Patient/{patient_id}"},
    }
