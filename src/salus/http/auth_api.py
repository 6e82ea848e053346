# SPDX-License-Identifier: Apache-2.0
"""Signing in and out: password and one-time code in, an opaque access token back."""

from __future__ import annotations

from typing import Protocol

import msgspec

from salus.audit.event import EventType, Outcome
from salus.fhir import json
from salus.http.message import JSON, Response
from salus.http.negotiate import check_content
from salus.http.routes import Call, Handler
from salus.kernel.actor import Actor
from salus.kernel.commit import Unit
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.context import Context


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a sign-in."""

    user: str
    password: str
    code: str
    purpose: str


class Account(Protocol):
    """What signing in needs to know of an account."""

    id: str
    tenant: str


class Identity(Protocol):
    """The services of `salus.identity` that these routes use."""

    async def sign_in(self, unit: Unit, tenant: str, name: str, password: str, code: str) -> Actor:
        """Judge name, password and code. Raises Problem(UNAUTHENTICATED or THROTTLED)."""
        ...

    def issue(self, unit: Unit, actor: Actor, purpose: str) -> tuple[str, str, int]:
        """Issue a token: its text, its id, and its life in seconds."""
        ...

    def revoke(self, unit: Unit, tenant: str, session: str) -> None:
        """End a token."""
        ...


def sign_in(identity: Identity) -> Handler:
    """POST /auth/token with user, password, one-time code and purpose of use."""

    async def handler(call: Call) -> Response:
        if check_content(call.request) != "json":
            raise Problem(Kind.FORMAT, "Sign in with JSON.", issues=(Issue("not-supported", "Sign in with JSON."),))
        try:
            sent = msgspec.convert(json.decode(await call.request.body()), Credentials)
        except msgspec.ValidationError:
            raise Problem(Kind.INCORRECT, "Send JSON with the texts user, password, code and purpose.") from None
        ctx = call.context
        unit = Unit()
        try:
            actor = await identity.sign_in(unit, ctx.actor.tenant, sent.user, sent.password, sent.code)
        except Problem as problem:
            await _refused(ctx, unit, problem)
            raise
        ctx.actor = actor
        await ctx.commit(unit, ctx.event(EventType.AUTH_SIGNIN, reason="password and one-time code"))
        unit = Unit()
        token, session, seconds = identity.issue(unit, actor, sent.purpose)
        ctx.actor = Actor(actor.tenant, actor.id, actor.kind, actor.roles, sent.purpose, actor.party, session)
        await ctx.commit(unit, ctx.event(EventType.TOKEN_ISSUE, reason="signed in"))
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": seconds}
        return Response(200, msgspec.json.encode(answer), JSON)

    return handler


async def _refused(ctx: Context, unit: Unit, problem: Problem) -> None:
    if problem.kind is Kind.NOT_FOUND:  # no such tenant: it has no log either
        raise Problem(Kind.UNAUTHENTICATED, "Name, password or code is not right.") from None
    event = ctx.event(EventType.AUTH_REFUSED, reason=problem.detail or problem.kind.value, outcome=Outcome.REFUSED)
    await ctx.commit(unit, event)


def sign_out(identity: Identity) -> Handler:
    """POST /auth/sign-out: ends the token that it is sent with."""

    async def handler(call: Call) -> Response:
        ctx = call.context
        unit = Unit()
        identity.revoke(unit, ctx.actor.tenant, ctx.actor.session)
        await ctx.commit(unit, ctx.event(EventType.AUTH_SIGNOUT, reason="signed out"))
        return Response(204)

    return handler
