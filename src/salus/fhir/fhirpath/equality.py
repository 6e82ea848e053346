# SPDX-License-Identifier: Apache-2.0
"""When two things are equal, and when they are equivalent (https://hl7.org/fhirpath/N1/#equality).

Equality may have no answer: dates of different precision, quantities of different dimension. For sets, which need yes
or no, see `salus.fhir.fhirpath.uniqueness`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from salus.fhir.fhirpath import quantity, temporal
from salus.fhir.fhirpath.context import Collection, Context
from salus.fhir.fhirpath.convert import system
from salus.fhir.fhirpath.node import Node
from salus.fhir.fhirpath.quantity import Quantity, decimals
from salus.fhir.fhirpath.temporal import Temporal
from salus.fhir.fhirpath.uniqueness import frozen_node

NUMBERS: Final = frozenset({int, Decimal})


def equal(left: Collection, right: Collection, ctx: Context) -> bool | None:
    """`=`: same items in the same order; None when a side is empty or an item has no answer."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    certain = True
    for one, other in zip(left, right, strict=True):
        found = same(one, other, ctx)
        if found is False:
            return False
        certain = certain and found is True
    return True if certain else None


def same(left: Any, right: Any, ctx: Context) -> bool | None:
    """Whether two items are equal."""
    one, other = system(left), system(right)
    kind, there = type(one), type(other)
    if kind is Node or there is Node or one is None or other is None:
        if type(left) is Node and type(right) is Node:
            return frozen_node(left, ctx) == frozen_node(right, ctx)
        return False
    if kind is there:
        if kind is Temporal:
            return _same_moment(one, other)
        if kind is Quantity:
            found = quantity.compare(one, other)
            return None if found is None else found == 0
        return bool(one == other)
    if kind in NUMBERS and there in NUMBERS:
        return bool(one == other)
    if {kind, there} & {Quantity} and (kind in NUMBERS or there in NUMBERS):
        found = quantity.compare(_as_quantity(one), _as_quantity(other))
        return None if found is None else found == 0
    return False


def _same_moment(one: Temporal, other: Temporal) -> bool | None:
    if (one.kind == "Time") != (other.kind == "Time"):
        return False
    found = temporal.compare(one, other)
    return None if found is None else found == 0


def _as_quantity(value: Any) -> Quantity:
    return value if type(value) is Quantity else Quantity(Decimal(value), "1")


def equivalent(left: Collection, right: Collection, ctx: Context) -> bool:
    """`~`: same items in any order, texts without regard to case and spaces; always answers.

    https://hl7.org/fhirpath/N1/#equivalent-1
    """
    if len(left) != len(right):
        return False
    if len(left) == 1:
        return alike(left[0], right[0], ctx)
    rest = list(right)
    for one in left:
        ctx.spend(len(rest))
        for at, other in enumerate(rest):
            if alike(one, other, ctx):
                del rest[at]
                break
        else:
            return False
    return True


def alike(left: Any, right: Any, ctx: Context) -> bool:
    """Whether two items are equivalent."""
    one, other = system(left), system(right)
    kind, there = type(one), type(other)
    if kind in NUMBERS and there in NUMBERS:
        return _close(one, other)
    if Quantity in (kind, there) and {kind, there} <= {Quantity, *NUMBERS}:
        return quantity.equivalent(_as_quantity(one), _as_quantity(other))
    if kind is not there:
        return False
    if kind is str:
        return _plain(one) == _plain(other)
    if kind is Temporal:
        return len(one.parts) == len(other.parts) and _same_moment(one, other) is True
    if kind is Node:
        return _alike_json(one.value, other.value, ctx)
    if one is None:
        return frozen_node(left, ctx) == frozen_node(right, ctx)
    return bool(one == other)


def _close(one: int | Decimal, other: int | Decimal) -> bool:
    """Numbers are compared at the precision of the less precise one."""
    places = min(decimals(Decimal(one)), decimals(Decimal(other)))
    if one == other:
        return True
    one, other = Decimal(one), Decimal(other)
    return abs(one) < 10**27 and abs(other) < 10**27 and round(one, places) == round(other, places)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _alike_json(one: Any, other: Any, ctx: Context) -> bool:
    ctx.spend(1)
    if type(one) is dict and type(other) is dict:
        names = one.keys() - {"id"}
        return names == other.keys() - {"id"} and all(_alike_json(one[name], other[name], ctx) for name in names)
    if type(one) is list and type(other) is list:
        return len(one) == len(other) and _matched(one, list(other), ctx)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if type(one) in NUMBERS and type(other) in NUMBERS:
        return _close(one, other)
    return type(one) is type(other) and (_plain(one) == _plain(other) if type(one) is str else bool(one == other))


def _matched(one: list[Any], rest: list[Any], ctx: Context) -> bool:
    for value in one:
        found = next((at for at, other in enumerate(rest) if _alike_json(value, other, ctx)), None)
        if found is None:
            return False
        del rest[found]
    return True
