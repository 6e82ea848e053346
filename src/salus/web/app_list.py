# SPDX-License-Identifier: Apache-2.0
"""The applications that somebody allowed something, and taking it away (SMART App Launch 2.2 `management_endpoint`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Protocol

from salus.audit.event import EventType
from salus.http.message import Response
from salus.identity.oauth.grants import Grant
from salus.identity.oauth.server import AuthorizationServer
from salus.identity.smart.scopes import describe, parse
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.web.reception import Visit


class Using(Protocol):
    """Knows when what people allow was last used (`salus.identity.clients.uses`)."""

    def last(self, tenant: str, grants: Iterable[str]) -> dict[str, int]:
        """When each of these grants was last used, milliseconds since the epoch; those that never were are left out."""
        ...


class AppPages:
    """The pages below `/account/apps`.

    Args:
        oauth: keeps what people allow.
        uses: knows when it was last used.
    """

    def __init__(self, oauth: AuthorizationServer, uses: Using) -> None:
        self._oauth = oauth
        self._uses = uses

    async def show(self, visit: Visit) -> Response:
        """GET /account/apps."""
        grants = self._oauth.grants.of_user(visit.tenant, visit.session.user.id)
        last = self._uses.last(visit.tenant, [grant.id for grant in grants])
        shown = [self._shown(visit, grant, last.get(grant.id, 0)) for grant in grants]
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

    def _shown(self, visit: Visit, grant: Grant, last_ms: int) -> dict[str, object]:
        allowed = grant.allowed
        client = self._oauth.clients.find(visit.tenant, allowed.client)
        scopes = [scope for text in allowed.scopes if (scope := parse(text)) is not None]
        return {
            "id": grant.id,
            "name": client.name if client is not None else allowed.client,
            "since": _day(allowed.created),
            "last": _day(last_ms) if last_ms else "",
            "offline": allowed.offline,
            "may": list(dict.fromkeys(describe(scope).sentence for scope in scopes)),
        }


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%d %B %Y").lstrip("0")
