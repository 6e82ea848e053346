# SPDX-License-Identifier: Apache-2.0
"""A ceremony as pages: draws the step that it is at, and goes on from one step to the next.

Signing in, showing factors again and binding another factor are the same ceremony for a browser. Where it is,
the server knows (`salus.identity.ceremonies.flow`); the address of all steps is `/sign-in/step`, and reloading it
changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from salus.access.purposes import PURPOSES
from salus.audit.event import EventType
from salus.http.ceremonies import Ceremonies
from salus.http.devices import device_of
from salus.http.errors import STATUS
from salus.http.message import Response
from salus.identity.ceremonies.ceremony import Asked
from salus.identity.ceremonies.flow import FlowKind, Step, over
from salus.identity.factors.passwords import MIN_LENGTH
from salus.identity.people import People
from salus.identity.sessions import Session
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.web.places import local_path
from salus.web.qr import qr_code
from salus.web.reception import Story, Visit

PurposesOf = Callable[[tuple[str, ...]], tuple[str, ...]]
"""The purposes of use that roles may be used for, the usual one first."""

StepStory = Callable[[Visit, str, Asked], Awaitable[Response]]
"""A page in a ceremony: the visit, the ceremony's secret, and what is asked for."""

_TEMPLATES: dict[Step, str] = {
    Step.PASSWORD: "sign_in/first.jinja",
    Step.SECOND_FACTOR: "sign_in/second.jinja",
    Step.PASSKEY: "sign_in/passkey.jinja",
    Step.NEW_PASSWORD: "sign_in/new_password.jinja",
    Step.ENROL: "sign_in/enrol.jinja",
    Step.RECOVERY_CODES: "sign_in/codes.jinja",
    Step.DONE: "sign_in/done.jinja",
}
_SHOWN_AGAIN = {Kind.UNAUTHENTICATED, Kind.INVALID, Kind.THROTTLED, Kind.INCORRECT}
"""What is told on the form itself; everything else is a page of its own."""


