# SPDX-License-Identifier: Apache-2.0
"""Administration of people over HTTP: invite, change, suspend, reset, end sessions, approve.

Whatever changes something asks for factors that were shown a moment ago (RFC 9470). Nobody acts on their own account
here. What would give the power of a role that demands AAL3 is answered with 202 and waits for a second administrator.
Codes are in the answer that made them alone; nobody but the person ever chooses or learns a password.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from salus.access.permissions import Permission
from salus.audit.event import EventType
from salus.fhir import json
from salus.http.message import JSON, Response
from salus.http.negotiate import check_content
from salus.http.routes import Call, Handler, Route
from salus.identity.accounts.notices import NoticeKind
from salus.identity.accounts.users import User, no_account
from salus.identity.ceremonies.flow import Began
from salus.identity.ceremonies.life import Asking
from salus.identity.factors.assurance import FRESH
from salus.identity.people import People
from salus.identity.sessions import Session
from salus.kernel.clock import instant
from salus.kernel.commit import Unit
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.context import Context, audited

T = TypeVar("T", bound=msgspec.Struct)
Answer = tuple[int, Any]
Story = Callable[[Context, People, Call], Awaitable[Answer]]


class Invited(msgspec.Struct, forbid_unknown_fields=True):
    """The body of an invitation."""

    name: str
    roles: tuple[str, ...]
    display: str
    party: str = ""


class Changed(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be changed; what is left out stays."""

    roles: tuple[str, ...] | None = None
    display: str | None = None
    party: str | None = None


class Lost(msgspec.Struct, forbid_unknown_fields=True):
    """What somebody has lost."""

    lost: Began


class Approval(msgspec.Struct, forbid_unknown_fields=True):
    """What the second administrator says."""

    approve: bool


def user_routes(people: People) -> list[Route]:
    """The routes, for `salus.http.table`."""
    one, sessions = "/admin/users/{name}", "/admin/users/{name}/sessions"

    def look(pattern: str, story: Story, doc: str) -> Route:
        return Route("GET", pattern, Permission.USER_READ, _handler(people, story), doc)

    def change(method: str, pattern: str, story: Story, doc: str) -> Route:
        return Route(method, pattern, Permission.USER_MANAGE, _handler(people, story), doc, demand=FRESH)

    return [
        look("/admin/users", _list, "Lists accounts."),
        change("POST", "/admin/users", _invite, "Invites a person."),
        look(one, _show, "Shows an account."),
        change("PUT", one, _change, "Changes roles, name or record of an account."),
        change("POST", f"{one}/invitation", _invite_again, "Makes a new code for an invited person."),
        change("POST", f"{one}/suspend", _suspend, "Keeps somebody out; everything of theirs ends."),
        change("POST", f"{one}/reinstate", _reinstate, "Opens a suspended account again."),
        change("POST", f"{one}/leave", _leave, "Ends everything of somebody who leaves."),
        change("POST", f"{one}/unlock", _unlock, "Forgets failed sign-ins of an account."),
        change("POST", f"{one}/reset", _reset, "Begins anew for somebody who lost a password or factor."),
        look(sessions, _sessions, "Lists where somebody is signed in."),
        change("DELETE", sessions, _end_sessions, "Signs somebody out everywhere."),
        change("DELETE", f"{sessions}/{{id}}", _end_session, "Ends one session of somebody."),
        look("/admin/approvals", _askings, "Lists what waits for a second administrator."),
        change("POST", "/admin/approvals/{id}", _approve, "Approves or refuses what another has asked for."),
    ]


def _handler(people: People, story: Story) -> Handler:
    async def handler(call: Call) -> Response:
        status, answer = await story(call.context, people, call)
        return Response(status) if answer is None else Response(status, json.encode(answer), JSON)

    return handler


# ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@audited(EventType.USER_READ)
async def _list(ctx: Context, people: People, call: Call) -> Answer:
    permit = ctx.decide(Permission.USER_READ, "")
    users = [_told(people, user) for user in people.users.all_users(ctx.actor.tenant)]
    await ctx.commit(Unit(), ctx.event(EventType.USER_READ, reason=permit.reason, query="users"))
    return 200, {"users": users}


