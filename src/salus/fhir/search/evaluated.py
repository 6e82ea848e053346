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
from salus.fhir.search.leaves import Leaf
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
    try:
        nodes = fhirpath.compile(definition.expression).evaluate(resource)
    except Problem:
        return []
    found: list[Row] = []
    for node in nodes:
        datatype, value = node.type, node.value
        if datatype.startswith("System."):
            datatype = _PLAIN.get(datatype) or (_TEXT.get(definition.kind, "") if isinstance(value, str) else "")
            value = str(value) if datatype in ("date", "dateTime") else value
        if value is not None and datatype:
            found += compiled(_spots(definition, datatype))(value)
    return found if texts else [row for row in found if row[1] not in ("text", "of-type")]


@lru_cache(maxsize=1024)
def _spots(definition: Definition, datatype: str) -> tuple[Spot, ...]:
    return tuple(of_leaf(Leaf((), f"@{definition.url}", datatype), definition.kind))
