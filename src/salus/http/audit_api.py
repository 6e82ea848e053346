# SPDX-License-Identifier: Apache-2.0
"""The audit log through FHIR: AuditEvent is read here and nowhere else; nobody writes it.

https://hl7.org/fhir/R4/auditevent.html  Reading the log is itself an audited event.
"""

from __future__ import annotations

from collections.abc import Sequence

from salus.access.permissions import Permission
from salus.audit.as_fhir import audit_event
from salus.audit.event import EventType
from salus.audit.reader import AuditReader
from salus.audit.reading import Filter
from salus.fhir import bundle, json
from salus.fhir.bundle import Link
from salus.fhir.references import local_reference
from salus.fhir.search.dates import interval
from salus.http.message import FHIR_JSON, Response
from salus.http.negotiate import check_accept
from salus.http.routes import Call, Handler
from salus.kernel.commit import Unit
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.context import Context, audited
from salus.records.paging import Cursor, open_cursor, seal_cursor
from salus.records.wording import absent

_SCOPE = "search AuditEvent"
_KNOWN = ("patient", "date", "altid", "_count", "_page", "_format", "_pretty")


def list_events(reader: AuditReader) -> Handler:
    """GET /fhir/AuditEvent, newest first, by `patient`, `date` and `altid` (the account that acted)."""

    async def handler(call: Call) -> Response:
        check_accept(call.request)
        return Response(200, await _list(call.context, reader, call.request.query), FHIR_JSON)

    return handler


def read_event(reader: AuditReader) -> Handler:
    """GET /fhir/AuditEvent/{id}; the id is the entry's place in the log."""

    async def handler(call: Call) -> Response:
        check_accept(call.request)
        return Response(200, await _read(call.context, reader, call.path["id"]), FHIR_JSON)

    return handler


@audited(EventType.AUDIT_READ)
async def _read(ctx: Context, reader: AuditReader, id_: str) -> bytes:
    permit = ctx.services.access.decide(ctx.actor, Permission.AUDIT_READ)
    tenant = ctx.actor.tenant
    await reader.settled()
    if not id_.isdecimal() or len(id_) > 15:
        raise absent()
    entry = reader.entry(tenant, int(id_))
    if entry is None:
        raise absent()
    await ctx.commit(Unit(), ctx.event(EventType.AUDIT_READ, reason=permit.reason, query=f"AuditEvent/{id_}"))
    return json.encode(audit_event(int(id_), entry, tenant))


@audited(EventType.AUDIT_READ)
async def _list(ctx: Context, reader: AuditReader, asked: Sequence[tuple[str, str]]) -> bytes:
    permit = ctx.services.access.decide(ctx.actor, Permission.AUDIT_READ)
    sealed = next((value for name, value in asked if name == "_page"), None)
    cursor = open_cursor(ctx, sealed, _SCOPE) if sealed is not None else None
    pairs = cursor.query if cursor else tuple((n, v) for n, v in asked if n not in {"_format", "_pretty"})
    wanted, count = _filter(ctx, reader, pairs)
    await reader.settled()
    page = reader.page(ctx.actor.tenant, wanted, limit=count, before=cursor.before if cursor else None)
    event = ctx.event(EventType.AUDIT_READ, reason=permit.reason, query="&".join(f"{n}={v}" for n, v in pairs))
    await ctx.commit(Unit(), event)
    address = f"{ctx.base}/AuditEvent"
    links = [Link("self", address + ("?" if pairs else "") + "&".join(f"{n}={v}" for n, v in pairs))]
    if page.before is not None:
        following = seal_cursor(ctx, Cursor(scope=_SCOPE, query=tuple(pairs), before=page.before))
        links.append(Link("next", f"{address}?_page={following}{ctx.carried}"))
    shown = [
        (f"{address}/{index}", json.encode(audit_event(index, entry, ctx.actor.tenant)), "match")
        for index, entry in page.entries
    ]
    return bundle.searchset(shown, links)


def _filter(ctx: Context, reader: AuditReader, pairs: Sequence[tuple[str, str]]) -> tuple[Filter, int]:
    owner, actor = b"", ""
    since, until = 0, 1 << 62
    count = ctx.services.limits.page_size
    for name, value in pairs:
        if name == "patient":
            local = local_reference(value if "/" in value else f"Patient/{value}", (ctx.base,))
            owner = reader.owner(ctx.actor.tenant, local[1] if local else value)
        elif name == "altid":
            actor = value
        elif name == "date":
            low, high = _range(value)
            since, until = max(since, low), min(until, high)
        elif name == "_count" and value.isdecimal() and int(value[:9]) > 0:
            count = min(int(value[:9]), ctx.services.limits.page_size_max)
        elif name not in _KNOWN or name == "_count":
            text = f"AuditEvent is searched by {', '.join(_KNOWN[:4])}; {name} is not one of them or has no such value."
            raise Problem(Kind.INCORRECT, text, issues=(Issue("not-supported", text, f"query.{name}"),))
    return Filter(actor=actor, owner=owner, since_ms=since, until_ms=until), count


def _range(value: str) -> tuple[int, int]:
    prefix, text = (value[:2], value[2:]) if value[:2].isalpha() else ("eq", value)
    found = interval(text)
    low, high = found if found is not None else (None, None)
    if low is None or high is None or prefix not in {"eq", "ge", "gt", "le", "lt"}:
        words = "A date is asked for as eq, ge, gt, le or lt and a FHIR date."
        raise Problem(Kind.INCORRECT, words, issues=(Issue("value", words, "query.date"),))
    return {
        "eq": (low, high - 1),
        "ge": (low, 1 << 62),
        "gt": (high, 1 << 62),
        "le": (0, high - 1),
        "lt": (0, low - 1),
    }[prefix]
