# SPDX-License-Identifier: Apache-2.0
"""`salus user`: accounts of people and services."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from salus.app.house import House
from salus.audit.event import EventType
from salus.cli.shell import as_json, data_dir, in_house, open_house, secret_from, table, tells_problems
from salus.cli.shell import tenant as tenant_option
from salus.identity.factors.passwords import generate
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem


@click.group()
def user() -> None:
    """Accounts of people and services."""


@user.command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, required=True, help="Role of the policy; may be repeated.")
@click.option("--display", default="", help="Name for people.")
@click.option("--party", default="", help="The FHIR record that stands for the account: Practitioner/1, Patient/2.")
@click.option("--service", is_flag=True, help="A service: no password, works with tokens.")
@click.option("--generate-password", is_flag=True, help="Make a password and print it once.")
@click.option("--laboratory", is_flag=True, help="A machine of a test laboratory: no second factor.")
@tenant_option
@data_dir
@tells_problems
def add(
    name: str,
    roles: tuple[str, ...],
    display: str,
    party: str,
    service: bool,
    generate_password: bool,
    laboratory: bool,
    tenant: str,
    data_dir: Path,
) -> None:
    """Add the account NAME. The password is asked for, or read from a pipe; never an argument.

    For people `salus user invite` is better: they choose their own.
    """
    password = ""
    if not service:
        password = generate() if generate_password else secret_from("Password", confirm=True)

    async def work(house: House) -> str:
        check_roles(house, roles)
        if laboratory and name not in house.settings.identity.laboratory:
            raise Problem(Kind.INCORRECT, "Name the account in [identity] laboratory_accounts first.")
        unit = Unit()
        uri = ""
        if service:
            house.users.add_service(unit, tenant, name, roles=roles, display=display or name, party=party)
        else:
            uri = await house.users.add_user(
                unit, tenant, name, password, roles=roles, display=display or name, party=party, code=not laboratory
            )
        reason = f"account {name}, roles {', '.join(roles)}"
        await house.record(unit, house.operator(tenant), EventType.USER_CREATE, reason)
        return uri

    uri = in_house(data_dir, work)
    click.echo(f"added {name}")
    if generate_password and not service:
        click.echo(f"password: {password}")
    if uri:
        click.echo(f"for the authenticator application, shown once: {uri}")


def check_roles(house: House, roles: tuple[str, ...]) -> None:
    """Refuse a role that the policy does not have."""
    policy = house.access.policy
    known = policy.roles if policy is not None else {}
    for role in roles:
        if role not in known:
            raise Problem(Kind.INCORRECT, f"The policy has no role {role}. It has: {', '.join(sorted(known))}.")


@user.command("list")
@as_json
@tenant_option
@data_dir
@tells_problems
def list_(as_json: bool, tenant: str, data_dir: Path) -> None:
    """List accounts."""
    with open_house(data_dir) as house:
        rows = [
            (u.id, u.kind, ", ".join(u.roles), u.display, u.party, house.people.life.standing(u).value)
            for u in house.users.all_users(tenant)
        ]
    table(("name", "kind", "roles", "display", "party", "standing"), rows, machine=as_json)


def _change(data_dir: Path, tenant: str, reason: str, change: Callable[[House, Unit], None]) -> None:
    async def work(house: House) -> None:
        unit = Unit()
        change(house, unit)
        await house.record(unit, house.operator(tenant), EventType.USER_CHANGE, reason)

    in_house(data_dir, work)


@user.command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="The roles from now on, in place of the former; may be repeated.")
@click.option("--display", default=None, help="Name for people.")
@click.option("--party", default=None, help="The FHIR record that stands for the account; empty for none.")
@tenant_option
@data_dir
@tells_problems
def change(
    name: str, roles: tuple[str, ...], display: str | None, party: str | None, tenant: str, data_dir: Path
) -> None:
    """Change roles, name or record of an account; its tokens follow within a second."""

    def apply(house: House, unit: Unit) -> None:
        check_roles(house, roles)
        house.users.change(unit, tenant, name, roles=roles or None, display=display, party=party)

    said = [f"roles {', '.join(roles)}" if roles else "", "name" if display is not None else ""]
    said.append(f"record {party or 'none'}" if party is not None else "")
    reason = f"account {name}: " + (", ".join(part for part in said if part) or "nothing")
    _change(data_dir, tenant, reason, apply)
    click.echo(f"changed {name}")


@user.command()
@click.argument("name")
@tenant_option
@data_dir
@tells_problems
def unlock(name: str, tenant: str, data_dir: Path) -> None:
    """Forget failed sign-ins of an account."""
    _change(data_dir, tenant, f"account {name} unlocked", lambda house, unit: house.users.unlock(unit, tenant, name))
    click.echo(f"unlocked {name}")
