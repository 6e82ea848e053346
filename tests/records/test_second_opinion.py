# SPDX-License-Identifier: Apache-2.0
"""The encrypted index answers every kind of parameter, modifier and prefix as an independent evaluation does."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.support.clinic import Clinic
from tests.support.differential import Plain
from tests.support.second_opinion import TYPES, question
from tests.support.second_records import records


def agree(folder: Path, seed: int, count: int, questions: int) -> int:
    """Compare answers; how many questions found something."""
    clinic = Clinic(folder / "data")
    try:
        plain = Plain(clinic, TYPES)
        random = Random(f"second opinion {seed}")
        for resource in records(random, count):
            plain.put(resource["resourceType"], resource)
        answered = 0
        for _ in range(questions):
            type_, asked, holds = question(random)
            expected = {resource["id"] for resource, _ in plain.plain[type_] if holds(resource)}
            found = plain.stored(type_, [*asked, ("_count", str(random.choice((3, 20, 100))))])
            assert len(found) == len(set(found)), (type_, asked)
            assert set(found) == expected, (type_, asked, set(found) ^ expected)
            answered += bool(expected)
    finally:
        clinic.close()
        clinic.loop.close()
    return answered


def test_every_kind_and_modifier_agrees_with_a_second_opinion(tmp_path: Path) -> None:
    assert agree(tmp_path, 1, 150, 300) > 100  # questions that nothing answers would prove nothing


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(2, 12))
def test_ten_thousand_pairs_agree_with_a_second_opinion(tmp_path: Path, seed: int) -> None:
    assert agree(tmp_path, seed, 250, 1_000) > 300
