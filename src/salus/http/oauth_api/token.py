# SPDX-License-Identifier: Apache-2.0
"""The token endpoint, and pushed requests: what an application sends by itself."""

from __future__ import annotations

from salus.audit.event import EventType
from salus.http.message import Response
from salus.http.oauth_api.answers import error_told, note_refused, told
from salus.http.oauth_api.callers import authenticated, nonce_headers, proved
from salus.http.oauth_api.forms import form_pairs, single
from salus.http.oauth_api.metadata import ready_keys
from salus.http.routes import Call, Handler
from salus.identity.oauth.authorize import PUSHED_SECONDS
from salus.identity.oauth.errors import OAuthError
from salus.identity.oauth.exchange import Issued, TokenRequest
from salus.identity.oauth.parties import Client
from salus.identity.oauth.server import AuthorizationServer
from salus.kernel.actor import Actor
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context

_TRIES = 8  # of those who come at the same moment one is first, and the others see it at their second look


def token(oauth: AuthorizationServer) -> Handler:
    """POST /oauth2/token."""

    async def handler(call: Call) -> Response:
        client: Client | None = None
        try:
            form = single(await form_pairs(call.request))
            client = await authenticated(oauth, call, form)
        except OAuthError as error:
            await note_refused(call.context, Unit(), error)
            return error_told(error, nonce_headers(oauth, call))
        await ready_keys(call.context, oauth)
        return await _exchanged(oauth, call, client, form)

    return handler


async def _exchanged(oauth: AuthorizationServer, call: Call, client: Client, form: dict[str, str]) -> Response:
    ctx, headers = call.context, nonce_headers(oauth, call, client)
    agent = call.request.header(b"user-agent")
    for _ in range(_TRIES):
        unit = Unit()
        try:
            try:
                jkt = proved(oauth, call, unit)
                asked = TokenRequest(ctx.actor.tenant, client, form, jkt, agent)
                issued = await oauth.exchange.exchange(unit, asked)
            except OAuthError as error:
                await note_refused(ctx, unit, error, client.id)
                return error_told(error, headers)
            await _issued(ctx, unit, client, issued)
            return told(issued.answer, headers=headers)
        except Problem as problem:
            if problem.kind is Kind.UNAUTHENTICATED:  # the proof was shown elsewhere at the same moment
                again = OAuthError("invalid_dpop_proof", problem.public, detail=problem.detail)
                await note_refused(ctx, Unit(), again, client.id)
                return error_told(again, headers)
            if problem.kind not in {Kind.CONFLICT, Kind.NOT_FOUND}:  # NOT_FOUND: the account has just been disabled
                raise
    raise Problem(Kind.UNAVAILABLE, "Too many requests for the same token.", "token request raced", retry_after=1)


async def _issued(ctx: Context, unit: Unit, client: Client, issued: Issued) -> None:
    user, grant = issued.user, issued.grant
    allowed = grant.allowed
    scopes = tuple(issued.answer["scope"].split(" "))
    ctx.actor = Actor(
        user.tenant,
        user.id,
        user.kind,
        user.roles,
        allowed.purpose,
        user.party,
        grant.id,
        scopes,
        acr=allowed.acr,
        proved_ms=allowed.proved,
        client=client.id,
        patient=allowed.patient,
        encounter=allowed.encounter,
    )
    type_ = EventType.OAUTH_REFRESH if issued.refreshed else EventType.TOKEN_ISSUE
    await ctx.commit(unit, ctx.event(type_, reason=issued.how))


def push(oauth: AuthorizationServer) -> Handler:
    """POST /oauth2/par (RFC 9126)."""

    async def handler(call: Call) -> Response:
        ctx, client = call.context, None
        unit = Unit()
        try:
            found = await form_pairs(call.request)
            client = await authenticated(oauth, call, dict(found))
            jkt = proved(oauth, call, unit)
            address = oauth.requests.push(unit, ctx.actor.tenant, client, found, jkt)
        except OAuthError as error:
            await note_refused(ctx, unit, error, client.id if client is not None else "")
            return error_told(error, nonce_headers(oauth, call, client))
        ctx.actor = Actor(ctx.actor.tenant, "anonymous", "user", (), "", client=client.id)
        await ctx.commit(unit, ctx.event(EventType.OAUTH_REQUEST, reason=f"{client.id} pushes a request"))
        answer = {"request_uri": address, "expires_in": PUSHED_SECONDS}
        return told(answer, 201, nonce_headers(oauth, call, client))

    return handler
