# SPDX-License-Identifier: Apache-2.0
"""What identity providers call by themselves: the end of a session there (OpenID Connect Back-Channel Logout 1.0)."""

from __future__ import annotations

from salus.audit.event import EventType, Outcome
from salus.http.message import JSON, Response, pairs, text_of
from salus.http.routes import PUBLIC, Call, Handler, Route
from salus.identity.federation.federation import Federation
from salus.identity.people import People
from salus.kernel.actor import Actor
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context

_LARGEST = 64 * 1024
_ELSEWHERE = "fed"  # RFC 8176 has no word for it; this is the one of `salus.identity.factors.assurance`


def federation_routes(federation: Federation, people: People) -> list[Route]:
    """The routes that are not for people."""
    at = "/sign-in/ended/{provider}"
    return [Route("POST", at, PUBLIC, ended(federation, people), "An identity provider ends sessions.")]


def ended(federation: Federation, people: People) -> Handler:
    """POST /sign-in/ended/{provider}: 200 when the token was right, 400 for every other one (section 2.8)."""

    async def handler(call: Call) -> Response:
        ctx, tenant, provider = call.context, call.context.actor.tenant, call.path["provider"]
        if not ctx.store.has_tenant(tenant):
            raise Problem(Kind.NOT_FOUND, "There is nothing at this address.", "no such tenant")
        raw = b"".join([piece async for piece in call.request.pieces(_LARGEST)])
        tokens = [value for name, value in pairs(text_of(raw, "body"), "body") if name == "logout_token"]
        try:
            await _end(ctx, federation, people, provider, tokens[0] if len(tokens) == 1 else "")
        except Problem as problem:
            if problem.kind is not Kind.UNAUTHENTICATED:
                raise
            ctx.actor = Actor(tenant, "anonymous", "user", (), "")
            event = ctx.event(EventType.AUTH_REFUSED, reason=problem.detail, outcome=Outcome.REFUSED)
            await ctx.commit(Unit(), event)
            return Response(400, b'{"error":"invalid_request"}', JSON)
        return Response(200)

    return handler


async def _end(ctx: Context, federation: Federation, people: People, provider: str, token: str) -> None:
    """Judge the token and end the sessions in one commit; raises UNAUTHENTICATED."""
    unit, tenant = Unit(), ctx.actor.tenant
    name = await federation.logout.ended(unit, tenant, provider, token)
    own = people.sessions.of_user(tenant, name) if name else []
    over = [session for session in own if _ELSEWHERE in session.amr]
    for session in over:
        people.sessions.end(unit, tenant, session.id)
    if over:
        ctx.actor = over[0].actor
    reason = f"signed out at identity provider {provider}: {len(over)} sessions end"
    await ctx.commit(unit, ctx.event(EventType.AUTH_SIGNOUT, reason=reason))
