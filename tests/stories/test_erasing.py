# SPDX-License-Identifier: Apache-2.0
"""A patient is erased on the command line, beside a running server."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.served import Served, free_port, salus


def test_two_officers_erase_a_patient_beside_a_running_server(tmp_path: Path) -> None:
    folder, port, receipt = tmp_path / "data", free_port(), tmp_path / "receipt.json"
    here = ("--data-dir", folder)
    salus("init", *here, "--port", str(port))
    people = tmp_path / "people.ndjson"
    people.write_text("".join(json.dumps({"resourceType": "Patient", "id": f"p{n}"}) + "\n" for n in range(3)))
    salus("import", people, *here)
    tokens = {}
    for name, role in (("feed", "service"), ("ada", "privacy-officer"), ("eve", "privacy-officer")):
        salus("user", "add", name, "--service", "--role", role, *here)
        purpose = () if name == "feed" else ("--purpose", "HOPERAT")
        tokens[name] = salus("token", "issue", name, *purpose, *here).stdout.strip()
    server = Served(folder, port)
    try:
        with server.client(tokens["feed"]) as client:
            assert client.get("/fhir/Patient/p1").status_code == 200
            assert "Nothing was erased" in salus("erase", "Patient/p1", *here).stdout
            assert salus("erase", "Patient/p1", "--yes", *here, check=False).returncode == 3
            salus("erase", "request", "Patient/p1", "--reason", "asked by the person", *here, stdin=tokens["ada"])
            alone = salus("erase", "approve", "Patient/p1", *here, stdin=tokens["ada"], check=False)
            assert alone.returncode == 3
            salus("erase", "approve", "Patient/p1", *here, stdin=tokens["eve"])
            salus("erase", "Patient/p1", "--yes", "--receipt", receipt, *here)
            assert client.get("/fhir/Patient/p1").status_code == 410
            assert client.get("/fhir/Patient/p2").status_code == 200
            assert client.put("/fhir/Patient/p1", json={"resourceType": "Patient", "id": "p1"}).status_code == 410
            assert client.post("/fhir/Patient", json={"resourceType": "Patient"}).status_code == 201
    finally:
        server.stop()
    assert "genuine and holds" in salus("erase", "verify", receipt, *here).stdout
    assert '"state": "complete"' in salus("erase", "list", "--json", *here).stdout
    assert "The log is whole." in salus("audit", "verify", *here).stdout
