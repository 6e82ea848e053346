# SPDX-License-Identifier: Apache-2.0
"""What a token is worth (introspection), its end (revocation), and who its person is (userinfo)."""

from __future__ import annotations

from salus.audit.event import EventType, Outcome
from salus.http.message import Response
from salus.http.oauth_api.answers import error_told, note_refused, told
from salus.http.oauth_api.callers import authenticated
from salus.http.oauth_api.forms import form_pairs, single
from salus.http.routes import Call, Handler
from salus.identity.oauth.errors import OAuthError
from salus.identity.oauth.scopes import INTROSPECT
from salus.identity.oauth.server import AuthorizationServer
from salus.kernel.actor import Actor
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem

_BEARER = 'Bearer realm="salus"'


def introspect(oauth: AuthorizationServer) -> Handler:
    """POST /oauth2/introspect (RFC 7662): for applications that prove who they are, and for tokens with its scope."""

    async def handler(call: Call) -> Response:
        ctx = call.context
        tenant = ctx.actor.tenant
        try:
            form = single(await form_pairs(call.request))
            client, everything = await _inquirer(oauth, call, form)
            if "token" not in form:
                raise OAuthError("invalid_request", "token is missing.")
        except OAuthError as error:
            await note_refused(ctx, Unit(), error)
            return error_told(error)
        only = "" if everything else client
        answer = oauth.standing.introspect(tenant, form["token"], oauth.issuer_of(tenant), only=only)
        ctx.actor = Actor(tenant, "anonymous", "service", (), "", client=client)
        words = f"{client} asks about a token that {'works' if answer['active'] else 'does not work for it'}"
        await ctx.commit(Unit(), ctx.event(EventType.OAUTH_INTROSPECT, reason=words))
        return told(answer)

    return handler


async def _inquirer(oauth: AuthorizationServer, call: Call, form: dict[str, str]) -> tuple[str, bool]:
    """Who asks, and whether they may ask about tokens of others.

    Raises:
        OAuthError: invalid_client, invalid_token (401) and insufficient_scope as access_denied (403).
    """
    scheme, _, token = call.request.header(b"authorization").partition(" ")
    if scheme.lower() == "bearer":
        tenant = call.context.actor.tenant
        record = oauth.tokens.find(tenant, token)
        if record is None or record.bound is None or record.bound.jkt:
            raise OAuthError("invalid_token", "The access token is not valid.", 401, challenge=_BEARER)
        if INTROSPECT not in record.scopes:
            raise OAuthError("access_denied", "The access token has not the scope for it.", 403)
        return record.bound.client, True
    client = await authenticated(oauth, call, form)
    if client.kind == "public":
        raise OAuthError("invalid_client", "A public application proves nothing, so it is told nothing.", 401)
    return client.id, INTROSPECT in client.scopes


def revoke(oauth: AuthorizationServer) -> Handler:
    """POST /oauth2/revoke (RFC 7009): whatever the token was, the answer is 200."""

    async def handler(call: Call) -> Response:
        ctx = call.context
        tenant, unit = ctx.actor.tenant, Unit()
        try:
            form = single(await form_pairs(call.request))
            client = await authenticated(oauth, call, form)
            if "token" not in form:
                raise OAuthError("invalid_request", "token is missing.")
        except OAuthError as error:
            await note_refused(ctx, unit, error)
            return error_told(error)
        grant = oauth.standing.revoke(unit, tenant, form["token"], client.id)
        user = "anonymous" if grant is None else grant.allowed.user
        ctx.actor = Actor(tenant, user, "user", (), "", session="" if grant is None else grant.id, client=client.id)
        words = f"by {client.id}" + (": nothing to end" if grant is None else "")
        outcome = Outcome.FAILED if grant is None else Outcome.GRANTED
        try:
            await ctx.commit(unit, ctx.event(EventType.OAUTH_REVOKE, reason=words, outcome=outcome))
        except Problem as problem:  # it has ended elsewhere at the same moment
            if problem.kind is not Kind.NOT_FOUND:
                raise
            await ctx.commit(Unit(), ctx.event(EventType.OAUTH_REVOKE, reason=words, outcome=Outcome.FAILED))
        return told({})

    return handler


def userinfo(oauth: AuthorizationServer) -> Handler:
    """GET and POST /oauth2/userinfo (OpenID Connect Core 5.3), with an access token that has the scope `openid`."""

    async def handler(call: Call) -> Response:
        ctx = call.context
        actor = ctx.actor
        if "openid" not in actor.scopes:
            error = OAuthError("access_denied", "The access token has not the scope openid.", 403)
            error.challenge = 'Bearer realm="salus", error="insufficient_scope", scope="openid"'
            await note_refused(ctx, Unit(), error, actor.client)
            return error_told(error)
        user = oauth.users.find(actor.tenant, actor.id)
        if user is None:
            raise Problem(Kind.UNAUTHENTICATED, "The access token is not valid.", "the account has gone")
        await ctx.commit(Unit(), ctx.event(EventType.OAUTH_USERINFO, reason=f"to {actor.client}"))
        return told(oauth.issuance.identity(user, actor.scopes))

    return handler
