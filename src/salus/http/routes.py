# SPDX-License-Identifier: Apache-2.0
"""The route table: what can be called, under which permission.

Every route names the permission that its handler asks `access` for, or says PUBLIC; a test walks the table. Patterns
are segments, `{name}` takes one segment. The first route that fits wins.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from salus.access.permissions import Permission
from salus.http.message import Request, Response
from salus.identity.factors.assurance import Demand
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context

PUBLIC = "public"
"""Needs no credential: discovery, health, signing in."""

SELF = "self"
"""Needs a credential and acts on that credential alone."""


@dataclass(slots=True)
class Call:
    """A request that found its route.

    Attributes:
        context: who asks and what may be used for them.
        path: values of the pattern's `{names}`.
        segments: of the path, from `fhir` on.
    """

    request: Request
    context: Context
    path: dict[str, str]
    segments: Sequence[str] = ()


_TYPE = "{type}"
_NO_TYPES = frozenset({"metadata", ".well-known"})
"""Addresses of their own where a type of resource may stand."""

Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table.

    Attributes:
        pattern: path below the tenant, e.g. `/fhir/{type}/{id}`.
        permission: what the handler will ask access for, PUBLIC or SELF.
        doc: one sentence for `docs/reference/routes.md`.
        demand: how surely and how lately its caller must have been recognised (RFC 9470); None for whatever their roles
            demand at the sign-in.
        page: is for people: a session cookie says who asks, and failures are drawn as a page.
        free: given from memory to anybody, without counting.
        programs: called by applications of many people, perhaps from one address, so more often.
    """

    method: str
    pattern: str
    permission: Permission | str
    handler: Handler
    doc: str
    demand: Demand | None = None
    page: bool = False
    free: bool = False
    programs: bool = False
    segments: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", tuple(self.pattern.strip("/").split("/")))


class Router:
    """Finds the route of a request."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)
        self._by_shape: dict[tuple[str, int, str, str], _Shape] = {}
        for route in routes:
            shape = (route.method, len(route.segments), route.segments[0], _operation(route.segments))
            self._by_shape.setdefault(shape, _Shape()).add(route)

    def find(self, method: str, segments: list[str]) -> tuple[Route, dict[str, str]]:
        """Find the route for a method and path segments.

        Raises:
            Problem: NOT_FOUND when no pattern fits, METHOD when only the method does not.
        """
        shape = self._by_shape.get((method, len(segments), segments[0], _operation(segments)))
        for route in shape.candidates(segments) if shape is not None else ():
            values = _match(route.segments, segments)
            if values is not None:
                return route, values
        if self.methods(segments):
            raise Problem(Kind.METHOD, f"This address does not answer {method}.")
        raise Problem(Kind.NOT_FOUND, "There is nothing at this address.", "no route")

    def methods(self, segments: list[str]) -> list[str]:
        """What an address answers, for the header `Allow` (RFC 9110 section 10.2.1)."""
        shaped = (route for route in self.routes if len(route.segments) == len(segments))
        found = {route.method for route in shaped if _match(route.segments, segments) is not None}
        return sorted(found | {"HEAD"} if "GET" in found else found)


class _Shape:
    """Routes of one method and length, told apart by their second segment: the type of resource, mostly."""

    def __init__(self) -> None:
        self._any: list[Route] = []
        self._named: dict[str, list[Route]] = {}

    def add(self, route: Route) -> None:
        """Put a route behind those that are there."""
        second = _second(route.segments)
        if second[:1] == "{":
            self._any.append(route)
            for others in self._named.values():
                others.append(route)
        else:
            self._named.setdefault(second, list(self._any)).append(route)

    def candidates(self, segments: Sequence[str]) -> list[Route]:
        """The routes that may fit, in the order of the table."""
        return self._named.get(_second(segments), self._any)


def _second(segments: Sequence[str]) -> str:
    return segments[1] if len(segments) > 1 else ""


def _operation(segments: Sequence[str]) -> str:
    """The name of an operation, which the last segment of an address may be: the others are not looked at then."""
    last = segments[-1]
    return last if last[:1] == "$" else ""


def _match(pattern: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    values: dict[str, str] = {}
    for expected, given in zip(pattern, segments, strict=True):
        if expected[:1] == "{":
            # Below `fhir` names of operations and special pages are never ids; random names elsewhere may begin so.
            if not given or (pattern[0] == "fhir" and (given[0] in "_$" or (given in _NO_TYPES and expected == _TYPE))):
                return None
            values[expected[1:-1]] = given
        elif expected != given:
            return None
    return values


def split_path(path: str) -> tuple[str, list[str]]:
    """Take tenant and segments out of a path: `/fhir/…` is the tenant `default`, `/t/<tenant>/fhir/…` another.

    Returns:
        The tenant's name and the segments from `fhir` (or `auth`, `health`) on; one empty segment for the front page.
    """
    segments = path.strip("/").split("/")
    if segments[0] == "t" and len(segments) > 1:
        return segments[1], segments[2:] or [""]
    return "default", segments
