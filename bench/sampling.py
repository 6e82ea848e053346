# SPDX-License-Identifier: Apache-2.0
"""Where the time goes: samples of one worker under load, by py-spy.

`python -m bench.sampling PY_SPY`: py-spy is no requirement of Salus; put it into a virtual environment of its own and
name it here. Prints, for each phase, the functions that were running (self) and those that were on the stack (total).
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from bench.corpus import corpus, questions, stored
from bench.load import fire, post_bundles, write_requests
from bench.serving import Server, free_port, make_folder
from bench.variants import VARIANTS

_SECONDS = 6
_SHOWN = 25
_SEED = 20260101
_PLACE = re.compile(r"([^ ;]+) \(([^:)]+):?(\d*)\)")


def sample(
    py_spy: str, server: Server, out: Path, load: Callable[[], object]
) -> tuple[Counter[str], Counter[str], int]:
    """Run a load and sample the busiest worker: self counts, total counts, number of samples."""
    before = {process.pid: sum(process.cpu_times()[:2]) for process in server.tree()}
    probes = {
        pid: subprocess.Popen(
            [
                py_spy,
                "record",
                "-r",
                "199",
                "-d",
                str(_SECONDS),
                "-f",
                "raw",
                "-o",
                str(out / f"{pid}.txt"),
                "-p",
                str(pid),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for pid in before
    }
    load()
    for probe in probes.values():
        probe.wait(timeout=60)
    used = {process.pid: sum(process.cpu_times()[:2]) - before.get(process.pid, 0) for process in server.tree()}
    busiest = max(used, key=lambda pid: used[pid])
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for line in (out / f"{busiest}.txt").read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [f"{name} {'/'.join(Path(file).parts[-2:])}" for name, file, _ in _PLACE.findall(stack)]
        if not frames:
            continue
        own[frames[-1]] += int(count)
        for frame in set(frames):
            total[frame] += int(count)
    return own, total, own.total()


def main(py_spy: str) -> None:
    """Sample the four phases."""
    source = corpus(None)
    with tempfile.TemporaryDirectory(prefix="salus-sampling-") as temporary:
        workspace = Path(temporary)
        port = free_port()
        tokens = make_folder(workspace / "data", VARIANTS["everything"], port)
        server = Server(workspace / "data", "everything", port, 2)
        try:
            bundles = list(source.bundles)
            _, answers = post_bundles(server, tokens["service"], bundles)  # warms up
            out = workspace / "import"
            out.mkdir()
            more: list[tuple[bytes, bytes]] = []
            _show(
                "import",
                sample(
                    py_spy, server, out, lambda: more.extend(post_bundles(server, tokens["service"], bundles * 5)[1])
                ),
            )
            kept = stored([*answers, *more])
            pick = random.Random(_SEED)
            asked = questions(kept.observations, 600, _SEED)
            phases = {
                "create": ("service", [("POST", "/fhir/Observation", body) for body in kept.templates]),
                "read": ("physician", [("GET", f"/fhir/{pick.choice(kept.readable())}", b"") for _ in range(20_000)]),
                "search": ("physician", [("GET", question.path(), b"") for question in asked]),
            }
            for phase, (account, lines) in phases.items():
                file = write_requests(workspace / f"{phase}.txt", lines, _SEED)
                out = workspace / phase
                out.mkdir()
                _show(
                    phase,
                    sample(
                        py_spy,
                        server,
                        out,
                        lambda a=account, f=file: fire(server, tokens[a], f, seconds=_SECONDS + 1, warm_up=1),
                    ),
                )
        finally:
            server.stop()


def _show(phase: str, samples: tuple[Counter[str], Counter[str], int]) -> None:
    own, total, number = samples
    print(f"\n{phase}: {number} samples\n  running")
    for name, count in own.most_common(_SHOWN):
        print(f"    {count / number:6.1%}  {name}")
    print("  on the stack")
    for name, count in total.most_common(_SHOWN * 2):
        print(f"    {count / number:6.1%}  {name}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or shutil.which(sys.argv[1]) is None:
        raise SystemExit(__doc__)
    main(sys.argv[1])
