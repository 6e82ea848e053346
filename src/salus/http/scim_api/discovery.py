# SPDX-License-Identifier: Apache-2.0
"""What SCIM publishes about itself (RFC 7644 section 4). For those who may provision: a stranger needs none of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scim2_models import Context as Situation
from scim2_models import Resource, ScimProvider

from salus.access.permissions import Permission
from salus.audit.event import EventType
from salus.http.message import Response
from salus.http.routes import Call, Handler
from salus.http.scim_api.messages import answer
from salus.http.scim_api.models import service
from salus.http.scim_api.resources import address_of, dump
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context, audited

_LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"

Published = Callable[[ScimProvider], list[tuple[str, Resource[Any]]]]


async def config(call: Call) -> Response:
    """GET /scim/v2/ServiceProviderConfig."""
    return await _one(call.context, call, _config, "")


async def resource_types(call: Call) -> Response:
    """GET /scim/v2/ResourceTypes."""
    return await _all(call.context, call, _types)


async def schemas(call: Call) -> Response:
    """GET /scim/v2/Schemas."""
    return await _all(call.context, call, _schemas)


def one_of(published: str) -> Handler:
    """GET of a single one of `ResourceTypes` or `Schemas`."""
    which = {"ResourceTypes": _types, "Schemas": _schemas}[published]

    async def handler(call: Call) -> Response:
        return await _one(call.context, call, which, call.path["id"])

    return handler


def _config(known: ScimProvider) -> list[tuple[str, Resource[Any]]]:
    return [("", known.config)] if known.config is not None else []


def _types(known: ScimProvider) -> list[tuple[str, Resource[Any]]]:
    return [(str(each.id), each) for each in known.resource_types]


def _schemas(known: ScimProvider) -> list[tuple[str, Resource[Any]]]:
    return [(str(each.id), each) for each in known.schemas]


@audited(EventType.PROVISION_READ)
async def _one(ctx: Context, call: Call, published: Published, id_: str) -> Response:
    await _note(ctx, call)
    address = address_of(ctx.base)
    for known, resource in published(service(address)):
        if known.lower() == id_.lower():
            return answer(200, _located(resource, "/".join(call.segments[2:]), address))
    raise Problem(Kind.NOT_FOUND, "There is nothing of this name.", "nothing published by this name")


@audited(EventType.PROVISION_READ)
async def _all(ctx: Context, call: Call, published: Published) -> Response:
    if any(name == "filter" for name, _ in call.request.query):  # RFC 7644 section 4
        raise Problem(Kind.FORBIDDEN, "What is published is not filtered.", "filter on what is published")
    await _note(ctx, call)
    address = address_of(ctx.base)
    listed = [
        _located(resource, f"{call.segments[-1]}/{known}", address) for known, resource in published(service(address))
    ]
    body = {
        "schemas": [_LIST],
        "totalResults": len(listed),
        "startIndex": 1,
        "itemsPerPage": len(listed),
        "Resources": listed,
    }
    return answer(200, body)


async def _note(ctx: Context, call: Call) -> None:
    permit = ctx.decide(Permission.USER_PROVISION, "")
    ctx.asked = "/".join(call.segments[2:])[:200]
    await ctx.commit(Unit(), ctx.event(EventType.PROVISION_READ, reason=permit.reason, query=ctx.asked))


def _located(resource: Resource[Any], path: str, address: str) -> dict[str, Any]:
    meta = {"resourceType": type(resource).__name__, "location": f"{address}/{path}"}
    return {**dump(resource, Situation.RESOURCE_QUERY_RESPONSE), "meta": meta}
