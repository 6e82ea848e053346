# SPDX-License-Identifier: Apache-2.0
"""`salus demo` as somebody meets it for the first time."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.served import PATIENCE, SALUS, free_port, salus, until


@contextmanager
def _demo(folder: Path, port: int, *more: str) -> Iterator[str]:
    """Run the demo until it serves; gives what it printed."""
    log = folder.parent / "demo.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [SALUS, "demo", "--data-dir", folder, "--port", str(port), "--patients", "2", "--seed", "3", *more],
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "SALUS_SERVER_WORKERS": "1", "PYTHONUNBUFFERED": "1"},
        )
        try:
            _wait(folder, port, process, log)
            yield log.read_text()
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)


def _wait(folder: Path, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    authority = folder / "tls" / "ca.crt"
    asked = ["curl", "--silent", "--cacert", authority, f"https://localhost:{port}/health"]

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        return authority.exists() and subprocess.run(asked, capture_output=True, check=False).returncode == 0

    until(answers, log.read_text)


def _shell(script: str) -> str:
    done = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, check=True, timeout=PATIENCE)
    return done.stdout


def test_the_demo_prints_accounts_and_commands_that_work_and_starts_again(tmp_path: Path) -> None:
    folder, port = tmp_path / "demo", free_port()
    with _demo(folder, port) as said:
        for role in ("physician", "nurse", "patient", "billing", "auditor", "administrator"):
            assert re.search(rf"^\S+ +{role} ", said, re.MULTILINE), said
        assert re.search(r"certificate SHA-256 [0-9A-F:]{64,}", said, re.IGNORECASE)
        commands = [
            line.strip() for line in said.splitlines() if line.startswith("  ") and ("salus" in line or "curl" in line)
        ]
        assert len(commands) == 3
        shown = _shell(f"{commands[0]}\n{commands[1].replace('curl', 'curl --silent')}")
        patient = json.loads(shown)
        assert (patient["resourceType"], patient["id"]) == ("Patient", "pt-3-0")
        assert "The log is whole." in _shell(commands[2])
    credentials = (folder / "demo-credentials.json").read_bytes()
    with _demo(folder, port) as again:
        assert "inventing" not in again
        assert json.loads(_shell(f"{commands[0]}\n{commands[1].replace('curl', 'curl --silent')}")) == patient
    assert (folder / "demo-credentials.json").read_bytes() == credentials


def test_ctrl_c_while_the_demo_is_made_leaves_nothing_half(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    as_at_a_terminal = ("env", "--default-signal=INT")  # tests that run in the background have it switched off
    process = subprocess.Popen(
        [*as_at_a_terminal, SALUS, "demo", "--data-dir", folder, "--port", str(free_port()), "--patients", "5000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )

    def halfway() -> bool:
        assert process.poll() is None
        return any(tmp_path.glob(".demo-*/records.db-wal"))

    until(halfway)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert b"Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_the_demo_does_not_touch_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    answer = salus("demo", "--data-dir", tmp_path, check=False)
    assert answer.returncode == 2
    assert "not empty" in answer.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.deep
def test_the_demo_on_openbao_starts_and_starts_again(tmp_path: Path) -> None:
    folder, port = tmp_path / "demo", free_port()
    for options in (("--kms", "openbao"), ()):  # the second time the folder knows
        with _demo(folder, port, *options) as said:
            assert "OpenBao keeps the keys: https://127.0.0.1:" in said
            status = salus("keys", "status", "--data-dir", folder).stdout
            assert re.search(r"^provider +openbao$", status, re.MULTILINE)
            assert re.search(r"^answers +yes$", status, re.MULTILINE)
            token = salus("token", "issue", "dr-amara", "--data-dir", folder).stdout.strip()
            authority = folder / "tls" / "ca.crt"
            bearer = f"-H 'Authorization: Bearer {token}'"
            address = f"'https://localhost:{port}/fhir/Patient?_summary=count'"
            assert json.loads(_shell(f"curl --silent --cacert {authority} {bearer} {address}"))["total"] == 2
    away = salus("keys", "status", "--data-dir", folder, check=False)
    assert away.returncode == 4  # the key service ended with the demo
    assert not (folder / "keys" / "root.key").exists()
