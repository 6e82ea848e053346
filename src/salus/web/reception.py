# SPDX-License-Identifier: Apache-2.0
"""Knows visitors by their cookie, draws their pages, and tells them about failures.

`salus.http.asgi` asks here who a page request is from. A `Visit` is one such request; the files that draw pages are
written over it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode

from salus.audit.event import EventType
from salus.http.errors import STATUS
from salus.http.message import Header, Request, Response
from salus.http.routes import Call, Handler, split_path
from salus.kernel.actor import Actor
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context
from salus.web import cookies, forms
from salus.web.assets import Assets
from salus.web.drawing import Drawing
from salus.web.places import local_path, prefix_of

_TITLES = {
    Kind.FORBIDDEN: "That is not allowed",
    Kind.NOT_FOUND: "Page not found",
    Kind.METHOD: "Page not found",
    Kind.THROTTLED: "Too many attempts",
    Kind.UNAVAILABLE: "The service is not available",
    Kind.FAULT: "Something went wrong",
}


class Session(Protocol):
    """What pages need to know of a session (`salus.identity.sessions.Session`)."""

    @property
    def actor(self) -> Actor:
        """Who it stands for."""
        ...


class Sessions(Protocol):
    """Finds sessions (`salus.identity.sessions.Sessions`)."""

    def lookup(self, tenant: str, secret: str) -> Any:
        """The session of a secret. Raises Problem(UNAUTHENTICATED)."""
        ...


@dataclass(slots=True)
class Visit:
    """One request for a page.

    Attributes:
        session: of whoever asks; None for somebody who has not signed in.
        secret: in the cookie of the session, or of the door; ties forms to this browser.
        cookies: to be set with the answer.
        begun: secret of a ceremony that begins with this answer.
    """

    reception: Reception
    call: Call
    session: Any
    secret: str
    cookies: list[Header] = field(default_factory=list)
    begun: str = ""

    @property
    def context(self) -> Context:
        """For `commit` and `decide`."""
        return self.call.context

    @property
    def tenant(self) -> str:
        """Whose pages these are."""
        return self.call.context.actor.tenant

    def to(self, path: str) -> str:
        """The address of a page in this tenant."""
        return prefix_of(self.tenant) + path

    def query(self, name: str) -> str:
        """A parameter of the address; empty if it is not there."""
        return next((value for key, value in self.call.request.query if key == name), "")

    def next_path(self, fallback: str = "/") -> str:
        """Where to go on: the parameter `next`, if it is a page of this tenant."""
        return local_path(self.query("next"), self.tenant) or self.to(fallback)

    async def form(self) -> forms.Form:
        """The form that our page made the browser send; raises as `forms.receive`."""
        return await forms.receive(self.call.request, self.secret, self.context.services.base_url)

    def page(self, template: str, *, status: int = 200, form_to: tuple[str, ...] = (), **values: Any) -> Response:
        """Draw a page; see `Drawing.page`. Names that every page knows are in `templates/frame.jinja`."""
        response = self.reception.drawing.page(template, status, {**self._always(), **values}, form_to)
        response.headers += self.cookies
        return response

    def go(self, path: str) -> Response:
        """Send the browser to another page of this tenant (303: with GET, RFC 9110 section 15.4.4)."""
        return self.away(self.to(path))

    def away(self, address: str) -> Response:
        """Send the browser to an address that was checked before: a redirect URI, or what `next_path` gave."""
        return Response(303, headers=[(b"location", address.encode("ascii", "strict")), *self.cookies])

    @property
    def ceremony(self) -> str:
        """The secret of the ceremony that this browser is in; empty if it is in none."""
        return self.begun or cookies.read(self.call.request, cookies.ceremony_name(self.tenant))

    def begin(self, secret: str) -> None:
        """Give the browser the secret of a ceremony."""
        self.begun = secret
        self.cookies.append(cookies.written(cookies.ceremony_name(self.tenant), secret))

    def let_in(self, secret: str) -> None:
        """Give the browser the secret of a session that begins or was strengthened; what tied it before is over.

        Args:
            secret: empty when the session goes on with the one it has.
        """
        self.cookies = [cookies.dropped(cookies.ceremony_name(self.tenant))]
        if secret:
            self.secret = secret
            self.cookies.append(cookies.written(cookies.session_name(self.tenant), secret))
            self.cookies.append(cookies.dropped(cookies.door_name(self.tenant)))

    def let_out(self) -> None:
        """Take the cookies of a session that has ended."""
        self.session, self.secret = None, ""
        names = (cookies.session_name, cookies.door_name, cookies.ceremony_name)
        self.cookies = [cookies.dropped(name(self.tenant)) for name in names]

    def _always(self) -> dict[str, Any]:
        return {
            "tenant": self.tenant,
            "to": self.to,
            "csrf": lambda path: forms.token(self.secret, self.to(path)),
            "person": self.session.user if self.session is not None else None,
            "here": "/" + "/".join(self.call.segments),
            "errors": {},
            "notice": "",
        }


Story = Callable[[Visit], Awaitable[Response]]


class Reception:
    """Knows visitors by their cookie.

    Args:
        sessions: finds sessions.
        assets: styles and scripts.
    """

    def __init__(self, sessions: Sessions, assets: Assets) -> None:
        self.sessions = sessions
        self.assets = assets
        self.drawing = Drawing(assets)

    # ── for salus.http.asgi ──────────────────────────────────────────────────────────────────────────────────────────

    def recognise(self, request: Request, tenant: str) -> Actor:
        """Who the session cookie of a request stands for. Raises Problem(UNAUTHENTICATED)."""
        actor: Actor = self._session(request, tenant).actor
        return actor

    def failure(self, request: Request, request_id: str, problem: Problem) -> Response:
        """Tell a person about a failure; who is not signed in is sent to the sign-in, and from there back."""
        tenant, _ = split_path(request.path)
        prefix = prefix_of(tenant)
        if problem.kind is Kind.UNAUTHENTICATED:
            place = "step-up" if problem.challenge else "sign-in"
            wanted = request.path if request.method in {"GET", "HEAD"} else ""
            wanted += f"?{request.query_text}" if wanted and request.raw_query else ""
            query = f"?{urlencode({'next': wanted})}" if local_path(wanted, tenant) and wanted != f"{prefix}/" else ""
            return Response(303, headers=[(b"location", f"{prefix}/{place}{query}".encode())])
        status = STATUS[problem.kind]
        headers: list[Header] = []
        if problem.retry_after is not None:
            headers.append((b"retry-after", b"%d" % problem.retry_after))
        values = {
            "title": _TITLES.get(problem.kind, "That did not work"),
            "words": problem.public,
            "issues": [issue.text for issue in problem.issues if issue.text != problem.public],
            "request_id": request_id,
            "to": lambda path: prefix + path,
            "tenant": tenant,
            "person": None,
            "here": "",
            "errors": {},
            "notice": "",
        }
        if not self.assets.built:
            text = f"{values['title']}\n\n{problem.public}\n\nRequest {request_id}\n".encode()
            return Response(status, text, b"text/plain; charset=utf-8", headers)
        response = self.drawing.page("failure.jinja", status, values)
        response.headers += headers
        return response

    # ── for the files that draw pages ────────────────────────────────────────────────────────────────────────────────

    def signed_in(self, story: Story) -> Handler:
        """A page for somebody with a session; that it was opened is in the audit log."""

        async def handler(call: Call) -> Response:
            session = self._session(call.request, call.context.actor.tenant)
            secret = cookies.read(call.request, cookies.session_name(session.user.tenant))
            return await _noted(story, Visit(self, call, session, secret))

        return handler

    def anybody(self, story: Story) -> Handler:
        """A page for whoever comes; `Visit.session` is None for somebody who has not signed in."""

        async def handler(call: Call) -> Response:
            tenant = call.context.actor.tenant
            if not call.context.store.has_tenant(tenant):
                raise Problem(Kind.NOT_FOUND, "There is nothing at this address.", "no such tenant")
            try:
                session = self._session(call.request, tenant)
            except Problem as problem:
                if problem.kind is not Kind.UNAUTHENTICATED:
                    raise
                return await story(self._stranger(call, tenant))
            secret = cookies.read(call.request, cookies.session_name(tenant))
            return await _noted(story, Visit(self, call, session, secret))

        return handler

    def _stranger(self, call: Call, tenant: str) -> Visit:
        name = cookies.door_name(tenant)
        secret = cookies.read(call.request, name)
        if secret:
            return Visit(self, call, None, secret)
        if call.request.method not in {"GET", "HEAD"}:
            return Visit(self, call, None, "")  # no form of ours can have been sent without the cookie
        secret = cookies.new_secret()
        return Visit(self, call, None, secret, [cookies.written(name, secret)])

    def _session(self, request: Request, tenant: str) -> Any:
        secret = cookies.read(request, cookies.session_name(tenant))
        if not secret:
            raise Problem(Kind.UNAUTHENTICATED, "Sign in first.", "no session")
        return self.sessions.lookup(tenant, secret)


async def _noted(story: Story, visit: Visit) -> Response:
    """Tell the story; what wrote nothing by itself is noted as a page that was opened, before it is shown."""
    response = await story(visit)
    context = visit.context
    if not context.noted:
        words = f"{visit.call.request.method} /{'/'.join(visit.call.segments)}"
        await context.commit(Unit(), context.event(EventType.PAGE_VIEW, reason="own pages", query=words[:200]))
    return response
