# SPDX-License-Identifier: Apache-2.0
"""The routes for people."""

from __future__ import annotations

from salus.http.routes import PUBLIC, Route
from salus.web import home
from salus.web.reception import Reception


def pages(reception: Reception) -> list[Route]:
    """Every page, for `salus.http.table.routes`."""
    anybody = reception.anybody
    return [
        Route("GET", "/", PUBLIC, anybody(home.home), "The front page, or what a signed-in person can do.", page=True),
        Route("GET", "/static/{file}", PUBLIC, reception.assets.give, "Styles, scripts and fonts.", free=True),
    ]
