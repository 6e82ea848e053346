# SPDX-License-Identifier: Apache-2.0
"""The desk of `identity_desk` with two tenants, and a second process at the same files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from identity_desk import Desk, TurnedClock

from salus.crypto.keyring import Keyring, create_keyring
from salus.crypto.kms.local import LocalKeyProvider


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def keyring(tmp_path: Path) -> Iterator[Keyring]:
    root = tmp_path / "root"
    root.mkdir(mode=0o700)
    keys = create_keyring(tmp_path / "keys", LocalKeyProvider.create(root / "root.key", None))
    keys.create_tenant("default")
    keys.create_tenant("other")
    yield keys
    keys.close()


@pytest.fixture
def desk(tmp_path: Path, keyring: Keyring, clock: TurnedClock) -> Iterator[Desk]:
    first = Desk(tmp_path, keyring, clock)
    yield first
    first.close()


@pytest.fixture
def second(tmp_path: Path, keyring: Keyring, clock: TurnedClock, desk: Desk) -> Iterator[Desk]:
    other = Desk(tmp_path, keyring, clock)
    yield other
    other.close()
