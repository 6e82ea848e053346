# SPDX-License-Identifier: Apache-2.0
"""All routes about applications and services: administration, their own registration, launches."""

from __future__ import annotations

from typing import Protocol

from salus.http.clients_api import Apps, client_routes
from salus.http.launch_api import Launching, launch_routes
from salus.http.registration_api import registration_routes
from salus.http.routes import Route


class Applications(Apps, Launching, Protocol):
    """The services of `salus.identity.clients` that these routes use."""


def application_routes(apps: Applications) -> list[Route]:
    """The routes, for `salus.http.table`."""
    return [*client_routes(apps), *registration_routes(apps), *launch_routes(apps)]
