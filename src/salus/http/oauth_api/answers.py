# SPDX-License-Identifier: Apache-2.0
"""Answers of the authorization server: JSON, redirects, a problem for what cannot be sent anywhere; refusals noted."""

from __future__ import annotations

import asyncio

import msgspec

from salus.audit.event import EventType, Outcome
from salus.http.message import JSON, Header, Response
from salus.identity.oauth.errors import OAuthError, Reused
from salus.kernel.actor import Actor
from salus.kernel.commit import Unit
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.context import Context

_BACK = "Go back to the application that sent you here, and begin again there. If this comes again, tell its makers."
_NO_CACHE: Header = (b"pragma", b"no-cache")  # RFC 6749 section 5.1; `Cache-Control: no-store` is on every answer


def told(body: object, status: int = 200, headers: list[Header] | None = None) -> Response:
    """An answer as JSON that nobody keeps."""
    return Response(status, msgspec.json.encode(body), JSON, [_NO_CACHE, *(headers or [])])


def error_told(error: OAuthError, headers: list[Header] | None = None) -> Response:
    """An error as JSON (RFC 6749 section 5.2)."""
    more = list(headers or [])
    if error.challenge:
        more.append((b"www-authenticate", error.challenge.encode("ascii")))
    return told({"error": error.error, "error_description": error.description}, error.status, more)


def sent_to(address: str) -> Response:
    """A redirect of a browser: 303, so that what was posted is not posted again elsewhere (RFC 9700 section 4.12)."""
    return Response(303, headers=[(b"location", address.encode("ascii")), _NO_CACHE])


def unanswerable(error: OAuthError) -> Problem:
    """For the person at the browser, when it is not known that an application waits for the answer."""
    return Problem(Kind.INCORRECT, error.description, error.detail, issues=(Issue("invalid", _BACK),))


async def warm(ctx: Context) -> None:
    """Wait for the keys of the tenant if they are not at hand; raises Problem(NOT_FOUND, UNAVAILABLE)."""
    warming = ctx.store.warming(ctx.actor.tenant)
    if warming is not None:
        await asyncio.shield(asyncio.wrap_future(warming))


async def note_refused(ctx: Context, unit: Unit, error: OAuthError, client: str = "") -> None:
    """Write down that an application was refused, together with what ended by it.

    Raises:
        Problem: CONFLICT when somebody else changed it at the moment: look again.
    """
    if client:
        ctx.actor = Actor(ctx.actor.tenant, ctx.actor.id, ctx.actor.kind, (), "", client=client)
    type_ = EventType.OAUTH_REUSE if isinstance(error, Reused) else EventType.OAUTH_REFUSED
    about = f"{client}: " if client else ""
    reason = f"{about}{error.error}: {error.detail}"
    await ctx.commit(unit, ctx.event(type_, reason=reason, outcome=Outcome.REFUSED))
