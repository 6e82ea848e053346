# SPDX-License-Identifier: Apache-2.0
"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import build_assets
import pytest
from hypothesis import HealthCheck, settings

from tests.support.clinic import Clinic
from tests.support.served import Served, free_port, salus

# How long an example takes says more about the machine, and what else it does, than about us. `make test` tries the
# same examples everywhere and always: what it refuses is the change, and not somebody's luck. `make test-deep` looks
# for others.
_EVERYWHERE = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)
settings.register_profile("salus", _EVERYWHERE, derandomize=True)
settings.register_profile("random", _EVERYWHERE, derandomize=False, max_examples=500, print_blob=True)
settings.load_profile("salus")


@pytest.fixture(scope="session")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a clinic that nobody uses: others are copies of it."""
    folder = tmp_path_factory.mktemp("pattern") / "data"
    made = Clinic(folder)
    made.close()
    made.loop.close()
    return folder


@pytest.fixture
def clinic(tmp_path: Path, pattern: Path) -> Iterator[Clinic]:
    """A fresh clinic."""
    made = Clinic(tmp_path / "data", pattern=pattern)
    yield made
    made.close()
    made.loop.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A real server on a fresh data folder with the account `dr` (physician) and `feed` (service)."""
    folder, port = tmp_path / "data", free_port()
    salus("init", "--data-dir", folder, "--port", str(port))
    for name, role in (("dr", "physician"), ("feed", "service")):
        salus("user", "add", name, "--service", "--role", role, "--data-dir", folder)
    server = Served(folder, port)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def assets() -> None:
    """What pages are made of, built if it is missing or stale (`build_assets.py`); skips where npm is out of reach."""
    if not build_assets.current():
        try:
            build_assets.build()
        except SystemExit as error:
            pytest.skip(f"the assets of the pages could not be built: {str(error).splitlines()[0]}")
