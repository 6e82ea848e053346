# SPDX-License-Identifier: Apache-2.0
"""`salus tenant`: clinics behind one server, each with keys, accounts and an audit log of its own."""

from __future__ import annotations

from pathlib import Path

import click

from salus.app.house import House
from salus.audit.event import EventType
from salus.cli.shell import as_json, data_dir, in_house, open_house, table, tells_problems
from salus.kernel.commit import Unit
from salus.records.context import fhir_base


@click.group()
def tenant() -> None:
    """Clinics behind one server, each behind a wall of its own."""


@tenant.command()
@click.argument("name")
@data_dir
@tells_problems
def add(name: str, data_dir: Path) -> None:
    """Add the tenant NAME; it is reached at /t/NAME/fhir."""

    async def work(house: House) -> str:
        house.keyring.create_tenant(name)
        await house.record(Unit(), house.operator(name), EventType.TENANT_CREATE, f"tenant {name}")
        return fhir_base(house.services.base_url, name)

    click.echo(in_house(data_dir, work))


@tenant.command("list")
@as_json
@data_dir
@tells_problems
def list_(as_json: bool, data_dir: Path) -> None:
    """List tenants."""
    with open_house(data_dir) as house:
        rows = [(name, fhir_base(house.services.base_url, name)) for name in house.keyring.tenants()]
    table(("name", "address"), rows, machine=as_json)


COMMANDS = {"tenant": tenant}
