# SPDX-License-Identifier: Apache-2.0
"""Each variant of the benchmark is the real house but for the one part that it replaces."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from bench.serving import make_folder
from bench.variants import VARIANTS, house_of

from salus.fhir import json
from salus.kernel.settings import load
from salus.records.context import Context
from salus.records.interactions.create import create
from salus.records.interactions.read import read
from salus.records.interactions.search import search

CANARY = "Quetzalcoatlus"
PATIENT = {"resourceType": "Patient", "name": [{"family": CANARY}]}


async def _story(variant: str, folder: Path, tokens: dict[str, str]) -> int:
    """Create, read and search one patient; returns the number of audit entries that this wrote."""
    house = house_of(VARIANTS[variant], load(folder))
    size = "select ifnull(sum(size), 0) from audit_head"
    try:
        before = house.db.execute(size).get
        service, doctor = (
            Context(house.services, house.tokens.lookup("default", tokens[role]), "test")
            for role in ("service", "physician")
        )
        made, new = await create(service, "Patient", dict(PATIENT))
        assert new
        assert json.decode((await read(doctor, "Patient", made.id)).body)["name"] == PATIENT["name"]
        page = json.decode(await search(doctor, "Patient", [("family", CANARY)]))
        assert [entry["resource"]["id"] for entry in page["entry"]] == [made.id]
        return int(house.db.execute(size).get - before)
    finally:
        house.close()


@pytest.mark.parametrize(
    ("variant", "entries"),
    [("everything", 3), ("null-cipher", 3), ("null-audit", 0), ("null-manifest", 3), ("allow-all", 3)],
)
def test_a_variant_answers_and_audits_as_its_name_says(variant: str, entries: int, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    tokens = make_folder(folder, VARIANTS[variant], 8443)
    assert asyncio.run(_story(variant, folder, tokens)) == entries


def test_only_the_null_cipher_leaves_pages_in_clear(tmp_path: Path) -> None:
    for variant in VARIANTS:
        folder = tmp_path / variant
        make_folder(folder, VARIANTS[variant], 8443)
        in_clear = (folder / "records.db").read_bytes().startswith(b"SQLite format 3")
        assert in_clear == (variant == "null-cipher")
