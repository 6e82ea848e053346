# SPDX-License-Identifier: Apache-2.0
"""Signing in and out, showing factors again, and coming in with a code that an administrator has made.

Stories over `Visit`; each POST ends with 303 or draws the same form with what was wrong.
"""

from __future__ import annotations

import msgspec

from salus.audit.event import EventType
from salus.http.message import JSON, Response
from salus.identity.ceremonies.ceremony import Asked
from salus.identity.factors.passkey_ceremony import read_answer
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.web.ceremonies import Steps, words_of
from salus.web.reception import Visit

_OVER = "The last sign-in took too long, or it was ended. Please begin again."


class SignInPages:
    """The pages around `Steps`."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    # ── the first step ───────────────────────────────────────────────────────────────────────────────────────────────

    async def first(self, visit: Visit) -> Response:
        """GET /sign-in: passkey, or name and password."""
        if visit.session is not None:
            return visit.away(visit.next_path())
        notice = _OVER if visit.query("over") else ""
        return self._steps.draw(visit, None, notice=notice, back=visit.next_path(""))

    async def again(self, visit: Visit) -> Response:
        """GET /step-up: show your factors again, in a session."""
        return self._steps.draw(visit, None, back=visit.next_path(""))

    async def password(self, visit: Visit) -> Response:
        """POST /sign-in and /step-up: name and password."""
        form = await visit.form()
        secret = await self._steps.begin(visit, form.get("next", ""))
        judging = self._steps.ceremonies.password(visit.context, secret, form.get("name", ""), form.get("password", ""))
        try:
            asked = await judging
        except Problem as problem:
            if problem.kind not in {Kind.UNAUTHENTICATED, Kind.THROTTLED}:
                raise
            field = "name" if visit.session is None else "password"
            words = words_of(problem) if problem.kind is Kind.THROTTLED else _wrong(visit)
            status = 429 if problem.kind is Kind.THROTTLED else 422
            return self._steps.draw(visit, None, errors={field: words}, status=status, back=form.get("next", ""))
        return await self._steps.go_on(visit, asked)

    async def passkey_begin(self, visit: Visit) -> Response:
        """POST /sign-in/passkey/begin: what the authenticator is asked, for a ceremony that begins with it.

        A page asks by itself, when it is opened, for passkeys that the browser may propose (`autofill`). That must not
        end a sign-in that this browser is in the middle of, in another window.
        """
        form = await visit.form()
        if form.get("autofill") and self._steps.beyond_the_first(visit):
            raise Problem(Kind.CONFLICT, "You are signing in in another window.", "a sign-in is under way")
        secret = await self._steps.begin(visit, form.get("next", ""))
        return await self._options(visit, secret)

    async def passkey_options(self, visit: Visit, secret: str, asked: Asked) -> Response:
        """POST /sign-in/passkey/options: the same for the ceremony that this browser is in."""
        await visit.form()
        return await self._options(visit, secret)

    async def passkey(self, visit: Visit, secret: str, asked: Asked) -> Response:
        """POST /sign-in/passkey: what the authenticator answered."""
        form = await visit.form()
        try:
            answer = read_answer(form.get("credential", ""))
        except Problem as problem:
            return self._steps.draw(visit, asked, errors={"passkey": words_of(problem)}, status=422)
        return await self._steps.step(
            visit, self._steps.ceremonies.passkey(visit.context, secret, answer), "passkey", asked
        )

    async def _options(self, visit: Visit, secret: str) -> Response:
        options = await self._steps.ceremonies.passkey_options(visit.context, secret)
        return Response(200, msgspec.json.encode(options), JSON, list(visit.cookies))

    # ── the steps after it ───────────────────────────────────────────────────────────────────────────────────────────

    async def step(self, visit: Visit, secret: str, asked: Asked) -> Response:
        """GET /sign-in/step: what is asked for now."""
        return self._steps.draw(visit, asked)

    async def code(self, visit: Visit, secret: str, asked: Asked) -> Response:
        """POST /sign-in/code: a code of the authenticator application."""
        form = await visit.form()
        judging = self._steps.ceremonies.code(visit.context, secret, form.get("code", ""))
        return await self._steps.step(visit, judging, "code", asked)

    async def lost(self, visit: Visit, secret: str, asked: Asked) -> Response:
        """GET /sign-in/recovery: a recovery code in place of a second factor."""
        if "recovery" not in asked.offers:
            return visit.go("/sign-in/step")
        return self._steps.draw(visit, asked, again="sign_in/recovery.jinja")

    async def recovery(self, visit: Visit, secret: str, asked: Asked) -> Response:
        """POST /sign-in/recovery."""
        form = await visit.form()
        judging = self._steps.ceremonies.recovery(visit.context, secret, form.get("code", ""))
        return await self._steps.step(visit, judging, "code", asked, again="sign_in/recovery.jinja")

    async def finish(self, visit: Visit, secret: str, asked: Asked) -> Response:
        """POST /sign-in/finish: the purpose of use, if there is one to choose."""
        form = await visit.form()
        purpose = form.get("purpose", "")
        offered = self._steps.purposes(visit, asked)
        if offered and purpose not in {code for code, _ in offered}:
            words = "Choose what you are here for."
            return self._steps.draw(visit, asked, errors={"purpose": words}, status=422)
        return await self._steps.go_on(visit, asked, purpose)

    # ── invitations, and the way out ─────────────────────────────────────────────────────────────────────────────────

    async def invited(self, visit: Visit) -> Response:
        """GET /sign-in/invitation: a code of an administrator in place of a password. It is never in the address."""
        return self._steps.draw(visit, None, again="sign_in/invitation.jinja")

    async def invitation(self, visit: Visit) -> Response:
        """POST /sign-in/invitation."""
        form = await visit.form()
        if visit.session is not None:
            return visit.go("/")
        secret = await self._steps.begin(visit, "")
        ctx, name = visit.context, form.get("name", "")
        judging = self._steps.ceremonies.invitation(ctx, secret, name, form.get("code", ""))
        return await self._steps.step(visit, judging, "name", None, again="sign_in/invitation.jinja")

    async def sign_out(self, visit: Visit) -> Response:
        """POST /sign-out."""
        await visit.form()
        ctx, unit = visit.context, Unit()
        self._steps.people.sessions.end(unit, visit.tenant, visit.session.id)
        await ctx.commit(unit, ctx.event(EventType.AUTH_SIGNOUT, reason="signed out"))
        visit.let_out()
        return visit.go("/")


def _wrong(visit: Visit) -> str:
    return "Name or password is not right." if visit.session is None else "The password is not right."
