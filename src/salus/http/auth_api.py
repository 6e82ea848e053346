# SPDX-License-Identifier: Apache-2.0
"""Signing in and out without a browser: password and one-time code in, an opaque access token back.

The same ceremony as that of the pages, in one request (`salus.identity.ceremonies.sign_in.SignIn.at_once`). The token
bears the id of its session, is its sign of life, and ends with it.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from salus.audit.event import EventType, Outcome
from salus.fhir import json
from salus.http.devices import device_of
from salus.http.message import JSON, Response
from salus.http.negotiate import check_content
from salus.http.routes import Call, Handler
from salus.identity.sessions import Session
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


class Identity(Protocol):
    """The services of `salus.identity` that these routes use."""

    async def sign_in(
        self, unit: Unit, tenant: str, name: str, password: str, code: str, *, purpose: str, device: str, address: str
    ) -> Session:
        """Judge name, password and code, and begin a session. Raises Problem(UNAUTHENTICATED or THROTTLED)."""
        ...

    def issue(self, unit: Unit, session: Session) -> tuple[str, int]:
        """Issue the token of a session: its text, and its life in seconds."""
        ...

    def revoke(self, unit: Unit, actor: Actor) -> None:
        """End the token that an actor came with, and its session."""
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
        tenant, device = ctx.actor.tenant, device_of(call.request.header(b"user-agent"))
        try:
            session = await identity.sign_in(
                unit,
                tenant,
                sent.user,
                sent.password,
                sent.code,
                purpose=sent.purpose,
                device=device,
                address=ctx.address,
            )
        except Problem as problem:
            await _refused(ctx, unit, problem)
            raise
        stranger, ctx.actor = ctx.actor, session.actor
        try:
            await ctx.commit(unit, ctx.event(EventType.AUTH_SIGNIN, reason=f"signed in with {' '.join(session.amr)}"))
        except Problem as problem:  # the same code was used at the same moment
            ctx.actor = stranger
            await _refused(ctx, Unit(), problem)
            raise
        unit = Unit()
        token, seconds = identity.issue(unit, session)
        await ctx.commit(unit, ctx.event(EventType.TOKEN_ISSUE, reason="signed in"))
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": seconds}
        return Response(200, msgspec.json.encode(answer), JSON)

    return handler


async def _refused(ctx: Context, unit: Unit, problem: Problem) -> None:
    if problem.kind is Kind.NOT_FOUND:  # no such tenant: it has no log either
        raise Problem(Kind.UNAUTHENTICATED, "Name, password or code is not right.") from None
    if problem.kind is Kind.UNAVAILABLE:  # the log itself may be what is away
        return
    event = ctx.event(EventType.AUTH_REFUSED, reason=problem.detail or problem.kind.value, outcome=Outcome.REFUSED)
    await ctx.commit(unit, event)


def sign_out(identity: Identity) -> Handler:
    """POST /auth/sign-out: ends the token that it is sent with."""

    async def handler(call: Call) -> Response:
        ctx = call.context
        unit = Unit()
        identity.revoke(unit, ctx.actor)
        await ctx.commit(unit, ctx.event(EventType.AUTH_SIGNOUT, reason="signed out"))
        return Response(204)

    return handler