@audited(EventType.USER_READ)
async def _show(ctx: Context, people: People, call: Call) -> Answer:
    permit = ctx.decide(Permission.USER_READ, "")
    user = _found(ctx, people, call)
    tenant = user.tenant
    passkeys = people.passkeys.of_user(tenant, user.id)
    factors = {
        "password": people.users.has_password(tenant, user.id) and not people.lockout.closed(tenant, user.id),
        "code": people.credentials.held(tenant, user.id).code,
        "passkeys": [{"synced": each.synced, "suspect": each.suspect} for each in passkeys],
        "recovery_codes": people.recovery.left(tenant, user.id),
    }
    await ctx.commit(Unit(), ctx.event(EventType.USER_READ, reason=permit.reason, query=f"users/{user.id}"))
    return 200, _told(people, user) | {"factors": factors}


@audited(EventType.USER_READ)
async def _sessions(ctx: Context, people: People, call: Call) -> Answer:
    permit = ctx.decide(Permission.USER_READ, "")
    user = _found(ctx, people, call)
    found = [_told_session(session) for session in people.sessions.of_user(user.tenant, user.id)]
    await ctx.commit(Unit(), ctx.event(EventType.USER_READ, reason=permit.reason, query=f"users/{user.id}/sessions"))
    return 200, {"sessions": found}


@audited(EventType.USER_READ)
async def _askings(ctx: Context, people: People, call: Call) -> Answer:
    permit = ctx.decide(Permission.USER_READ, "")
    waiting = [_told_asking(asking) for asking in people.life.asked(ctx.actor.tenant)]
    await ctx.commit(Unit(), ctx.event(EventType.USER_READ, reason=permit.reason, query="approvals"))
    return 200, {"approvals": waiting}


# ── changing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@audited(EventType.USER_INVITE)
async def _invite(ctx: Context, people: People, call: Call) -> Answer:
    ctx.decide(Permission.USER_MANAGE, "")
    sent = await _sent(call, Invited)
    _check_roles(ctx, sent.roles)
    unit, tenant = Unit(), ctx.actor.tenant
    reason = f"account {sent.name}, roles {', '.join(sent.roles)}"
    if people.life.takes_two((), sent.roles):
        id_ = people.life.invite_later(
            unit, tenant, ctx.actor.id, sent.name, roles=sent.roles, display=sent.display, party=sent.party
        )
        await ctx.commit(unit, ctx.event(EventType.USER_INVITE, reason=f"{reason}, waits for approval {id_}"))
        return 202, {"approval": id_}
    code, ends = people.life.invite(unit, tenant, sent.name, roles=sent.roles, display=sent.display, party=sent.party)
    await ctx.commit(unit, ctx.event(EventType.USER_INVITE, reason=reason))
    return 201, _told_code(code, ends)


@audited(EventType.USER_INVITE)
async def _invite_again(ctx: Context, people: People, call: Call) -> Answer:
    ctx.decide(Permission.USER_MANAGE, "")
    user, unit = _other(ctx, people, call), Unit()
    code, ends = people.life.invite_again(unit, user.tenant, user.id)
    await ctx.commit(unit, ctx.event(EventType.USER_INVITE, reason=f"account {user.id}, a new code"))
    return 201, _told_code(code, ends)


@audited(EventType.USER_CHANGE)
async def _change(ctx: Context, people: People, call: Call) -> Answer:
    ctx.decide(Permission.USER_MANAGE, "")
    sent = await _sent(call, Changed)
    user, unit = _other(ctx, people, call), Unit()
    roles = sent.roles
    if roles is not None:
        _check_roles(ctx, roles)
    waits = ""
    if roles is not None and people.life.takes_two(user.roles, roles):
        waits, roles = people.life.ask(unit, user.tenant, ctx.actor.id, user.id, roles=roles), None
    people.users.change(unit, user.tenant, user.id, roles=roles, display=sent.display, party=sent.party)
    if roles is not None:
        people.notices.tell(unit, user.tenant, user.id, NoticeKind.ROLES_CHANGED, ", ".join(roles))
    reason = f"account {user.id}" + (f", roles {', '.join(sent.roles)}" if sent.roles else "")
    reason += f", waits for approval {waits}" if waits else ""
    await ctx.commit(unit, ctx.event(EventType.USER_CHANGE, reason=reason))
    return (202, {"approval": waits}) if waits else (200, _told(people, _found(ctx, people, call)))


