# SPDX-License-Identifier: Apache-2.0
"""What may stand in the registration of a client. Pure; whoever registers one, these rules are asked.

OAuth 2.1, RFC 7591, RFC 9700 and SMART App Launch 2.2. What is not fit is named by its field and never repeated.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

from salus.fhir.smart.scopes import parse
from salus.identity.clients import keys
from salus.identity.clients.addresses import is_https, is_loopback, is_origin
from salus.identity.clients.client import ALGORITHMS, METHODS, Client
from salus.identity.oauth.scopes import INTROSPECT
from salus.kernel.errors import Issue, Kind, Problem

_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", re.ASCII)
_PEOPLE = {"authorization_code", "refresh_token"}
_MOST = 20
_MOST_SCOPES = 300
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control, direction and invisible characters deceive people

Said = Iterator[tuple[str, str]]


def check(client: Client) -> Client:
    """Give the client back when all of it is fit.

    Raises:
        Problem: INVALID with one issue for each field that is not.
    """
    issues = tuple(
        Issue("invalid", text, field)
        for rule in (_who, _how, _person, _backend, _where, _what)
        for field, text in rule(client)
    )
    if issues:
        raise Problem(Kind.INVALID, "The registration of this client is not fit.", issues=issues)
    return client


def is_plain(text: str, longest: int) -> bool:
    """Whether people can be shown this text as it is: one line, nothing invisible in it."""
    return bool(text.strip()) and len(text) <= longest and not any(unicodedata.category(c) in _HIDDEN for c in text)


def _who(client: Client) -> Said:
    if _ID.fullmatch(client.id) is None:
        yield "client_id", "A client's id has 1 to 64 letters, digits, dots, hyphens and underscores."
    if not is_plain(client.name, 100):
        yield "client_name", "A client has a name of 1 to 100 characters on one line."
    if len(client.contacts) > _MOST or not all(is_plain(each, 200) for each in client.contacts):
        yield "contacts", "Contacts are at most 20 lines of up to 200 characters."
    for field in ("software_id", "software_version"):
        text = getattr(client, field)
        if text and not is_plain(text, 100):
            yield field, "This has up to 100 characters on one line."
    if client.id_token_alg not in {"RS256", "ES256"}:
        yield "id_token_signed_response_alg", "An id_token is signed with RS256 or ES256."


def _how(client: Client) -> Said:
    """How it proves who it is: exactly one way, and with what that way needs."""
    method = client.auth_method
    if method not in METHODS:
        yield "token_endpoint_auth_method", f"A client proves who it is in one of these ways: {', '.join(METHODS)}."
        return
    if (method == "none") != (client.kind == "public"):
        yield "token_endpoint_auth_method", "A public client proves nothing (none), a confidential one always does."
    if method != "private_key_jwt":
        if client.jwks or client.jwks_uri or client.algorithms:
            yield "jwks", "Keys and algorithms belong to a client that signs assertions (private_key_jwt)."
        return
    if not client.algorithms or set(client.algorithms) - set(ALGORITHMS):
        yield "token_endpoint_auth_signing_alg", f"Assertions are signed with one of {', '.join(ALGORITHMS)}."
    if bool(client.jwks) == bool(client.jwks_uri):
        yield "jwks", "A client that signs assertions has either jwks or jwks_uri."
    if client.jwks_uri and not is_https(client.jwks_uri):
        yield "jwks_uri", "The address of the keys is an https address without user and fragment."
    if client.jwks:
        try:
            found = keys.read(client.jwks)
        except Problem as problem:
            yield "jwks", problem.public
            return
        if not any(
            keys.fit(found, alg, str(key.kid)) for alg in client.algorithms for key in found if alg in ALGORITHMS
        ):
            yield (
                "jwks",
                "No key of the set has a kid and fits the algorithms (RSA from 2048 bits, P-256, P-384, Ed25519).",
            )


def _person(client: Client) -> Said:
    if client.profile != "user-app":
        return
    if "authorization_code" not in client.grant_types or set(client.grant_types) - _PEOPLE:
        yield "grant_types", "An application for people has authorization_code, and refresh_token if it wants."
    if not client.redirect_uris:
        yield "redirect_uris", "An application for people has at least one redirect address."
    if client.account or client.purpose:
        yield "account", "Only a backend service has an account of its own."
    if any(scope.startswith("system/") for scope in client.scopes):
        yield "scope", "Scopes of system/ are for backend services."


def _backend(client: Client) -> Said:
    if client.profile != "backend":
        return
    if client.auth_method != "private_key_jwt":  # SMART App Launch 2.2, Backend Services
        yield "token_endpoint_auth_method", "A backend service signs assertions (private_key_jwt)."
    if client.grant_types != ("client_credentials",):
        yield "grant_types", "A backend service has client_credentials alone."
    if client.redirect_uris or client.launch_uri or client.origins:
        yield "redirect_uris", "A backend service has no pages: no redirect address, no launch address, no origins."
    if not client.account:
        yield "account", "A backend service needs a service account, whose roles decide."
    if not client.scopes or not all(s.startswith("system/") or s == INTROSPECT for s in client.scopes):
        yield "scope", f"A backend service has scopes of system/, or {INTROSPECT}; at least one."


def _where(client: Client) -> Said:
    native = client.kind == "public"
    known: Callable[[str], bool] = (lambda text: is_https(text) or is_loopback(text)) if native else is_https
    words = "https, exact, without user, fragment, wildcard and dot segments"
    if len(client.redirect_uris) > _MOST or len(set(client.redirect_uris)) != len(client.redirect_uris):
        yield "redirect_uris", f"There are at most {_MOST} redirect addresses, each once."
    if not all(known(each) for each in client.redirect_uris):
        yield "redirect_uris", f"A redirect address is {words}; for a public client also http on a loopback address."
    if client.launch_uri and not known(client.launch_uri):
        yield (
            "initiate_login_uri",
            f"The launch address is {words}; for a public client also http on a loopback address.",
        )
    for field in ("logo_uri", "client_uri", "policy_uri", "tos_uri"):
        text = getattr(client, field)
        if text and not is_https(text):
            yield field, f"This address is {words}."
    if len(client.origins) > _MOST or not all(is_origin(each, native=native) for each in client.origins):
        yield "origins", "An origin is written as browsers do: https://host, with the port if it is not 443."


def _what(client: Client) -> Said:
    if len(client.scopes) > _MOST_SCOPES or len(set(client.scopes)) != len(client.scopes):
        yield "scope", f"There are at most {_MOST_SCOPES} scopes, each once."
    if any(parse(scope) is None for scope in client.scopes if scope != INTROSPECT):
        yield "scope", "A scope is not one that this server knows and can enforce."
