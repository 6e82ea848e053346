# SPDX-License-Identifier: Apache-2.0
"""Searching users and groups, by address or by body (RFC 7644 sections 3.4.2 and 3.4.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scim2_models import Context as Situation
from scim2_models import Resource, SearchRequest

from salus.access.permissions import Permission
from salus.audit.event import EventType
from salus.http.message import Response
from salus.http.routes import Call, Handler
from salus.http.scim_api.asked import exact, matches, search_in, search_of
from salus.http.scim_api.messages import answer, payload
from salus.http.scim_api.models import DEFAULT_RESULTS, MOST_RESULTS, Group, SomeUser
from salus.http.scim_api.resources import address_of, dump, group_resource, user_resource
from salus.identity.provisioning.desk import Desk
from salus.identity.provisioning.person import Group as KeptGroup
from salus.identity.provisioning.person import Person
from salus.kernel.breath import Breath
from salus.kernel.commit import Unit
from salus.records.context import Context, audited

_LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_BOTH = SomeUser | Group


def users(desk: Desk) -> Handler:
    """GET /scim/v2/Users and POST /scim/v2/Users/.search."""
    return _handler(desk, SomeUser)


def groups(desk: Desk) -> Handler:
    """GET /scim/v2/Groups and POST /scim/v2/Groups/.search."""
    return _handler(desk, Group)


def everything(desk: Desk) -> Handler:
    """POST /scim/v2/.search: users, then groups."""
    return _handler(desk, _BOTH)


def _handler(desk: Desk, model: Any) -> Handler:
    async def handler(call: Call) -> Response:
        return await _search(call.context, desk, call, model)

    return handler


@audited(EventType.PROVISION_READ)
async def _search(ctx: Context, desk: Desk, call: Call, model: Any) -> Response:
    permit = ctx.decide(Permission.USER_PROVISION, "")
    request = call.request
    ctx.asked = "/".join(call.segments[2:])
    if request.method == "POST":
        asked = search_in(await payload(request), model)
    else:
        asked = search_of(request.query, model)
    if asked.filter:
        ctx.asked += f"?filter={asked.filter}"
    found = [each async for each in _found(ctx, desk, asked, model)]
    await ctx.commit(Unit(), ctx.event(EventType.PROVISION_READ, reason=permit.reason, query=ctx.asked))
    return answer(200, _page(asked, asked.sort(found)))


def _page(asked: SearchRequest[Any], found: list[Resource[Any]]) -> dict[str, Any]:
    """One page, by number (RFC 7644 section 3.4.2.4)."""
    begin = asked.start_index_0 or 0
    count = min(DEFAULT_RESULTS if asked.count is None else asked.count, MOST_RESULTS)
    shown = found[begin : begin + count]
    return {
        "schemas": [_LIST],
        "totalResults": len(found),
        "startIndex": begin + 1,
        "itemsPerPage": len(shown),
        "Resources": [dump(each, Situation.RESOURCE_QUERY_RESPONSE, asked) for each in shown],
    }


async def _found(ctx: Context, desk: Desk, asked: SearchRequest[Any], model: Any) -> Any:
    """What the filter wants. Rows are opened one after another; other requests run in between."""
    tenant, address, breath = ctx.actor.tenant, address_of(ctx.base), Breath()
    for kept in _candidates(desk, tenant, asked, model):
        await breath.pause()
        if isinstance(kept, Person):
            resource: Resource[Any] = user_resource(desk, tenant, address, kept)
        else:
            resource = group_resource(desk, tenant, address, kept)
        if matches(asked.filter, resource):
            yield resource


def _candidates(desk: Desk, tenant: str, asked: SearchRequest[Any], model: Any) -> Iterator[Person | KeptGroup]:
    """Who has to be looked at; one who is asked for by name is found by it."""
    wanted = exact(asked.filter)
    if model is not Group:
        yield from _people(desk, tenant, wanted)
    if model is not SomeUser:
        yield from _groups(desk, tenant, wanted)


def _people(desk: Desk, tenant: str, wanted: tuple[str, str] | None) -> Iterator[Person]:
    name, value = wanted or ("", "")
    if name in {"username", "id"}:
        person = desk.people.named(tenant, value) if name == "username" else desk.people.find(tenant, value)
        return iter((person,) if person is not None else ())
    return desk.people.external(tenant, value) if name == "externalid" and value else desk.people.all(tenant)


def _groups(desk: Desk, tenant: str, wanted: tuple[str, str] | None) -> Iterator[KeptGroup]:
    name, value = wanted or ("", "")
    if name in {"displayname", "id"}:
        group = desk.groups.named(tenant, value) if name == "displayname" else desk.groups.find(tenant, value)
        return iter((group,) if group is not None else ())
    return desk.groups.external(tenant, value) if name == "externalid" and value else desk.groups.all(tenant)