@audited(EventType.USER_SUSPEND)
async def _suspend(ctx: Context, people: People, call: Call) -> Answer:
    ctx.decide(Permission.USER_MANAGE, "")
    user, unit = _other(ctx, people, call), Unit()
    people.life.suspend(unit, user.tenant, user.id)
    await ctx.commit(unit, ctx.event(EventType.USER_SUSPEND, reason=f"account {user.id}"))
    return 204, None


@audited(EventType.USER_REINSTATE)
async def _reinstate(ctx: Context, people: People, call: Call) -> Answer:
    ctx.decide(Permission.USER_MANAGE, "")
    user, unit = _other(ctx, people, call), Unit()
    if people.life.takes_two(user.roles):
        waits = people.life.ask(unit, user.tenant, ctx.actor.id, user.id, began=Began.INVITE)
        reason = f"account {user.id}, waits for approval {waits}"
        await ctx.commit(unit, ctx.event(EventType.USER_REINSTATE, reason=reason))
        return 202, {"approval": waits}
    code = people.life.reinstate(unit, user.tenant, user.id)
    await ctx.commit(unit, ctx.event(EventType.USER_REINSTATE, reason=f"account {user.id}"))
    return (204, None) if code is None else (201, _told_code(*code))


@audited(EventType.USER_LEAVE)
async def _leave(ctx: Context, people: People, call: Call) -> Answer:
    ctx.decide(Permission.USER_MANAGE, "")
    user, unit = _other(ctx, people, call), Unit()
    people.life.leave(unit, user.tenant, user.id)
    await ctx.commit(unit, ctx.event(EventType.USER_LEAVE, reason=f"account {user.id}"))
    return 204, None


@audited(EventType.USER_CHANGE)
async def _unlock(ctx: Context, people: People, call: Call) -> Answer:
    ctx.decide(Permission.USER_MANAGE, "")
    user, unit = _other(ctx, people, call), Unit()
    people.users.unlock(unit, user.tenant, user.id)
    await ctx.commit(unit, ctx.event(EventType.USER_CHANGE, reason=f"account {user.id} unlocked"))
    return 204, None


@audited(EventType.USER_RESET)
async def _reset(ctx: Context, people: People, call: Call) -> Answer:
    ctx.decide(Permission.USER_MANAGE, "")
    sent = await _sent(call, Lost)
    if sent.lost not in {Began.PASSWORD, Began.FACTORS, Began.ALL}:
        raise _unfit("lost", "What was lost is password, factors or all.")
    user, unit = _other(ctx, people, call), Unit()
    reason = f"account {user.id}, lost: {sent.lost}"
    if people.life.takes_two(user.roles):
        waits = people.life.ask(unit, user.tenant, ctx.actor.id, user.id, began=sent.lost)
        await ctx.commit(unit, ctx.event(EventType.USER_RESET, reason=f"{reason}, waits for approval {waits}"))
        return 202, {"approval": waits}
    code, ends = people.life.reset(unit, user.tenant, user.id, sent.lost)
    await ctx.commit(unit, ctx.event(EventType.USER_RESET, reason=reason))
    return 201, _told_code(code, ends)


@audited(EventType.SESSION_END)
async def _end_session(ctx: Context, people: People, call: Call) -> Answer:
    ctx.decide(Permission.USER_MANAGE, "")
    user, unit, id_ = _found(ctx, people, call), Unit(), call.path["id"]
    people.sessions.end(unit, user.tenant, id_, name=user.id)
    await ctx.commit(unit, ctx.event(EventType.SESSION_END, reason=f"account {user.id}, one session"))
    return 204, None


@audited(EventType.SESSION_END)
async def _end_sessions(ctx: Context, people: People, call: Call) -> Answer:
    ctx.decide(Permission.USER_MANAGE, "")
    user, unit = _found(ctx, people, call), Unit()
    people.users.end_access(unit, user.tenant, user.id)
    await ctx.commit(unit, ctx.event(EventType.SESSION_END, reason=f"account {user.id}, all sessions and tokens"))
    return 204, None


