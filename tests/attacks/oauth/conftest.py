# SPDX-License-Identifier: Apache-2.0
"""A clinic with applications, and a clock that is turned by hand; one for all tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from salus.identity.sessions import Session
from tests.support.clinic import Clinic
from tests.support.hand_clock import HandClock
from tests.support.smart import App, signed_in


@pytest.fixture(scope="session")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """The clinic."""
    made = Clinic(tmp_path_factory.mktemp("oauth") / "data", clock=HandClock())
    yield made
    made.close()
    made.loop.close()


@pytest.fixture(scope="session")
def app(practice: Clinic) -> App:
    """A public application."""
    return App(practice, "app")


@pytest.fixture(scope="session")
def portal(practice: Clinic) -> App:
    """A confidential application."""
    return App(practice, "portal", secret=True)


@pytest.fixture
def physician(practice: Clinic) -> Session:
    """A physician at a browser."""
    return signed_in(practice, "physician")


@pytest.fixture
def clock(practice: Clinic) -> HandClock:
    """The clinic's clock."""
    assert isinstance(practice.clock, HandClock)
    return practice.clock
