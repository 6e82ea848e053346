# SPDX-License-Identifier: Apache-2.0
"""The parts of an expression after reading."""

from __future__ import annotations

from typing import Any, NamedTuple

from salus.fhir.fhirpath.lexer import wrong


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
    steps: tuple[Part, ...]


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


Part = Member | Call | Indexer
Syntax = Literal | Variable | Constant | Path | Sign | Binary | TypeTest


def type_argument(call: Call) -> str:
    """The name of a type, written where arguments are: `ofType(Quantity)`.

    Raises:
        Problem: INCORRECT when something else stands there.
    """
    argument = call.arguments[0] if len(call.arguments) == 1 else None
    if isinstance(argument, Path) and argument.start is None:
        names = [part.name for part in argument.steps if isinstance(part, Member)]
        if len(names) == len(argument.steps):
            return ".".join(names)
    return wrong(call.at, "this function takes the name of a type")
