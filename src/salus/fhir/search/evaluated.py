# SPDX-License-Identifier: Apache-2.0
"""Rows of parameters whose expression only the FHIRPath engine can evaluate.

Their family is `@` and the URL of the SearchParameter. What the engine finds is read like an element of its type; an
expression that fails on a resource finds nothing there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from salus.fhir import fhirpath
from salus.fhir.fhirpath import Node
from salus.fhir.search.leaves import Leaf
from salus.fhir.search.parameters import Parameter
from salus.fhir.search.spots import Spot, of_leaf
from salus.fhir.search.table import Definition
from salus.kernel.errors import Problem

Row = tuple[Any, ...]
Compiled = Callable[[tuple[Spot, ...]], Callable[[dict[str, Any]], list[Row]]]

_PLAIN = {
    "System.Boolean": "boolean",
    "System.Integer": "integer",
    "System.Decimal": "decimal",
    "System.Date": "date",
    "System.DateTime": "dateTime",
}
_TEXT = {"string": "string", "token": "code", "reference": "uri", "uri": "uri"}


def rows(definition: Definition, resource: dict[str, Any], compiled: Compiled, *, texts: bool) -> list[Row]:
    """Rows of a resource for one definition.

    Args:
        compiled: makes the function that reads some spots.
        texts: also those that are made on request only.
    """
    found = _read(resource, definition.expression, definition.kind, f"@{definition.url}", compiled)
    return found if texts else [row for row in found if row[1] not in ("text", "of-type")]


def composite(parameter: Parameter, compiled: Compiled) -> Callable[[dict[str, Any]], list[Row]]:
    """A function that gives the rows (family, "composite", rows of each component) of a resource."""
    family = parameter.families[0]

    def rows_of(resource: dict[str, Any]) -> list[Row]:
        return [
            (
                family,
                "composite",
                tuple(_read(item, p.expression, p.kind, family, compiled) for p in parameter.components),
            )
            for item in _found(resource, parameter.expression)
        ]

    return rows_of


def _found(focus: Any, expression: str) -> list[Node]:
    try:
        return fhirpath.compile(expression).evaluate(focus)
    except Problem:
        return []


def _read(focus: Any, expression: str, kind: str, family: str, compiled: Compiled) -> list[Row]:
    found: list[Row] = []
    for node in _found(focus, expression):
        datatype, value = node.type, node.value
        if datatype.startswith("System."):
            datatype = _PLAIN.get(datatype) or (_TEXT.get(kind, "") if isinstance(value, str) else "")
            value = str(value) if datatype in ("date", "dateTime") else value
        if value is not None and datatype:
            found += compiled(_spots(family, kind, datatype))(value)
    return found


@lru_cache(maxsize=1024)
def _spots(family: str, kind: str, datatype: str) -> tuple[Spot, ...]:
    return tuple(of_leaf(Leaf((), family, datatype), kind))
