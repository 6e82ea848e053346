# SPDX-License-Identifier: Apache-2.0
"""A served clinic for clients that others wrote; one server for all of them."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.served import PATIENCE, Served, free_port, salus

PULSES = 7


@dataclass(frozen=True)
class Ward:
    """What a client is told by whoever runs the server.

    Attributes:
        fhir: address of the FHIR interface.
        token: access token of an integration.
        authority: file of the certificate authority to trust.
    """

    fhir: str
    token: str
    authority: Path

    def trusting(self) -> ssl.SSLContext:
        """Trust in that authority and no other."""
        return ssl.create_default_context(cafile=str(self.authority))

    def browser(self) -> httpx.Client:
        """A client that follows nothing by itself."""
        return httpx.Client(verify=self.trusting(), timeout=PATIENCE)


@pytest.fixture(scope="session")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """A real server with a patient, Ada Client, who has seven heart rates."""
    folder, port = tmp_path_factory.mktemp("clients") / "data", free_port()
    salus("init", "--data-dir", folder, "--port", str(port))
    salus("user", "add", "feed", "--service", "--role", "service", "--data-dir", folder)
    records = folder.parent / "ward.ndjson"
    records.write_text("\n".join(json.dumps(resource) for resource in _records()))
    salus("import", records, "--data-dir", folder)
    server = Served(folder, port)
    token = salus("token", "issue", "feed", "--data-dir", folder).stdout.strip()
    yield Ward(f"{server.base}/fhir", token, folder / "tls" / "ca.crt")
    server.stop()


def _records() -> list[dict[str, object]]:
    ada = {
        "resourceType": "Patient",
        "id": "ada",
        "name": [{"family": "Client", "given": ["Ada"]}],
        "gender": "female",
        "birthDate": "1990-05-01",
    }
    return [ada] + [
        {
            "resourceType": "Observation",
            "id": f"pulse-{number}",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "subject": {"reference": "Patient/ada"},
            "effectiveDateTime": f"2026-03-0{number + 1}T08:00:00Z",
            "valueQuantity": {"value": 60 + number, "system": "http://unitsofmeasure.org", "code": "/min"},
        }
        for number in range(PULSES)
    ]
