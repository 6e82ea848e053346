# SPDX-License-Identifier: Apache-2.0
"""A real server over a real OpenBao that is stopped and comes back: 503, and 200 again, no restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.support.openbao import FailingBao, bao
from tests.support.served import Served, free_port, salus, until

__all__ = ["bao"]

SOFT, HARD, TIMEOUT = 1, 8, 2  # seconds: a refusal is noted while there still are keys to note it with


@pytest.fixture
def server(bao: FailingBao, tmp_path: Path) -> Iterator[Served]:
    folder, port = tmp_path / "data", free_port()
    keys = bao.keys(str(bao.folder))
    section = tmp_path / "keys.toml"
    names = ("provider", "address", "key", "credential_file", "ca_file")
    section.write_text("[keys]\n" + "".join(f'{name} = "{getattr(keys, name)}"\n' for name in names))
    salus("init", "--data-dir", folder, "--port", str(port), "--keys-from", section)
    salus("user", "add", "dr", "--service", "--role", "physician", "--data-dir", folder)
    limits = {"SOFT": SOFT, "HARD": HARD, "TIMEOUT": TIMEOUT}
    env = {f"SALUS_KEYS_{name}_SECONDS": str(value) for name, value in limits.items()}
    started = Served(folder, port, workers=1, env=env)
    yield started
    started.stop()


def test_a_stopped_key_service_and_its_return(server: Served, bao: FailingBao) -> None:
    token = salus("token", "issue", "dr", "--data-dir", server.folder).stdout.strip()
    patient = {"resourceType": "Patient", "id": "anna"}
    with server.client(token) as client:

        def status() -> int:
            return client.get("/fhir/Patient/anna").status_code

        versions: list[str] = []

        def answered() -> bool:
            answer = client.get("/fhir/Patient/anna")
            if answer.status_code == 200:
                versions.append(answer.headers["etag"])
            return bool(versions)

        until(lambda: client.put("/fhir/Patient/anna", json=patient).status_code == 201)
        bao.freeze()
        try:
            until(lambda: status() == 503)
            for _ in range(10):
                assert client.get("/health").status_code == 200
                answer = client.put("/fhir/Patient/anna", json=patient | {"active": False})
                assert answer.status_code == 503
                assert int(answer.headers["retry-after"]) > 0
                assert answer.json()["resourceType"] == "OperationOutcome"
        finally:
            bao.thaw()
        until(answered)
        assert versions == ['W/"1"']  # nothing was written meanwhile
        until(lambda: client.put("/fhir/Patient/anna", json=patient | {"active": True}).status_code == 200)
    assert server.process.poll() is None
    for process in (psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children()):
        if "salus" in " ".join(process.cmdline()):  # and not a helper of Python's multiprocessing
            assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)  # no core dump would hold the keys
    for event in ("keys.refused", "keys.unlock"):
        until(lambda event=event: event in salus("audit", "list", "--type", event, "--data-dir", server.folder).stdout)
    assert salus("audit", "verify", "--data-dir", server.folder).returncode == 0
