# SPDX-License-Identifier: Apache-2.0
"""Scopes as lists of texts, over the grammar of `salus.identity.smart.scopes`: what may be given, what is narrower."""

from __future__ import annotations

from collections.abc import Iterable

from salus.identity.oauth.errors import OAuthError
from salus.identity.oauth.request import scope_tokens
from salus.identity.smart.scopes import Scope, Word, narrow, parse, patient_wanted

Texts = tuple[str, ...]

INTROSPECT = "urn:salus:introspect"
"""Lets an application ask about tokens of others; without it, about its own alone. No person can give it."""


def permitted(asked: Iterable[str], registered: Iterable[str], *, service: bool = False) -> Texts:
    """What an application may be given at most: asked for, understood, and registered; empty when that is nothing.

    A scope that is not understood is dropped (SMART App Launch 2.2: ignored), never read as something wider.

    Args:
        service: for a service that acts for itself (`client_credentials`), which may have `INTROSPECT` as well.
    """
    asked, registered = tuple(asked), tuple(registered)
    given = tuple(scope.text for scope in narrow(_read(asked), _read(registered)))
    return (*given, INTROSPECT) if service and INTROSPECT in asked and INTROSPECT in registered else given


def covers(limit: Iterable[str], chosen: Texts) -> bool:
    """Whether each of the chosen scopes is understood and opens nothing that the limit does not open."""
    allowed = _read(limit)
    return all(_within(parse(text), allowed) for text in chosen)


def narrower(granted: Texts, asked: str) -> Texts:
    """The scopes of a token that is made anew: those of the grant, or fewer (RFC 6749 section 6).

    Args:
        asked: parameter `scope`; empty for all.

    Raises:
        OAuthError: invalid_scope when anything asked for is not understood or not within the grant.
    """
    if not asked:
        return granted
    tokens = scope_tokens(asked)
    if not covers(granted, tokens):
        raise OAuthError("invalid_scope", "scope may not ask for more than was granted.")
    return tokens


def needs_patient(scopes: Iterable[str]) -> bool:
    """Whether a patient has to be in context (SMART App Launch 2.2: any `patient/` scope, or `launch/patient`)."""
    return patient_wanted(_read(scopes))


def needs_encounter(scopes: Iterable[str]) -> bool:
    """Whether an encounter is asked for."""
    return Word("launch/encounter") in _read(scopes)


def _read(texts: Iterable[str]) -> list[Scope | Word]:
    return [scope for text in texts if (scope := parse(text)) is not None]


def _within(scope: Scope | Word | None, allowed: list[Scope | Word]) -> bool:
    if isinstance(scope, Scope):
        return any(isinstance(other, Scope) and other.covers(scope) for other in allowed)
    return scope is not None and scope in allowed
