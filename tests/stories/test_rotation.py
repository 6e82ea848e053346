# SPDX-License-Identifier: Apache-2.0
"""Keys are rotated beside a running server, killed in the middle, and nobody notices."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from tests.support.served import SALUS, Served, free_port, salus

from salus.cli import main

_PATIENTS = 2_000
_UNLIMITED = {"SALUS_LIMITS_REQUESTS_PER_SECOND": "100000", "SALUS_LIMITS_BURST": "100000"}
"""The client reads as fast as it can: the rate limit is not what is tried here."""


def _list(folder: Path) -> dict[str, dict[str, object]]:
    lines = salus("keys", "list", "--json", "--data-dir", folder).stdout.splitlines()
    return {line["key"]: line for line in map(json.loads, lines)}


def test_rotation_beside_a_running_server_killed_in_the_middle(tmp_path: Path) -> None:
    folder, port = tmp_path / "data", free_port()
    salus("init", "--data-dir", folder, "--port", str(port))
    people = tmp_path / "people.ndjson"
    people.write_text("".join(json.dumps({"resourceType": "Patient", "id": f"p{n}"}) + "\n" for n in range(_PATIENTS)))
    salus("import", people, "--data-dir", folder)
    salus("user", "add", "feed", "--service", "--role", "service", "--data-dir", folder)
    token = salus("token", "issue", "feed", "--data-dir", folder).stdout.strip()
    server = Served(folder, port, env=_UNLIMITED)
    try:
        with server.client(token) as client:
            assert client.get("/fhir/Patient/p1").status_code == 200
            database = folder / "keys" / "keys.db-wal"
            before = database.stat().st_size
            process = subprocess.Popen(
                [SALUS, "keys", "rotate", "tenant", "--data-dir", folder],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            read = 0
            while process.poll() is None and database.stat().st_size <= before + 100_000:
                assert client.get(f"/fhir/Patient/p{100 + read % 1500}").status_code == 200
                read += 1
            process.send_signal(signal.SIGKILL)
            process.wait()
            rows = _list(folder)
            assert rows["patient keys"]["under"] == "wrapping key, epoch 2"
            assert client.post("/fhir/Patient", json={"resourceType": "Patient"}).status_code == 201
            for number in (0, 10, 1500, _PATIENTS - 1):
                assert client.get(f"/fhir/Patient/p{number}").status_code == 200
            said = salus("keys", "rewrap", "--data-dir", folder).stdout
            assert "former epochs have ended" in said
            said = salus("keys", "rotate", "kms", "--destroy-former", "--data-dir", folder).stdout
            assert "Version 1 is destroyed: at once" in said
            rows = _list(folder)
            assert rows["patient keys"]["how many"] == _PATIENTS + 1
            assert [row["behind"] for row in rows.values()] == [0] * len(rows)
            for number in (5, 500, 1700):
                assert client.get(f"/fhir/Patient/p{number}").status_code == 200
            assert client.post("/fhir/Patient", json={"resourceType": "Patient"}).status_code == 201
        server.stop()
        server.start()
        with server.client(token) as client:
            assert client.get("/fhir/Patient/p77").status_code == 200
    finally:
        server.stop()
    log = salus("audit", "list", "--json", "--limit", "100", "--data-dir", folder).stdout
    assert {"keys.rotate", "keys.rewrap", "keys.destroy"} <= {json.loads(line)["event"] for line in log.splitlines()}
    assert "The log is whole." in salus("audit", "verify", "--data-dir", folder).stdout


def test_keys_of_index_patient_and_log_change_while_everybody_searches(tmp_path: Path) -> None:
    """The command that rotates is killed again and again; no search ever gives too little or too much."""
    folder, port, chance = tmp_path / "data", free_port(), random.Random(7)
    salus("init", "--data-dir", folder, "--port", str(port))
    people = tmp_path / "people.ndjson"
    people.write_text(
        "".join(
            json.dumps({"resourceType": "Patient", "id": f"p{n}", "name": [{"family": f"Ash{n % 7}"}]}) + "\n"
            for n in range(_PATIENTS // 2)
        )
    )
    salus("import", people, "--data-dir", folder)
    salus("user", "add", "feed", "--service", "--role", "service", "--data-dir", folder)
    token = salus("token", "issue", "feed", "--data-dir", folder).stdout.strip()
    former = salus("audit", "key", "--data-dir", folder).stdout.strip()
    server = Served(folder, port, env=_UNLIMITED)
    right = len(range(3, _PATIENTS // 2, 7))

    def found(client: httpx.Client) -> int:
        return int(client.get("/fhir/Patient?family=Ash3&_summary=count").json()["total"])

    try:
        with server.client(token) as client:
            assert found(client) == right
            killed = 0
            while killed < 4:
                kind = (["index"], ["patient", "Patient/p3"], ["signing"], ["index"])[killed]
                command = [SALUS, "keys", "rotate", *kind, "--data-dir", folder]
                process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                for _ in range(chance.randrange(5, 120)):
                    assert found(client) == right
                process.kill()
                process.wait()
                killed += 1
                person = {"resourceType": "Patient", "name": [{"family": "Ash3"}]}
                assert client.post("/fhir/Patient", json=person).status_code == 201
                right += 1
            said = salus("keys", "rotate", "index", "--data-dir", folder).stdout
            assert "go by the new index key" in said
            assert found(client) == right
            said = salus("keys", "rotate", "patient", "Patient/p3", "--data-dir", folder).stdout
            assert "The former key is destroyed" in said
            assert client.get("/fhir/Patient/p3").json()["name"] == [{"family": "Ash3"}]
            assert client.put("/fhir/Patient/p3", json=person | {"id": "p3"}).status_code == 200
            assert len(client.get("/fhir/Patient/p3/_history").json()["entry"]) == 2
            salus("keys", "rotate", "signing", "--data-dir", folder)
            assert client.post("/fhir/Patient", json=person).status_code == 201
    finally:
        server.stop()
    assert "The log is whole." in salus("audit", "verify", "--data-dir", folder).stdout
    now = salus("audit", "key", "--data-dir", folder).stdout.strip()
    kept = folder / "checkpoints" / "default.keys"
    followed = salus("audit", "key", "--trust", former, "--statements", kept).stdout.split()
    assert (followed[0], followed[-1]) == (former, now)
    assert former != now


@pytest.mark.parametrize("words", [["patient"], ["index", "Patient/p1"], ["index", "--no-backup"]])
def test_a_patient_goes_with_the_kind_patient(words: list[str]) -> None:
    said = CliRunner().invoke(main, ["keys", "rotate", *words])
    assert said.exit_code == 2
    assert "go with the kind patient" in said.stderr


@pytest.mark.parametrize("kind", ["page", "surrogate", "audit"])
def test_what_cannot_be_rotated_is_no_choice(kind: str) -> None:
    said = CliRunner().invoke(main, ["keys", "rotate", kind])
    assert said.exit_code == 2
    assert "is not one of" in said.stderr
