# SPDX-License-Identifier: Apache-2.0
"""The real server in a process of its own, over TLS on a free port."""

from __future__ import annotations

import gc
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from unittest.mock import patch

import httpx
from click.testing import CliRunner

from salus.cli import main

SALUS = Path(sys.executable).with_name("salus")


PATIENCE = 120
"""Seconds that a test waits for another process: a slow machine is no failure, and what never comes is one."""

_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_ports = cycle(range(12_000 + 1_000 * (_WORKER % 16), 13_000 + 1_000 * (_WORKER % 16)))
for _ in range(os.getpid() % 1_000):
    next(_ports)


def free_port() -> int:
    """A port that nobody listens on, and that nobody takes before the caller does.

    Below those that the kernel gives to connections; each worker has its own, and gives each once in a thousand times.
    """
    while True:
        port = next(_ports)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def until(seen: Callable[[], object], what: Callable[[], str] = lambda: "it did not come to that") -> None:
    """Look again until it is so; fails with `what` when that takes longer than `PATIENCE`."""
    end = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < end, what()
        time.sleep(0.02)


_only = threading.Lock()


def salus(*arguments: str | Path, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command, beside whatever is served, in this process: to start another takes longer than most commands do.

    In a thread of its own, since the caller's may have an event loop, and one at a time, since standard output is
    caught. What it changes of the process (environment, how garbage is looked for) ends with it. What a shell gets from
    the installed command is tried in `tests/stories/test_starting_up.py`.
    """
    words, looking = [str(word) for word in arguments], gc.get_threshold()
    with _only, patch.dict(os.environ), ThreadPoolExecutor(1) as apart:
        done = apart.submit(CliRunner().invoke, main, words, input=stdin).result()
    gc.unfreeze()
    gc.set_threshold(*looking)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    if check:
        assert done.exit_code == 0, done.stderr
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


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
        until(self._started, self._said)

    def _started(self) -> bool:
        assert self.process.poll() is None, self._said()
        return self.answers()

    def answers(self) -> bool:
        """Whether it is alive and takes connections."""
        try:
            with self.client() as client:
                return client.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def _said(self) -> str:
        return (self.folder.parent / "server.log").read_text()

    def client(self, token: str = "") -> httpx.Client:
        """A client that trusts the local authority."""
        trust = ssl.create_default_context(cafile=str(self.folder / "tls" / "ca.crt"))
        if self.shows:
            trust.load_cert_chain(*self.shows)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.base, verify=trust, headers=headers, timeout=PATIENCE)

    def kill(self) -> None:
        """End the server and its workers at once, as a power cut would (kill -9)."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def stop(self) -> None:
        """End the server in order."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=PATIENCE)
        self.log.close()
