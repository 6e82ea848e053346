# SPDX-License-Identifier: Apache-2.0
"""Rows of composite parameters: the values of each component, kept together by the element that holds them.

`code-value-quantity` joins the code and the value of one Observation, `component-code-value-quantity` those of one
component. They are made for opened candidates only: the index finds candidates by the components' own tokens, so that
a composite adds nothing to it. https://hl7.org/fhir/R4/search.html#combining
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from salus.fhir.search.leaves import Leaf
from salus.fhir.search.parameters import Parameter
from salus.fhir.search.spots import Spot

Row = tuple[Any, ...]
Rows = Callable[[dict[str, Any]], list[Row]]


def composite(parameter: Parameter, compiled: Callable[[tuple[Spot, ...]], Rows]) -> Rows:
    """A function that gives the rows (family, "composite", rows of each component) of a resource.

    Args:
        parameter: with components.
        compiled: makes the function that reads some spots.
    """
    family = parameter.families[0]
    readers = [
        (item, [_reader(item, part.spots, part.root, compiled) for part in parameter.components])
        for item in parameter.items
    ]

    def rows(resource: dict[str, Any]) -> list[Row]:
        return [
            (family, "composite", tuple(read(holder, resource) for read in parts))
            for item, parts in readers
            for holder in _holders(resource, item)
        ]

    return rows


def _reader(
    item: Leaf, spots: Any, root: bool, compiled: Callable[[tuple[Spot, ...]], Rows]
) -> Callable[[dict[str, Any], dict[str, Any]], list[Row]]:
    if root:
        read = compiled(next(iter(spots.values())))
        return lambda _holder, resource: read(resource)
    read = compiled(spots[item.datatype])
    return lambda holder, _resource: read(holder)


def _holders(resource: dict[str, Any], item: Leaf) -> Iterator[dict[str, Any]]:
    """The elements at the end of the way to an item."""
    found = [resource]
    for hop in item.hops:
        below = [holder[hop.key] for holder in found if hop.key in holder]
        found = [each for some in below for each in some] if hop.many else below
    return iter(found)
