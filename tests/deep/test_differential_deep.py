# SPDX-License-Identifier: Apache-2.0
"""Ten thousand random searches and more over several populations: store and plain values agree."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from tests.support.clinic import Clinic
from tests.support.differential import TYPES, Oracle


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(2, 12))
def test_ten_thousand_random_searches_agree(tmp_path: Path, seed: int) -> None:
    clinic = Clinic(tmp_path / "data")
    try:
        oracle = Oracle(clinic, seed, bent=seed % 3 > 0)
        random = Random(f"deep {seed}")
        for _ in range(1_050):
            type_ = random.choice(TYPES)
            asked = oracle.question(random, type_)
            assert oracle.stored(type_, asked) == oracle.naive(type_, asked), (type_, asked)
    finally:
        clinic.close()
        clinic.loop.close()
