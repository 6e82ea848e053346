# SPDX-License-Identifier: Apache-2.0
"""The routes of SCIM."""

from __future__ import annotations

from salus.access.permissions import Permission
from salus.http.routes import Route
from salus.http.scim_api import discovery, groups, searching, users
from salus.identity.provisioning.desk import Desk


def scim_routes(desk: Desk) -> list[Route]:
    """All routes below `/scim/v2`."""
    p = Permission.USER_PROVISION
    root = "/scim/v2"
    user, group = f"{root}/Users/{{id}}", f"{root}/Groups/{{id}}"
    find_users, find_groups = searching.users(desk), searching.groups(desk)
    one_of = discovery.one_of
    return [
        Route("GET", f"{root}/ServiceProviderConfig", p, discovery.config, "What SCIM can do here."),
        Route("GET", f"{root}/ResourceTypes", p, discovery.resource_types, "Lists what SCIM keeps here."),
        Route("GET", f"{root}/ResourceTypes/{{id}}", p, one_of("ResourceTypes"), "Describes one of them."),
        Route("GET", f"{root}/Schemas", p, discovery.schemas, "Lists the attributes that SCIM has here."),
        Route("GET", f"{root}/Schemas/{{id}}", p, one_of("Schemas"), "Describes one schema."),
        Route("POST", f"{root}/.search", p, searching.everything(desk), "Searches provisioned people and groups."),
        Route("GET", f"{root}/Users", p, find_users, "Searches provisioned people."),
        Route("POST", f"{root}/Users/.search", p, find_users, "Searches provisioned people."),
        Route("POST", f"{root}/Users", p, users.create(desk), "Provisions an account."),
        Route("GET", user, p, users.read(desk), "Reads a provisioned person."),
        Route("PUT", user, p, users.replace(desk), "Replaces what is known of a provisioned person."),
        Route("PATCH", user, p, users.patch(desk), "Changes, suspends or resumes a provisioned person."),
        Route("DELETE", user, p, users.delete(desk), "Ends the account of a provisioned person."),
        Route("GET", f"{root}/Groups", p, find_groups, "Searches groups."),
        Route("POST", f"{root}/Groups/.search", p, find_groups, "Searches groups."),
        Route("POST", f"{root}/Groups", p, groups.create(desk), "Makes a group."),
        Route("GET", group, p, groups.read(desk), "Reads a group."),
        Route("PUT", group, p, groups.replace(desk), "Replaces a group with its members."),
        Route("PATCH", group, p, groups.patch(desk), "Changes a group or its members."),
        Route("DELETE", group, p, groups.delete(desk), "Deletes a group; its members lose its roles."),
    ]
