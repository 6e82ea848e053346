# SPDX-License-Identifier: Apache-2.0
"""What a scope with conditions opens is what an independent evaluation says, in lists, counts and single reads."""

from __future__ import annotations

from pathlib import Path
from random import Random
from urllib.parse import quote

import pytest

from salus.fhir.smart.scopes import parse
from tests.support.clinic import Clinic
from tests.support.differential import Plain
from tests.support.launched import launched
from tests.support.second_opinion import TYPES, question
from tests.support.second_records import records


def agree(folder: Path, seed: int, count: int, wanted: int) -> int:
    """Compare what random conditions open; how many opened something."""
    clinic = Clinic(folder / "data")
    opened = 0
    try:
        plain = Plain(clinic, TYPES)
        random = Random(f"scopes {seed}")
        for resource in records(random, count):
            plain.put(resource["resourceType"], resource)
        while wanted:
            type_, asked, holds = question(random)
            condition = "&".join(f"{name}={quote(value, safe=':/|,.-')}" for name, value in asked)
            scope = f"system/{type_}.rs?{condition}"
            if not condition or parse(scope) is None:
                continue  # what a search can ask and a scope cannot
            wanted -= 1
            expected = {resource["id"] for resource, _ in plain.plain[type_] if holds(resource)}
            app = launched(clinic, "service", scope, kind="service")
            answer = app.get(f"/fhir/{type_}?_count=500&_total=accurate").json()
            found = {entry["resource"]["id"] for entry in answer.get("entry", ())}
            assert found == expected, (scope, found ^ expected)
            assert answer["total"] == len(expected), scope
            assert app.get(f"/fhir/{type_}?_summary=count").json()["total"] == len(expected), scope
            for resource, _ in random.sample(plain.plain[type_], min(4, len(plain.plain[type_]))):
                status = app.get(f"/fhir/{type_}/{resource['id']}").status_code
                assert (status == 200) is (resource["id"] in expected), (scope, resource["id"])
            opened += bool(expected)
    finally:
        clinic.close()
        clinic.loop.close()
    return opened


def test_conditions_open_what_a_second_opinion_says(tmp_path: Path) -> None:
    assert agree(tmp_path, 1, 120, 60) > 20  # conditions that open nothing would prove nothing


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(2, 8))
def test_a_thousand_conditions_open_what_a_second_opinion_says(tmp_path: Path, seed: int) -> None:
    assert agree(tmp_path, seed, 200, 200) > 60
