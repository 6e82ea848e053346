# SPDX-License-Identifier: Apache-2.0
"""`salus oauth`: the authorization server: its signing keys, and what people allow applications."""

from __future__ import annotations

from pathlib import Path

import click

from salus.app.house import House
from salus.audit.event import EventType
from salus.cli.shell import as_json, data_dir, in_house, noted, open_house, table, tells_problems
from salus.cli.shell import tenant as tenant_option
from salus.identity.oauth.rotation import replace
from salus.kernel.clock import instant
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem


@click.group()
def oauth() -> None:
    """The authorization server: signing keys, and what people allow applications."""


@oauth.group()
def keys() -> None:
    """Keys that sign id_tokens."""


@keys.command("list")
@as_json
@tenant_option
@data_dir
@tells_problems
def list_keys(as_json: bool, tenant: str, data_dir: Path) -> None:
    """List the keys that are published, with their state."""
    with open_house(data_dir) as house:
        house.keyring.tenant(tenant)
        rows = [(key.algorithm, key.state, instant(key.since_ms), key.kid) for key in house.oauth.signing.all(tenant)]
    table(("algorithm", "state", "since", "kid"), rows, machine=as_json)


@keys.command()
@click.option("--at-once", is_flag=True, help="New keys sign from now on, without a day of notice: a key was stolen.")
@tenant_option
@data_dir
@tells_problems
def rotate(at_once: bool, tenant: str, data_dir: Path) -> None:
    """Make new keys, which sign in a day, or put those that wait to use now. Servers rotate by themselves as well."""

    async def work(house: House) -> list[str]:
        house.keyring.tenant(tenant)

        async def commit(unit: Unit, words: str) -> None:
            await house.record(unit, house.operator(tenant), EventType.OAUTH_KEY, words)

        return await replace(house.oauth.signing, tenant, commit, at_once=at_once)

    for words in in_house(data_dir, work):
        click.echo(words)


@oauth.command()
@click.option("--account", default="", help="Only what this account allows.")
@click.option("--client", default="", help="Only what this application is allowed.")
@as_json
@tenant_option
@data_dir
@tells_problems
def grants(account: str, client: str, as_json: bool, tenant: str, data_dir: Path) -> None:
    """List what people allow applications at present."""
    with open_house(data_dir) as house:
        found = house.oauth.grants.listed(tenant, name=account, client_id=client)
        rows = [
            (g.id, g.allowed.user, g.allowed.client, " ".join(g.allowed.scopes), instant(g.allowed.created))
            for g in found
        ]
    table(("id", "account", "client", "scopes", "since"), rows, machine=as_json)


@oauth.command()
@click.argument("id_", metavar="ID")
@tenant_option
@data_dir
@tells_problems
def revoke(id_: str, tenant: str, data_dir: Path) -> None:
    """End the grant with this ID and all its tokens; running servers refuse them within a second."""

    def act(house: House, unit: Unit) -> tuple[str, None]:
        grant = house.oauth.grants.find(tenant, id_)
        if grant is None:
            raise Problem(Kind.NOT_FOUND, "There is no such grant.")
        house.oauth.grants.revoke(unit, tenant, id_)
        return f"grant {id_} of {grant.allowed.user} to {grant.allowed.client}", None

    noted(data_dir, tenant, EventType.OAUTH_REVOKE, act)
    click.echo("revoked")


COMMANDS = {"oauth": oauth}
