# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the attack tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.ward import furnish
from tests.support.clinic import Clinic, heart_rate, put_all


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


@pytest.fixture(scope="session")
def woven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """A ward where records that one may read point to some that one may not."""
    clinic = furnish(Clinic(tmp_path_factory.mktemp("woven") / "data"))
    service = clinic.as_("service")
    crossing = {**heart_rate("anna", 77, "crossing"), "focus": [{"reference": "Patient/bert"}]}
    crossing["derivedFrom"] = [{"reference": "DocumentReference/secret-bert"}]
    put_all(
        service,
        crossing,
        {
            "resourceType": "List",
            "id": "mixed",
            "status": "current",
            "mode": "working",
            "subject": {"reference": "Patient/anna"},
            "entry": [{"item": {"reference": f"Patient/{who}"}} for who in ("anna", "bert")],
        },
        {
            "resourceType": "List",
            "id": "of-bert",
            "status": "current",
            "mode": "working",
            "subject": {"reference": "Patient/bert"},
            "entry": [{"item": {"reference": "Patient/anna"}}],
        },
    )
    yield clinic
    clinic.close()
    clinic.loop.close()
