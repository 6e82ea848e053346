# SPDX-License-Identifier: Apache-2.0
"""The encrypted store answers random searches exactly as plain values do."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from tests.support.clinic import Clinic
from tests.support.differential import TYPES, Oracle


@pytest.fixture(scope="module", params=["bent", "plain"])
def oracle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    clinic = Clinic(tmp_path_factory.mktemp("differential") / "data")
    try:
        yield Oracle(clinic, seed=1, bent=request.param == "bent")
    finally:
        clinic.close()
        clinic.loop.close()


@pytest.mark.parametrize("type_", TYPES)
def test_random_searches_agree_with_plain_values(oracle: Oracle, type_: str) -> None:
    random = Random(f"agree {type_}")
    answered = 0
    for _ in range(60):
        asked = oracle.question(random, type_)
        expected = oracle.naive(type_, asked)
        assert oracle.stored(type_, asked) == expected, asked
        answered += bool(expected)
    assert answered > 5  # questions that nothing answers would prove nothing
