# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the attack tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.ward import furnish
from tests.support.clinic import Clinic


@pytest.fixture
def ward(clinic: Clinic) -> Clinic:
    """A fresh clinic with something to hide; for attacks that change it."""
    return furnish(clinic)


@pytest.fixture(scope="session")
def quiet_ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """The same, made once; only for attacks that leave every record as it is (its audit log grows)."""
    made = furnish(Clinic(tmp_path_factory.mktemp("ward") / "data"))
    yield made
    made.close()
    made.loop.close()
