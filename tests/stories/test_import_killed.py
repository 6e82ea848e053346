# SPDX-License-Identifier: Apache-2.0
"""`salus import` killed with kill -9 and run again comes to the same as one that was left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.support.served import SALUS, salus

from salus.app.house import House
from salus.kernel.ids import uuid7
from salus.kernel.settings import load
from salus.records.context import Context
from salus.records.interactions.search import search


def _files(folder: Path) -> None:
    """NDJSON with and without ids, a collection without ids and transactions: 2,430 resources."""
    folder.mkdir()
    for part in range(2):
        lines = [
            {"resourceType": "Patient", "identifier": [{"value": f"line-{part}-{n}"}]}
            | ({"id": f"p{part}-{n}"} if n % 2 else {})
            for n in range(1000)
        ]
        (folder / f"lines-{part}.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    entries = [{"resource": {"resourceType": "Patient", "identifier": [{"value": f"coll-{n}"}]}} for n in range(400)]
    (folder / "collection.json").write_text(
        json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries})
    )
    for number in range(10):
        posts: list[dict[str, Any]] = [
            {
                "resource": {"resourceType": "Patient", "identifier": [{"value": f"tx-{number}-{n}"}]},
                "request": {"method": "POST", "url": "Patient"},
            }
            for n in range(3)
        ]
        (folder / f"tx-{number}.json").write_text(
            json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": posts})
        )


def _identifiers(folder: Path) -> list[str]:
    house = House(load(folder))
    try:
        ctx = Context(house.services, house.operator(roles=("service",)), uuid7())
        found: list[str] = []
        asked = [("_count", "1000"), ("_elements", "identifier")]
        import asyncio

        async def everything() -> None:
            nonlocal asked
            while asked:
                bundle = json.loads(await search(ctx, "Patient", asked))
                found.extend(entry["resource"]["identifier"][0]["value"] for entry in bundle.get("entry", ()))
                links = {link["relation"]: link["url"] for link in bundle["link"]}
                asked = [("_page", links["next"].partition("_page=")[2])] if "next" in links else []

        asyncio.run(everything())
        return sorted(found)
    finally:
        house.close()


def test_an_import_killed_again_and_again_ends_like_one_left_alone(tmp_path: Path) -> None:
    folder, files = tmp_path / "data", tmp_path / "in"
    _files(files)
    salus("init", "--data-dir", folder)
    database = folder / "records.db-wal"
    for growth in (200_000, 900_000, 100_000):  # killed once so much more was written, wherever that is
        start = database.stat().st_size if database.exists() else 0
        process = subprocess.Popen(
            [SALUS, "import", files, "--data-dir", folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while process.poll() is None and (not database.exists() or database.stat().st_size < start + growth):
            time.sleep(0.002)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    said = salus("import", files, "--data-dir", folder).stdout
    assert "refused 0" in said
    expected = [f"line-{part}-{n}" for part in range(2) for n in range(1000)]
    expected += [f"coll-{n}" for n in range(400)] + [f"tx-{number}-{n}" for number in range(10) for n in range(3)]
    assert _identifiers(folder) == sorted(expected)
    assert "The log is whole." in salus("audit", "verify", "--data-dir", folder).stdout
    assert "imported 0 resources" in salus("import", files, "--data-dir", folder).stdout
