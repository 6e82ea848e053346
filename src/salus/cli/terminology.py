# SPDX-License-Identifier: Apache-2.0
"""`salus terminology`: LOINC, SNOMED CT and RxNorm from the files that you are licensed to use."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from salus.app.house import House
from salus.app.terminologies import KINDS
from salus.app.terminologies import load as load_files
from salus.app.terminologies import remove as remove_loaded
from salus.cli.shell import as_json, data_dir, in_house, open_house, table, tells_problems
from salus.knowledge.systems import loaded


@click.group()
def terminology() -> None:
    """Large code systems from your own licensed files."""


class _Meter:
    """Says on standard error how far a load is."""

    def __init__(self) -> None:
        self._what = ""
        self._rows = 0
        self._live = sys.stderr.isatty()

    def __call__(self, what: str, rows: int) -> None:
        if what != self._what:
            self.end()
            self._what, self._rows = what, 0
        self._rows += rows
        if self._live:
            click.echo(f"\r{what}: {self._rows:,} rows", nl=False, err=True)

    def end(self) -> None:
        """Finish the line of the last stage."""
        if self._what:
            click.echo("" if self._live else f"{self._what}: {self._rows:,} rows", err=True)
            self._what = ""


@terminology.command()
@click.argument("system", type=click.Choice(sorted(KINDS)))
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--version", default="", help="Version of the code system, where the files do not tell it.")
@data_dir
@tells_problems
def load(system: str, path: Path, version: str, data_dir: Path) -> None:
    """Load the code system SYSTEM (loinc, snomed or rxnorm) from PATH: the release as a folder or zip archive.

    Nobody sees it before it is whole. The same version again replaces it; a server that runs notices.
    """
    meter = _Meter()
    with open_house(data_dir) as house:
        about = asyncio.run(load_files(house, system, path, version, meter))
        meter.end()
        concepts = house.knowledge.source(about.url, about.version)
    count = concepts.count((), "", 0) if concepts is not None else 0
    click.echo(f"loaded {about.name} {about.version}: {count:,} concepts")


@terminology.command("list")
@as_json
@data_dir
@tells_problems
def list_(as_json: bool, data_dir: Path) -> None:
    """List loaded code systems."""
    with open_house(data_dir) as house:
        db = house.knowledge.db
        rows = [(row.url, row.version, row.last - row.first + 1) for row in (loaded(db) if db is not None else [])]
    table(("system", "version", "concepts"), rows, machine=as_json)


@terminology.command()
@click.argument("url")
@data_dir
@tells_problems
def remove(url: str, data_dir: Path) -> None:
    """Remove the loaded code system URL; URL|VERSION removes that version only."""
    bare, _, version = url.partition("|")

    async def work(house: House) -> list[str]:
        return await remove_loaded(house, bare, version)

    for each in in_house(data_dir, work):
        click.echo(f"removed {bare} {each}")


COMMANDS = {"terminology": terminology}
