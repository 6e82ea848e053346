# SPDX-License-Identifier: Apache-2.0
"""The routes of the authorization server."""

from __future__ import annotations

from salus.http.oauth_api import authorize, metadata, standing, token
from salus.http.routes import PUBLIC, SELF, Route
from salus.identity.oauth.server import AuthorizationServer

_RFC8414 = "/.well-known/oauth-authorization-server"


def routes_of(oauth: AuthorizationServer) -> list[Route]:
    """What applications call, and what browsers bring from them."""
    authorizing, known = authorize.authorize(oauth), metadata.rfc8414(oauth)
    person = standing.userinfo(oauth)
    return [
        Route(
            "GET", "/fhir/.well-known/smart-configuration", PUBLIC, metadata.smart(oauth), "SMART discovery.", free=True
        ),
        Route("GET", _RFC8414, PUBLIC, known, "Discovery of the authorization server (RFC 8414).", free=True),
        Route("GET", f"{_RFC8414}/t/{{tenant}}", PUBLIC, known, "The same, of another tenant.", free=True),
        Route(
            "GET",
            "/.well-known/openid-configuration",
            PUBLIC,
            metadata.openid(oauth),
            "OpenID Connect discovery.",
            free=True,
        ),
        Route("GET", "/oauth2/jwks", PUBLIC, metadata.jwks(oauth), "The public keys of id_tokens.", free=True),
        Route(
            "GET", "/oauth2/smart-style", PUBLIC, metadata.style, "How applications may look like the rest.", free=True
        ),
        Route(
            "GET", "/oauth2/authorize", PUBLIC, authorizing, "An application asks a person for access.", programs=True
        ),
        Route("POST", "/oauth2/authorize", PUBLIC, authorizing, "The same, as a form.", programs=True),
        Route(
            "POST",
            "/oauth2/par",
            PUBLIC,
            token.push(oauth),
            "An application pushes such a request (RFC 9126).",
            programs=True,
        ),
        Route("POST", "/oauth2/token", PUBLIC, token.token(oauth), "Gives access tokens.", programs=True),
        Route(
            "POST",
            "/oauth2/introspect",
            PUBLIC,
            standing.introspect(oauth),
            "Says what a token is worth (RFC 7662).",
            programs=True,
        ),
        Route(
            "POST",
            "/oauth2/revoke",
            PUBLIC,
            standing.revoke(oauth),
            "Ends a token or a grant (RFC 7009).",
            programs=True,
        ),
        Route("GET", "/oauth2/userinfo", SELF, person, "Says who the person behind a token is."),
        Route("POST", "/oauth2/userinfo", SELF, person, "The same."),
    ]
