# SPDX-License-Identifier: Apache-2.0
"""A second process of a clinic's server: a house of its own over the same files, answering beside the first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from salus.app.house import House
from salus.app.server import build_application
from tests.support.clinic import BASE, Clinic


@contextmanager
def second_house(clinic: Clinic) -> Iterator[httpx.AsyncClient]:
    """A client of the second process; run its requests with `clinic.run`."""
    house = House(clinic.settings, clock=clinic.clock)
    transport = httpx.ASGITransport(build_application(house), client=("127.0.0.8", 1))
    client = httpx.AsyncClient(transport=transport, base_url=BASE)
    try:
        yield client
    finally:
        clinic.run(client.aclose())
        house.close()
