# SPDX-License-Identifier: Apache-2.0
"""Administration of applications and services over HTTP: who is registered, with what, and who may register.

The JSON is that of `salus.identity.clients.metadata`. Secrets and tokens are in the answer that made them alone.
Whatever changes something asks for a second factor that was shown a moment ago.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from salus.access.permissions import Permission
from salus.audit.event import EventType
from salus.fhir import json
from salus.http.message import JSON, Response
from salus.http.negotiate import check_content
from salus.http.routes import Call, Handler, Route
from salus.identity.clients.client import Client
from salus.identity.clients.client_secrets import ClientSecrets, SecretRecord
from salus.identity.clients.metadata import from_metadata, metadata_of
from salus.identity.clients.registration import Permission as Initial
from salus.identity.clients.registration import Registration
from salus.identity.clients.registry import Clients, no_client
from salus.identity.factors.assurance import FRESH
from salus.kernel.clock import instant
from salus.kernel.commit import Unit
from salus.kernel.errors import Issue, Kind, Problem
from salus.kernel.ids import uuid7
from salus.records.context import Context, audited

_HOUR_MS = 3_600_000


class Apps(Protocol):
    """The services of `salus.identity.clients` that these routes use."""

    clients: Clients
    secrets: ClientSecrets
    registration: Registration


def client_routes(apps: Apps) -> list[Route]:
    """The routes, for `salus.http.table`."""
    seen, managed = Permission.CLIENT_READ, Permission.CLIENT_MANAGE
    one, secrets, permits = "/admin/clients/{id}", "/admin/clients/{id}/secrets", "/admin/registrations"

    def change(method: str, pattern: str, story: Callable[[Apps], Handler], doc: str) -> Route:
        return Route(method, pattern, managed, story(apps), doc, demand=FRESH)

    return [
        Route("GET", "/admin/clients", seen, _told(apps, _list), "Lists applications and services."),
        change("POST", "/admin/clients", _with(_add), "Registers an application or service."),
        Route("GET", one, seen, _told(apps, _show), "Shows one, with its secrets' dates."),
        change("PUT", one, _with(_change), "Replaces what is registered."),
        change("DELETE", one, _with(_remove), "Removes one; what it holds ends."),
        change("POST", secrets, _with(_secret), "Makes a new secret, shown once."),
        change("DELETE", f"{secrets}/{{secret}}", _with(_end_secret), "Ends a secret."),
        Route("GET", permits, seen, _told(apps, _permits), "Lists who may still register."),
        change("POST", permits, _with(_permit), "Allows programs to register themselves."),
        change("DELETE", f"{permits}/{{id}}", _with(_withdraw), "Ends such a permission."),
    ]


Story = Callable[[Context, Apps, Call, dict[str, Any]], Any]


def _told(apps: Apps, story: Story) -> Handler:
    async def handler(call: Call) -> Response:
        status, answer = await story(call.context, apps, call, {})
        return Response(status) if answer is None else Response(status, json.encode(answer), JSON)

    return handler


def _with(story: Story) -> Callable[[Apps], Handler]:
    """A story that is told a body where there is one."""

    def over(apps: Apps) -> Handler:
        async def handler(call: Call) -> Response:
            call.context.decide(Permission.CLIENT_MANAGE, "")  # before anything is read
            sent: dict[str, Any] = {}
            if call.request.method != "DELETE" and (body := await call.request.body()):
                if check_content(call.request) != "json":
                    raise Problem(Kind.FORMAT, "Send JSON.", issues=(Issue("not-supported", "Send JSON."),))
                sent = json.decode(body)
            status, answer = await story(call.context, apps, call, sent)
            return Response(status) if answer is None else Response(status, json.encode(answer), JSON)

        return handler

    return over


@audited(EventType.CLIENT_READ)
async def _list(ctx: Context, apps: Apps, call: Call, sent: dict[str, Any]) -> tuple[int, Any]:
    permit = ctx.decide(Permission.CLIENT_READ, "")
    found = [metadata_of(client) for client in apps.clients.all(ctx.actor.tenant)]
    await ctx.commit(Unit(), ctx.event(EventType.CLIENT_READ, reason=permit.reason, query="clients"))
    return 200, {"clients": found}


@audited(EventType.CLIENT_READ)
async def _show(ctx: Context, apps: Apps, call: Call, sent: dict[str, Any]) -> tuple[int, Any]:
    permit = ctx.decide(Permission.CLIENT_READ, "")
    client = _found(apps, call)
    await ctx.commit(Unit(), ctx.event(EventType.CLIENT_READ, reason=permit.reason, query=f"clients/{client.id}"))
    return 200, _shown(apps, client)


@audited(EventType.CLIENT_CREATE)
async def _add(ctx: Context, apps: Apps, call: Call, sent: dict[str, Any]) -> tuple[int, Any]:
    ctx.decide(Permission.CLIENT_MANAGE, "")
    named = sent.pop("client_id", None)
    if named is not None and not isinstance(named, str):
        text = "A client_id is a text."
        raise Problem(Kind.INVALID, text, issues=(Issue("invalid", text, "client_id"),))
    unit = Unit()
    client = from_metadata(sent, tenant=ctx.actor.tenant, id=named or uuid7(), administrator=True)
    client = apps.clients.add(unit, client)
    answer = metadata_of(client)
    if client.auth_method.startswith("client_secret_"):
        answer["client_secret"], _ = apps.secrets.issue(unit, client)
        answer["client_secret_expires_at"] = 0
    await ctx.commit(unit, ctx.event(EventType.CLIENT_CREATE, reason=f"client {client.id}"))
    return 201, answer


@audited(EventType.CLIENT_CHANGE)
async def _change(ctx: Context, apps: Apps, call: Call, sent: dict[str, Any]) -> tuple[int, Any]:
    ctx.decide(Permission.CLIENT_MANAGE, "")
    old, unit = _found(apps, call), Unit()
    if sent.get("client_id", old.id) != old.id:
        text = "The client_id stays as it is."
        raise Problem(Kind.INVALID, text, issues=(Issue("invalid", text, "client_id"),))
    new = from_metadata(sent, tenant=old.tenant, id=old.id, administrator=True)
    client = apps.clients.change(unit, old, new)
    await ctx.commit(unit, ctx.event(EventType.CLIENT_CHANGE, reason=f"client {client.id}"))
    return 200, _shown(apps, client)


@audited(EventType.CLIENT_REMOVE)
async def _remove(ctx: Context, apps: Apps, call: Call, sent: dict[str, Any]) -> tuple[int, Any]:
    ctx.decide(Permission.CLIENT_MANAGE, "")
    client, unit = _found(apps, call), Unit()
    apps.clients.remove(unit, ctx.actor.tenant, client.id)
    await ctx.commit(unit, ctx.event(EventType.CLIENT_REMOVE, reason=f"client {client.id}"))
    return 204, None


@audited(EventType.CLIENT_CHANGE)
async def _secret(ctx: Context, apps: Apps, call: Call, sent: dict[str, Any]) -> tuple[int, Any]:
    ctx.decide(Permission.CLIENT_MANAGE, "")
    client, unit = _found(apps, call), Unit()
    hours = _number(sent, "overlap_hours", 0)
    secret, record = apps.secrets.issue(unit, client, overlap_ms=hours * _HOUR_MS)
    reason = f"client {client.id}: new secret {record.id}, former one for {hours} hours"
    await ctx.commit(unit, ctx.event(EventType.CLIENT_CHANGE, reason=reason))
    return 201, {"client_id": client.id, "client_secret": secret, **_dates(record)}


@audited(EventType.CLIENT_CHANGE)
async def _end_secret(ctx: Context, apps: Apps, call: Call, sent: dict[str, Any]) -> tuple[int, Any]:
    ctx.decide(Permission.CLIENT_MANAGE, "")
    client, unit = _found(apps, call), Unit()
    known = {record.id for record in apps.secrets.of(client.tenant, client.id)}
    if call.path["secret"] not in known:
        raise Problem(Kind.NOT_FOUND, "This client has no such secret.")
    apps.secrets.end(unit, client.tenant, client.id, call.path["secret"])
    reason = f"client {client.id}: secret {call.path['secret']} ended"
    await ctx.commit(unit, ctx.event(EventType.CLIENT_CHANGE, reason=reason))
    return 204, None


@audited(EventType.CLIENT_READ)
async def _permits(ctx: Context, apps: Apps, call: Call, sent: dict[str, Any]) -> tuple[int, Any]:
    permit = ctx.decide(Permission.CLIENT_READ, "")
    found = [_permission(each) for each in apps.registration.permissions(ctx.actor.tenant)]
    await ctx.commit(Unit(), ctx.event(EventType.CLIENT_READ, reason=permit.reason, query="registrations"))
    return 200, {"registrations": found}


@audited(EventType.CLIENT_CHANGE)
async def _permit(ctx: Context, apps: Apps, call: Call, sent: dict[str, Any]) -> tuple[int, Any]:
    ctx.decide(Permission.CLIENT_MANAGE, "")
    label, scope = sent.get("label"), sent.get("scope")
    if not isinstance(label, str) or not isinstance(scope, str | None):
        raise Problem(Kind.INVALID, "A permission has a label, and its scopes are a text.")
    unit = Unit()
    more = {} if scope is None else {"scopes": scope}
    count, hours = _number(sent, "count", 1), _number(sent, "hours", 24)
    token, made = apps.registration.permit(unit, ctx.actor.tenant, label=label, count=count, hours=hours, **more)
    reason = f"registration {made.id}: {made.remaining} clients"
    await ctx.commit(unit, ctx.event(EventType.CLIENT_CHANGE, reason=reason))
    return 201, {"initial_access_token": token, **_permission(made)}


@audited(EventType.CLIENT_CHANGE)
async def _withdraw(ctx: Context, apps: Apps, call: Call, sent: dict[str, Any]) -> tuple[int, Any]:
    ctx.decide(Permission.CLIENT_MANAGE, "")
    unit = Unit()
    if call.path["id"] not in {each.id for each in apps.registration.permissions(ctx.actor.tenant)}:
        raise Problem(Kind.NOT_FOUND, "There is no such permission.")
    apps.registration.withdraw(unit, ctx.actor.tenant, call.path["id"])
    await ctx.commit(unit, ctx.event(EventType.CLIENT_CHANGE, reason=f"registration {call.path['id']} ended"))
    return 204, None


def _found(apps: Apps, call: Call) -> Client:
    client = apps.clients.find(call.context.actor.tenant, call.path["id"])
    if client is None:
        raise no_client()
    return client


def _shown(apps: Apps, client: Client) -> dict[str, Any]:
    secrets = [_dates(record) for record in apps.secrets.of(client.tenant, client.id)]
    return metadata_of(client) | ({"secrets": secrets} if secrets else {})


def _dates(record: SecretRecord) -> dict[str, Any]:
    ends = {"expires": instant(record.expires_ms)} if record.expires_ms else {}
    return {"id": record.id, "created": instant(record.created_ms), **ends}


def _permission(each: Initial) -> dict[str, Any]:
    return {
        "id": each.id,
        "label": each.label,
        "scope": each.scopes,
        "remaining": each.remaining,
        "created": instant(each.created_ms),
        "expires": instant(each.expires_ms),
    }


def _number(sent: dict[str, Any], name: str, usual: int) -> int:
    value = sent.get(name, usual)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Problem(Kind.INVALID, "This is a number.", issues=(Issue("invalid", "This is a number.", name),))
    return value
