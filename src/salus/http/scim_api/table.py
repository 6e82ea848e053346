# SPDX-License-Identifier: Apache-2.0
"""The routes of SCIM."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from salus.access.permissions import Permission
from salus.http.message import Response
from salus.http.routes import Call, Handler, Route
from salus.http.scim_api import discovery, groups, searching, users
from salus.identity.provisioning.desk import Desk
from salus.records.context import Context

Story = Callable[[Context, Desk, Call], Awaitable[Response]]


def scim_routes(desk: Desk) -> list[Route]:
    """All routes below `/scim/v2`."""
    p = Permission.USER_PROVISION
    root = "/scim/v2"
    user, group = f"{root}/Users/{{id}}", f"{root}/Groups/{{id}}"
    find_users, find_groups = searching.users(desk), searching.groups(desk)
    one_of = discovery.one_of

    def over(story: Story) -> Handler:
        async def handler(call: Call) -> Response:
            return await story(call.context, desk, call)

        return handler

    return [
        Route("GET", f"{root}/ServiceProviderConfig", p, discovery.config, "What SCIM can do here."),
        Route("GET", f"{root}/ResourceTypes", p, discovery.resource_types, "Lists what SCIM keeps here."),
        Route("GET", f"{root}/ResourceTypes/{{id}}", p, one_of("ResourceTypes"), "Describes one of them."),
        Route("GET", f"{root}/Schemas", p, discovery.schemas, "Lists the attributes that SCIM has here."),
        Route("GET", f"{root}/Schemas/{{id}}", p, one_of("Schemas"), "Describes one schema."),
        Route("POST", f"{root}/.search", p, searching.everything(desk), "Searches provisioned people and groups."),
        Route("GET", f"{root}/Users", p, find_users, "Searches provisioned people."),
        Route("POST", f"{root}/Users/.search", p, find_users, "Searches provisioned people."),
        Route("POST", f"{root}/Users", p, over(users.create), "Provisions an account."),
        Route("GET", user, p, over(users.read), "Reads a provisioned person."),
        Route("PUT", user, p, over(users.replace), "Replaces what is known of a provisioned person."),
        Route("PATCH", user, p, over(users.patch), "Changes, suspends or resumes a provisioned person."),
        Route("DELETE", user, p, over(users.delete), "Ends the account of a provisioned person."),
        Route("GET", f"{root}/Groups", p, find_groups, "Searches groups."),
        Route("POST", f"{root}/Groups/.search", p, find_groups, "Searches groups."),
        Route("POST", f"{root}/Groups", p, over(groups.create), "Makes a group."),
        Route("GET", group, p, over(groups.read), "Reads a group."),
        Route("PUT", group, p, over(groups.replace), "Replaces a group with its members."),
        Route("PATCH", group, p, over(groups.patch), "Changes a group or its members."),
        Route("DELETE", group, p, over(groups.delete), "Deletes a group; its members lose its roles."),
    ]
