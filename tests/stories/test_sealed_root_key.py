# SPDX-License-Identifier: Apache-2.0
"""A root key under a passphrase: serving needs it, a wrong one is refused, and it shows nowhere."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from tests.support.served import Served, free_port, salus

_PASSPHRASE = "nine bright lanterns over the harbour"


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A folder whose root key is sealed, and its port."""
    folder, port = tmp_path_factory.mktemp("sealed") / "data", free_port()
    made = salus("init", "--passphrase", "--data-dir", folder, "--port", str(port), stdin=f"{_PASSPHRASE}\n")
    assert _PASSPHRASE not in made.stdout + made.stderr
    return folder, port


def _with_passphrase_file(folder: Path, text: str, mode: int = 0o600) -> None:
    file = folder.parent / "passphrase"
    file.unlink(missing_ok=True)
    file.write_text(text)
    file.chmod(mode)
    settings = folder / "salus.toml"
    lines = [line for line in settings.read_text().splitlines() if not line.startswith("passphrase_file")]
    settings.write_text("\n".join([*lines, f'passphrase_file = "{file}"']) + "\n")


def test_the_root_key_does_not_lie_in_clear(sealed: tuple[Path, int]) -> None:
    folder, _ = sealed
    for file in folder.rglob("*"):
        if file.is_file():
            assert _PASSPHRASE.encode() not in file.read_bytes()
    assert b'"none"' not in (folder / "keys" / "root.key").read_bytes()


@pytest.mark.parametrize("text", ["wrong\n", "\n", f"{_PASSPHRASE} \n"])
def test_a_wrong_passphrase_is_refused_with_words(sealed: tuple[Path, int], text: str) -> None:
    folder, _ = sealed
    _with_passphrase_file(folder, text)
    for command in ("serve", "doctor"):
        answer = salus(command, "--data-dir", folder, check=False)
        assert answer.returncode in {1, 2, 4}, answer
        said = answer.stdout + answer.stderr
        assert "assphrase" in said, said
        assert _PASSPHRASE not in said
        assert "Traceback" not in said


def test_a_passphrase_file_that_others_may_read_is_refused(sealed: tuple[Path, int]) -> None:
    folder, _ = sealed
    _with_passphrase_file(folder, f"{_PASSPHRASE}\n", mode=0o644)
    answer = salus("serve", "--data-dir", folder, check=False)
    assert answer.returncode in {3, 4}
    assert "chmod 600" in answer.stderr


def test_a_passphrase_file_that_is_missing_is_told(sealed: tuple[Path, int]) -> None:
    folder, _ = sealed
    _with_passphrase_file(folder, f"{_PASSPHRASE}\n")
    (folder.parent / "passphrase").unlink()
    answer = salus("serve", "--data-dir", folder, check=False)
    assert answer.returncode in {2, 3, 4}
    assert "Traceback" not in answer.stderr
    assert "passphrase" in answer.stderr


def test_the_server_serves_with_the_passphrase_file_and_no_secret_is_an_argument(sealed: tuple[Path, int]) -> None:
    folder, port = sealed
    _with_passphrase_file(folder, f"{_PASSPHRASE}\n")
    salus("user", "add", "feed", "--service", "--role", "service", "--data-dir", folder)
    token = salus("token", "issue", "feed", "--data-dir", folder).stdout.strip()
    server = Served(folder, port, workers=2)
    try:
        with server.client(token) as client:
            sent = {"resourceType": "Patient", "id": "x"}
            made = client.put("/fhir/Patient/x", json=sent, headers={"content-type": "application/fhir+json"})
            assert made.status_code == 201
        parent = psutil.Process(server.process.pid)
        for process in (parent, *parent.children(recursive=True)):
            shown = " ".join(process.cmdline())
            assert _PASSPHRASE not in shown
            assert token not in shown
    finally:
        server.stop()
    said = (folder.parent / "server.log").read_text()
    assert _PASSPHRASE not in said
    assert token not in said
