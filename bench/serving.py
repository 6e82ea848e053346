# SPDX-License-Identifier: Apache-2.0
"""The server under test: a data folder in a temporary place, a process tree, and what that tree costs."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
import sys
import time
from http.client import HTTPSConnection
from pathlib import Path

import psutil

from bench.variants import VARIANTS, Variant, house_of
from salus.app.found import found, note_founding
from salus.app.house import House
from salus.app.server import serve
from salus.kernel.commit import Unit
from salus.kernel.settings import load

ROOT = Path(__file__).parents[1]
ACCOUNTS = {"physician": "Practitioner/bench", "service": ""}
_NO_LIMIT = "1000000000"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_folder(folder: Path, variant: Variant, port: int) -> dict[str, str]:
    """Found a data folder with a physician and a service; returns their tokens."""
    settings = found(folder, port=port)
    house = house_of(variant, settings)
    try:
        return asyncio.run(_accounts(house))
    finally:
        house.close()


async def _accounts(house: House) -> dict[str, str]:
    await note_founding(house)
    tokens = {}
    for role, party in ACCOUNTS.items():
        unit = Unit()
        house.users.add_service(unit, "default", role, roles=(role,), display=role, party=party)
        await house.writer.submit(unit)
        user = house.users.find("default", role)
        assert user is not None
        unit = Unit()
        tokens[role], _ = house.tokens.issue(unit, user, "TREAT")
        await house.writer.submit(unit)
    return tokens


class Server:
    """`serve()` in a process of its own, with its workers.

    Attributes:
        port: where it listens, on the loopback interface.
    """

    def __init__(self, folder: Path, variant: str, port: int, workers: int) -> None:
        self.port = port
        self._log = folder.parent / f"{variant}.log"
        environ = {
            **os.environ,
            "SALUS_SERVER_WORKERS": str(workers),
            "SALUS_LIMITS_REQUESTS_PER_SECOND": _NO_LIMIT,
            "SALUS_LIMITS_BURST": _NO_LIMIT,
        }
        self._trust = ssl.create_default_context(cafile=str(folder / "tls" / "ca.crt"))
        self._trust.minimum_version = ssl.TLSVersion.TLSv1_3
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.serving", str(folder), variant],
                cwd=ROOT, env=environ, stdout=log, stderr=log,
            )  # fmt: skip
        self._wait(workers)

    def _wait(self, workers: int) -> None:
        for _ in range(300):
            if self._process.poll() is not None:
                break
            try:
                connection = self.connect()
                connection.request("GET", "/health")
                if connection.getresponse().status == 200 and len(self.tree()) > workers:
                    connection.close()
                    time.sleep(1)  # the other workers may still be opening their houses
                    return
            except OSError:
                time.sleep(0.1)
        self.stop()
        raise SystemExit("the server did not start:\n" + self._log.read_text())

    def connect(self) -> HTTPSConnection:
        """A connection that trusts the clinic's own authority."""
        return HTTPSConnection("localhost", self.port, context=self._trust, timeout=120)

    def cpu(self) -> float:
        """Seconds of CPU that the whole process tree has used."""
        total = 0.0
        for process in self.tree():
            times = process.cpu_times()
            total += times.user + times.system
        return total

    def memory(self) -> int:
        """Resident bytes of the process tree, shared pages counted in each."""
        return sum(process.memory_info().rss for process in self.tree())

    def complaints(self) -> str:
        """What the server wrote to its log."""
        return self._log.read_text()

    def stop(self) -> None:
        """End it in order, so that everything is checkpointed into the database file."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=60)

    def tree(self) -> list[psutil.Process]:
        """The server process and its workers."""
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]


if __name__ == "__main__":
    serve(load(Path(sys.argv[1])), VARIANTS[sys.argv[2]].target)
