# SPDX-License-Identifier: Apache-2.0
"""A clinic and sixty charts, made once: the tests only read them."""

from __future__ import annotations

from datetime import date

import pytest

from salus.synthetic.clinic import clinic
from salus.synthetic.generate import population
from salus.synthetic.terms import Resource

TODAY = date(2025, 6, 2)


@pytest.fixture(scope="session")
def staff() -> list[Resource]:
    return clinic(1, TODAY)


@pytest.fixture(scope="session")
def charts() -> list[list[Resource]]:
    return list(population(1, 60, TODAY))
