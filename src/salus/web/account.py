# SPDX-License-Identifier: Apache-2.0
"""The account of whoever is signed in: ways to sign in, password, recovery codes, devices, history.

Whatever gives or takes a way to sign in asks for a fresh proof (`FRESH`, on the route): at a screen that somebody left
open, nobody locks its person out.
"""

from __future__ import annotations

from salus.access.purposes import PURPOSES
from salus.audit.event import EventType, Outcome
from salus.http.errors import STATUS
from salus.http.message import Response
from salus.identity.accounts.notices import SIGN_INS, WORDS, NoticeKind
from salus.identity.accounts.passkeys import Passkey
from salus.identity.ceremonies.account import Account
from salus.identity.factors.passwords import MIN_LENGTH
from salus.kernel.clock import instant
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.web.ceremonies import Steps, words_of
from salus.web.reception import Visit

CODE = "app"
"""Stands for the authenticator application where factors are named by their ids."""

_SAID = {
    "bound": "Your new way to sign in works from now on.",
    "removed": "It is taken away, and does not sign in any more.",
    "renamed": "The name is changed.",
    "password": "Your password is changed. Everywhere else you are signed out.",
    "ended": "That device is signed out.",
    "others": "Everywhere else you are signed out.",
    "objected": "It is stopped. Tell an administrator whom you trust what has happened.",
}


