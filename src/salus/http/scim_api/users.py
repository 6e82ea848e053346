# SPDX-License-Identifier: Apache-2.0
"""Users of SCIM: people whom a directory keeps. What it may reach is said in `salus.identity.provisioning.people`.

Every change is one commit with its audit entry. What somebody loses by it (the account, a role) is lost within a
second, everywhere: accounts are asked for at each use of a token or a session.
"""

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
from salus.http.scim_api.models import TOLERANT, SomeUser
from salus.http.scim_api.resources import (
    address_of,
    check_user,
    check_version,
    display_of,
    document_of,
    one,
    read_user,
    unchanged,
    user_resource,
)
from salus.identity.provisioning.desk import Desk
from salus.identity.provisioning.person import Person
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context, audited


@audited(EventType.USER_CREATE)
async def create(ctx: Context, desk: Desk, call: Call) -> Response:
    """POST /scim/v2/Users."""
    permit = ctx.decide(Permission.USER_PROVISION, "")
    asked = attributes_of(call.request.query, SomeUser)
    user = read_user(await payload(call.request), Situation.RESOURCE_CREATION_REQUEST, ())
    unit = Unit()
    person = desk.people.add(unit, ctx.actor.tenant, active=user.active is not False, **_said(user))
    reason = f"{permit.reason}: account {person.login} provisioned as {person.id}"
    await ctx.commit(unit, ctx.event(EventType.USER_CREATE, reason=reason))
    return one(201, _resource(ctx, desk, person), Situation.RESOURCE_CREATION_RESPONSE, asked)


@audited(EventType.PROVISION_READ)
async def read(ctx: Context, desk: Desk, call: Call) -> Response:
    """GET /scim/v2/Users/{id}."""
    permit = ctx.decide(Permission.USER_PROVISION, "")
    ctx.asked = f"Users/{call.path['id'][:100]}"
    asked = attributes_of(call.request.query, SomeUser)
    resource = _resource(ctx, desk, _found(ctx, desk, call))
    await ctx.commit(Unit(), ctx.event(EventType.PROVISION_READ, reason=permit.reason, query=ctx.asked))
    if unchanged(call.request.header(b"if-none-match"), resource):
        return Response(304)
    return one(200, resource, Situation.RESOURCE_QUERY_RESPONSE, asked)


@audited(EventType.USER_CHANGE)
async def replace(ctx: Context, desk: Desk, call: Call) -> Response:
    """PUT /scim/v2/Users/{id}."""
    permit = ctx.decide(Permission.USER_PROVISION, "")
    ctx.asked = f"Users/{call.path['id'][:100]}"
    asked = attributes_of(call.request.query, SomeUser)
    before = _found(ctx, desk, call)
    former = _resource(ctx, desk, before)
    check_version(call.request.header(b"if-match"), former)
    roles = desk.people.account(ctx.actor.tenant, before).roles
    user = read_user(await payload(call.request), Situation.RESOURCE_REPLACEMENT_REQUEST, roles)
    with understood():
        user.replace(former)
    after = await _write(ctx, desk, before, former.active, user, permit.reason)
    return one(200, _resource(ctx, desk, after), Situation.RESOURCE_REPLACEMENT_RESPONSE, asked)


@audited(EventType.USER_CHANGE)
async def patch(ctx: Context, desk: Desk, call: Call) -> Response:
    """PATCH /scim/v2/Users/{id}."""
    permit = ctx.decide(Permission.USER_PROVISION, "")
    ctx.asked = f"Users/{call.path['id'][:100]}"
    asked = attributes_of(call.request.query, SomeUser)
    before = _found(ctx, desk, call)
    user = _resource(ctx, desk, before)
    shown = user.active
    check_version(call.request.header(b"if-match"), user)
    body = patch_in(await payload(call.request))
    with understood():
        changes: PatchOp[Any] = PatchOp[SomeUser].model_validate(
            body, scim_ctx=Situation.RESOURCE_PATCH_REQUEST, scim_policy=TOLERANT
        )
        changes.patch(user, scim_policy=TOLERANT)
    after = await _write(ctx, desk, before, shown, check_user(user), permit.reason)
    return one(200, _resource(ctx, desk, after), Situation.RESOURCE_PATCH_RESPONSE, asked)


@audited(EventType.USER_CHANGE)
async def delete(ctx: Context, desk: Desk, call: Call) -> Response:
    """DELETE /scim/v2/Users/{id}."""
    permit = ctx.decide(Permission.USER_PROVISION, "")
    ctx.asked = f"Users/{call.path['id'][:100]}"
    person = _found(ctx, desk, call)
    check_version(call.request.header(b"if-match"), _resource(ctx, desk, person))
    unit = Unit()
    desk.people.remove(unit, ctx.actor.tenant, person)
    reason = f"{permit.reason}: account {person.login} ended, its person was deleted"
    await ctx.commit(unit, ctx.event(EventType.USER_CHANGE, reason=reason))
    return Response(204)


async def _write(ctx: Context, desk: Desk, before: Person, shown: bool | None, user: SomeUser, reason: str) -> Person:
    unit = Unit()
    # What a directory says back it does not ask for: an account that an operator has disabled stays so.
    active = before.active if user.active is None or user.active == shown else user.active
    wanted = msgspec.structs.replace(before, active=active, tells=user.active is not None, **_said(user))
    after = desk.people.change(unit, ctx.actor.tenant, before, wanted)
    done = {(True, False): "suspended", (False, True): "resumed"}.get((before.active, after.active), "changed")
    await ctx.commit(unit, ctx.event(EventType.USER_CHANGE, reason=f"{reason}: account {before.login} {done}"))
    return after


def _said(user: SomeUser) -> dict[str, Any]:
    """What the directory says of somebody, by the names of `Person`.

    `active` is not among it: left out at the beginning it is true, and later it leaves the account as it is.
    """
    return {
        "user_name": str(user.user_name).strip(),
        "external_id": user.external_id or "",
        "display": display_of(user),
        "document": document_of(user),
    }


def _found(ctx: Context, desk: Desk, call: Call) -> Person:
    """Whom an address means; anybody who is not provisioned is not there."""
    person = desk.people.find(ctx.actor.tenant, call.path["id"])
    if person is None:
        raise Problem(Kind.NOT_FOUND, "There is nothing of this id.", "no such person")
    return person


def _resource(ctx: Context, desk: Desk, person: Person) -> SomeUser:
    return user_resource(desk, ctx.actor.tenant, address_of(ctx.base), person)