@audited(EventType.USER_APPROVE)
async def _approve(ctx: Context, people: People, call: Call) -> Answer:
    ctx.decide(Permission.USER_MANAGE, "")
    sent = await _sent(call, Approval)
    unit, tenant, id_ = Unit(), ctx.actor.tenant, call.path["id"]
    if not sent.approve:
        people.life.drop(unit, tenant, id_)
        await ctx.commit(unit, ctx.event(EventType.USER_APPROVE, reason="refused what was asked for"))
        return 204, None
    asking = people.life.answer(unit, tenant, ctx.actor.id, id_)
    answer: Answer = 204, None
    if asking.began is Began.INVITE:
        code = people.life.reinstate(unit, tenant, asking.name)
        answer = (204, None) if code is None else (201, _told_code(*code))
    elif asking.began:
        answer = 201, _told_code(*people.life.reset(unit, tenant, asking.name, asking.began, asked_ms=asking.asked_ms))
    else:
        _check_roles(ctx, asking.roles)
        people.users.change(unit, tenant, asking.name, roles=asking.roles)
        people.notices.tell(unit, tenant, asking.name, NoticeKind.ROLES_CHANGED, ", ".join(asking.roles))
    what = asking.began.value or f"roles {', '.join(asking.roles)}"
    reason = f"account {asking.name}, {what}, asked for by {asking.by}"
    await ctx.commit(unit, ctx.event(EventType.USER_APPROVE, reason=reason))
    return answer


# ── reading what was sent, telling what is there ─────────────────────────────────────────────────────────────────────


async def _sent(call: Call, type_: type[T]) -> T:
    if check_content(call.request) != "json":
        raise Problem(Kind.FORMAT, "Send JSON.", issues=(Issue("not-supported", "Send JSON."),))
    try:
        return msgspec.convert(json.decode(await call.request.body()), type_)
    except msgspec.ValidationError:
        names = ", ".join(type_.__struct_fields__)
        raise Problem(Kind.INCORRECT, f"Send JSON with these fields: {names}.") from None


def _check_roles(ctx: Context, roles: tuple[str, ...]) -> None:
    if not roles:  # only a directory makes accounts without any
        raise _unfit("roles", "An account has at least one role.")
    policy = ctx.services.access.policy
    if policy is None or any(role not in policy.roles for role in roles):
        raise _unfit("roles", "The policy has no such role.")


def _unfit(place: str, words: str) -> Problem:
    return Problem(Kind.INVALID, words, issues=(Issue("value", words, place),))


def _found(ctx: Context, people: People, call: Call) -> User:
    user = people.users.find(ctx.actor.tenant, call.path["name"])
    if user is None:
        raise no_account()
    return user


def _other(ctx: Context, people: People, call: Call) -> User:
    """The account that is meant, which is never one's own."""
    user = _found(ctx, people, call)
    if user.id == ctx.actor.id:
        raise Problem(Kind.FORBIDDEN, "Nobody does this to their own account.", "administrator on their own account")
    return user


def _told(people: People, user: User) -> dict[str, Any]:
    return {
        "name": user.id,
        "kind": user.kind,
        "roles": list(user.roles),
        "display": user.display,
        "party": user.party,
        "standing": people.life.standing(user),
        "created": instant(user.created_ms),
    }


def _told_session(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "device": session.device,
        "address": session.address,
        "acr": session.acr,
        "amr": list(session.amr),
        "purpose": session.purpose,
        "begun": instant(session.created_ms),
        "seen": instant(session.seen_ms),
        "ends": instant(session.ends_ms),
    }


def _told_asking(asking: Asking) -> dict[str, Any]:
    return {
        "id": asking.id,
        "by": asking.by,
        "name": asking.name,
        "reset": asking.began.value,
        "roles": list(asking.roles),
        "asked": instant(asking.asked_ms),
    }


def _told_code(code: str, ends_ms: int) -> dict[str, Any]:
    return {"code": code, "ends": instant(ends_ms)}