class AccountPages:
    """The pages below `/account`."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    @property
    def _own(self) -> Account:
        return self._steps.people.account

    # ── ways to sign in ──────────────────────────────────────────────────────────────────────────────────────────────

    async def overview(self, visit: Visit) -> Response:
        """GET /account: who you are, and how you sign in."""
        return visit.page(
            "account/overview.jinja",
            notice=_SAID.get(visit.query("done"), ""),
            purpose=PURPOSES.get(visit.session.purpose, visit.session.purpose),
            own=self._own.overview(visit.session),
            when=instant_words,
        )

    async def add_factor(self, visit: Visit) -> Response:
        """GET /account/factors/new: begin to bind another factor; the pages of a first sign-in go on with it."""
        back = visit.to("/account?done=bound")
        secret, _ = await self._steps.ceremonies.begin_again(visit.context, visit.session, back=back, bind=True)
        visit.begin(secret)
        return visit.go("/sign-in/step")

    async def ask_name(self, visit: Visit) -> Response:
        """GET /account/factors/{id}/name."""
        return self._name_page(visit)

    async def name(self, visit: Visit) -> Response:
        """POST /account/factors/{id}/name: give a passkey another name."""
        form, ctx, unit = await visit.form(), visit.context, Unit()
        try:
            self._own.rename_passkey(unit, visit.session, visit.call.path["id"], form.get("label", ""))
        except Problem as problem:
            if problem.kind is not Kind.INVALID:
                raise
            return self._name_page(visit, problem)
        await ctx.commit(unit, ctx.event(EventType.USER_CHANGE, reason="renamed a passkey"))
        return visit.go("/account?done=renamed")

    async def ask_remove(self, visit: Visit) -> Response:
        """GET /account/factors/{id}/remove."""
        return self._remove_page(visit)

    async def remove(self, visit: Visit) -> Response:
        """POST /account/factors/{id}/remove: take a way to sign in away."""
        await visit.form()
        ctx, unit, id_ = visit.context, Unit(), visit.call.path["id"]
        try:
            if id_ == CODE:
                self._own.remove_code(unit, visit.session)
            else:
                self._own.remove_passkey(unit, visit.session, id_)
        except Problem as problem:
            if problem.kind is not Kind.CONFLICT:
                raise
            return self._remove_page(visit, problem)
        which = "authenticator application" if id_ == CODE else "passkey"
        await ctx.commit(unit, ctx.event(EventType.FACTOR_UNBIND, reason=f"{which}, by its person"))
        return visit.go("/account?done=removed")

    def _name_page(self, visit: Visit, problem: Problem | None = None) -> Response:
        passkey = self._find(visit)
        errors = {"label": words_of(problem)} if problem is not None else {}
        return visit.page("account/name.jinja", status=_status(problem), passkey=passkey, errors=errors)

    def _remove_page(self, visit: Visit, problem: Problem | None = None) -> Response:
        id_ = visit.call.path["id"]
        words = "Authenticator app" if id_ == CODE else self._find(visit).label
        errors = {"": words_of(problem)} if problem is not None else {}
        return visit.page("account/remove.jinja", status=_status(problem), id=id_, words=words, errors=errors)

    def _find(self, visit: Visit) -> Passkey:
        for passkey in self._own.overview(visit.session).passkeys:
            if passkey.id == visit.call.path["id"]:
                return passkey
        raise Problem(Kind.NOT_FOUND, "There is no such passkey.")

    # ── password and recovery codes ──────────────────────────────────────────────────────────────────────────────────

    async def ask_password(self, visit: Visit) -> Response:
        """GET /account/password."""
        return visit.page("account/password.jinja", least=MIN_LENGTH)

    async def password(self, visit: Visit) -> Response:
        """POST /account/password."""
        form, ctx, unit = await visit.form(), visit.context, Unit()
        old, new = form.get("old", ""), form.get("password", "")
        if new != form.get("again", ""):
            return self._password_page(visit, {"again": "The two passwords are not the same."})
        try:
            await self._own.change_password(unit, visit.session, old, new)
        except Problem as problem:
            if problem.challenge or problem.kind not in {Kind.INVALID, Kind.UNAUTHENTICATED, Kind.THROTTLED}:
                raise
            if problem.kind is Kind.INVALID:
                return self._password_page(visit, {"password": words_of(problem)})
            reason = problem.detail or problem.kind.value
            await ctx.commit(unit, ctx.event(EventType.AUTH_REFUSED, reason=reason, outcome=Outcome.REFUSED))
            wrong = problem.kind is Kind.UNAUTHENTICATED
            return self._password_page(visit, {"old": "The password is not right." if wrong else words_of(problem)})
        await ctx.commit(unit, ctx.event(EventType.USER_CHANGE, reason="changed the password"))
        return visit.go("/account?done=password")

    def _password_page(self, visit: Visit, errors: dict[str, str]) -> Response:
        return visit.page("account/password.jinja", status=422, least=MIN_LENGTH, errors=errors)

    async def ask_codes(self, visit: Visit) -> Response:
        """GET /account/recovery."""
        return visit.page("account/recovery.jinja", codes=(), left=self._own.overview(visit.session).recovery_left)

    async def codes(self, visit: Visit) -> Response:
        """POST /account/recovery: new recovery codes, shown in the answer and never again."""
        await visit.form()
        ctx, unit = visit.context, Unit()
        codes = self._own.renew_codes(unit, visit.session)
        await ctx.commit(unit, ctx.event(EventType.USER_CHANGE, reason="made new recovery codes"))
        return visit.page("account/recovery.jinja", codes=codes, left=len(codes))

    # ── devices and history ──────────────────────────────────────────────────────────────────────────────────────────

    async def sessions(self, visit: Visit) -> Response:
        """GET /account/sessions: where you are signed in."""
        return visit.page(
            "account/sessions.jinja",
            notice=_SAID.get(visit.query("done"), ""),
            session=visit.session,
            sessions=self._own.overview(visit.session).sessions,
            purposes=PURPOSES,
            when=instant_words,
        )

    async def end_session(self, visit: Visit) -> Response:
        """POST /account/sessions/{id}/end: sign a device out."""
        await visit.form()
        ctx, unit, id_ = visit.context, Unit(), visit.call.path["id"]
        self._own.end_session(unit, visit.session, id_)
        await ctx.commit(unit, ctx.event(EventType.SESSION_END, reason="by its person"))
        if id_ == visit.session.id:
            visit.let_out()
            return visit.go("/")
        return visit.go("/account/sessions?done=ended")

    async def end_others(self, visit: Visit) -> Response:
        """POST /account/sessions/end-others: sign out everywhere else."""
        await visit.form()
        ctx, unit = visit.context, Unit()
        self._own.end_other_sessions(unit, visit.session)
        await ctx.commit(unit, ctx.event(EventType.SESSION_END, reason="all others, by their person"))
        return visit.go("/account/sessions?done=others")

    async def history(self, visit: Visit) -> Response:
        """GET /account/history: sign-ins, and what was changed."""
        ctx, unit = visit.context, Unit()
        notices = self._own.overview(visit.session).notices
        if any(not notice.seen for notice in notices):
            self._own.look(unit, visit.session)
            await ctx.commit(unit, ctx.event(EventType.PAGE_VIEW, reason="own pages", query="GET /account/history"))
        return visit.page(
            "account/history.jinja",
            notice=_SAID.get(visit.query("done"), ""),
            notices=notices,
            words=WORDS,
            sign_ins=SIGN_INS,
            resets={NoticeKind.RESET_ASKED, NoticeKind.RESET_BEGUN},
            when=instant_words,
        )

    async def object(self, visit: Visit) -> Response:
        """POST /account/object: stop a reset of this account, and roles that somebody asked for."""
        await visit.form()
        ctx, unit = visit.context, Unit()
        self._own.object(unit, visit.session)
        await ctx.commit(unit, ctx.event(EventType.USER_APPROVE, reason="objected to by the person of the account"))
        return visit.go("/account/history?done=objected")


def instant_words(at_ms: int) -> str:
    """A time for people: `2026-03-01 08:00 UTC`."""
    return f"{instant(at_ms)[:16].replace('T', ' ')} UTC" if at_ms else "never"


def _status(problem: Problem | None) -> int:
    return 200 if problem is None else STATUS[problem.kind]
