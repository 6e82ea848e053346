# SPDX-License-Identifier: Apache-2.0
"""Which items of a collection are the same: for `distinct`, `|`, `in`, `repeat`.

Sets need yes or no, so what has no answer by `=` (dates of different precision) counts as different. To say in full
what an element holds takes time, so elements are told apart by an outline first: a few names and a value out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final

import msgspec

from salus.fhir.fhirpath import temporal
from salus.fhir.fhirpath.context import Collection, Context
from salus.fhir.fhirpath.convert import READERS
from salus.fhir.fhirpath.node import Node
from salus.fhir.fhirpath.quantity import Quantity, magnitude
from salus.fhir.fhirpath.temporal import Temporal

_UNSEEN: Final[Any] = object()
_TEXT: Final = {str}


class _Outline(msgspec.Struct, frozen=True, gc=False):
    """What equal elements have in common, and some others too."""

    names: tuple[str, ...]
    value: Any


class Seen:
    """The items that were met."""

    __slots__ = ("_ctx", "_marks")

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        # By mark: the item; for an outline that several have, the keys of those that differ.
        self._marks: dict[Hashable, Any] = {}

    def add(self, item: Any) -> bool:
        """Whether an item is new; it is no more from now on."""
        mark = _mark(item, self._ctx, _outline)
        before = self._marks.get(mark, _UNSEEN)
        if before is _UNSEEN:
            self._marks[mark] = item
            return True
        if type(mark) is not _Outline:
            return False
        keys = before if type(before) is set else {key(before, self._ctx)}
        self._marks[mark] = keys
        count = len(keys)
        keys.add(key(item, self._ctx))
        return len(keys) > count


def distinct(items: Collection, ctx: Context) -> Collection:
    """Items without repetition; the first of equal ones stays."""
    if len(items) < 2:
        return items
    if set(map(type, items)) == _TEXT:
        return list(dict.fromkeys(items))
    seen = Seen(ctx)
    return [item for item in items if seen.add(item)]


def is_distinct(items: Collection, ctx: Context) -> bool:
    """Whether no two items are equal."""
    return len(distinct(items, ctx)) == len(items)


def keys(items: Collection, ctx: Context) -> set[Hashable]:
    """The keys of a set of items."""
    return {key(item, ctx) for item in items}


def key(item: Any, ctx: Context) -> Hashable:
    """A value that is the same for equal items only."""
    return _mark(item, ctx, frozen_node)


def _mark(item: Any, ctx: Context, element: Callable[[Node, Context], Hashable]) -> Hashable:
    """The key of an item, or what the function says of an element that is no value."""
    value = item
    if type(item) is Node:
        reader = READERS.get(item.type)
        if reader is None:
            return element(item, ctx)
        value = reader(item.value)
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is bool:
        return ("boolean", value)
    if kind is Temporal:
        moment = temporal.utc(value)
        return ("time" if moment.kind == "Time" else "date", moment.parts, moment.zone is None)
    if kind is Quantity:
        return magnitude(value)
    if value is None:
        return element(item, ctx)
    return frozen(value, ctx)  # content that breaks R4 has objects where texts belong


def _outline(node: Node, ctx: Context) -> _Outline:
    """The first name of the alphabet, down to the first value: `coding.code` of a CodeableConcept."""
    value = node.value
    names: list[str] = []
    size = 1
    while value:
        if type(value) is dict:
            size += len(value)
            names.append(min(value))
            value = value[names[-1]]
        elif type(value) is list:
            value = value[0]
        else:
            break
    ctx.spend(size)
    return _Outline(tuple(names), value or None)


def frozen_node(node: Node, ctx: Context) -> Hashable:
    """All that an element holds."""
    return frozen(node.value, ctx), frozen(node.sibling, ctx)


def frozen(value: Any, ctx: Context) -> Hashable:
    """JSON as a hashable value, in which the order of names does not matter. Draws on the budget."""
    kind = type(value)
    if kind is dict:
        ctx.spend(len(value))
        return frozenset([(name, v if type(v) is str else frozen(v, ctx)) for name, v in value.items()])
    if kind is list:
        ctx.spend(len(value))
        return tuple([frozen(inner, ctx) for inner in value])
    return (kind, value) if kind is bool else value
