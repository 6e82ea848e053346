# SPDX-License-Identifier: Apache-2.0
"""The applications that somebody allowed something, and taking it away (SMART App Launch 2.2 `management_endpoint`)."""

from __future__ import annotations

from datetime import UTC, datetime

from salus.audit.event import EventType
from salus.http.message import Response
from salus.identity.oauth.grants import Grant
from salus.identity.oauth.server import AuthorizationServer
from salus.identity.smart.scopes import describe, parse
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.web.reception import Visit


class AppPages:
    """The pages below `/account/apps`.

    Args:
        oauth: keeps what people allow.
    """

    def __init__(self, oauth: AuthorizationServer) -> None:
        self._oauth = oauth

    async def show(self, visit: Visit) -> Response:
        """GET /account/apps."""
        grants = self._oauth.grants.of_user(visit.tenant, visit.session.user.id)
        shown = [self._shown(visit, grant) for grant in grants]
        notice = "The application can do nothing more in your name." if visit.query("ended") else ""
        return visit.page("account/apps.jinja", notice=notice, apps=shown)

    async def end(self, visit: Visit) -> Response:
        """POST /account/apps/{id}/end: take everything back that was allowed; at once."""
        await visit.form()
        ctx, unit, id_ = visit.context, Unit(), visit.call.path["id"]
        self._oauth.grants.revoke(unit, visit.tenant, id_, user=visit.session.user.id)
        try:
            await ctx.commit(unit, ctx.event(EventType.OAUTH_REVOKE, reason=f"grant {id_} ended by its person"))
        except Problem as problem:
            if problem.kind is not Kind.NOT_FOUND:  # pressed twice, or ended elsewhere: what was wanted is so
                raise
        return visit.go("/account/apps?ended=1")

    def _shown(self, visit: Visit, grant: Grant) -> dict[str, object]:
        allowed = grant.allowed
        client = self._oauth.clients.find(visit.tenant, allowed.client)
        scopes = [scope for text in allowed.scopes if (scope := parse(text)) is not None]
        return {
            "id": grant.id,
            "name": client.name if client is not None else allowed.client,
            "since": datetime.fromtimestamp(allowed.created / 1000, UTC).strftime("%d %B %Y").lstrip("0"),
            "offline": allowed.offline,
            "may": list(dict.fromkeys(describe(scope).sentence for scope in scopes)),
        }