@dataclass(frozen=True, slots=True)
class Steps:
    """What the files that draw ceremonies share.

    Attributes:
        people: accounts and sessions.
        ceremonies: the stories behind the steps.
        purposes_of: what a person may sign in for.
        passkeys: whether this server has an address that browsers make passkeys for.
        elsewhere: name and title of the identity providers of others that a tenant has.
        proposed: login name that whatever waits at a path of a tenant proposes; "" for none.
    """

    people: People
    ceremonies: Ceremonies
    purposes_of: PurposesOf
    passkeys: bool
    elsewhere: Callable[[str], list[tuple[str, str]]] = lambda _: []
    proposed: Callable[[str, str], str] = lambda _, __: ""

    def under_way(self, story: StepStory) -> Story:
        """A page that is a step of a ceremony; where there is none any more, the browser is sent to begin again."""

        async def told(visit: Visit) -> Response:
            secret = visit.ceremony
            try:
                if not secret:
                    raise over()
                asked = self.ceremonies.where(visit.context, secret)
            except Problem as problem:
                if problem.kind is not Kind.UNAUTHENTICATED:
                    raise
                return visit.go("/step-up" if visit.session is not None else "/sign-in?over=1")
            return await story(visit, secret, asked)

        return told

    def beyond_the_first(self, visit: Visit) -> bool:
        """Whether this browser is in a ceremony in which something was shown already."""
        try:
            return (
                bool(visit.ceremony) and self.ceremonies.where(visit.context, visit.ceremony).step is not Step.PASSWORD
            )
        except Problem as problem:
            if problem.kind is not Kind.UNAUTHENTICATED:
                raise
            return False

    async def begin(self, visit: Visit, back: str) -> str:
        """Begin a ceremony for this browser: a sign-in, or for somebody with a session a step-up; gives its secret."""
        ctx, checked = visit.context, local_path(back, visit.tenant)
        if visit.session is not None:
            demand = self.people.account.demand(visit.session)
            secret, _ = await self.ceremonies.begin_again(ctx, visit.session, demand, back=checked)
        else:
            device = device_of(visit.call.request.header(b"user-agent"))
            secret, _ = await self.ceremonies.begin(ctx, device=device, back=checked)
        visit.begin(secret)
        return secret

    async def step(
        self, visit: Visit, judging: Awaitable[Asked], field: str, asked: Asked | None, *, again: str = ""
    ) -> Response:
        """Judge what was sent, and go on; what was wrong is told on the same form.

        Args:
            judging: a story of `Ceremonies` that is under way.
            field: id of the field that it was about.
            asked: where the ceremony is; None draws the first step.
            again: the template to draw in place of the step's own.
        """
        try:
            asked = await judging
        except Problem as problem:
            if problem.kind is Kind.CONFLICT:  # a button pressed twice
                return visit.go("/sign-in/step")
            if problem.kind not in _SHOWN_AGAIN:
                raise
            return self.draw(visit, asked, errors={field: words_of(problem)}, status=STATUS[problem.kind], again=again)
        return await self.go_on(visit, asked)

    async def go_on(self, visit: Visit, asked: Asked, purpose: str = "") -> Response:
        """Go to the next step; a ceremony that is done ends here."""
        if asked.step is not Step.DONE or (not purpose and len(self.purposes(visit, asked)) > 1):
            return visit.go("/sign-in/step")
        return await self.finish(visit, purpose)

    async def finish(self, visit: Visit, purpose: str = "") -> Response:
        """End a ceremony that is done: the browser gets the secret of its session, which nobody knew before."""
        former = visit.session
        done = await self.ceremonies.finish(visit.context, visit.ceremony, purpose=purpose)
        if former is not None and former.id != done.session.id:  # somebody else signed in here before
            await self._end(visit, former)
        visit.let_in(done.secret)
        return visit.away(local_path(done.back, visit.tenant) or visit.to("/"))

    async def _end(self, visit: Visit, former: Session) -> None:
        ctx, unit, now = visit.context, Unit(), visit.context.actor
        self.people.sessions.end(unit, former.user.tenant, former.id)
        ctx.actor = former.actor
        await ctx.commit(unit, ctx.event(EventType.AUTH_SIGNOUT, reason="somebody signed in anew at the same browser"))
        ctx.actor = now

    def draw(
        self,
        visit: Visit,
        asked: Asked | None,
        *,
        errors: dict[str, str] | None = None,
        status: int = 200,
        again: str = "",
        notice: str = "",
        back: str = "",
    ) -> Response:
        """Draw the step that a ceremony is at; without one, the first."""
        kind = asked.kind if asked is not None else FlowKind.STEP_UP if visit.session is not None else FlowKind.SIGN_IN
        step = asked.step if asked is not None else Step.PASSWORD
        offers = asked.offers if asked is not None else ("passkey", "password") if self.passkeys else ("password",)
        uri = asked.uri if asked is not None else ""
        return visit.page(
            again or _TEMPLATES[step],
            status=status,
            errors=errors or {},
            notice=notice,
            kind=str(kind),
            offers=offers,
            name=asked.name if asked is not None else self.proposed(visit.tenant, back),
            back=asked.back if asked is not None and asked.back else back,
            codes=asked.codes if asked is not None else (),
            device_bound=asked.device_bound if asked is not None else False,
            qr=qr_code(uri) if uri else "",
            secret=secret_of(uri),
            purposes=self.purposes(visit, asked) if asked is not None else [],
            least=MIN_LENGTH,
            elsewhere=self.elsewhere(visit.tenant) if step is Step.PASSWORD else [],
        )

    def purposes(self, visit: Visit, asked: Asked) -> list[tuple[str, str]]:
        """What somebody who signs in may choose from: codes and words; empty when there is nothing to choose."""
        if asked.kind is not FlowKind.SIGN_IN or not asked.name or asked.step is not Step.DONE:
            return []
        user = self.people.users.find(visit.tenant, asked.name)
        codes = self.purposes_of(user.roles) if user is not None else ()
        return [(code, PURPOSES.get(code, code).capitalize()) for code in codes]


def words_of(problem: Problem) -> str:
    """What went wrong, for the form; with how long to wait."""
    if problem.retry_after is None:
        return problem.public
    seconds = problem.retry_after
    wait = f"{seconds} seconds" if seconds < 120 else f"{-(-seconds // 60)} minutes"
    return f"{problem.public.rstrip('.')}. Try again in {wait}."


def secret_of(uri: str) -> str:
    """The secret in an `otpauth://` address, in groups of four for whoever types it."""
    _, _, rest = uri.partition("secret=")
    secret = rest.partition("&")[0]
    return " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
