# SPDX-License-Identifier: Apache-2.0
"""From elements to the plain values in them, without making nodes on the way.

Most expressions ask only what an element says: `use = 'official'`, `family & ', ' & given.first()`. Where the way leads
to primitives, their values are read from the JSON at once. All else comes as nodes: operators and functions take both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from salus.fhir.fhirpath.context import Collection, Context
from salus.fhir.fhirpath.convert import READERS, TEXTS
from salus.fhir.fhirpath.elements import Form
from salus.fhir.fhirpath.functions.calling import Step
from salus.fhir.fhirpath.navigation import FEW, UNSEEN, apart, common_type, members, one_of
from salus.fhir.fhirpath.node import Node
from salus.fhir.fhirpath.operators import EMPTY
from salus.fhir.fhirpath.routes import NOWHERE, Leg, Route, route

_Way = Callable[[Any, Collection], bool]
"""From the JSON of an element to its plain values, which it appends; False where the content is not the usual one."""

_TEXT: Final = frozenset({str})
_SHAPES: Final[dict[str, frozenset[type]]] = {
    **dict.fromkeys((*TEXTS, "date", "dateTime", "instant", "time"), _TEXT),
    **dict.fromkeys(("integer", "positiveInt", "unsignedInt"), frozenset({int})),
    "boolean": frozenset({bool}),
    "decimal": frozenset({int, Decimal}),
}
"""What JSON has where a primitive is as it should be."""
_READ: Final = frozenset({"date", "dateTime", "instant", "time", "decimal"})
"""Primitives whose plain value is not what JSON has."""


def values(legs: Sequence[Leg], start: str = "") -> Step:
    """The step from nodes to plain values where the legs lead to primitives, else to nodes.

    Args:
        legs: in order.
        start: the type that must be in focus, or "".
    """
    nodes = members(legs, start)
    known: dict[str, Any] = {}

    def run(items: Collection, ctx: Context) -> Collection:
        kind = items[0].type if len(items) == 1 and type(items[0]) is Node else common_type(items)
        way = known.get(kind, UNSEEN)
        if way is UNSEEN:
            if not kind:
                return apart(items, run, known, ctx) if len(items) > 1 else nodes(items, ctx)
            way = known[kind] = _way(route(kind, legs, start))
        if way is NOWHERE:
            return EMPTY
        found: Collection = []
        for item in items:
            if not way(item.value, found):
                return nodes(items, ctx)
        if len(found) > FEW:
            ctx.spend(len(found))
        return found

    return run


def _way(found: Route | None, *, choices: bool = True) -> _Way | None:
    """The way to primitives.

    Args:
        found: the route there.
        choices: whether it may lead through a choice of types.
    """
    if found is None:
        return NOWHERE
    hops = found.hops
    if found.fork is None:
        way, hops = (_primitive(hops[-1]), hops[:-1]) if hops else (_unusual, hops)
    elif found.fork.of_primitive or len(found.fork.forms) == 1 or not choices:
        way = _unusual
    else:
        ways: dict[str, _Way | None] = {}
        for form in found.fork.forms:
            key, _, kind = form
            onward = route(kind, found.rest) if found.only is None or found.only.takes(kind) else NOWHERE
            ways[key] = _way(onward._replace(hops=(form, *onward.hops)), choices=False) if onward else NOWHERE
            ways[f"_{key}"] = _unusual
        way = _chosen(ways)
    for key, _, _ in reversed(hops if way is not _unusual else ()):
        way = _through(key, way)
    return way


def _unusual(_: Any, __: Collection) -> bool:
    return False


def _through(key: str, onward: _Way) -> _Way:
    """The way through an element that may repeat."""

    def go(inside: Any, found: Collection) -> bool:
        value = inside.get(key) if type(inside) is dict else None
        if type(value) is dict:
            return onward(value, found)
        if type(value) is list:
            for one in value:
                if not onward(one, found):
                    return False
        return True

    return go


def _chosen(ways: Mapping[str, _Way | None]) -> _Way:
    """The way through an element that has one of several names."""

    def go(inside: Any, found: Collection) -> bool:
        if type(inside) is not dict:
            return True
        there = one_of(ways, inside)
        way = ways[there] if there else NOWHERE
        return there is not None and (way is NOWHERE or way(inside, found))

    return go


def _primitive(form: Form) -> _Way:
    """The end of the way; that it leads elsewhere shows in the content that is not the usual one."""
    key, under, kind = form
    shapes = _SHAPES.get(kind)
    if shapes is None:
        return _unusual
    read = READERS[kind] if kind in _READ else None

    def go(inside: Any, found: Collection) -> bool:
        if type(inside) is not dict:
            return True
        value = inside.get(key)
        if type(value) in shapes:
            if read:
                value = read(value)
            found.append(value)
            return value is not None
        if value is None:
            return under not in inside
        if type(value) is not list or under in inside or not shapes.issuperset(map(type, value)):
            return False
        found += [read(one) for one in value] if read else value
        return not read or None not in found

    return go
