# SPDX-License-Identifier: Apache-2.0
"""Requests put straight into the ASGI application: no client tidies them up, every one comes from another address."""

from __future__ import annotations

from itertools import count
from typing import Any

import httpx

_numbers = count(1)


async def send_raw(
    application: Any, method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> httpx.Response:
    """Send a request as a server would hand it over.

    Args:
        path: percent-decoded.
        query: as on the wire.
        headers: names in lower case.
    """
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": headers,
        "client": (f"2001:db8::{next(_numbers):x}", 1),
    }
    got: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        got.append(message)

    await application(scope, receive, send)
    start, *rest = got
    content = b"".join(message.get("body", b"") for message in rest)
    request = httpx.Request(method, "https://localhost")
    return httpx.Response(start["status"], headers=start["headers"], content=content, request=request)
