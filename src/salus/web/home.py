# SPDX-License-Identifier: Apache-2.0
"""The front page: for a stranger where to sign in, for a person what they can do here."""

from __future__ import annotations

from salus.http.message import Response
from salus.web.reception import Visit


async def home(visit: Visit) -> Response:
    """GET /"""
    if visit.session is None:
        return visit.page("landing.jinja")
    return visit.page("home.jinja")
