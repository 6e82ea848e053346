# SPDX-License-Identifier: Apache-2.0
"""`salus import`: records from files, straight into the store of this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from salus.app.house import House
from salus.app.memory import calm_collector
from salus.cli.shell import EXIT_FOUND, data_dir, in_house, tells_problems
from salus.cli.shell import tenant as tenant_option
from salus.kernel.errors import Kind, Problem
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
    help="Add every refused resource (file, place, reason) to this file, tab-separated.",
)
@tenant_option
@data_dir
@click.pass_context
@tells_problems
def import_(ctx: click.Context, paths: tuple[Path, ...], report: Path | None, tenant: str, data_dir: Path) -> None:
    """Import FHIR Bundles and NDJSON from PATHS: files, gzip, archives or folders.

    A transaction Bundle is taken whole or not at all; of anything else each resource for itself. After an interruption
    run the same command again: it goes on where it stopped. Exit code 1 when something was refused.
    """
    told = _Telling(report)

    async def work(house: House) -> Tally:
        calm_collector()
        actor = house.operator(tenant, roles=("service",))
        context = Context(house.services, actor, uuid7())
        documents = Documents(paths)
        bar = click.progressbar(length=size_of(paths), label="importing", file=sys.stderr)
        with bar:
            run = Import(context, lambda _: bar.update(documents.position - bar.pos), told)
            for document in documents:
                await run.document(document)
            bar.update(documents.position - bar.pos)
        return run.tally

    try:
        tally = in_house(data_dir, work)
    finally:
        told.close()
    again = f", {tally.skipped} dealt with by an earlier run" if tally.skipped else ""
    click.echo(f"imported {tally.accepted} resources, refused {len(tally.refused)}{again}")
    if tally.refused:
        ctx.exit(EXIT_FOUND)


class _Telling:
    """Tells what is refused: all of it to the report, at once, and the first ones to standard error at the end.

    Args:
        report: added to, so that a run that goes on after an interruption keeps what the one before it refused.
    """

    def __init__(self, report: Path | None) -> None:
        self._first: list[Refused] = []
        self._more = 0
        self._file = None
        if report is not None:
            try:
                self._file = report.open("a", encoding="utf-8")
            except OSError as error:
                raise Problem(Kind.INCORRECT, "The report cannot be written.", f"{report}: {error.strerror}") from None

    def __call__(self, refused: list[Refused]) -> None:
        """Take what was refused; it is in the report when this returns."""
        room = _SHOWN - len(self._first)
        self._first += refused[:room]
        self._more += len(refused[room:])
        if self._file is not None:
            self._file.writelines(f"{_line(one)}\n" for one in refused)
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Show the first ones, also after an interruption."""
        for refused in self._first:
            click.echo(f"refused {_line(refused)}", err=True)
        if self._more:
            hint = "" if self._file is not None else "; --report FILE keeps all of them"
            click.echo(f"… and {self._more} more{hint}", err=True)
        if self._file is not None:
            self._file.close()


def _line(refused: Refused) -> str:
    return "\t".join((refused.file, refused.place, refused.reason))


COMMANDS = {"import": import_}
