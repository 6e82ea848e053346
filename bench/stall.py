# SPDX-License-Identifier: Apache-2.0
"""How long other requests wait while a large Bundle is taken in: `python -m bench.stall`.

In one process, without a socket: a probe asks the event loop for its turn every millisecond, and the longest time that
it had to wait is the stall. Beside it stand the parts that cannot be cut into slices, each measured alone.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from datetime import date
from itertools import chain, islice
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

from tests.support.clinic import Clinic
from tests.support.raw import send_raw

from salus.app.memory import calm_collector
from salus.fhir import json, xml
from salus.kernel.settings import Limits
from salus.synthetic.generate import population


class Probe:
    """Asks the event loop for its turn every millisecond.

    Attributes:
        wait: longest time that it had to wait, ms.
        work: most that others computed in between, ms of CPU: the figure to look at on a busy machine.
    """

    def __init__(self) -> None:
        self.wait = self.work = 0.0
        self.done = False

    async def watch(self) -> None:
        """Ask until `done`."""
        while not self.done:
            before, spent = perf_counter(), thread_time()
            await asyncio.sleep(0.001)
            self.wait = max(self.wait, 1000 * (perf_counter() - before) - 1)
            self.work = max(self.work, 1000 * (thread_time() - spent))


async def watched(work: Callable[[], Awaitable[Any]]) -> tuple[Probe, float]:
    """The probe beside some work, and the CPU ms of the whole."""
    probe = Probe()
    watching = asyncio.ensure_future(probe.watch())
    await asyncio.sleep(0.01)
    start = thread_time()
    await work()
    whole = 1000 * (thread_time() - start)
    await asyncio.sleep(0.002)
    probe.done = True
    await watching
    return probe, whole


def bundle_of(kind: str, count: int) -> dict[str, Any]:
    """A Bundle of records of invented patients, PUT under their ids."""
    people = population(seed=1, count=count, today=date(2026, 1, 1))
    resources = list(islice(chain.from_iterable(people), count))
    entries = [
        {
            "fullUrl": f"urn:uuid:{number:08x}-0000-4000-8000-000000000000",
            "resource": resource,
            "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"},
        }
        for number, resource in enumerate(resources)
    ]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def posting(clinic: Clinic, body: bytes, media: str) -> Callable[[], Awaitable[Any]]:
    """Post a Bundle, and see that it was taken."""
    token = clinic.token("service").encode()
    headers = [(b"authorization", b"Bearer " + token), (b"content-type", media.encode()), (b"accept", media.encode())]

    async def post() -> None:
        answer = await send_raw(clinic.application, "POST", "/fhir", b"", headers, body)
        assert answer.status_code == 200, answer.text[:500]

    return post


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000)
    count = parser.parse_args().entries
    with tempfile.TemporaryDirectory(prefix="salus-stall-") as folder:
        clinic = Clinic(Path(folder) / "data", limits=Limits(requests_per_second=1e6, burst=1e6, body_bytes=1 << 28))
        print(f"{count} entries          size    longest wait ms   of it CPU   whole CPU")
        warm = json.encode(bundle_of("transaction", 20))
        clinic.run(posting(clinic, warm, "application/fhir+json")())
        calm_collector()
        for kind in ("transaction", "batch"):
            sent = bundle_of(kind, count)
            raw = json.encode(sent)
            for media, body in (("application/fhir+json", raw), ("application/fhir+xml", xml.encode(sent))):
                for run in ("first", "again"):
                    probe, whole = clinic.run(watched(posting(clinic, body, media)))
                    size = f"{len(body) / 1e6:4.1f} MB"
                    print(
                        f"{kind:12} {media[17:]:5} {run:6} {size} {probe.wait:13.1f} {probe.work:11.1f} {whole:11.0f}"
                    )
        start = thread_time()
        json.decode(raw)
        print(f"decoding the JSON in one piece: {1000 * (thread_time() - start):.1f} ms CPU")
        clinic.close()


if __name__ == "__main__":
    main()
