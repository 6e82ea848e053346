# SPDX-License-Identifier: Apache-2.0
"""Where a resource stands in a sorted answer.

https://hl7.org/fhir/R4/search.html#sort: of several values the lowest counts when ascending and the highest
when descending. Resources without a value come last either way.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from salus.fhir.search.folding import fold
from salus.fhir.search.match import KINDS
from salus.fhir.search.parameters import Parameter
from salus.fhir.search.values import UCUM
from salus.fhir.ucum import canonical

Key = tuple[bool, Any]

_ANY_TIME_BEFORE = -(1 << 62)  # ms; an open start is earlier than every date


def sort_key(parameter: Parameter, rows: Iterable[tuple[Any, ...]], *, descending: bool = False) -> Key:
    """A key for `sorted(…, reverse=descending)`, comparable for one parameter and direction.

    Args:
        parameter: the key of `_sort`.
        rows: index rows of the resource; for `_id` and `_lastUpdated` rows of a family of that name.
        descending: the direction.
    """
    families, kinds = parameter.families, KINDS.get(parameter.kind, (parameter.kind,))
    found = [_value(row) for row in rows if row[1] in kinds and row[0] in families]
    if not found:
        return not descending, None
    return descending, max(found) if descending else min(found)


def _value(row: tuple[Any, ...]) -> str | int | Decimal | tuple[str, str] | tuple[str, Decimal]:
    match row[1]:
        case "number":
            return "", row[2]
        case "quantity":  # amounts of the same kind by their size, whatever their units
            found = canonical(row[2], row[4]) if row[3] == UCUM else None
            return (found[1], found[0]) if found else (row[4] or row[5], row[2])
        case "range":
            low = row[2] if row[2] is not None else row[3]
            found = canonical(low, row[5]) if row[4] == UCUM else None
            return (found[1], found[0]) if found else (row[5] or row[6], low)
        case "token":
            return row[3], row[2]
        case "string":
            return fold(row[2])
        case "date":
            return _ANY_TIME_BEFORE if row[2] is None else int(row[2])
    value: str = row[2]
    return value
