# SPDX-License-Identifier: Apache-2.0
"""The clinic of `access_clinic` with a database and the shipped policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from access_clinic import Clinic

from salus.access.load import load_policy
from salus.access.policy import Policy
from salus.access.relations import prepare
from salus.kernel.db import Connection, open_database


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Connection]:
    connection = open_database(tmp_path / "access.db", None)
    prepare(connection)
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def shipped() -> Policy:
    return load_policy()


@pytest.fixture
def clinic(db: Connection, shipped: Policy) -> Clinic:
    return Clinic(db, shipped)


@pytest.fixture
def with_policy(db: Connection) -> Callable[[str], Clinic]:
    return lambda text: Clinic(db, load_policy(text))
