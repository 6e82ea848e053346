# SPDX-License-Identifier: Apache-2.0
"""The ASGI application: the way of every request from the socket to a handler and back.

Request id, rate limit, credential, route, handler; each failure becomes an OperationOutcome, each answer carries the
security headers. Nothing here knows what a record is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from salus.audit.event import Event, EventType, Outcome
from salus.http.cors import Cors
from salus.http.errors import problem_response
from salus.http.formats import bring_into_form
from salus.http.limits import (
    ANONYMOUS_BURST,
    ANONYMOUS_PER_SECOND,
    PROGRAMS_BURST,
    PROGRAMS_PER_SECOND,
    RateLimit,
)
from salus.http.message import Receive, Request, Response, Scope, Send, send_response
from salus.http.negotiate import carried
from salus.http.routes import PUBLIC, SELF, Call, Route, Router, split_path
from salus.http.scim_api.messages import scim_error
from salus.identity.factors.assurance import AAL2, AAL3, LEVELS, Demand, insufficient, meets
from salus.identity.tokens import not_valid
from salus.kernel.actor import Actor
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.kernel.ids import uuid7
from salus.records.context import Context, Services, note_failure

_log = logging.getLogger(__name__)

SECURITY_HEADERS: dict[bytes, bytes] = {
    b"strict-transport-security": b"max-age=63072000; includeSubDomains",
    b"cache-control": b"no-store",
    b"x-content-type-options": b"nosniff",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-resource-policy": b"same-origin",
}

_METHODS = {"HEAD": "GET"}
"""HEAD is answered like GET, without the body (RFC 9110 section 9.3.2, https://hl7.org/fhir/R4/http.html#head)."""

_FOR_PROGRAMS = {"fhir", "admin", "launches", "auth", "oauth2", "scim", ".well-known", "health"}
_LONGEST_NOTED = 500  # characters of an address in the audit log

Lifespan = Callable[[], Awaitable[None]]


class Credentials(Protocol):
    """Turns a bearer token into an actor; `salus.identity` provides it."""

    def lookup(self, tenant: str, token: str) -> Actor:
        """Who a token stands for in this tenant. Raises Problem(UNAUTHENTICATED)."""
        ...

    def lookup_certificate(self, tenant: str, digest: str) -> Actor:
        """Which service a certificate was given to in this tenant. Raises Problem(UNAUTHENTICATED)."""
        ...


class Pages(Protocol):
    """Speaks to people at a browser; `salus.web` provides it."""

    def recognise(self, request: Request, tenant: str) -> Actor:
        """Who the session cookie of a request stands for. Raises Problem(UNAUTHENTICATED)."""
        ...

    def failure(self, request: Request, request_id: str, problem: Problem) -> Response:
        """Tell about a failure."""
        ...


class Possession(Protocol):
    """Judges tokens that are bound to a key, and those that were sent where others can read them."""

    async def prove(self, request: Request, tenant: str, token: str) -> Actor:
        """Who a token stands for that is sent with a proof (RFC 9449). Raises Problem(UNAUTHENTICATED)."""
        ...

    async def leaked(self, request: Request, request_id: str, tenant: str) -> None:
        """End the tokens in the query of a request. Raises Problem(UNAUTHENTICATED) when there are any."""
        ...


class Application:
    """What the server calls for each request.

    Args:
        startup, shutdown: run by the server around its life.
        pages: knows people by their session, and tells them about failures.
        possession: knows tokens that are bound to a key.
        cors: says whose scripts may read answers.
    """

    def __init__(
        self,
        services: Services,
        credentials: Credentials,
        router: Router,
        *,
        startup: Lifespan,
        shutdown: Lifespan,
        pages: Pages | None = None,
        possession: Possession | None = None,
        cors: Cors | None = None,
    ) -> None:
        self._services = services
        self._credentials = credentials
        self._router = router
        self._pages = pages
        self._possession = possession
        self._cors = cors
        self._startup = startup
        self._shutdown = shutdown
        limits = services.limits
        self._known = RateLimit(limits.requests_per_second, limits.burst)
        self._unknown = RateLimit(ANONYMOUS_PER_SECOND, ANONYMOUS_BURST)
        self._programs = RateLimit(PROGRAMS_PER_SECOND, PROGRAMS_BURST)
        self._parting = False

    def part(self) -> None:
        """This process is going to end: from now on ask HTTP/1.1 clients to connect anew (RFC 9112 section 9.6)."""
        self._parting = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI event."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return
        request = Request(scope, receive, self._services.limits.body_bytes)
        request_id = uuid7()
        writer = self._services.writer
        writer.on_their_way += 1
        try:
            response = await self._response(request, request_id)
        finally:
            writer.on_their_way -= 1
        response.headers.append((b"x-request-id", request_id.encode()))
        if self._cors is not None and b"origin" in request.headers:
            response.headers += await self._cors.headers(request)
        if request.nonce:
            response.headers.append((b"dpop-nonce", request.nonce.encode()))
        if self._parting and scope["http_version"].startswith("1"):
            response.headers.append((b"connection", b"close"))
        try:
            await send_response(send, response, SECURITY_HEADERS, head=request.method == "HEAD")
        except Problem as problem:  # a content that broke off: the connection ends, short of the length that was told
            _log.error("request %s: %s: %s", request_id, problem.kind.value, problem.detail)
            raise

    async def _response(self, request: Request, request_id: str) -> Response:
        """The answer, or what is told in its place."""
        try:
            response = await self._answer(request, request_id)
            await bring_into_form(request, response)
        except Problem as problem:
            if problem.kind in {Kind.FAULT, Kind.UNAVAILABLE}:
                _log.error("request %s: %s: %s", request_id, problem.kind.value, problem.detail)
            return await self._told(request, request_id, problem)
        except Exception as error:  # noqa: BLE001  the last line: tell nothing, log the kind of error only
            _log.error("request %s: %s", request_id, _where(error))
            return await self._told(request, request_id, Problem(Kind.FAULT, "Something went wrong on our side."))
        return response

    async def _answer(self, request: Request, request_id: str) -> Response:
        tenant, segments = split_path(request.path)
        if request.method == "OPTIONS" and self._cors is not None:
            asked_before = await self._cors.preflight(request)
            if asked_before is not None:
                self._programs.take(request.address)
                return asked_before
        try:
            route, values = self._router.find(_METHODS.get(request.method, request.method), segments)
        except Problem as problem:
            self._unknown.take(request.address)
            request.page = _opened_in_a_browser(request, segments)
            response = await self._told(request, request_id, problem)
            if problem.kind is Kind.METHOD:
                response.headers.append((b"allow", ", ".join(self._router.methods(segments)).encode()))
            return response
        request.page = route.page
        if route.permission == PUBLIC:
            actor = await self._welcome(request, route, tenant)
        else:
            actor = await self._authenticate(request, request_id, tenant)
        context = Context(self._services, actor, request_id, request.address)
        try:
            context.carried = carried(request)
            self._assure(route, actor)
            return await route.handler(Call(request, context, values, segments))
        except Exception as error:
            if route.permission != PUBLIC and not context.noted:
                await _note_early_end(context, request, error)
            raise

    def _assure(self, route: Route, actor: Actor) -> None:
        """Whether the actor was recognised surely and lately enough. Raises Problem(UNAUTHENTICATED), RFC 9470."""
        if route.demand is not None and not meets(
            route.demand, actor.acr, actor.proved_ms, self._services.clock.now_ms()
        ):
            raise insufficient(route.demand)
        # Services and tokens handed out by an operator were never recognised by factors: `acr` is empty.
        if actor.acr and route.permission not in {SELF, PUBLIC}:
            level = self._services.access.assurance(actor.roles)
            if level > LEVELS[AAL2] and LEVELS.get(actor.acr, 0) < level:
                raise insufficient(Demand(AAL3))

    async def _welcome(self, request: Request, route: Route, tenant: str) -> Actor:
        """Who asks for what anybody may: on pages somebody with a session stays known."""
        if route.free:
            return Actor(tenant, "anonymous", "user", (), "")
        if route.page or route.method != "GET":  # signing in; whether the server is alive needs no keys
            await self._warm(tenant)
        if route.page and self._pages is not None:
            try:
                actor = self._pages.recognise(request, tenant)
            except Problem as problem:
                if problem.kind is not Kind.UNAUTHENTICATED:
                    raise
            else:
                self._known.take(actor.session)
                return actor
        (self._programs if route.programs else self._unknown).take(request.address)
        return Actor(tenant, "anonymous", "user", (), "")

    async def _identify(self, request: Request, request_id: str, tenant: str) -> Actor:
        if request.page and self._pages is not None:
            return self._pages.recognise(request, tenant)
        if b"access_token" in request.raw_query and self._possession is not None:
            await self._possession.leaked(request, request_id, tenant)
        scheme, _, token = request.header(b"authorization").partition(" ")
        if request.client_certificate and not scheme:
            return self._credentials.lookup_certificate(tenant, request.client_certificate)
        if scheme.lower() == "dpop" and self._possession is not None:
            return await self._possession.prove(request, tenant, token)
        if scheme.lower() != "bearer" or not token:
            raise Problem(Kind.UNAUTHENTICATED, "Send an access token: Authorization: Bearer …", "no token")
        return self._credentials.lookup(tenant, token)

    async def _authenticate(self, request: Request, request_id: str, tenant: str) -> Actor:
        try:
            await self._warm(tenant)
            actor = await self._identify(request, request_id, tenant)
        except Problem as problem:
            if problem.kind is Kind.NOT_FOUND:  # no such tenant: answered as a token that is not valid
                problem = not_valid(problem.detail)
            if problem.kind is Kind.UNAUTHENTICATED:
                self._unknown.take(request.address)  # bounds guessing, and what guessing writes to the log
                await self._note_stranger(request, request_id, tenant, problem.detail)
            raise problem from None
        self._known.take(actor.session)
        return actor

    async def _warm(self, tenant: str) -> None:
        """Wait for the keys of a tenant if they are not at hand, off the loop; raises Problem(UNAVAILABLE)."""
        warming = self._services.store.warming(tenant)
        if warming is not None:
            # Shielded: others wait for the same answer, and one who goes away must not take it from them.
            await asyncio.shield(asyncio.wrap_future(warming))

    async def _note_stranger(self, request: Request, request_id: str, tenant: str, reason: str) -> None:
        if not self._services.store.has_tenant(tenant):
            return
        event = Event(
            type=EventType.AUTH_REFUSED,
            outcome=Outcome.REFUSED,
            actor=Actor(tenant, "anonymous", "user", (), ""),
            at_ms=self._services.clock.now_ms(),
            request=request_id,
            address=request.address,
            reason=reason,
        )
        unit = Unit()
        self._services.audit.add(unit, event)
        await self._services.writer.submit(unit)

    async def _told(self, request: Request, request_id: str, problem: Problem) -> Response:
        if request.page and self._pages is not None:
            return self._pages.failure(request, request_id, problem)
        tell = scim_error if split_path(request.path)[1][0] == "scim" else problem_response
        response = tell(problem)
        await bring_into_form(request, response)
        return response

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._startup()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._shutdown()
                await send({"type": "lifespan.shutdown.complete"})
                return


async def _note_early_end(context: Context, request: Request, error: Exception) -> None:
    """Note what no interaction did: a body that cannot be read, a format not spoken, a type that there is not."""
    problem = error if isinstance(error, Problem) else Problem(Kind.FAULT, "Something went wrong on our side.")
    context.asked = context.asked or f"{request.method} {request.path}"[:_LONGEST_NOTED]
    await note_failure(context, EventType.REQUEST_FAILED, problem)


def _opened_in_a_browser(request: Request, segments: list[str]) -> bool:
    """Whether a person came to an address that there is not, and not a program."""
    return segments[0] not in _FOR_PROGRAMS and "text/html" in request.header(b"accept")


def _where(error: BaseException) -> str:
    """Name of an error and the line of ours that it came from, without its values."""
    frame = error.__traceback__
    place = ""
    while frame is not None:
        place = f"{frame.tb_frame.f_code.co_qualname}:{frame.tb_lineno}"
        frame = frame.tb_next
    return f"{type(error).__name__} in {place}"
