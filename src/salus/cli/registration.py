# SPDX-License-Identifier: Apache-2.0
"""`salus registration`: who may register applications by themselves (RFC 7591)."""

from __future__ import annotations

from pathlib import Path

import click

from salus.app.house import House
from salus.audit.event import EventType
from salus.cli.shell import as_json, data_dir, noted, open_house, table, tells_problems
from salus.cli.shell import tenant as tenant_option
from salus.identity.clients.registration import USUAL_SCOPES
from salus.kernel.clock import instant
from salus.kernel.commit import Unit


@click.group()
def registration() -> None:
    """Permissions with which programs register themselves."""


@registration.command()
@click.option("--label", required=True, help="Who it is handed to.")
@click.option("--count", type=int, default=1, show_default=True, help="Registrations that it allows.")
@click.option("--hours", type=int, default=24, show_default=True, help="How long it lasts.")
@click.option("--scope", "scopes", multiple=True, help="What its clients may ask for at most; may be repeated.")
@tenant_option
@data_dir
@tells_problems
def permit(label: str, count: int, hours: int, scopes: tuple[str, ...], tenant: str, data_dir: Path) -> None:
    """Make an initial access token and print it, once, alone on standard output."""

    def act(house: House, unit: Unit) -> tuple[str, str]:
        most = " ".join(scopes) or USUAL_SCOPES
        token, made = house.apps.registration.permit(unit, tenant, label=label, count=count, hours=hours, scopes=most)
        return f"registration {made.id}: {count} clients", token

    click.echo(noted(data_dir, tenant, EventType.CLIENT_CHANGE, act))


@registration.command("list")
@as_json
@tenant_option
@data_dir
@tells_problems
def list_(as_json: bool, tenant: str, data_dir: Path) -> None:
    """List permissions that still count; the tokens themselves are kept nowhere."""
    with open_house(data_dir) as house:
        rows = [
            (p.id, p.label, p.remaining, p.scopes, instant(p.created_ms), instant(p.expires_ms))
            for p in house.apps.registration.permissions(tenant)
        ]
    table(("id", "label", "left", "scopes", "made", "expires"), rows, machine=as_json)


@registration.command()
@click.argument("id_", metavar="ID")
@tenant_option
@data_dir
@tells_problems
def withdraw(id_: str, tenant: str, data_dir: Path) -> None:
    """End the permission with this ID; clients that were registered with it stay."""

    def act(house: House, unit: Unit) -> tuple[str, None]:
        house.apps.registration.withdraw(unit, tenant, id_)
        return f"registration {id_} ended", None

    noted(data_dir, tenant, EventType.CLIENT_CHANGE, act)
    click.echo("withdrawn")


COMMANDS = {"registration": registration}
