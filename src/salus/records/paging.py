# SPDX-License-Identifier: Apache-2.0
"""Where the next page starts, sealed so that only the one who asked can go on, and only there.

A cursor is never proof of anything: the next page is decided, filtered and audited like the first.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from salus.kernel.errors import Issue, Kind, Problem
from salus.records.context import Context

_LIFETIME_MS = 24 * 3600 * 1000
_PURPOSE = "page"


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """The rest of a search or history.

    Attributes:
        scope: what it continues (`search Patient`, `history Patient/1`): a link works on its own address only.
        query: the search as pairs, exactly as it was applied.
        before: continue with rows older than this `seq`.
        start: newest row when the search began; pages stand in the order of that moment.
        since: `_since` of a history, in milliseconds.
        way: what `before` was on the pages before this one, the latest last; 0 for the first page.
    """

    scope: str
    query: tuple[tuple[str, str], ...] = ()
    before: int | None = None
    start: int | None = None
    since: int | None = None
    count: int = 0
    lenient: bool = False
    way: tuple[int, ...] = ()


def seal_cursor(ctx: Context, cursor: Cursor) -> str:
    """Make the opaque `_page` value."""
    plain = msgspec.msgpack.encode((ctx.services.clock.now_ms(), cursor))
    sealed = ctx.store.keys(ctx.actor.tenant).sealer(_PURPOSE).seal(plain, _bound(ctx))
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def open_cursor(ctx: Context, text: str, scope: str) -> Cursor:
    """Read a `_page` value.

    Raises:
        Problem: INCORRECT when it was altered, belongs to someone else, another address, or is a day old.
    """
    try:
        sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        plain = ctx.store.keys(ctx.actor.tenant).sealer(_PURPOSE).open(sealed, _bound(ctx))
        made, cursor = msgspec.msgpack.decode(plain, type=tuple[int, Cursor])
    except (Problem, binascii.Error, ValueError):
        raise _refused() from None
    if cursor.scope != scope or ctx.services.clock.now_ms() - made > _LIFETIME_MS:
        raise _refused()
    return cursor


def _bound(ctx: Context) -> tuple[bytes | str | int, ...]:
    """For whom: the account, and what an application may see for it."""
    actor = ctx.actor
    return ("salus.page.2", actor.tenant, actor.id, actor.purpose, " ".join(actor.scopes), actor.patient)


def _refused() -> Problem:
    text = "This page link is not valid any more; start the search again."
    return Problem(Kind.INCORRECT, text, issues=(Issue("value", text, "query._page"),))
