# SPDX-License-Identifier: Apache-2.0
"""From elements of FHIR to plain values, and from plain values to each other.

https://hl7.org/fhir/R4/fhirpath.html#types and https://hl7.org/fhirpath/N1/#conversion
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from salus.fhir.definitions import PRIMITIVES
from salus.fhir.fhirpath import temporal
from salus.fhir.fhirpath.context import Collection, fault
from salus.fhir.fhirpath.node import Node
from salus.fhir.fhirpath.quantity import Quantity, of_fhir, quantity
from salus.fhir.fhirpath.temporal import Temporal
from salus.fhir.fhirpath.types import SYSTEM, TypeInfo

_QUANTITY: Final = re.compile(r"(?P<value>[+-]?[0-9]+(?:\.[0-9]+)?)\s*(?:'(?P<code>[^']+)'|(?P<word>[a-z]+))?")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_LARGEST: Final = 2**31 - 1
_TRUE: Final = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_WRITTEN: Final = frozenset({int, Temporal, Quantity})
_FALSE: Final = frozenset({"false", "f", "no", "n", "0", "0.0"})


def _number(value: Any) -> Any:
    return Decimal(value) if type(value) is int else value


def _moment(kind: str) -> Callable[[Any], Any]:
    parse = temporal.parse
    return lambda value: parse(kind, value) if type(value) is str else None


def _same(value: Any) -> Any:
    return value


READERS: Final[dict[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(PRIMITIVES, _same),
    **{f"System.{name}": _same for name in (*SYSTEM, "TypeInfo")},
    "decimal": _number,
    "date": _moment("Date"),
    "dateTime": _moment("DateTime"),
    "instant": _moment("DateTime"),
    "time": _moment("Time"),
    **dict.fromkeys(("Quantity", "Age", "Count", "Distance", "Duration"), of_fhir),
}


TEXTS: Final = frozenset(name for name, reader in READERS.items() if reader is _same) - {
    *("boolean", "integer", "positiveInt", "unsignedInt")
}
"""Primitives whose plain value is the text that JSON has."""


def system(item: Any) -> Any:
    """The plain value of an item: of a node that is a primitive or a Quantity, else the item itself.

    Returns:
        None for a primitive without value, or whose value is no such thing.
    """
    if type(item) is not Node:
        return item
    reader = READERS.get(item.type)
    return item if reader is None else reader(item.value)


def type_name(value: Any) -> str:
    """`System.` type of a plain value."""
    return f"System.{value.kind}" if type(value) is Temporal else _NAMES.get(type(value), "System.Any")


_NAMES: Final = {
    bool: "System.Boolean",
    int: "System.Integer",
    Decimal: "System.Decimal",
    str: "System.String",
    Quantity: "System.Quantity",
    TypeInfo: "System.TypeInfo",
}


def single(items: Collection) -> Any:
    """The plain value of a collection of at most one; None for an empty one.

    Raises:
        Problem: INCORRECT when there are several (https://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections).
    """
    if not items:
        return None
    if len(items) > 1:
        fault("a single value is needed where there are several")
    item = items[0]
    return system(item) if type(item) is Node else item


def truth(items: Collection) -> bool | None:
    """A collection as a Boolean: empty is None, and a single value of another type is true.

    Raises:
        Problem: INCORRECT when there are several values.
    """
    value = single(items)
    return value if value is None or type(value) is bool else True


def text_of(items: Collection) -> str | None:
    """A string, or None for an empty collection.

    Raises:
        Problem: INCORRECT for several values, or one that is no string.
    """
    if len(items) == 1 and type(items[0]) is str:
        return items[0]
    value = single(items)
    if value is not None and type(value) is not str:
        fault("a string is needed")
    return value


def integer_of(items: Collection) -> int | None:
    """A whole number, or None for an empty collection.

    Raises:
        Problem: INCORRECT for several values, or one that is no whole number.
    """
    if len(items) == 1 and type(items[0]) is int:
        return items[0]
    value = single(items)
    if value is not None and type(value) is not int:
        fault("a whole number is needed")
    return value


def fits(number: int) -> bool:
    """Whether a whole number is within the range of Integer."""
    return -_LARGEST - 1 <= number <= _LARGEST


def to_boolean(value: Any) -> bool | None:
    """https://hl7.org/fhirpath/N1/#toboolean-boolean; None for what has no such value."""
    if type(value) is bool:
        return value
    if type(value) in (int, Decimal):
        return bool(value) if value in (0, 1) else None
    if type(value) is str:
        said = value.lower()
        return True if said in _TRUE else False if said in _FALSE else None
    return None


def to_integer(value: Any) -> int | None:
    """https://hl7.org/fhirpath/N1/#tointeger-integer."""
    if type(value) is bool:
        return int(value)
    if type(value) is str and len(value) < 16 and _INTEGER.fullmatch(value):
        value = int(value)
    return value if type(value) is int and fits(value) else None


def to_decimal(value: Any) -> Decimal | None:
    """https://hl7.org/fhirpath/N1/#todecimal-decimal."""
    if type(value) is Decimal:
        return value
    if type(value) in (int, bool):
        return Decimal(value)
    if type(value) is str and len(value) < 64 and _DECIMAL.fullmatch(value):
        return Decimal(value)
    return None


def to_quantity(value: Any) -> Quantity | None:
    """https://hl7.org/fhirpath/N1/#toquantityunit-string-quantity."""
    if type(value) is Quantity:
        return value
    if type(value) in (int, bool, Decimal):
        return Quantity(Decimal(value), "1")
    if type(value) is not str or len(value) > 256:
        return None
    match = _QUANTITY.fullmatch(value)
    if match is None:
        return None
    found = quantity(Decimal(match["value"]), match["code"] or match["word"] or "1")
    return found if found.calendar or not match["word"] else None


def to_string(value: Any) -> str | None:
    """https://hl7.org/fhirpath/N1/#tostring-string."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is bool:
        return "true" if value else "false"
    if kind is Decimal:
        return f"{value:f}"
    return str(value) if kind in _WRITTEN else None


def to_temporal(kind: str, value: Any) -> Temporal | None:
    """https://hl7.org/fhirpath/N1/#todate-date, and the same for DateTime and Time."""
    if isinstance(value, Temporal):
        if value.kind == kind:
            return value
        if kind == "Date" and value.kind == "DateTime":
            return Temporal("Date", value.parts[:3])
        return Temporal("DateTime", value.parts) if kind == "DateTime" and value.kind == "Date" else None
    return temporal.parse(kind, value) if type(value) is str and len(value) < 64 else None
