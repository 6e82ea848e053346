# SPDX-License-Identifier: Apache-2.0
"""Ceremonies of people as stories: judge, write the audit entry in the same commit, then answer.

The pages call these; each function takes the request's context, the secret that the browser holds for the ceremony and
what was sent, and gives back what is asked next. What was refused is durable in the log before it is told.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from salus.audit.event import EventType, Outcome
from salus.identity.ceremonies.ceremony import Asked, Finished
from salus.identity.ceremonies.flow import FlowKind
from salus.identity.factors.assurance import FRESH, Demand
from salus.identity.people import People
from salus.identity.sessions import Session
from salus.kernel.actor import Actor
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context

T = TypeVar("T")


class Ceremonies:
    """Sign-in, step-up and enrolment of one house.

    Args:
        people: the rooms of people.
    """

    def __init__(self, people: People) -> None:
        self._people = people

    async def begin(
        self, ctx: Context, *, device: str, back: str = "", purpose: str = "", acr: str = ""
    ) -> tuple[str, Asked]:
        """Begin a sign-in; gives the browser's secret. Arguments as `SignIn.begin`."""
        unit = Unit()
        begun = self._people.sign_in.begin(
            unit, ctx.actor.tenant, purpose=purpose, device=device, address=ctx.address, back=back, acr=acr
        )
        await ctx.services.writer.submit(unit)
        return begun

    async def begin_again(
        self, ctx: Context, session: Session, demand: Demand = FRESH, *, back: str = "", bind: bool = False
    ) -> tuple[str, Asked]:
        """Begin to show factors again, or to bind another one. Arguments and errors as `SignIn.begin_again`."""
        unit = Unit()
        begun = self._people.sign_in.begin_again(unit, session, demand, back=back, bind=bind)
        await ctx.services.writer.submit(unit)
        return begun

    def where(self, ctx: Context, secret: str) -> Asked:
        """What a ceremony asks for now. Raises UNAUTHENTICATED when it is over."""
        return self._people.sign_in.where(ctx.actor.tenant, secret)

    async def password(self, ctx: Context, secret: str, name: str, password: str) -> Asked:
        """Judge name and password; see `SignIn.password`."""
        return await self._step(ctx, self._people.sign_in.password, secret, name, password)

    async def elsewhere(self, ctx: Context, secret: str, name: str, *, two_factors: bool) -> Asked:
        """Take the word of an identity provider; see `SignIn.elsewhere`."""
        judge = functools.partial(self._people.sign_in.elsewhere, two_factors=two_factors)
        return await self._step(ctx, judge, secret, name)

    async def code(self, ctx: Context, secret: str, code: str) -> Asked:
        """Judge a code; see `SignIn.code`."""
        return await self._step(ctx, self._people.sign_in.code, secret, code)

    async def recovery(self, ctx: Context, secret: str, code: str) -> Asked:
        """Judge a recovery code; see `SignIn.recovery`."""
        noted = (EventType.AUTH_RECOVERY, "recovery code used")
        return await self._step(ctx, self._people.sign_in.recovery, secret, code, noted=noted)

    async def invitation(self, ctx: Context, secret: str, name: str, code: str) -> Asked:
        """Judge an administrator's code; see `SignIn.invitation`."""
        noted = (EventType.AUTH_RECOVERY, "code of an administrator used")
        return await self._step(ctx, self._people.sign_in.invitation, secret, name, code, noted=noted)

    async def passkey_options(self, ctx: Context, secret: str) -> dict[str, Any]:
        """What the browser gives to `navigator.credentials`; see `SignIn.passkey_options`."""
        return await self._step(ctx, self._people.sign_in.passkey_options, secret)

    async def passkey(self, ctx: Context, secret: str, answer: dict[str, Any]) -> Asked:
        """Judge a passkey; see `SignIn.passkey`."""
        return await self._step(ctx, self._people.sign_in.passkey, secret, answer)

    async def new_password(self, ctx: Context, secret: str, password: str) -> Asked:
        """Take the password that somebody chose; see `Enrolment.new_password`."""
        noted = (EventType.USER_CHANGE, "chose a password")
        return await self._step(ctx, self._people.enrolment.new_password, secret, password, noted=noted)

    async def begin_code(self, ctx: Context, secret: str) -> Asked:
        """Make a secret for codes; see `Enrolment.begin_code`."""
        return await self._step(ctx, self._people.enrolment.begin_code, secret)

    async def confirm_code(self, ctx: Context, secret: str, code: str) -> Asked:
        """Bind an authenticator application; see `Enrolment.confirm_code`."""
        noted = (EventType.FACTOR_BIND, "authenticator application")
        return await self._step(ctx, self._people.enrolment.confirm_code, secret, code, noted=noted)

    async def bind_passkey(self, ctx: Context, secret: str, answer: dict[str, Any], label: str = "") -> Asked:
        """Bind a passkey; see `Enrolment.passkey`."""
        noted = (EventType.FACTOR_BIND, "passkey")
        return await self._step(ctx, self._people.enrolment.passkey, secret, answer, label, noted=noted)

    async def codes_kept(self, ctx: Context, secret: str) -> Asked:
        """The recovery codes are kept; see `Enrolment.codes_kept`."""
        return await self._step(ctx, self._people.enrolment.codes_kept, secret)

    async def finish(self, ctx: Context, secret: str, *, purpose: str = "") -> Finished:
        """End a ceremony whose step is DONE; see `SignIn.finish`. The context's actor is the person from then on."""
        asked = self.where(ctx, secret)
        unit = Unit()
        try:
            done = self._people.sign_in.finish(unit, ctx.actor.tenant, secret, purpose=purpose)
        except Problem as problem:
            await self._refused(ctx, Unit(), problem)
            raise
        ctx.actor = done.session.actor
        type_ = EventType.AUTH_SIGNIN if asked.kind is FlowKind.SIGN_IN else EventType.AUTH_STEP_UP
        words = "signed in with " if asked.kind is FlowKind.SIGN_IN else "showed factors again: "
        place = ", from a new device" if done.new_device else ""
        try:
            await ctx.commit(unit, ctx.event(type_, reason=f"{words}{' '.join(done.session.amr)}{place}"))
        except Problem as problem:
            await self._refused(ctx, Unit(), problem)
            raise
        return done

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _step(
        self,
        ctx: Context,
        judge: Callable[..., T | Awaitable[T]],
        *sent: Any,
        noted: tuple[EventType, str] | None = None,
    ) -> T:
        unit = Unit()
        try:
            result = judge(unit, ctx.actor.tenant, *sent)
            if inspect.isawaitable(result):
                result = await result
        except Problem as problem:
            await self._refused(ctx, unit, problem)
            raise
        try:
            if noted is None:
                await ctx.services.writer.submit(unit)
            else:
                self._recognise(ctx, result)
                await ctx.commit(unit, ctx.event(noted[0], reason=noted[1]))
        except Problem as problem:  # somebody else was first with the same code, challenge or step
            await self._refused(ctx, Unit(), problem)
            raise
        return cast(T, result)

    def _recognise(self, ctx: Context, result: object) -> None:
        """Name the person in the log from the moment that something of theirs is changed."""
        if isinstance(result, Asked) and ctx.actor.id == "anonymous" and result.name:
            tenant = ctx.actor.tenant
            user = self._people.users.find(tenant, result.name)
            if user is not None:
                ctx.actor = Actor(tenant, user.id, user.kind, user.roles, "", user.party)

    async def _refused(self, ctx: Context, unit: Unit, problem: Problem) -> None:
        if problem.kind is Kind.NOT_FOUND:  # no such tenant: it has no log either
            raise Problem(Kind.UNAUTHENTICATED, "Name, password or code is not right.") from None
        if problem.kind is Kind.UNAVAILABLE:  # the log itself may be what is away
            return
        if problem.kind in {Kind.INVALID, Kind.CONFLICT}:  # a password that is not fit, a button pressed twice
            await ctx.services.writer.submit(unit)
            return
        reason = problem.detail or problem.kind.value
        await ctx.commit(unit, ctx.event(EventType.AUTH_REFUSED, reason=reason, outcome=Outcome.REFUSED))
