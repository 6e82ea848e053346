# SPDX-License-Identifier: Apache-2.0
"""What all commands share: the data folder, opening the house, telling problems, printing tables."""

from __future__ import annotations

import asyncio
import functools
import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from salus.app.house import House
from salus.audit.event import EventType
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.kernel.settings import Settings, load

P = ParamSpec("P")
T = TypeVar("T")

EXIT_FOUND, EXIT_MISUSE, EXIT_REFUSED, EXIT_UNAVAILABLE = 1, 2, 3, 4
_EXIT = {
    Kind.FORBIDDEN: EXIT_REFUSED,
    Kind.UNAUTHENTICATED: EXIT_REFUSED,
    Kind.UNAVAILABLE: EXIT_UNAVAILABLE,
    Kind.FAULT: EXIT_UNAVAILABLE,
}

data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("salus-data"),
    envvar="SALUS_DATA_DIR",
    show_default=True,
    show_envvar=True,
    help="The data folder.",
)
tenant = click.option("--tenant", default="default", show_default=True, help="The tenant.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line.")


def tells_problems(command: Callable[P, T]) -> Callable[P, T]:
    """End a command that meets a `Problem` with its words and its exit code."""

    @functools.wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except Problem as problem:
            click.echo(f"salus: {problem.public}", err=True)
            for issue in problem.issues:
                if issue.text != problem.public:
                    click.echo(f"  {issue.place}: {issue.text}" if issue.place else f"  {issue.text}", err=True)
            if problem.detail:
                click.echo(f"  ({problem.detail})", err=True)
            sys.exit(_EXIT.get(problem.kind, EXIT_MISUSE))

    return told


def settings_of(folder: Path) -> Settings:
    """The settings of a data folder."""
    return load(folder.absolute())


@contextmanager
def open_house(folder: Path) -> Iterator[House]:
    """The house of a data folder, closed again at the end."""
    house = House(settings_of(folder))
    try:
        yield house
    finally:
        house.close()


def in_house(folder: Path, work: Callable[[House], Awaitable[T]]) -> T:
    """Run a coroutine function over the house of a data folder."""

    async def run() -> T:
        return await work(house)

    with open_house(folder) as house:
        return asyncio.run(run())


def noted(folder: Path, tenant: str, type_: EventType, act: Callable[[House, Unit], tuple[str, T]]) -> T:
    """Change something of a tenant, with its entry in the log in the same commit.

    Args:
        type_: of the entry.
        act: puts the change into the unit; gives the words for the log, and what comes out of it.
    """

    async def work(house: House) -> T:
        unit = Unit()
        reason, made = act(house, unit)
        await house.record(unit, house.operator(tenant), type_, reason)
        return made

    return in_house(folder, work)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, machine: bool) -> None:
    """Print rows: aligned for people, or one JSON object per line."""
    if machine:
        for row in rows:
            click.echo(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False))
        return
    cells = [[str(value) for value in row] for row in (columns, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells:
        click.echo("  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip())


def secret_from(prompt: str, *, confirm: bool = False) -> str:
    """Read a secret: from a pipe when there is one, else from the keyboard, unseen. Never from an argument."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    value: Any = click.prompt(prompt, hide_input=True, confirmation_prompt=confirm)
    return str(value)
