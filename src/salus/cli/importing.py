# SPDX-License-Identifier: Apache-2.0
"""`salus import`: records from files, straight into the store of this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from salus.app.house import House
from salus.app.memory import calm_collector
from salus.cli.shell import EXIT_FOUND, data_dir, in_house, tells_problems
from salus.cli.shell import tenant as tenant_option
from salus.kernel.ids import uuid7
from salus.records.context import Context
from salus.records.importing.run import Import, Refused, Tally
from salus.records.importing.sources import Documents, size_of

_SHOWN = 50


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write every refused resource (file, place, reason) to this file, tab-separated.",
)
@tenant_option
@data_dir
@click.pass_context
@tells_problems
def import_(ctx: click.Context, paths: tuple[Path, ...], report: Path | None, tenant: str, data_dir: Path) -> None:
    """Import FHIR Bundles and NDJSON from PATHS: files, gzip, tar archives or folders.

    A transaction Bundle is taken whole or not at all; of anything else each resource for itself. After an interruption
    run the same command again: it goes on where it stopped. Exit code 1 when something was refused.
    """

    async def work(house: House) -> Tally:
        calm_collector()
        actor = house.operator(tenant, roles=("service",))
        context = Context(house.services, actor, uuid7())
        documents = Documents(paths)
        bar = click.progressbar(length=size_of(paths), label="importing", file=sys.stderr)
        with bar:
            run = Import(context, lambda _: bar.update(documents.position - bar.pos))
            for document in documents:
                await run.document(document)
            bar.update(documents.position - bar.pos)
        return run.tally

    tally = in_house(data_dir, work)
    for refused in tally.refused[:_SHOWN]:
        click.echo(f"refused {_line(refused)}", err=True)
    if len(tally.refused) > _SHOWN:
        hint = "" if report else "; --report FILE keeps all of them"
        click.echo(f"… and {len(tally.refused) - _SHOWN} more{hint}", err=True)
    if report is not None:
        report.write_text("".join(f"{_line(refused)}\n" for refused in tally.refused), "utf-8")
    again = f", {tally.skipped} were there from an earlier run" if tally.skipped else ""
    click.echo(f"imported {tally.accepted} resources, refused {len(tally.refused)}{again}")
    if tally.refused:
        ctx.exit(EXIT_FOUND)


def _line(refused: Refused) -> str:
    return "\t".join((refused.file, refused.place, refused.reason))


COMMANDS = {"import": import_}
