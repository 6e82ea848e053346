# SPDX-License-Identifier: Apache-2.0
"""`salus verify`: is the database as it was written?"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from salus.app import verifying
from salus.app.house import House
from salus.app.verifying import Verified
from salus.audit.report import HARMLESS
from salus.cli.shell import EXIT_FOUND, data_dir, in_house, tells_problems
from salus.cli.shell import tenant as tenant_option
from salus.freshness.report import MOST
from salus.kernel.errors import Kind, Problem


class _Progress:
    """Says on the terminal what is being read; silent when the output goes elsewhere."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._last = 0.0

    def __call__(self, what: str, done: int) -> None:
        now = time.monotonic()
        if self._shown and now - self._last > 0.5:
            self._last = now
            click.echo(f"\r\033[K{what}: {done:,}", nl=False, err=True)

    def end(self) -> None:
        """Clear the line."""
        if self._shown:
            click.echo("\r\033[K", nl=False, err=True)


@click.command()
@click.option(
    "--checkpoints",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Checkpoints that you kept elsewhere; without it the ones beside the database.",
)
@click.option("--quick", is_flag=True, help="Leave out the full-text index, which takes longest.")
@click.option("--accept", default="", metavar="REASON", help="Take the rows of the tenant as they are from now on.")
@tenant_option
@data_dir
@click.pass_context
@tells_problems
def verify(ctx: click.Context, checkpoints: Path | None, quick: bool, accept: str, tenant: str, data_dir: Path) -> None:
    """Compare the whole database with what was written, all tenants; name what was changed, added, taken or put back.

    Exit code 1 when anything is wrong. --accept is for after you have looked into it: rows of one tenant are taken as
    they are, with an entry in the log, and records whose index entry was wrong are indexed anew.
    """
    if accept:
        _accept(tenant, accept, data_dir)
        return
    progress, began = _Progress(), time.monotonic()

    async def work(house: House) -> dict[str, Verified]:
        return await verifying.verify(house, checkpoints, progress, index=not quick)

    found = in_house(data_dir, work)
    progress.end()
    for name, verified in found.items():
        _tell(name, verified)
    seconds = time.monotonic() - began
    if all(verified.ok for verified in found.values()):
        click.echo(f"Everything is as it was written ({seconds:.1f} s).")
        return
    click.echo(f"The database is not as it was written ({seconds:.1f} s). Keep a copy of the folder first of all.")
    ctx.exit(EXIT_FOUND)


def _accept(tenant: str, reason: str, data_dir: Path) -> None:
    async def work(house: House) -> None:
        if tenant not in house.keyring.tenants():
            raise Problem(Kind.NOT_FOUND, "There is no such tenant.")
        await verifying.accept(house, tenant, reason)

    in_house(data_dir, work)
    click.echo(f"The rows of {tenant} are taken as they are. Run: salus verify")


def _tell(tenant: str, verified: Verified) -> None:
    for noted in verified.log.findings:
        if noted.kind not in HARMLESS:
            click.echo(f"FOUND {tenant}: log {noted.kind}: {noted.text}")
    for finding in verified.findings:
        click.echo(f"FOUND {tenant}: {finding.kind}: {finding.text}")
    if len(verified.findings) >= MOST:
        click.echo("… and perhaps more")
    if verified.ok:
        click.echo(f"{tenant}: {verified.rows} rows and {verified.log.size} entries of the log")


COMMANDS = {"verify": verify}
