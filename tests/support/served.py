# SPDX-License-Identifier: Apache-2.0
"""The real server in a process of its own, over TLS on a free port."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx

SALUS = Path(sys.executable).with_name("salus")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def salus(*arguments: str | Path, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    done = subprocess.run(
        [SALUS, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=120, check=False
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


class Served:
    """`salus serve` on a data folder.

    Attributes:
        base: address of the server.
        folder: the data folder.
        shows: certificate and key that its clients show, if any.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        workers: int = 1,
        env: dict[str, str] | None = None,
        shows: tuple[Path, Path] | None = None,
    ) -> None:
        self.folder = folder
        self.shows = shows
        self.base = f"https://localhost:{port}"
        self._port = port
        self._env = {**os.environ, "SALUS_SERVER_WORKERS": str(workers), **(env or {})}
        self.start()

    def start(self) -> None:
        """Start and wait until it answers."""
        self.log = (self.folder.parent / "server.log").open("ab")
        self.process = subprocess.Popen(
            [SALUS, "serve", "--data-dir", self.folder],
            env=self._env,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        for _ in range(400):
            assert self.process.poll() is None, (self.folder.parent / "server.log").read_text()
            try:
                with self.client() as client:
                    if client.get("/health").status_code == 200:
                        return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the server did not start: " + (self.folder.parent / "server.log").read_text())

    def client(self, token: str = "") -> httpx.Client:
        """A client that trusts the local authority."""
        trust = ssl.create_default_context(cafile=str(self.folder / "tls" / "ca.crt"))
        if self.shows:
            trust.load_cert_chain(*self.shows)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.base, verify=trust, headers=headers, timeout=30)

    def kill(self) -> None:
        """End the server and its workers at once, as a power cut would (kill -9)."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def stop(self) -> None:
        """End the server in order."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=30)
        self.log.close()
