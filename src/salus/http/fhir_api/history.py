# SPDX-License-Identifier: Apache-2.0
"""History of a record, a type and the system.  https://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from salus.fhir import bundle
from salus.fhir.bundle import Link
from salus.fhir.search.dates import interval
from salus.http.fhir_api.instance import type_of
from salus.http.message import FHIR_JSON, Response
from salus.http.negotiate import check_accept
from salus.http.routes import Call
from salus.kernel.clock import instant
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.context import Context
from salus.records.interactions.history import HistoryPage, Wanted
from salus.records.interactions.history import history as list_history
from salus.records.paging import Cursor, open_cursor, seal_cursor
from salus.records.store.read import OPEN_SPAN, Span
from salus.records.store.store import Version

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_KNOWN = {"_count", "_since", "_at", "_list", "_page", "_format", "_pretty"}
_APPLIED = ("_since", "_at", "_list")


async def of_instance(call: Call) -> Response:
    """GET /fhir/{type}/{id}/_history."""
    return await _history(call, type_of(call), call.path["id"])


async def of_type(call: Call) -> Response:
    """GET /fhir/{type}/_history."""
    return await _history(call, type_of(call), "")


async def of_system(call: Call) -> Response:
    """GET /fhir/_history."""
    return await _history(call, "", "")


async def _history(call: Call, type_: str, id_: str) -> Response:
    check_accept(call.request)
    asked = dict(call.request.query)
    for name in asked:
        if name not in _KNOWN:
            raise _wrong(name, f"History has no parameter {name}.")
    ctx = call.context
    scope = f"history {type_}/{id_}"
    before = None
    if "_page" in asked:
        cursor = open_cursor(ctx, asked["_page"], scope)
        before, asked = cursor.before, dict(cursor.query)
    wanted = Wanted(_since(asked.get("_since")), _at(asked.get("_at")), _lists(asked.get("_list")))
    count = _count(ctx, asked.get("_count"))
    page = await list_history(ctx, type_, id_, count=count, before=before, wanted=wanted)
    applied = (("_count", str(count)), *((name, asked[name]) for name in _APPLIED if name in asked))
    path = "/".join(part for part in (type_, id_, "_history") if part)
    return Response(200, _bundle(ctx, page, path, Cursor(scope, applied, before=page.next_before)), FHIR_JSON)


def _bundle(ctx: Context, page: HistoryPage, path: str, following: Cursor) -> bytes:
    address = f"{ctx.base}/{path}"
    links = [Link("self", f"{address}?{urlencode(following.query)}")]
    if following.before is not None:
        links.append(Link("next", f"{address}?_page={seal_cursor(ctx, following)}{ctx.carried}"))
    return bundle.history([_entry(ctx, v) for v in page.versions], [v.body for v in page.versions], links)


def _entry(ctx: Context, version: Version) -> dict[str, Any]:
    url = version.type if version.method == "POST" else f"{version.type}/{version.id}"
    status = "204 No Content" if version.deleted else "201 Created" if version.version == 1 else "200 OK"
    return {
        "fullUrl": f"{ctx.base}/{version.type}/{version.id}",
        "request": {"method": version.method, "url": url},
        "response": {
            "status": status,
            "etag": f'W/"{version.version}"',
            "lastModified": instant(version.updated),
        },
    }


def _count(ctx: Context, text: str | None) -> int:
    limits = ctx.services.limits
    if text is None:
        return limits.page_size
    if not text.isdecimal() or len(text) > 9 or int(text) < 1:
        raise _wrong("_count", "_count must be a whole number from 1.")
    return min(int(text), limits.page_size_max)


def _since(text: str | None) -> int | None:
    if text is None:
        return None
    found = interval(text)
    if found is None or found[0] is None:
        raise _wrong("_since", "_since must be an instant such as 2026-01-31T08:00:00Z.")
    return found[0]


def _at(text: str | None) -> Span:
    """A date, dateTime or instant: the whole time that it stands for."""
    if text is None:
        return OPEN_SPAN
    found = interval(text)
    if found is None:
        raise _wrong("_at", "_at must be a date or a time such as 2026-01-31 or 2026-01-31T08:00:00Z.")
    return found


def _lists(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    ids = tuple(dict.fromkeys(part.removeprefix("List/") for part in text.split(",")))
    if not all(_ID.fullmatch(id_) for id_ in ids):
        raise _wrong("_list", "_list must name List resources by their id.")
    return ids


def _wrong(name: str, text: str) -> Problem:
    return Problem(Kind.INCORRECT, text, issues=(Issue("value", text, f"query.{name}"),))
