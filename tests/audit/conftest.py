# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the audit tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .registry import Registry, found_clinic


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    ring = found_clinic(tmp_path)
    clinic = Registry(tmp_path, ring)
    yield clinic
    clinic.db.close()
    ring.close()
