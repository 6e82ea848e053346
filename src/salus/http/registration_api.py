# SPDX-License-Identifier: Apache-2.0
"""Programs register themselves (RFC 7591) and look after their registration (RFC 7592), each with its token.

No credential of a person counts here; the tokens are judged by `salus.identity.clients.registration`. Errors are in the
form of RFC 6749, as the programs expect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from salus.audit.event import EventType, Outcome
from salus.fhir import json
from salus.http.clients_api import Apps
from salus.http.message import JSON, Response
from salus.http.negotiate import check_content
from salus.http.routes import PUBLIC, Call, Handler, Route
from salus.identity.clients.client import Client
from salus.identity.clients.metadata import metadata_of
from salus.identity.oauth.errors import OAuthError
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context

ADDRESS = "/oauth2/register"
_LARGEST = 64 * 1024


def registration_routes(apps: Apps) -> list[Route]:
    """The routes, for `salus.http.table`."""
    one, doc = f"{ADDRESS}/{{id}}", "Registers a program that shows an initial access token."
    return [
        Route("POST", ADDRESS, PUBLIC, _told(apps, _register), doc),
        Route("GET", one, PUBLIC, _told(apps, _show), "Shows a program its registration."),
        Route("PUT", one, PUBLIC, _told(apps, _change), "Changes it."),
        Route("DELETE", one, PUBLIC, _told(apps, _remove), "Ends it."),
    ]


Story = Callable[[Context, Apps, Call, str], Awaitable[Response]]


def _told(apps: Apps, story: Story) -> Handler:
    """Carry out a story; what it refuses is written down before it is told."""

    async def handler(call: Call) -> Response:
        ctx = call.context
        if not ctx.store.has_tenant(ctx.actor.tenant):
            raise Problem(Kind.NOT_FOUND, "There is nothing at this address.", "no such tenant")
        if (warming := ctx.store.warming(ctx.actor.tenant)) is not None:
            await asyncio.shield(asyncio.wrap_future(warming))
        scheme, _, token = call.request.header(b"authorization").partition(" ")
        try:
            if scheme.lower() != "bearer" or not token:
                raise OAuthError("invalid_token", "Send the token in the header Authorization.", 401, detail="no token")
            return await story(ctx, apps, call, token)
        except OAuthError as error:
            await _refused(ctx, error.detail)
            return _error(error)
        except Problem as problem:
            if problem.kind is Kind.UNAUTHENTICATED:  # the permission was used up by another request
                await _refused(ctx, problem.public)
                return _error(OAuthError("invalid_token", "The token is not valid.", 401))
            if problem.kind in {Kind.INCORRECT, Kind.TOO_LARGE, Kind.FORMAT}:
                await _refused(ctx, problem.kind.value)
                return _error(OAuthError("invalid_client_metadata", "The body is no JSON object that can be read."))
            raise

    return handler


async def _register(ctx: Context, apps: Apps, call: Call, token: str) -> Response:
    sent, unit = await _sent(call), Unit()
    made = apps.registration.register(unit, ctx.actor.tenant, token, sent)
    await ctx.commit(unit, ctx.event(EventType.CLIENT_CREATE, reason=f"client {made.client.id} registered itself"))
    answer = _answer(ctx, made.client, made.manage)
    if made.secret:
        answer |= {"client_secret": made.secret, "client_secret_expires_at": 0}
    return _json(201, answer)


async def _show(ctx: Context, apps: Apps, call: Call, token: str) -> Response:
    client = apps.registration.own(ctx.actor.tenant, call.path["id"], token)
    await ctx.commit(Unit(), ctx.event(EventType.CLIENT_READ, reason=f"client {client.id} reads its registration"))
    return _json(200, _answer(ctx, client, token))


async def _change(ctx: Context, apps: Apps, call: Call, token: str) -> Response:
    client, unit = apps.registration.own(ctx.actor.tenant, call.path["id"], token), Unit()
    client = apps.registration.change(unit, client, await _sent(call))
    await ctx.commit(unit, ctx.event(EventType.CLIENT_CHANGE, reason=f"client {client.id} changed its registration"))
    return _json(200, _answer(ctx, client, token))


async def _remove(ctx: Context, apps: Apps, call: Call, token: str) -> Response:
    client, unit = apps.registration.own(ctx.actor.tenant, call.path["id"], token), Unit()
    apps.clients.remove(unit, client.tenant, client.id)
    await ctx.commit(unit, ctx.event(EventType.CLIENT_REMOVE, reason=f"client {client.id} ended its registration"))
    return Response(204)


async def _sent(call: Call) -> dict[str, Any]:
    if check_content(call.request) != "json":
        raise Problem(Kind.FORMAT, "Register with JSON.")
    return json.decode(b"".join([piece async for piece in call.request.pieces(_LARGEST)]))


async def _refused(ctx: Context, why: str) -> None:
    event = ctx.event(EventType.CLIENT_CHANGE, reason=f"registration: {why}", outcome=Outcome.REFUSED)
    await ctx.commit(Unit(), event)


def _answer(ctx: Context, client: Client, manage: str) -> dict[str, Any]:
    at = f"{ctx.base.removesuffix('/fhir')}{ADDRESS}/{client.id}"
    more = {"registration_client_uri": at, "registration_access_token": manage}
    return metadata_of(client, administrator=False) | more


def _json(status: int, answer: dict[str, Any]) -> Response:
    return Response(status, json.encode(answer), JSON, [(b"pragma", b"no-cache")])


def _error(error: OAuthError) -> Response:
    headers = [(b"www-authenticate", b'Bearer error="invalid_token"')] if error.status == 401 else []
    body = {"error": error.error, "error_description": error.description}
    return Response(error.status, json.encode(body), JSON, headers)
