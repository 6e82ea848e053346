# SPDX-License-Identifier: Apache-2.0
"""Which scripts of other web sites may read answers (CORS, https://fetch.spec.whatwg.org/#http-cors-protocol).

SMART App Launch 2.2 asks for it: discovery is for any site; the token endpoint and the FHIR API for the origins that
are registered with an application. The authorization endpoint and the pages are for none (RFC 9700 section 2.6), and
nobody may have a cookie sent along: access is by tokens alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum

from salus.http.message import Header, Request, Response
from salus.http.routes import split_path
from salus.kernel.errors import Kind, Problem

Origins = Callable[[str], Awaitable[frozenset[str]]]
"""The registered origins of a tenant. Raises Problem where they cannot be had."""

_ANYBODY = {
    ("fhir", "metadata"),
    ("fhir", ".well-known", "smart-configuration"),
    (".well-known", "openid-configuration"),
    (".well-known", "oauth-authorization-server"),
    ("oauth2", "jwks"),
    ("oauth2", "smart-style"),
}
_FOR_APPLICATIONS = {("oauth2", name) for name in ("token", "par", "introspect", "revoke", "userinfo")}
_LONGEST = 300
_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_SENT = (
    b"accept, authorization, content-type, dpop, if-match, if-modified-since, if-none-exist, if-none-match, prefer, "
    b"range, x-requested-with, x-security-context"
)
_READABLE = (
    b"content-location, content-range, dpop-nonce, etag, last-modified, location, retry-after, www-authenticate, "
    b"x-request-id"
)
_VARY: Header = (b"vary", b"origin")


class Reach(Enum):
    """Whose scripts may read an address."""

    NOBODY = 0
    REGISTERED = 1
    ANYBODY = 2


def reach(path: str) -> Reach:
    """Whose scripts may read what is at this address."""
    segments = tuple(split_path(path)[1])
    if segments in _ANYBODY or segments[:3] == (".well-known", "oauth-authorization-server", "t"):
        return Reach.ANYBODY
    if segments in _FOR_APPLICATIONS or segments[0] == "fhir":
        return Reach.REGISTERED
    return Reach.NOBODY


class Cors:
    """Says in answers whose scripts may read them.

    Args:
        origins: registered with applications.
    """

    def __init__(self, origins: Origins) -> None:
        self._origins = origins

    async def preflight(self, request: Request) -> Response | None:
        """The answer to an OPTIONS request of a browser that asks before it sends; None when it is no such question."""
        if not request.header(b"origin") or not request.header(b"access-control-request-method"):
            return None
        allowed = await self.headers(request)
        if not any(name == b"access-control-allow-origin" for name, _ in allowed):
            return Response(204)
        more: list[Header] = [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _SENT),
            (b"access-control-max-age", b"600"),
        ]
        return Response(204, headers=more)

    async def headers(self, request: Request) -> list[Header]:
        """What is added to the answer to a request; nothing for one that no script of another site sent."""
        origin = request.header(b"origin")
        wanted = reach(request.path) if origin else Reach.NOBODY
        if wanted is Reach.NOBODY:
            return []
        if wanted is Reach.ANYBODY:
            return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _READABLE)]
        if not await self._registered(split_path(request.path)[0], origin):
            return [_VARY]
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", _READABLE),
            _VARY,
        ]

    async def _registered(self, tenant: str, origin: str) -> bool:
        if len(origin) > _LONGEST or "://" not in origin:  # `null` is nobody
            return False
        try:
            return origin in await self._origins(tenant)
        except Problem as problem:
            if problem.kind in {Kind.NOT_FOUND, Kind.UNAVAILABLE}:  # no such tenant, or no keys: no script reads it
                return False
            raise
