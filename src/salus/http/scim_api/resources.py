# SPDX-License-Identifier: Apache-2.0
"""Between SCIM resources and what is kept: people and groups, both ways."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
from scim2_models import Context as Situation
from scim2_models import Resource, ResponseParameters

from salus.http.message import Header, Response
from salus.http.scim_api.messages import answer, understood, wrong
from salus.http.scim_api.models import TOLERANT, Group, SomeUser
from salus.identity.provisioning.desk import Desk
from salus.identity.provisioning.person import Group as KeptGroup
from salus.identity.provisioning.person import Person
from salus.kernel.clock import instant
from salus.kernel.errors import Kind, Problem

_KEPT_APART = {"id", "meta", "userName", "externalId", "active", "groups", "roles"}
_OURS = {"id", "meta", "groups"}  # read-only: passed over in what is sent (RFC 7644 section 3.5.1)
_LONGEST_NAME = 200


def address_of(base: str) -> str:
    """Address of SCIM, from that of FHIR in the same tenant."""
    return base.removesuffix("/fhir") + "/scim/v2"


# ── in ───────────────────────────────────────────────────────────────────────────────────────────────────────


def read_user(sent: dict[str, Any], situation: Situation, roles: tuple[str, ...]) -> SomeUser:
    """A user as the directory sends it.

    Args:
        sent: the body.
        situation: creation or replacement.
        roles: that the account has. A directory may say them back; other ones it cannot give.

    Raises:
        Problem: INCORRECT; with `mutability` for roles that the account does not have.
    """
    given = {name: value for name, value in sent.items() if name.lower() not in _OURS}
    for name in [name for name in given if name.lower() == "roles"]:
        listed = given.pop(name)
        if listed not in (None, []) and {_role(each) for each in _list(listed)} != set(roles):
            raise wrong("mutability", "roles")
    with understood():
        user = SomeUser.model_validate(given, scim_ctx=situation, scim_policy=TOLERANT)
    return check_user(user)


def check_user(user: SomeUser) -> SomeUser:
    """What the schema cannot say. Raises Problem(INCORRECT)."""
    if not user.user_name or not user.user_name.strip() or len(user.user_name) > _LONGEST_NAME:
        raise wrong("invalidValue", "userName")
    if user.external_id is not None and len(user.external_id) > _LONGEST_NAME:
        raise wrong("invalidValue", "externalId")
    for name in ("emails", "phone_numbers"):
        if sum(1 for each in getattr(user, name) or () if each.primary) > 1:  # RFC 7643 section 2.4
            raise wrong("invalidValue", "emails" if name == "emails" else "phoneNumbers")
    return user


def read_group(sent: dict[str, Any], situation: Situation) -> Group:
    """A group as the directory sends it. Raises Problem(INCORRECT)."""
    given = {name: value for name, value in sent.items() if name.lower() not in _OURS}
    with understood():
        group = Group.model_validate(given, scim_ctx=situation, scim_policy=TOLERANT)
    return check_group(group)


def check_group(group: Group) -> Group:
    """What the schema cannot say. Raises Problem(INCORRECT)."""
    if not group.display_name or not group.display_name.strip() or len(group.display_name) > _LONGEST_NAME:
        raise wrong("invalidValue", "displayName")
    if group.external_id is not None and len(group.external_id) > _LONGEST_NAME:
        raise wrong("invalidValue", "externalId")
    return group


def document_of(user: SomeUser) -> bytes:
    """What is kept of a user beside what has a place of its own."""
    dumped = user.model_dump(scim_policy=TOLERANT)
    return msgspec.json.encode({name: value for name, value in dumped.items() if name not in _KEPT_APART})


def display_of(user: SomeUser) -> str:
    """The name for people: what the directory displays, or what a name is made of."""
    name = user.name
    parts = (name.given_name, name.family_name) if name else ()
    written = (user.display_name, name.formatted if name else None, " ".join(part for part in parts if part))
    return next((text.strip() for text in (*written, user.user_name) if text and text.strip()), "")[:_LONGEST_NAME]


def members_of(group: Group, address: str) -> list[str]:
    """Ids of the members that a directory names, by value or by reference.

    Raises:
        Problem: INCORRECT for one that is no person of ours.
    """
    found = []
    for member in group.members or ():
        inside = str(member.ref).removeprefix(f"{address}/Users/") if member.ref else ""
        id_ = member.value or inside
        if not id_ or "/" in id_ or len(id_) > 100 or (member.type or "User") != "User":
            raise wrong("invalidValue", "members")
        found.append(id_)
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _role(each: Any) -> str:
    value = each.get("value") if isinstance(each, dict) else each
    return value if isinstance(value, str) else ""


# ── out ──────────────────────────────────────────────────────────────────────────────────────────────────────


def user_resource(desk: Desk, tenant: str, address: str, person: Person) -> SomeUser:
    """A person as a SCIM user."""
    account = desk.people.account(tenant, person)
    location = f"{address}/Users/{person.id}"
    body: dict[str, Any] = {
        **msgspec.json.decode(person.document),
        "id": person.id,
        "userName": person.user_name,
        "groups": [
            {"value": group.id, "$ref": f"{address}/Groups/{group.id}", "display": group.display}
            for group in desk.groups.of_person(tenant, person.id)
        ],
        "roles": [{"value": role} for role in account.roles],
        "meta": _meta("User", person, location, f"{account.roles}{account.disabled}"),
    }
    if person.tells:
        body["active"] = not account.disabled
    if person.external_id:
        body["externalId"] = person.external_id
    return SomeUser.model_validate(body, scim_policy=TOLERANT)


def group_resource(desk: Desk, tenant: str, address: str, group: KeptGroup) -> Group:
    """A group as a SCIM group."""
    location = f"{address}/Groups/{group.id}"
    body: dict[str, Any] = {
        "schemas": [str(Group.__schema__)],
        "id": group.id,
        "displayName": group.display,
        "members": [
            {"value": id_, "$ref": f"{address}/Users/{id_}", "type": "User"}
            for id_ in desk.groups.members(tenant, group.id)
        ],
        "meta": _meta("Group", group, location, ",".join(desk.groups.members(tenant, group.id))),
    }
    if group.external_id:
        body["externalId"] = group.external_id
    return Group.model_validate(body, scim_policy=TOLERANT)


def _meta(kind: str, kept: Person | KeptGroup, location: str, beside: str) -> dict[str, Any]:
    """RFC 7643 section 3.1. `beside` is what shows in the resource without a version of its own."""
    mark = sha256(beside.encode()).hexdigest()[:8]
    return {
        "resourceType": kind,
        "created": instant(kept.created_ms),
        "lastModified": instant(kept.modified_ms),
        "location": location,
        "version": f'W/"{kept.version}-{mark}"',
    }


def dump(resource: Resource[Any], situation: Situation, asked: ResponseParameters[Any] | None = None) -> dict[str, Any]:
    """A resource as JSON, with the attributes that were asked for."""
    dumped: dict[str, Any] = resource.model_dump(scim_ctx=situation, response_parameters=asked, scim_policy=TOLERANT)
    return dumped


def one(
    status: int, resource: Resource[Any], situation: Situation, asked: ResponseParameters[Any] | None = None
) -> Response:
    """The answer that gives one resource."""
    headers: list[Header] = []
    if resource.meta is not None:
        headers.append((b"etag", str(resource.meta.version).encode()))
        headers.append((b"location" if status == 201 else b"content-location", str(resource.meta.location).encode()))
    return answer(status, dump(resource, situation, asked), *headers)


def check_version(wanted: str, resource: Resource[Any]) -> None:
    """`If-Match` (RFC 7644 section 3.14).

    Raises:
        Problem: PRECONDITION.
    """
    known = str(resource.meta.version) if resource.meta is not None else ""
    if wanted and not _named(wanted, known):
        raise Problem(Kind.PRECONDITION, "It was changed since this version.")


def unchanged(wanted: str, resource: Resource[Any]) -> bool:
    """`If-None-Match` of a read."""
    known = str(resource.meta.version) if resource.meta is not None else ""
    return bool(wanted) and _named(wanted, known)


def _named(wanted: str, known: str) -> bool:
    """Weakly, as all versions here are weak (RFC 9110 section 8.8.3.2)."""
    tags = {tag.strip().removeprefix("W/") for tag in wanted.split(",")}
    return "*" in tags or known.removeprefix("W/") in tags
