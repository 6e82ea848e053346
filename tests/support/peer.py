# SPDX-License-Identifier: Apache-2.0
"""What granian tells an application about a connection: an application that answers with it."""

from __future__ import annotations

import json
from typing import Any


def application() -> Any:
    """Answers with the names of everything in the scope, and of its extensions."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        told = {"scope": sorted(scope), "extensions": sorted(scope.get("extensions", {}))}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})

    return answer
