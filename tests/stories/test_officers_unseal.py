# SPDX-License-Identifier: Apache-2.0
"""Three officers open a clinic together: the server waits for two of them, and commands borrow its key."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.support.served import PATIENCE, SALUS, Served, free_port, salus, until


def test_officers_unseal_a_server(tmp_path: Path) -> None:
    folder, port = tmp_path / "data", free_port()
    said = salus("init", "--data-dir", folder, "--port", str(port), "--officers", "3", "--needed", "2").stdout
    shares = [line for line in said.splitlines() if line.startswith("salus-share-1.")]
    assert len(shares) == 3
    for file in folder.rglob("*"):
        if file.is_file():
            assert not any(share.split(".")[4].encode() in file.read_bytes().lower() for share in shares)

    sealed = salus("user", "list", "--data-dir", folder, check=False)
    assert sealed.returncode == 4
    assert "sealed" in sealed.stderr
    nobody = salus("keys", "unseal", "--data-dir", folder, stdin=shares[0], check=False)
    assert nobody.returncode == 4

    server = Served.__new__(Served)
    server.folder, server.base, server._port, server.shows = folder, f"https://localhost:{port}", port, None
    env = os.environ | {"SALUS_SERVER_WORKERS": "1"}
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [SALUS, "serve", "--data-dir", folder], env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        until((folder / "keys" / "unseal.sock").exists)
        assert (folder / "keys" / "unseal.sock").stat().st_mode & 0o077 == 0
        wrong = salus("keys", "unseal", "--data-dir", folder, stdin="salus-share-1.nonsense", check=False)
        assert wrong.returncode == 2
        for _ in range(2):  # the same officer twice is one officer
            assert "1 of 2" in salus("keys", "unseal", "--data-dir", folder, stdin=shares[2]).stdout
        assert salus("user", "list", "--data-dir", folder, check=False).returncode == 4
        assert "open" in salus("keys", "unseal", "--data-dir", folder, stdin=shares[0]).stdout
        until(server.answers)
        salus("user", "add", "dr", "--service", "--role", "physician", "--data-dir", folder)
        token = salus("token", "issue", "dr", "--data-dir", folder).stdout.strip()
        with server.client(token) as client:
            assert client.put("/fhir/Patient/a", json={"resourceType": "Patient", "id": "a"}).status_code == 201
        assert not any(share in (tmp_path / "server.log").read_text() for share in shares)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=PATIENCE)
    assert salus("user", "list", "--data-dir", folder, check=False).returncode == 4  # sealed again
