# SPDX-License-Identifier: Apache-2.0
"""Groups of SCIM. A group gives its members the roles that an operator mapped to it, and none that it asks for."""

from __future__ import annotations

from typing import Any

import msgspec
from scim2_models import Context as Situation
from scim2_models import PatchOp

from salus.access.permissions import Permission
from salus.audit.event import EventType
from salus.http.message import Response
from salus.http.routes import Call
from salus.http.scim_api.asked import attributes_of, patch_in
from salus.http.scim_api.messages import payload, understood
from salus.http.scim_api.models import TOLERANT, Group
from salus.http.scim_api.resources import (
    address_of,
    check_group,
    check_version,
    group_resource,
    members_of,
    one,
    read_group,
    unchanged,
)
from salus.identity.provisioning.desk import Desk
from salus.identity.provisioning.person import Group as KeptGroup
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context, audited


@audited(EventType.PROVISION_GROUP)
async def create(ctx: Context, desk: Desk, call: Call) -> Response:
    """POST /scim/v2/Groups."""
    permit = ctx.decide(Permission.USER_PROVISION, "")
    asked = attributes_of(call.request.query, Group)
    sent = read_group(await payload(call.request), Situation.RESOURCE_CREATION_REQUEST)
    unit = Unit()
    group = desk.groups.add(
        unit,
        ctx.actor.tenant,
        display=str(sent.display_name).strip(),
        external_id=sent.external_id or "",
        members=members_of(sent, address_of(ctx.base)),
    )
    await ctx.commit(unit, ctx.event(EventType.PROVISION_GROUP, reason=f"{permit.reason}: group {group.id} made"))
    return one(201, _resource(ctx, desk, group), Situation.RESOURCE_CREATION_RESPONSE, asked)


@audited(EventType.PROVISION_READ)
async def read(ctx: Context, desk: Desk, call: Call) -> Response:
    """GET /scim/v2/Groups/{id}."""
    permit = ctx.decide(Permission.USER_PROVISION, "")
    ctx.asked = f"Groups/{call.path['id'][:100]}"
    asked = attributes_of(call.request.query, Group)
    resource = _resource(ctx, desk, _found(ctx, desk, call))
    await ctx.commit(Unit(), ctx.event(EventType.PROVISION_READ, reason=permit.reason, query=ctx.asked))
    if unchanged(call.request.header(b"if-none-match"), resource):
        return Response(304)
    return one(200, resource, Situation.RESOURCE_QUERY_RESPONSE, asked)


@audited(EventType.PROVISION_GROUP)
async def replace(ctx: Context, desk: Desk, call: Call) -> Response:
    """PUT /scim/v2/Groups/{id}."""
    permit = ctx.decide(Permission.USER_PROVISION, "")
    ctx.asked = f"Groups/{call.path['id'][:100]}"
    asked = attributes_of(call.request.query, Group)
    before = _found(ctx, desk, call)
    former = _resource(ctx, desk, before)
    check_version(call.request.header(b"if-match"), former)
    sent = read_group(await payload(call.request), Situation.RESOURCE_REPLACEMENT_REQUEST)
    after = await _write(ctx, desk, before, sent, permit.reason)
    return one(200, _resource(ctx, desk, after), Situation.RESOURCE_REPLACEMENT_RESPONSE, asked)


@audited(EventType.PROVISION_GROUP)
async def patch(ctx: Context, desk: Desk, call: Call) -> Response:
    """PATCH /scim/v2/Groups/{id}."""
    permit = ctx.decide(Permission.USER_PROVISION, "")
    ctx.asked = f"Groups/{call.path['id'][:100]}"
    asked = attributes_of(call.request.query, Group)
    before = _found(ctx, desk, call)
    group = _resource(ctx, desk, before)
    check_version(call.request.header(b"if-match"), group)
    body = patch_in(await payload(call.request))
    with understood():
        changes: PatchOp[Any] = PatchOp[Group].model_validate(
            body, scim_ctx=Situation.RESOURCE_PATCH_REQUEST, scim_policy=TOLERANT
        )
        changes.patch(group, scim_policy=TOLERANT)
    after = await _write(ctx, desk, before, check_group(group), permit.reason)
    return one(200, _resource(ctx, desk, after), Situation.RESOURCE_PATCH_RESPONSE, asked)


@audited(EventType.PROVISION_GROUP)
async def delete(ctx: Context, desk: Desk, call: Call) -> Response:
    """DELETE /scim/v2/Groups/{id}."""
    permit = ctx.decide(Permission.USER_PROVISION, "")
    ctx.asked = f"Groups/{call.path['id'][:100]}"
    group = _found(ctx, desk, call)
    check_version(call.request.header(b"if-match"), _resource(ctx, desk, group))
    unit = Unit()
    desk.groups.remove(unit, ctx.actor.tenant, group)
    await ctx.commit(unit, ctx.event(EventType.PROVISION_GROUP, reason=f"{permit.reason}: group {group.id} deleted"))
    return Response(204)


async def _write(ctx: Context, desk: Desk, before: KeptGroup, sent: Group, reason: str) -> KeptGroup:
    unit = Unit()
    wanted = msgspec.structs.replace(before, display=str(sent.display_name).strip(), external_id=sent.external_id or "")
    members = members_of(sent, address_of(ctx.base))
    after = desk.groups.change(unit, ctx.actor.tenant, before, wanted, members)
    said = f"{reason}: group {before.id} changed, {len(members)} members"
    await ctx.commit(unit, ctx.event(EventType.PROVISION_GROUP, reason=said))
    return after


def _found(ctx: Context, desk: Desk, call: Call) -> KeptGroup:
    group = desk.groups.find(ctx.actor.tenant, call.path["id"])
    if group is None:
        raise Problem(Kind.NOT_FOUND, "There is nothing of this id.", "no such group")
    return group


def _resource(ctx: Context, desk: Desk, group: KeptGroup) -> Group:
    return group_resource(desk, ctx.actor.tenant, address_of(ctx.base), group)
