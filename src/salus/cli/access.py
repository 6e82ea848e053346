# SPDX-License-Identifier: Apache-2.0
"""`salus access`: why someone may or may not do something."""

from __future__ import annotations

from pathlib import Path

import click

from salus.access.load import load_policy
from salus.access.permissions import Permission
from salus.access.policy import matrix as matrix_of
from salus.app.house import policy_text
from salus.cli.shell import EXIT_REFUSED, as_json, data_dir, open_house, settings_of, table, tells_problems
from salus.cli.shell import tenant as tenant_option
from salus.kernel.actor import Actor
from salus.kernel.errors import Kind, Problem


@click.group()
def access() -> None:
    """Roles and decisions."""


@access.command()
@click.argument("account")
@click.argument("permission", type=click.Choice([str(p) for p in Permission]))
@click.argument("type_", metavar="[TYPE]", default="")
@click.option("--purpose", default="TREAT", show_default=True, help="Purpose of use.")
@tenant_option
@data_dir
@click.pass_context
@tells_problems
def explain(
    ctx: click.Context, account: str, permission: str, type_: str, purpose: str, tenant: str, data_dir: Path
) -> None:
    """Say why ACCOUNT may or may not use PERMISSION on TYPE."""
    with open_house(data_dir) as house:
        user = house.users.find(tenant, account)
        if user is None:
            raise Problem(Kind.NOT_FOUND, "There is no such account.")
        actor = Actor(tenant, user.id, user.kind, user.roles, purpose, user.party)
        lines = house.access.explain(actor, Permission(permission), type_)
    for line in lines:
        click.echo(line)
    if any(line.startswith("Refused") for line in lines):
        ctx.exit(EXIT_REFUSED)


@access.command()
@as_json
@data_dir
@tells_problems
def matrix(as_json: bool, data_dir: Path) -> None:
    """Print the policy as a table: role, type, action, condition, hidden elements."""
    rows = matrix_of(load_policy(policy_text(settings_of(data_dir))))
    table(("role", "type", "action", "when", "hidden"), rows, machine=as_json)


COMMANDS = {"access": access}
