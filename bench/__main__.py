# SPDX-License-Identifier: Apache-2.0
"""`python -m bench`: run the variants one after the other and print one table."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import click

from bench.corpus import corpus
from bench.measure import PHASES, Figures, Plan, fsync_us, measure
from bench.report import circumstances, disturbed, median, table
from bench.variants import VARIANTS


def _chosen(names: str, known: tuple[str, ...]) -> tuple[str, ...]:
    chosen = tuple(name for name in names.split(",") if name)
    unknown = sorted(set(chosen) - set(known))
    if unknown:
        raise click.BadParameter(f"{', '.join(unknown)}; there is: {', '.join(known)}")
    return tuple(name for name in known if name in chosen)


@click.command()
@click.option("--bundles", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Archive of Bundles.")
@click.option("--copies", default=5, show_default=True, help="How often each Bundle is posted.")
@click.option("--seconds", default=8.0, show_default=True, help="Length of each phase but the import.")
@click.option("--only", default=",".join(PHASES), show_default=True, help="Phases; the import is always run.")
@click.option("--variants", default=",".join(VARIANTS), show_default=True, help="Which servers to measure.")
@click.option("--workers", default=2, show_default=True, help="Worker processes of the server.")
@click.option("--runs", default=1, show_default=True, help="Repeat everything; the median is shown.")
@click.option("--quick", is_flag=True, help="Small enough for every change: shows that it runs, not how fast.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures to a file as well.")
@click.option("--scratch", type=click.Path(path_type=Path, exists=True), help="Where the data folders are made.")
def main(
    bundles: Path | None,
    copies: int,
    seconds: float,
    only: str,
    variants: str,
    workers: int,
    runs: int,
    quick: bool,
    json_file: Path | None,
    scratch: Path | None,
) -> None:
    """Measure import, creates, reads and searches over TLS."""
    if shutil.which("wrk") is None:
        raise click.ClickException("wrk is missing: run `make bench`, or install the Debian package wrk")
    plan = Plan(
        phases=_chosen(only, PHASES),
        copies=1 if quick else copies,
        seconds=2 if quick else seconds,
        warm_up=1 if quick else 2,
        workers=workers,
    )
    source = corpus(bundles)
    results: dict[str, list[Figures]] = {name: [] for name in _chosen(variants, tuple(VARIANTS))}
    with tempfile.TemporaryDirectory(prefix="salus-bench-", dir=scratch) as temporary:
        workspace = Path(temporary)
        told = circumstances(fsync_us(workspace), f"{source.name}, {plan.copies} x", workers)
        for run in range(runs):
            for name, figures in results.items():
                title = f"{VARIANTS[name].title}, run {run + 1}"
                figures.append(measure(name, source, plan, workspace, lambda text, t=title: _say(f"{t}: {text}")))
                shutil.rmtree(workspace / name)
    columns = {name: median(figures) for name, figures in results.items()}
    print()
    for what, text in told.items():
        print(f"{what}: {text}")
    print()
    print(table(columns))
    print(disturbed(columns))
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps({"circumstances": told, "runs": results, "median": columns}, indent=1))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
