# SPDX-License-Identifier: Apache-2.0
"""Lay the ways to many leaves into one tree, and write the Python that walks it once.

The tree shares what leaves have in common: `component`, `component.code` and `component.value` are one
loop. What is written at a leaf is the caller's: extraction appends rows, the compartment collects patients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from salus.fhir.definitions import PRIMITIVES
from salus.fhir.search.leaves import Hop
from salus.fhir.search.spots import Spot

Writer = Callable[[Spot, str], list[str]]


class _Node:
    """An object on the way: leaves that end here and elements below."""

    def __init__(self) -> None:
        self.spots: list[Spot] = []
        self.below: dict[str, _Element] = {}


class _Element:
    """One JSON key; its items are read plainly, under a filter, when no filter holds, or by position."""

    def __init__(self, many: bool) -> None:
        self.many = many
        self.plain = _Node()
        self.chosen: dict[str, dict[str, _Node]] = {}
        self.rest = _Node()
        self.at: dict[int, _Node] = {}

    def node(self, hop: Hop, *, rest: bool) -> _Node:
        if hop.where is not None:
            name, literal = hop.where
            return self.chosen.setdefault(name, {}).setdefault(literal, _Node())
        if hop.position is not None:
            return self.at.setdefault(hop.position, _Node())
        return self.rest if rest else self.plain


def generate(read: Iterable[tuple[Spot, bool]], writer: Writer) -> list[str]:
    """Lines of Python that walk a resource in the variable `r`, indented by one space.

    Args:
        read: what to read; with true when a filtered spot reads part of the same items, so that this one is
            left those for which no filter holds.
        writer: gives the lines for a spot and the name of the variable that holds its element.
    """
    root = _Node()
    every = list(read)
    filtered = {_plain(spot.leaf.hops): _filtered_at(spot.leaf.hops) for spot, _ in every if _filters(spot)}
    for spot, shared in every:
        node = root
        for depth, hop in enumerate(spot.leaf.hops):
            element = node.below.setdefault(hop.key, _Element(hop.many))
            node = element.node(hop, rest=shared and filtered[_plain(spot.leaf.hops)] == depth)
        node.spots.append(spot)
    return [" " + line for line in _Lines(writer).node(root, "r")]


def _filters(spot: Spot) -> bool:
    return any(hop.where for hop in spot.leaf.hops)


def _filtered_at(hops: tuple[Hop, ...]) -> int:
    return next(depth for depth, hop in enumerate(hops) if hop.where)


def _plain(hops: tuple[Hop, ...]) -> tuple[Hop, ...]:
    return tuple(hop._replace(where=None) for hop in hops)


class _Lines:
    """Writes the walk; numbers its variables."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._count = 0

    def node(self, node: _Node, name: str) -> Iterator[str]:
        for spot in node.spots:
            yield from self._writer(spot, name)
        for key, element in node.below.items():
            value = self._name()
            yield f"{value} = {name}.get({key!r})"
            yield f"if {value} is not None:"
            yield from _indent(self._element(element, value))

    def _element(self, element: _Element, name: str) -> Iterator[str]:
        if not element.many:
            yield from self._item(element, name)
            return
        item = self._name()
        body = list(self._item(element, item))
        if body:
            yield f"for {item} in {name}:"
            if _holds_primitives(element.plain):
                # An array of primitives has null where only an extension stands.
                yield f" if {item} is None: continue"
            yield from _indent(body)
        for position, node in element.at.items():
            yield f"for {item} in {name}[{position}:{position + 1}]:"
            yield from _indent(self.node(node, item))

    def _item(self, element: _Element, name: str) -> Iterator[str]:
        yield from self.node(element.plain, name)
        for key, nodes in element.chosen.items():
            chosen = self._name()
            yield f"{chosen} = {name}.get({key!r})"
            word = "if"
            for literal, node in nodes.items():
                yield f"{word} {chosen} == {literal!r}:"
                yield from _indent(self.node(node, name))
                word = "elif"
            rest = list(self.node(element.rest, name))
            if rest:
                yield "else:"
                yield from _indent(rest)

    def _name(self) -> str:
        self._count += 1
        return f"v{self._count}"


def _holds_primitives(node: _Node) -> bool:
    return any(spot.leaf.datatype in PRIMITIVES for spot in node.spots)


def _indent(lines: Iterable[str]) -> Iterator[str]:
    return (" " + line for line in lines)
