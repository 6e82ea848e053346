# SPDX-License-Identifier: Apache-2.0
"""One variant from an empty folder to its figures: import, proof by brute force, creates, reads, searches."""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path

from bench.corpus import PAGE, Corpus, Question, Stored, questions, stored
from bench.load import Load, fire, post_bundles, write_requests
from bench.serving import Server, free_port, make_folder
from bench.variants import VARIANTS, house_of
from salus.kernel.settings import load

PHASES = ("import", "create", "read", "search")
_READS = 20_000
_QUESTIONS = 600
_PROVEN = 60  # questions whose whole answer is compared with brute force
_MOST = 1_000
_SEED = 20260101

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run.

    Attributes:
        copies: how often each Bundle is posted.
        seconds: of each phase but the import.
        workers: processes of the server.
    """

    phases: tuple[str, ...]
    copies: int
    seconds: float
    warm_up: float
    workers: int


def measure(variant: str, corpus: Corpus, plan: Plan, workspace: Path, say: Callable[[str], None]) -> Figures:
    """Run the phases of one variant in a fresh folder.

    Raises:
        SystemExit: an answer was not 2xx, or a search did not give what brute force gives.
    """
    folder = workspace / variant
    port = free_port()
    tokens = make_folder(folder, VARIANTS[variant], port)
    figures: Figures = {}
    server = Server(folder, variant, port, plan.workers)
    try:
        posted = list(corpus.bundles) * plan.copies
        random.Random(_SEED).shuffle(posted)
        loaded, answers = post_bundles(server, tokens["service"], posted)
        kept = stored(answers)
        say(f"imported {len(kept.places)} resources")
    finally:
        server.stop()
    figures |= _imported(loaded, kept)
    figures |= _sizes(folder, variant, len(kept.places))
    if plan.phases == ("import",):
        return figures
    server = Server(folder, variant, port, plan.workers)
    try:
        figures |= _answered(server, tokens, kept, plan, workspace, say)
        figures["memory MB"] = server.memory() / 1e6
    finally:
        server.stop()
    return figures


def _answered(
    server: Server, tokens: dict[str, str], kept: Stored, plan: Plan, workspace: Path, say: Callable[[str], None]
) -> Figures:
    figures: Figures = {}
    asked = questions(kept.observations, _QUESTIONS, _SEED)
    hits = prove(server, tokens["physician"], asked, kept)
    say(f"{_PROVEN} searches give what brute force gives; {hits:.1f} results a page")
    places = kept.readable()
    pick = random.Random(_SEED)
    requests = {
        "create": ("service", [("POST", "/fhir/Observation", body) for body in kept.templates]),
        "read": ("physician", [("GET", f"/fhir/{pick.choice(places)}", b"") for _ in range(_READS)]),
        "search": ("physician", [("GET", question.path(), b"") for question in asked]),
    }
    for phase in plan.phases:
        if phase not in requests:
            continue
        account, lines = requests[phase]
        file = write_requests(workspace / f"{phase}.txt", lines, _SEED)
        done = fire(server, tokens[account], file, seconds=plan.seconds, warm_up=plan.warm_up)
        figures |= _fired(phase, done)
        if phase == "search":
            figures["search results/page"] = hits
            figures["search resources/s"] = done.rate * hits
        say(f"{phase}: {done.rate:,.0f}/s")
    return figures


def _imported(done: Load, kept: Stored) -> Figures:
    resources = len(kept.places)
    return {
        "import resources/s": resources / done.seconds,
        "import CPU us/resource": done.server_cpu / resources * 1e6,
        "import p50 ms/Bundle": done.latency[0],
        "import p99 ms/Bundle": done.latency[2],
        "import resources": resources,
        "import others %": done.others * 100,
    }


def _fired(phase: str, done: Load) -> Figures:
    p50, p95, p99 = done.latency
    return {
        f"{phase} requests/s": done.rate,
        f"{phase} CPU us/request": done.cpu_us,
        f"{phase} p50 ms": p50,
        f"{phase} p95 ms": p95,
        f"{phase} p99 ms": p99,
        f"{phase} others %": done.others * 100,
    }


def _sizes(folder: Path, variant: str, resources: int) -> Figures:
    """Bytes on the disk for each resource after the import, and which part of the database holds them."""
    whole = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    figures = {"stored bytes/resource": whole / resources}
    house = house_of(VARIANTS[variant], load(folder))
    try:
        pages: list[tuple[str, int]] = house.db.execute("select name, pgsize from dbstat where aggregate=1").fetchall()
    except Exception:  # noqa: BLE001  a SQLite without the table `dbstat`: the sum must do
        return figures
    finally:
        house.close()
    for part, start in (("records", "record"), ("index", "blind_token"), ("audit", "audit_")):
        figures[f"stored bytes/resource: {part}"] = (
            sum(size for name, size in pages if name.startswith((start, f"sqlite_autoindex_{start}"))) / resources
        )
    return figures


# ── proof ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def prove(server: Server, token: str, asked: Sequence[Question], kept: Stored) -> float:
    """Compare answers with brute force, and count the results of a page over all questions.

    Raises:
        SystemExit: they differ.
    """
    connection = server.connect()
    try:
        for question in asked[:_PROVEN]:
            expected = question.brute_force(kept.observations)
            found = _ids(connection, token, question.path(_MOST))
            if not found <= expected or len(found) != min(len(expected), _MOST):
                raise SystemExit(f"{question}: {len(found)} found, brute force finds {len(expected)}")
        return statistics.fmean(len(_ids(connection, token, question.path(PAGE))) for question in asked)
    finally:
        connection.close()


def _ids(connection: HTTPSConnection, token: str, path: str) -> set[str]:
    connection.request("GET", path, headers={"authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise SystemExit(f"status {answer.status}: {body[:500]!r}")
    return {entry["resource"]["id"] for entry in json.loads(body).get("entry", ())}


def fsync_us(folder: Path) -> float:
    """Median time of a write of one page with fsync on the disk of a folder, in microseconds."""
    file = folder / "fsync"
    times = []
    with file.open("wb", buffering=0) as out:
        for _ in range(200):
            out.write(os.urandom(4096))
            began = time.perf_counter()
            os.fsync(out.fileno())
            times.append(time.perf_counter() - began)
    file.unlink()
    return statistics.median(times) * 1e6
