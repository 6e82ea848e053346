# SPDX-License-Identifier: Apache-2.0
"""Whether the server is alive, and whether it can do its work."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from salus.http.message import JSON, Response
from salus.http.routes import Call, Handler


async def live(call: Call) -> Response:
    """GET /health: this process answers."""
    return Response(200, msgspec.json.encode({"status": "alive"}), JSON)


def ready(check: Callable[[], None]) -> Handler:
    """GET /health/ready: keys and database answer.

    Args:
        check: raises Problem(UNAVAILABLE) when they do not.
    """

    async def handler(call: Call) -> Response:
        check()
        return Response(200, msgspec.json.encode({"status": "ready"}), JSON)

    return handler
