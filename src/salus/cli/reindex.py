# SPDX-License-Identifier: Apache-2.0
"""`salus reindex`: index records anew, for new search parameters or a new version of indexing."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from salus.app.house import House
from salus.app.indexing import bring_up_to_date, operator
from salus.cli.shell import EXIT_FOUND, data_dir, in_house, tells_problems
from salus.cli.shell import tenant as tenant_option
from salus.records.reindexing import pending


@click.command()
@click.option("--status", is_flag=True, help="Only say what is pending.")
@tenant_option
@data_dir
@click.pass_context
@tells_problems
def reindex(ctx: click.Context, status: bool, tenant: str, data_dir: Path) -> None:
    """Index records anew where search parameters or indexing itself have changed.

    The running server does the same by itself; the two may run at once. Exit code 1 when something is left.
    """

    async def work(house: House) -> list[str]:
        if status:
            return [each.words for each in pending(operator(house, tenant))]
        return await bring_up_to_date(house, tenant, _tell)

    left = in_house(data_dir, work)
    for words in left:
        click.echo(f"pending: {words}")
    if not left:
        click.echo("nothing is pending; every search parameter can be used")
    elif not status:
        ctx.exit(EXIT_FOUND)


def _tell(words: str, done: int, total: int) -> None:
    if total and sys.stderr.isatty():
        click.echo(f"\r{words}: {done} of {total}", nl=done == total, err=True)
    elif done == total:
        click.echo(f"{words}: {total} records", err=True)


COMMANDS = {"reindex": reindex}
