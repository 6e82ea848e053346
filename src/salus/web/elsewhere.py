# SPDX-License-Identifier: Apache-2.0
"""Signing in with an identity provider of others, as pages: the way there, the way back, and linking one's account.

What comes back is judged by `salus.identity.federation`; who is let in, and what is still asked for, by the same
ceremony as every sign-in. Whatever was wrong, the person reads one sentence, and the audit log has the reason.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from salus.audit.event import EventType, Outcome
from salus.http.message import Header, Request, Response
from salus.identity.accounts.notices import NoticeKind
from salus.identity.factors.assurance import AAL2, FRESH_SECONDS, Demand, insufficient, meets
from salus.identity.federation.federation import Federation
from salus.identity.federation.first_sign_in import make_account
from salus.identity.federation.refusal import Reason, linked_elsewhere, refused
from salus.identity.federation.relying_party import Departure, Identified
from salus.identity.federation.travel import COOKIE, MINUTES, Intent
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.web.ceremonies import Steps
from salus.web.reception import Visit

_VALUE = re.compile(r"[A-Za-z0-9_-]{20,4000}", re.ASCII)
_LINKS = "/account/links"
_AGAIN_SECONDS = 60
"""Whoever shows again that it is them has to sign in anew at the provider as well."""

_LINKING = Demand(AAL2, FRESH_SECONDS + MINUTES * 60)
"""What the session of a link still has to have when its person comes back."""

_UNKNOWN = (
    "You signed in there, but no account here is linked to you. Sign in here in another way and link it on the page of "
    "your account, or ask an administrator."
)


class ElsewherePages:
    """The pages around identity providers.

    Args:
        steps: ceremonies, and accounts.
        federation: identity providers.
    """

    def __init__(self, steps: Steps, federation: Federation) -> None:
        self._steps = steps
        self._in = federation

    # ── there ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def leave(self, visit: Visit) -> Response:
        """GET /sign-in/with/{provider}: to sign in, or in a session to show again that it is them."""
        intent = Intent.SIGN_IN if visit.session is None else Intent.STEP_UP
        left = await self._begin(visit, intent, visit.next_path(""))
        _remember(visit, left)
        return visit.away(left.address)

    async def link(self, visit: Visit) -> Response:
        """POST /account/links/{provider}: to link the account of the session. The page names where it goes next."""
        await visit.form()
        provider = self._in.providers.find(visit.tenant, visit.call.path["provider"])
        left = await self._begin(visit, Intent.LINK, visit.to(_LINKS))
        _remember(visit, left)
        title = provider.title if provider is not None else ""
        return visit.page(
            "account/leaving.jinja", title=title, address=left.address, host=urlsplit(left.address).netloc
        )

    async def _begin(self, visit: Visit, intent: Intent, back: str) -> Departure:
        session = visit.session
        try:
            return await self._in.party.begin(
                visit.tenant,
                visit.call.path["provider"],
                intent=intent,
                return_to=back,
                user=session.user.id if session is not None else "",
                session=session.id if session is not None else "",
                max_age=None if intent is Intent.SIGN_IN else _AGAIN_SECONDS,
            )
        except Problem as problem:
            if problem.kind is not Kind.UNAUTHENTICATED:
                raise
            raise Problem(Kind.NOT_FOUND, "There is no such way to sign in.", problem.detail) from None

    # ── back ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def back(self, visit: Visit) -> Response:
        """GET /sign-in/callback/{provider}: what the identity provider sent the browser back with."""
        try:
            response = await self._judge(visit)
        except Problem as problem:
            if problem.kind is not Kind.UNAUTHENTICATED:
                raise
            response = await self._told(visit, problem, problem.public)
        response.headers.append(_dropped(visit.tenant))
        return response

    async def _judge(self, visit: Visit) -> Response:
        ctx, tenant, unit = visit.context, visit.tenant, Unit()
        provider, answer = visit.call.path["provider"], visit.call.request.query
        returned = self._in.party.returned(unit, tenant, provider, answer, _travelled(visit.call.request, tenant))
        await ctx.services.writer.submit(unit)
        who = await self._in.party.identify(tenant, returned)
        if who.travel.intent is not Intent.SIGN_IN and not self._is_same_session(visit, who):
            raise refused(Reason.SESSION)
        if who.travel.intent is Intent.LINK:
            return await self._link(visit, who)
        return await self._let_in(visit, who)

    async def _let_in(self, visit: Visit, who: Identified) -> Response:
        ctx, tenant = visit.context, visit.tenant
        link = self._in.links.find(tenant, who.provider.issuer, who.subject)
        if link is None and (not who.provider.create or visit.session is not None):
            return await self._told(visit, refused(Reason.NO_ACCOUNT), _UNKNOWN)
        name = link.user if link is not None else await self._make(visit, who)
        user = self._steps.people.users.find(tenant, name)
        if user is None or user.disabled:
            raise refused(Reason.DISABLED)
        secret = await self._steps.begin(visit, who.travel.return_to)
        strong = who.assurance.second_factor
        asked = await self._steps.ceremonies.elsewhere(ctx, secret, name, two_factors=strong)
        unit = Unit()
        self._in.logout.remember(unit, tenant, who.provider, subject=who.subject, sid=who.sid)
        if unit.parts:
            await ctx.services.writer.submit(unit)
        return await self._steps.go_on(visit, asked)

    async def _make(self, visit: Visit, who: Identified) -> str:
        ctx, unit = visit.context, Unit()
        name = make_account(unit, visit.tenant, who, self._steps.people, self._in.links)
        reason = f"account {name} made at the first sign-in with identity provider {who.provider.id}"
        await ctx.commit(unit, ctx.event(EventType.USER_CREATE, reason=reason))
        ctx.noted = False
        return name

    async def _told(self, visit: Visit, problem: Problem, words: str) -> Response:
        """Write the refusal down, then say it where the person can try in another way."""
        ctx = visit.context
        if not ctx.noted:  # the ceremony writes its refusals itself
            event = ctx.event(EventType.AUTH_REFUSED, reason=problem.detail, outcome=Outcome.REFUSED)
            await ctx.commit(Unit(), event)
        if visit.session is not None:
            raise Problem(Kind.FORBIDDEN, words)
        return self._steps.draw(visit, None, status=401, errors={"name": words})

    # ── links ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def links(self, visit: Visit) -> Response:
        """GET /account/links: identity providers, and to which of them the account is linked."""
        known = {link.provider: link for link in self._in.links.of_user(visit.tenant, visit.session.user.id)}
        offered = [(id_, title, known.get(id_)) for id_, title in self._in.providers.offered(visit.tenant)]
        return visit.page("account/links.jinja", offered=offered)

    async def unlink(self, visit: Visit) -> Response:
        """POST /account/links/{provider}/remove."""
        await visit.form()
        ctx, unit, name = visit.context, Unit(), visit.session.user.id
        provider = visit.call.path["provider"]
        self._in.links.unlink(unit, visit.tenant, name, provider)
        self._steps.people.notices.tell(unit, visit.tenant, name, NoticeKind.FACTOR_UNBOUND, provider)
        reason = f"account {name} no longer linked at {provider}"
        await ctx.commit(unit, ctx.event(EventType.FEDERATION_LINK, reason=reason))
        return visit.go(_LINKS)

    async def _link(self, visit: Visit, who: Identified) -> Response:
        ctx, tenant, user, unit = visit.context, visit.tenant, visit.session.user, Unit()
        session, now = visit.session, visit.context.services.clock.now_ms()
        if not meets(_LINKING, session.acr, session.proved_ms, now):
            raise insufficient(_LINKING)
        provider = who.provider
        found = self._in.links.find(tenant, provider.issuer, who.subject)
        if found is not None and found.user != user.id:
            raise linked_elsewhere()
        if found is None:
            self._in.links.link(
                unit, tenant, provider=provider.id, issuer=provider.issuer, subject=who.subject, name=user.id
            )
            self._steps.people.notices.tell(unit, tenant, user.id, NoticeKind.FACTOR_BOUND, provider.title)
            reason = f"account {user.id} linked at {provider.id}"
            await ctx.commit(unit, ctx.event(EventType.FEDERATION_LINK, reason=reason))
        return visit.go(_LINKS)

    def _is_same_session(self, visit: Visit, who: Identified) -> bool:
        """Whether the browser is still in the session that the person left in."""
        session, travel = visit.session, who.travel
        return session is not None and (session.id, session.user.id) == (travel.session, travel.user)


def _name(tenant: str) -> str:
    return f"{COOKIE}.{tenant}"


def _remember(visit: Visit, left: Departure) -> None:
    attributes = f"Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={left.seconds}"
    visit.cookies.append((b"set-cookie", f"{_name(visit.tenant)}={left.cookie}; {attributes}".encode()))


def _dropped(tenant: str) -> Header:
    return b"set-cookie", f"{_name(tenant)}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0".encode()


def _travelled(request: Request, tenant: str) -> str:
    """The value of the cookie; empty if there is none, or there are two (one of them is not ours)."""
    found = []
    for part in request.header(b"cookie").split(";"):
        key, _, value = part.strip().partition("=")
        if key == _name(tenant):
            found.append(value)
    return found[0] if len(found) == 1 and _VALUE.fullmatch(found[0]) else ""
