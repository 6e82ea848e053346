# SPDX-License-Identifier: Apache-2.0
"""One table, and everything that a figure needs beside it to mean something."""

from __future__ import annotations

import os
import platform
import ssl
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import apsw

from bench.measure import Figures
from bench.variants import VARIANTS

_PACKAGES = ("apsw-sqlite3mc", "cryptography", "granian", "jiter", "jsonschema-rs", "msgspec", "uvloop", "zstandard")

_QUIET = 5  # per cent of the machine


def circumstances(fsync: float, corpus: str, workers: int) -> dict[str, str]:
    """The machine, the versions and how it was measured."""
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return {
        "machine": f"{os.cpu_count()} x {_processor()}, {platform.system()} {platform.release()}",
        "disk": f"fsync of a page {fsync:.0f} us",
        "load at start": "{:.1f} {:.1f} {:.1f}".format(*os.getloadavg()),
        "server": f"{workers} workers, TLS 1.3, SQLite {apsw.sqlite_lib_version()}, synchronous=FULL",
        "corpus": corpus,
        "load generator": f"{wrk.partition(' [')[0] or 'wrk'}, 32 connections, and Python threads for the import; "
        "both on the same cores as the server",
        "versions": f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}, salus {version('salus')}, {versions}",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def median(runs: Sequence[Figures]) -> Figures:
    """The median of each figure over several runs."""
    return {name: statistics.median(run[name] for run in runs if name in run) for name in runs[0]}


def table(columns: Mapping[str, Figures]) -> str:
    """Figures as rows, variants as columns, each with its ratio to the first."""
    names = list(columns)
    first = columns[names[0]]
    header = ["", VARIANTS[names[0]].title]
    for name in names[1:]:
        header += [VARIANTS[name].title, "ratio"]
    rows = [header]
    for figure, base in first.items():
        row = [figure, _written(base)]
        for name in names[1:]:
            value = columns[name].get(figure)
            row += ["", ""] if value is None else [_written(value), f"{value / base:.2f}" if base else ""]
        rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    lines.insert(1, "─" * len(lines[0]))
    return "\n".join(lines)


def disturbed(columns: Mapping[str, Figures]) -> str:
    """A warning when somebody else used the machine; nothing when it was ours."""
    most = max(
        (value for run in columns.values() for name, value in run.items() if name.endswith("others %")), default=0
    )
    if most < _QUIET:
        return ""
    return (
        f"Others used up to {most:.0f} % of the machine: requests per second are too low, CPU us are a little too high."
    )


def _written(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
