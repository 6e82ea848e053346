# SPDX-License-Identifier: Apache-2.0
"""The load: Bundles posted from a few threads, everything else by wrk. Both share the cores with the server."""

from __future__ import annotations

import json
import os
import queue
import random
import resource
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.serving import Server

CONNECTIONS = 32
_IMPORTERS = 8
_SCRIPT = Path(__file__).with_name("fire.lua")
_MARK = "@@"


@dataclass(frozen=True, slots=True)
class Load:
    """What one phase did and cost.

    Attributes:
        requests: answered with 2xx; anything else ends the benchmark.
        latency: p50, p95 and p99 in milliseconds.
        server_cpu: seconds, over the process tree of the server.
        others: share of the machine that neither server nor load generator used, but somebody did.
    """

    requests: int
    seconds: float
    latency: tuple[float, float, float]
    server_cpu: float
    others: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    @property
    def cpu_us(self) -> float:
        """Server CPU in microseconds per request."""
        return self.server_cpu / self.requests * 1e6


class _Meter:
    """CPU of the server, of the load generator and of the whole machine between start and stop."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._begin = time.perf_counter()
        self._at = self._read()

    def _read(self) -> tuple[float, float, float]:
        mine = sum(
            used.ru_utime + used.ru_stime
            for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )
        machine = psutil.cpu_times()
        busy = sum(machine) - machine.idle - getattr(machine, "iowait", 0.0) - getattr(machine, "guest", 0.0)
        return self._server.cpu(), mine, busy

    def stop(self) -> tuple[float, float, float]:
        """Seconds, CPU seconds of the server, share of the machine used by others."""
        seconds = time.perf_counter() - self._begin
        server, mine, busy = (now - then for now, then in zip(self._read(), self._at, strict=True))
        return seconds, server, max(0.0, busy - server - mine) / (seconds * (os.cpu_count() or 1))


def post_bundles(server: Server, token: str, bundles: Sequence[bytes]) -> tuple[Load, list[tuple[bytes, bytes]]]:
    """Post each Bundle once, over a few connections.

    Returns:
        The load, and each Bundle with its answer.

    Raises:
        SystemExit: an answer was not 200.
    """
    todo: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    for bundle in bundles:
        todo.put(bundle)
    answers: list[tuple[bytes, bytes]] = []
    times: list[float] = []
    wrong: list[str] = []

    def work() -> None:
        connection = server.connect()
        headers = {"authorization": f"Bearer {token}", "content-type": "application/fhir+json"}
        while not wrong:
            try:
                bundle = todo.get_nowait()
            except queue.Empty:
                break
            began = time.perf_counter()
            connection.request("POST", "/fhir", bundle, headers)
            answer = connection.getresponse()
            body = answer.read()
            times.append(time.perf_counter() - began)
            if answer.status == 200:
                answers.append((bundle, body))
            else:
                wrong.append(f"status {answer.status}: {body[:500]!r}")
        connection.close()

    meter = _Meter(server)
    threads = [threading.Thread(target=work) for _ in range(_IMPORTERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, cpu, others = meter.stop()
    if wrong or len(answers) != len(bundles):
        raise SystemExit(f"the import failed: {(wrong or ['a connection broke'])[0]}")
    times.sort()
    marks = (times[int(len(times) * share)] * 1e3 for share in (0.5, 0.95, 0.99))
    return Load(len(answers), seconds, (next(marks), next(marks), next(marks)), cpu, others), answers


def write_requests(file: Path, lines: Sequence[tuple[str, str, bytes]], seed: int) -> Path:
    """Put requests (method, path, body) into a file for `fire`, shuffled."""
    shuffled = list(lines)
    random.Random(seed).shuffle(shuffled)
    with file.open("wb") as out:
        for method, path, body in shuffled:
            out.write(f"{method}\t{path}\t".encode() + body + b"\n")
    return file


def fire(server: Server, token: str, requests: Path, *, seconds: float, warm_up: float) -> Load:
    """Send the requests of a file for some seconds over 32 connections, after a warm-up that is not counted.

    Raises:
        SystemExit: an answer was an error, or a connection broke.
    """
    _wrk(server, token, requests, warm_up)
    meter = _Meter(server)
    told = _wrk(server, token, requests, seconds)
    _, cpu, others = meter.stop()
    latency = (told["p50"] / 1e3, told["p95"] / 1e3, told["p99"] / 1e3)
    return Load(int(told["requests"]), told["seconds"], latency, cpu, others)


def _wrk(server: Server, token: str, requests: Path, seconds: float) -> dict[str, float]:
    command = [
        "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--timeout", "10s", "-s", str(_SCRIPT),
        f"https://localhost:{server.port}", "--", str(requests), token,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith(_MARK)), "")
    if not line:
        raise SystemExit(f"wrk failed: {done.stderr or done.stdout}")
    told: dict[str, float] = json.loads(line.removeprefix(_MARK))
    if told["refused"] or told["broken"] or not told["requests"]:
        raise SystemExit(f"{requests.name}: {told['refused']:.0f} errors, {told['broken']:.0f} broken connections")
    return told
