# SPDX-License-Identifier: Apache-2.0
"""What can be known without a credential: discovery documents, public keys, style."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from salus.audit.event import EventType
from salus.http.message import JSON, Response
from salus.http.oauth_api.answers import warm
from salus.http.routes import Call, Handler
from salus.identity.oauth.discovery import oauth_metadata, openid_configuration, smart_configuration
from salus.identity.oauth.rotation import tend
from salus.identity.oauth.server import AuthorizationServer
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context

STYLE = {
    "color_background": "#f4f6f5",
    "color_error": "#a3231d",
    "color_highlight": "#0b5d57",
    "color_modal_backdrop": "",
    "color_success": "#1f6b3a",
    "color_text": "#17211f",
    "dim_border_radius": "4px",
    "dim_font_size": "16px",
    "dim_spacing_size": "16px",
    "font_family_body": "system-ui, sans-serif",
    "font_family_heading": "system-ui, sans-serif",
}
"""https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#styling"""

_View = Callable[[dict[str, Any]], dict[str, Any]]


def smart(oauth: AuthorizationServer) -> Handler:
    """GET [base]/.well-known/smart-configuration: JSON, whatever `Accept` says."""
    return _document(oauth, smart_configuration)


def rfc8414(oauth: AuthorizationServer) -> Handler:
    """GET /.well-known/oauth-authorization-server, with the path of the issuer behind it if it has one (section 3)."""
    return _document(oauth, oauth_metadata)


def openid(oauth: AuthorizationServer) -> Handler:
    """GET /.well-known/openid-configuration."""
    return _document(oauth, openid_configuration)


def jwks(oauth: AuthorizationServer) -> Handler:
    """GET /oauth2/jwks: the keys that sign id_tokens."""

    async def handler(call: Call) -> Response:
        tenant = _tenant(call)
        await ready_keys(call.context, oauth)
        return Response(200, msgspec.json.encode(oauth.signing.jwks(tenant)), JSON)

    return handler


async def style(call: Call) -> Response:
    """GET /oauth2/smart-style: how applications may look like the rest."""
    _tenant(call)
    return Response(200, msgspec.json.encode(STYLE), JSON)


async def ready_keys(ctx: Context, oauth: AuthorizationServer) -> None:
    """Make the first signing keys of a tenant, if it has none; later ones are made on schedule."""
    tenant = ctx.actor.tenant
    if {key.algorithm for key in oauth.signing.all(tenant) if key.state == "active"} >= {"RS256", "ES256"}:
        return
    await warm(ctx)

    async def commit(unit: Unit, words: str) -> None:
        await ctx.commit(unit, ctx.event(EventType.OAUTH_KEY, reason=words))

    await tend(oauth.signing, tenant, commit)


def _document(oauth: AuthorizationServer, view: _View) -> Handler:
    async def handler(call: Call) -> Response:
        return Response(200, msgspec.json.encode(view(oauth.described(_tenant(call)))), JSON)

    return handler


def _tenant(call: Call) -> str:
    """The tenant that is asked about: of the address, or behind the well-known name (RFC 8414 section 3.1)."""
    ctx = call.context
    tenant = call.path.get("tenant", ctx.actor.tenant)
    if not ctx.store.has_tenant(tenant):
        raise Problem(Kind.NOT_FOUND, "There is nothing at this address.", "no such tenant")
    return tenant
