# SPDX-License-Identifier: Apache-2.0
"""Files to import, and a desk that imports them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from salus.records.importing.run import Import, Tally
from salus.records.importing.sources import Documents
from tests.support.clinic import Clinic

JSON = dict[str, Any]


class PowerCut(BaseException):
    """Not an error that anyone catches."""


def patients(*ids: str) -> list[JSON]:
    """Patients with these ids; an empty id means none."""
    return [{"resourceType": "Patient", "birthDate": "2001-02-03"} | ({"id": id_} if id_ else {}) for id_ in ids]


def ndjson(path: Path, *resources: JSON | str) -> Path:
    """Write lines."""
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in resources))
    return path


def bundle(kind: str, *resources: JSON, **request: str) -> JSON:
    """A Bundle; with `method` in a transaction or batch."""
    entries = []
    for resource in resources:
        entry: JSON = {"resource": resource}
        if kind in {"transaction", "batch"}:
            entry["request"] = {"method": "POST", "url": resource.get("resourceType", ""), **request}
        entries.append(entry)
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def bring_in(clinic: Clinic, *paths: Path, stop_after: int = 0) -> Tally:
    """Import; with `stop_after` the power goes out after so many commits."""
    commits = 0

    def on_progress(_tally: Tally) -> None:
        nonlocal commits
        commits += 1
        if commits == stop_after:
            raise PowerCut

    run = Import(clinic.context(), on_progress)

    async def work() -> None:
        for document in Documents(paths):
            await run.document(document)

    with contextlib.suppress(PowerCut):
        clinic.run(work())
    return run.tally


def total(clinic: Clinic, type_: str = "Patient") -> int:
    """How many of a type are there, without those of the clinic fixture."""
    count: int = clinic.as_("service").get(f"/fhir/{type_}?_summary=count").json()["total"]
    return count - {"Patient": 2, "Observation": 2}.get(type_, 0)
