# SPDX-License-Identifier: Apache-2.0
"""From elements to the elements in them: the part of an engine that runs most.

A run of names (`name.given`, `component.value.ofType(Quantity).value`) is one step, which follows the routes of
`salus.fhir.fhirpath.routes`: to nodes, or to the question whether there is any. `salus.fhir.fhirpath.plain` leads to
plain values, for whoever asks only what an element says. The usual content is handled here;
`salus.fhir.fhirpath.node.append` reads all other, and what breaks R4.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from decimal import Decimal
from typing import Any, Final

from salus.fhir.fhirpath.context import Collection, Context
from salus.fhir.fhirpath.elements import Element, Form
from salus.fhir.fhirpath.functions.calling import Step
from salus.fhir.fhirpath.node import Node, append, collect
from salus.fhir.fhirpath.operators import EMPTY, FALSE, TRUE
from salus.fhir.fhirpath.routes import NOWHERE, Leg, Route, route
from salus.fhir.fhirpath.types import TypeInfo
from salus.fhir.fhirpath.typing import TypeTester

_Way = tuple[tuple[Form, ...], Step | None]
"""The hops of a route, and the step behind them."""

UNSEEN: Final[Any] = object()
_NOTHING: Final = type(None)
_SCALARS: Final = frozenset({str, int, bool, Decimal})
# Nodes that one step may give for nothing: a path counts its steps, and an iteration its rounds.
FEW: Final = 8


def members(legs: Sequence[Leg], start: str = "") -> Step:
    """The step from nodes to nodes.

    Args:
        legs: at least one.
        start: the type that must be in focus, or "": `Patient` in `Patient.name`.
    """
    known: dict[str, _Way | None] = {}

    def run(items: Collection, ctx: Context) -> Collection:
        kind = items[0].type if len(items) == 1 and type(items[0]) is Node else common_type(items)
        way = known.get(kind, UNSEEN)
        if way is UNSEEN:
            if not kind:
                return apart(items, run, known, ctx) if len(items) > 1 else _of_type_info(items, legs)
            way = known[kind] = _way(route(kind, legs, start))
        if way is NOWHERE:
            return EMPTY
        hops, onward = way
        for key, under, inner in hops:
            found: Collection = []
            for item in items:
                inside = item.value
                if type(inside) is not dict:
                    continue
                value: Any = inside.get(key)
                shape = type(value)
                if shape is list and under not in inside:
                    at = 0  # counting by hand takes half as long as `enumerate`
                    for one in value:
                        if one is not None:
                            found.append(Node(one, inner, item, key, at))
                        at += 1  # noqa: SIM113
                elif shape is dict:
                    found.append(Node(value, inner, item, key))
                elif shape in _SCALARS:
                    beside = inside.get(under)
                    found.append(Node(value, inner, item, key, -1, beside if type(beside) is dict else None))
                elif value is not None or under in inside:
                    append(item, key, inner, value, inside.get(under) if under else None, found)
            if len(found) > FEW:
                ctx.spend(len(found))
            elif not found:
                return found
            items = found
        return onward(items, ctx) if onward else items

    return run


def presence(legs: Sequence[Leg], start: str = "", *, exists: bool) -> Step:
    """`name.given.exists()` and `name.given.empty()`, without making the nodes asked for.

    Args:
        legs: at least one.
        start: the type that must be in focus, or "".
        exists: what is asked.
    """
    known: dict[str, Route | None] = {}
    last = legs[-1:]
    step = members(last)
    before = members(legs[:-1], start) if start or len(legs) > 1 else None
    there, absent = (TRUE, FALSE) if exists else (FALSE, TRUE)

    def run(items: Collection, ctx: Context) -> Collection:
        if before:
            items = before(items, ctx)
        if len(items) == 1 and type(items[0]) is Node:
            item = items[0]
            way = known.get(item.type, UNSEEN)
            if way is UNSEEN:
                way = known[item.type] = route(item.type, last)
            if way is NOWHERE:
                return absent
            if way.hops and type(item.value) is dict:
                key, under, _ = way.hops[0]
                shape = type(item.value.get(key))
                if shape is str or shape is dict:
                    return there
                if shape is _NOTHING and under not in item.value:
                    return absent
        return there if items and step(items, ctx) else absent

    return run


def common_type(items: Collection) -> str:
    """The type of all items; "" where they differ, or where there is none."""
    kind = items[0].type if items and type(items[0]) is Node else ""
    for item in items:
        if type(item) is not Node or item.type != kind:
            return ""
    return kind


def apart(items: Collection, step: Step, known: dict[str, Any], ctx: Context) -> Collection:
    """A step taken from each item by itself.

    Args:
        items: of several types.
        step: goes on from each item without regard to the others.
        known: the types that it knows; `NOWHERE` is the value of those from which it finds nothing.
        ctx: the evaluation.
    """
    found: Collection = []
    for item in items:
        if type(item) is not Node or known.get(item.type, UNSEEN) is not NOWHERE:
            found += step([item], ctx)
    return found


def _way(found: Route | None) -> _Way | None:
    if found is None:
        return None
    return found.hops, fork(found.fork, found.only, members(found.rest) if found.rest else None) if found.fork else None


def fork(element: Element, only: TypeTester | None, onward: Step | None) -> Step:
    """The step to an element that JSON has under several names, or whose type only the content tells.

    Args:
        element: not of the usual kind.
        only: which types count.
        onward: the step behind it.
    """
    kinds: dict[str, str] = {}
    if not element.of_primitive and len(element.forms) > 1:
        kinds = {f"_{key}": "" for key in element.by_key} | {key: kind for key, _, kind in element.forms}

    def run(items: Collection, ctx: Context) -> Collection:
        found: Collection = []
        for item in items:
            key = one_of(kinds, item.value) if kinds and type(item.value) is dict else None
            if key == "":
                continue
            value = item.value[key] if key and kinds[key] else None
            if key and (type(value) is dict or type(value) is str):
                found.append(Node(value, kinds[key], item, key))
            else:
                collect(element, item, found)
        if len(found) > FEW:
            ctx.spend(len(found))
        if only is not None:
            found = [item for item in found if only.takes(item.type)]
        return onward(found, ctx) if onward else found

    return run


def one_of(names: Container[str], inside: dict[str, Any]) -> str | None:
    """The one of some names that there is; "" for none, None for several: of a choice there is one."""
    found = ""
    for name in inside:
        if name in names:
            if found:
                return None
            found = name
    return found


def _of_type_info(items: Collection, legs: Sequence[Leg]) -> Collection:
    """What `type()` gives has elements too; other plain values have none."""
    if len(legs) != 1 or not items or type(items[0]) is not TypeInfo:
        return EMPTY
    item = items[0]
    said = {"namespace": item.namespace, "name": item.name, "baseType": item.base}.get(legs[0].name)
    return EMPTY if said is None else [said]
