# SPDX-License-Identifier: Apache-2.0
"""The parts of an expression after reading: plain values, no behaviour."""

from __future__ import annotations

from typing import Any, NamedTuple


class Literal(NamedTuple):
    """A constant; `{}` is an empty tuple."""

    values: tuple[Any, ...]


class Variable(NamedTuple):
    """`$this`, `$index` or `$total`, without the sign."""

    name: str
    at: int


class Constant(NamedTuple):
    """`%name`."""

    name: str
    at: int


class Member(NamedTuple):
    """An element's name."""

    name: str
    at: int


class Call(NamedTuple):
    """A function with its arguments."""

    name: str
    arguments: tuple[Syntax, ...]
    at: int


class Indexer(NamedTuple):
    """`[…]`."""

    position: Syntax


class Path(NamedTuple):
    """A start and what is done to it in turn; without a start, it begins at `$this`."""

    start: Syntax | None
    steps: tuple[Member | Call | Indexer, ...]


class Sign(NamedTuple):
    """A sign before a term."""

    minus: bool
    operand: Syntax


class Binary(NamedTuple):
    """Two operands."""

    operator: str
    left: Syntax
    right: Syntax
    at: int


class TypeTest(NamedTuple):
    """`is` or `as` with a type name."""

    operator: str
    operand: Syntax
    type: str
    at: int


Syntax = Literal | Variable | Constant | Path | Sign | Binary | TypeTest
