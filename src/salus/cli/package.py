# SPDX-License-Identifier: Apache-2.0
"""`salus package`: FHIR packages with profiles, search parameters, value sets and code systems."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from salus.app.house import House
from salus.app.packages import install as install_one
from salus.app.packages import packages_in
from salus.app.packages import remove as remove_one
from salus.cli.shell import EXIT_FOUND, as_json, data_dir, in_house, open_house, table, tells_problems
from salus.kernel.clock import instant
from salus.kernel.errors import Problem
from salus.knowledge.packages import SHIPPED, Report, installed

_SHOWN = 50


@click.group()
def package() -> None:
    """FHIR packages: profiles, search parameters, value sets and code systems of others."""


@package.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@data_dir
@click.pass_context
@tells_problems
def install(ctx: click.Context, paths: tuple[Path, ...], data_dir: Path) -> None:
    """Install FHIR packages from PATHS: files as npm packs them (.tgz), unpacked packages, or folders of either.

    A server that runs notices. Exit code 1 when a resource or a package was refused.
    """
    with open_house(data_dir) as house:
        fine = asyncio.run(_install(house, [one for path in paths for one in packages_in(path)]))
    if not fine:
        ctx.exit(EXIT_FOUND)


async def _install(house: House, paths: list[Path]) -> bool:
    fine = bool(paths)
    for path in paths:
        try:
            report = await install_one(house, path)
        except Problem as problem:
            click.echo(f"refused {path.name}: {problem.public}", err=True)
            fine = False
            continue
        tell(report)
        fine = fine and not report.refused
    return fine


def tell(report: Report) -> None:
    """Say what an installation did."""
    name = f"{report.name}#{report.version}"
    if report.unchanged:
        click.echo(f"{name} is installed already")
    else:
        counted = ", ".join(f"{number} {type_}" for type_, number in sorted(report.installed.items()))
        click.echo(f"installed {name}: {counted or 'no definitions'}")
    for refused in report.refused[:_SHOWN]:
        click.echo(f"refused {refused.file}: {refused.reason}", err=True)
    if len(report.refused) > _SHOWN:
        click.echo(f"… and {len(report.refused) - _SHOWN} more", err=True)
    for unusable in report.unusable[:_SHOWN]:
        click.echo(f"cannot be searched by {unusable.file}: {unusable.reason}", err=True)
    if report.missing:
        click.echo(f"not installed, though {name} builds on them: {', '.join(report.missing)}", err=True)


@package.command("list")
@as_json
@data_dir
@tells_problems
def list_(as_json: bool, data_dir: Path) -> None:
    """List installed packages, and those that come with Salus."""
    with open_house(data_dir) as house:
        rows = [(p.name, p.version, p.resources, instant(p.installed_ms)) for p in installed(house.knowledge)]
    shipped = [(name, version, "", "comes with Salus") for name, version in SHIPPED.items()]
    table(("name", "version", "resources", "installed"), [*shipped, *rows], machine=as_json)


@package.command()
@click.argument("name")
@data_dir
@tells_problems
def remove(name: str, data_dir: Path) -> None:
    """Remove the package NAME; NAME#VERSION removes that version only."""
    bare, _, version = name.partition("#")

    async def work(house: House) -> list[str]:
        return await remove_one(house, bare, version)

    for each in in_house(data_dir, work):
        click.echo(f"removed {bare}#{each}")


COMMANDS = {"package": package}
