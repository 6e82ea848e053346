# SPDX-License-Identifier: Apache-2.0
"""UCUM's table of prefixes and units, read on first use (`ORIGIN.md` names its source)."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from importlib import resources
from typing import NamedTuple


class Entry(NamedTuple):
    """One unit.

    Attributes:
        kind: `base`, `unit`, `arbitrary` (no relation to any other unit) or `special` (its scale is no ratio).
        metric: whether prefixes such as `m` may stand before it.
        factor: how many of `definition` it is.
        definition: a UCUM expression.
    """

    kind: str
    metric: bool
    factor: Fraction
    definition: str


class Table(NamedTuple):
    """Prefixes and units by their case-sensitive codes."""

    prefixes: dict[str, Fraction]
    units: dict[str, Entry]


@cache
def table() -> Table:
    """The whole table; about a millisecond, once per process."""
    found = Table({}, {})
    text = resources.files(__package__).joinpath("units.tsv").read_text(encoding="utf-8")
    for line in text.splitlines():
        kind, *rest = line.split("\t")
        if kind == "prefix":
            found.prefixes[rest[0]] = Fraction(rest[1])
        elif not line.startswith("#"):
            code, metric, factor, definition = rest
            found.units[code] = Entry(kind, metric == "yes", Fraction(factor), definition)
    return found
