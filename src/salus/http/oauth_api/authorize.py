# SPDX-License-Identifier: Apache-2.0
"""The authorization endpoint: a request of an application, brought by a browser, becomes a page for its person.

Nothing is asked here and nobody needs to be signed in: a valid request is kept, and the browser goes on to the page
`/authorize/{id}`, which signs people in and asks them.
"""

from __future__ import annotations

from salus.audit.event import EventType
from salus.http.message import Response, pairs
from salus.http.oauth_api.answers import note_refused, sent_to, unanswerable, warm
from salus.http.oauth_api.forms import form_pairs
from salus.http.routes import Call, Handler
from salus.identity.oauth.authorize import Returned
from salus.identity.oauth.errors import OAuthError
from salus.identity.oauth.request import Pairs
from salus.identity.oauth.server import AuthorizationServer
from salus.kernel.actor import Actor
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context

_TRIES = 3


def authorize(oauth: AuthorizationServer) -> Handler:
    """GET and POST /oauth2/authorize (SMART App Launch 2.2 `authorize-post`)."""

    async def handler(call: Call) -> Response:
        ctx, request = call.context, call.request
        request.page = True  # a browser brings it: whatever fails from here on is told to a person
        await warm(ctx)
        try:
            posted = request.method == "POST"
            asked = await form_pairs(request) if posted else pairs(request.query_text, "query")
        except OAuthError as error:
            await note_refused(ctx, Unit(), error)
            raise unanswerable(error) from None
        return await _begun(ctx, oauth, asked)

    return handler


async def _begun(ctx: Context, oauth: AuthorizationServer, asked: Pairs) -> Response:
    for _ in range(_TRIES):
        unit = Unit()
        try:
            waiting = oauth.requests.begin(unit, ctx.actor.tenant, asked)
        except Returned as returned:
            await note_refused(ctx, Unit(), returned.error, returned.client)
            return sent_to(returned.address)
        except OAuthError as error:
            await note_refused(ctx, Unit(), error)
            raise unanswerable(error) from None
        ctx.actor = Actor(ctx.actor.tenant, "anonymous", "user", (), "", client=waiting.client.id)
        event = ctx.event(EventType.OAUTH_REQUEST, reason=f"{waiting.client.id} asks for {len(waiting.scopes)} scopes")
        try:
            await ctx.commit(unit, event)
        except Problem as problem:  # a pushed request or a launch was used elsewhere at the same moment: now it is used
            if problem.kind not in {Kind.CONFLICT, Kind.INCORRECT}:
                raise
            continue
        return sent_to(f"{oauth.issuer_of(ctx.actor.tenant)}/authorize/{waiting.id}")
    raise Problem(Kind.CONFLICT, "This request is being answered elsewhere.", "authorization request raced")
