# SPDX-License-Identifier: Apache-2.0
"""What rotations over records cost: `python -m bench.rotations [PATIENTS]` (20 invented patients if not told).

Reports CPU seconds of this process per 1,000 records for going over to another index key (both passes), for indexing
anew after a restore, and for giving one patient another key; and for another signing key, which
does not depend on the records. Over a page-encrypted database in a temporary folder, without a server beside it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from subprocess import run
from typing import Any

from salus.app.house import House
from salus.app.indexing import bring_up_to_date, operator
from salus.app.rotating import end_patient, rotate_index, rotate_patient, rotate_signing
from salus.fhir import json
from salus.kernel.clock import SystemClock
from salus.kernel.db import exclusive
from salus.kernel.settings import load
from salus.records.index_turn import SETTLE_MS
from salus.records.store.turned import start_over
from salus.synthetic.generate import population

_ONE = 1_000  # records of the patient who gets another key
_SALUS = Path(sys.executable).with_name("salus")


class _Clock(SystemClock):
    """Goes forward when it is told to, so that nobody waits for the end of a rotation."""

    ahead = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead


def main(patients: int) -> None:
    """Import, rotate, report."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, source = Path(scratch) / "data", Path(scratch) / "records.ndjson"
        source.write_bytes(b"".join(json.encode(one) + b"\n" for one in _records(patients)))
        for words in (["init"], ["import", str(source)]):
            run([_SALUS, *words, "--data-dir", folder], check=True, capture_output=True)
        clock = _Clock()
        house = House(load(folder), clock=clock)
        try:
            asyncio.run(_measure(house, clock))
        finally:
            house.close()


def _records(patients: int) -> list[dict[str, Any]]:
    made = [one for chart in population(7, patients, date(2026, 1, 1)) for one in chart]
    return [*made, {"resourceType": "Patient", "id": "one"}, *map(_pulse, range(_ONE - 1))]


def _pulse(number: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"one-{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": "Patient/one"},
        "effectiveDateTime": "2026-03-01T08:00:00Z",
        "valueQuantity": {"value": 60 + number % 40, "system": "http://unitsofmeasure.org", "code": "/min"},
    }


async def _measure(house: House, clock: _Clock) -> None:
    count = house.db.execute("select count(*) from record where current=1").get
    print(f"{count} records")
    await _told("index: under both keys, and the switch", count, lambda: rotate_index(house, "default"))
    clock.ahead = SETTLE_MS
    await _told("index: the former key's tokens removed", count, lambda: rotate_index(house, "default"))
    keys = house.keyring.tenant("default")
    keys.make_index(9)
    with exclusive(house.db):
        start_over(house.db, {"default": 9})
    await _told("index: made anew, as after a restore", count, lambda: bring_up_to_date(house, "default"))
    assert not operator(house, "default").store.registries.of("default")[0].outdated
    owner = house.desk.owner("default", "one")

    async def patient() -> None:
        done = await rotate_patient(house, "default", owner, "one")
        await end_patient(house, "default", owner, "one", done)

    await _told(f"patient: a key for {_ONE} records", _ONE, patient)
    await _told("signing: another key, the whole rotation", 1_000, lambda: rotate_signing(house, "default"))


async def _told(what: str, count: int, work: Callable[[], Awaitable[object]]) -> None:
    cpu, wall = time.process_time(), time.perf_counter()
    await work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(f"{what}: {cpu:.3f} s CPU, {wall:.3f} s; {cpu / count * 1_000:.3f} s CPU per 1,000 records")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
