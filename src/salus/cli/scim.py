# SPDX-License-Identifier: Apache-2.0
"""`salus scim`: which group of a directory stands for which role, and accounts that are handed over to it."""

from __future__ import annotations

from pathlib import Path

import click

from salus.access.permissions import Permission
from salus.app.house import House
from salus.audit.event import EventType
from salus.cli.shell import as_json, data_dir, noted, open_house, table, tells_problems
from salus.cli.shell import tenant as tenant_option
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem


@click.group()
def scim() -> None:
    """Provisioning: accounts and groups that a directory keeps here."""


@scim.command("map")
@click.argument("group")
@click.option("--role", required=True, help="The role of the policy that members of the group get.")
@tenant_option
@data_dir
@tells_problems
def map_(group: str, role: str, tenant: str, data_dir: Path) -> None:
    """Let the group of this name stand for a role; its members get it at once."""

    def act(house: House, unit: Unit) -> tuple[str, int]:
        _check_role(house, role)
        desk = house.directories.provisioning
        desk.mappings.add(unit, tenant, group, role)
        wanted = {*desk.mappings.roles(tenant, group), role}
        members = desk.groups.bring_up_to_date(unit, tenant, group, wanted)
        return f"a group stands for the role {role}; it has {members} members", members

    members = noted(data_dir, tenant, EventType.PROVISION_MAP, act)
    click.echo(f"members of {group} have the role {role}: {members}")


@scim.command()
@click.argument("group")
@click.option("--role", required=True, help="The role.")
@tenant_option
@data_dir
@tells_problems
def unmap(group: str, role: str, tenant: str, data_dir: Path) -> None:
    """Let the group no longer stand for a role; its members lose it within a second."""

    def act(house: House, unit: Unit) -> tuple[str, None]:
        desk = house.directories.provisioning
        desk.mappings.remove(unit, tenant, group, role)
        wanted = set(desk.mappings.roles(tenant, group)) - {role}
        members = desk.groups.bring_up_to_date(unit, tenant, group, wanted)
        return f"a group no longer stands for the role {role}; it has {members} members", None

    noted(data_dir, tenant, EventType.PROVISION_MAP, act)
    click.echo("unmapped")


@scim.command()
@as_json
@tenant_option
@data_dir
@tells_problems
def mappings(as_json: bool, tenant: str, data_dir: Path) -> None:
    """List which group stands for which role."""
    with open_house(data_dir) as house:
        rows = [(each.group, each.role) for each in house.directories.provisioning.mappings.all(tenant)]
    table(("group", "role"), rows, machine=as_json)


@scim.command()
@click.argument("name")
@click.option("--user-name", default=None, help="What the directory calls the person; NAME when left out.")
@click.option("--external-id", default="", help="The directory's own key for the person.")
@tenant_option
@data_dir
@tells_problems
def adopt(name: str, user_name: str | None, external_id: str, tenant: str, data_dir: Path) -> None:
    """Hand the account NAME, which was made here, over to the directory. Its roles stay."""

    def act(house: House, unit: Unit) -> tuple[str, str]:
        user = house.users.find(tenant, name)
        if user is None:
            raise Problem(Kind.NOT_FOUND, "There is no such account.")
        people = house.directories.provisioning.people
        person = people.adopt(unit, tenant, user, user_name=user_name or name, external_id=external_id)
        return f"account {name} handed over to provisioning as {person.id}", person.id

    click.echo(noted(data_dir, tenant, EventType.USER_CHANGE, act))


@scim.command()
@as_json
@tenant_option
@data_dir
@tells_problems
def people(as_json: bool, tenant: str, data_dir: Path) -> None:
    """List provisioned people with their accounts."""
    with open_house(data_dir) as house:
        kept = house.directories.provisioning.people
        rows = [
            (
                person.id,
                person.user_name,
                person.login,
                ", ".join(account.roles),
                "disabled" if account.disabled else "",
            )
            for person in kept.all(tenant)
            for account in (kept.account(tenant, person),)
        ]
    table(("id", "userName", "account", "roles", "state"), rows, machine=as_json)


def _check_role(house: House, name: str) -> None:
    """A role of the policy that one party alone may give, and that lets nobody make directories."""
    policy = house.access.policy
    known = policy.roles if policy is not None else {}
    if name not in known:
        raise Problem(Kind.INCORRECT, f"The policy has no role {name}. It has: {', '.join(sorted(known))}.")
    if Permission.USER_PROVISION in known[name].permissions:
        raise Problem(Kind.INCORRECT, "A group cannot stand for a role that may itself provision accounts.")
    if house.people.life.takes_two((name,)):
        raise Problem(Kind.INCORRECT, "This role is given by two administrators together, and not by a directory.")


COMMANDS = {"scim": scim}
