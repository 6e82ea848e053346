# SPDX-License-Identifier: Apache-2.0
"""The step from elements to the elements in them: the part of an engine that runs most.

How an element of a type is found in JSON is looked up once for each type that a step meets. The usual element has one
name in JSON, and its case is written out here; `salus.fhir.fhirpath.node.collect` knows all others.
"""

from __future__ import annotations

from typing import Any, Final

from salus.fhir.fhirpath.context import Collection, Context, fault
from salus.fhir.fhirpath.elements import Element, table
from salus.fhir.fhirpath.functions.calling import Step
from salus.fhir.fhirpath.node import Node, collect
from salus.fhir.fhirpath.operators import EMPTY, FALSE, TRUE
from salus.fhir.fhirpath.types import TypeInfo, is_a

# How a type has an element: JSON name, that of the sibling, and type, for the usual one; the element itself for a
# choice, a nested resource or an element of a primitive; nothing where the type has none.
How = tuple[str, str, str] | Element | None
_UNSEEN: Final[Any] = object()
_NOTHING: Final = type(None)
# Nodes that one step may give for nothing: a path counts its steps, and an iteration its rounds.
_FEW: Final = 8


def member(name: str, *, strict: bool) -> Step:
    """The step to an element.

    Args:
        name: as FHIRPath says it.
        strict: whether it is an error when no item can have it.
    """
    known: dict[str, Any] = {}

    def run(items: Collection, ctx: Context) -> Collection:
        found: Collection = []
        for item in items:
            if type(item) is not Node:
                if type(item) is TypeInfo:
                    found += _of_type_info(item, name)
                continue
            how = known.get(item.type, _UNSEEN)
            if type(how) is tuple:
                key, under, kind = how
                inside = item.value
                if type(inside) is not dict:
                    continue
                value: Any = inside.get(key)
                shape = type(value)
                if shape is str:
                    found.append(Node(value, kind, item, key, -1, inside.get(under)))
                elif shape is list and under not in inside:
                    at = 0  # counting by hand takes half as long as `enumerate`
                    for one in value:
                        if one is not None:
                            found.append(Node(one, kind, item, key, at))
                        at += 1  # noqa: SIM113
                elif shape is dict:
                    found.append(Node(value, kind, item, key))
                elif value is not None or under in inside:
                    collect(table(item.type).elements[name], item, found)
            elif how is _UNSEEN:
                known[item.type] = _how(item.type, name)
                found += run([item], ctx)
            elif how is not None:
                collect(how, item, found)
        if len(found) > _FEW:
            ctx.spend(len(found))
        return found

    if not strict:
        return run

    def careful(items: Collection, ctx: Context) -> Collection:
        if items and not any(_can_have(item, name) for item in items):
            fault("no such element can be here")
        return run(items, ctx)

    return careful


def presence(name: str, *, exists: bool) -> Step:
    """The steps `name.exists()` and `name.empty()` in one, without making the nodes."""
    known: dict[str, Any] = {}
    step = member(name, strict=False)
    there, absent = (TRUE, FALSE) if exists else (FALSE, TRUE)

    def run(items: Collection, ctx: Context) -> Collection:
        if len(items) == 1 and type(items[0]) is Node:
            item = items[0]
            how = known.get(item.type, _UNSEEN)
            if how is _UNSEEN:
                how = known[item.type] = _how(item.type, name)
            if type(how) is tuple and type(item.value) is dict:
                shape = type(item.value.get(how[0]))
                if shape is str or shape is dict:
                    return there
                if shape is _NOTHING and how[1] not in item.value:
                    return absent
        return there if step(items, ctx) else absent

    return run


def typed_start(name: str, *, strict: bool) -> Step:
    """The type of what is in focus, at the beginning of a path: `Patient` in `Patient.name`."""

    def run(items: Collection, _: Context) -> Collection:
        if len(items) == 1 and type(items[0]) is Node and items[0].type == name:
            return items
        found = [item for item in items if type(item) is Node and is_a(item.type, name)]
        return fault("the focus is of another type") if strict and items and not found else found

    return run


def _how(kind: str, name: str) -> How:
    element = table(kind).elements.get(name)
    if element is None or len(element.forms) > 1 or element.of_primitive or element.forms[0][2] == "Resource":
        return element
    return element.forms[0]


def _can_have(item: Any, name: str) -> bool:
    if type(item) is TypeInfo:
        return True
    return type(item) is Node and name in table(item.type).elements


def _of_type_info(item: TypeInfo, name: str) -> Collection:
    said = {"namespace": item.namespace, "name": item.name, "baseType": item.base}.get(name)
    return EMPTY if said is None else [said]
