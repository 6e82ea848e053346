# SPDX-License-Identifier: Apache-2.0
"""Invariants of profiles: FHIRPath, asked of one element (https://hl7.org/fhir/R4/conformance-rules.html#constraints).

An expression that is not understood, or that costs too much on a resource, says nothing: a profile must not be able to
stop a clinic from writing.
"""

from __future__ import annotations

from collections.abc import Callable

from salus.fhir import fhirpath
from salus.fhir.fhirpath import Environment, Node, root
from salus.fhir.validate.profiles.run import Item, Run
from salus.kernel.errors import Problem

Invariant = Callable[[Run, Item], bool | None]

_MOST_NODES = 100_000


def invariant(expression: str) -> Invariant | None:
    """The question of one expression: whether an item keeps it. None when it is not understood."""
    try:
        compiled = fhirpath.compile(expression)
    except Problem:
        return None

    def ask(run: Run, item: Item) -> bool | None:
        try:
            return compiled.holds(_node(run, item), environment=_environment(run, item))
        except Problem:
            return None

    return ask


def _node(run: Run, item: Item) -> Node:
    """The item as FHIRPath sees it; its parent is the resource that it is in."""
    if type(item.value) is dict and "resourceType" in item.value:
        return root(item.value)
    holder = root(run.root) if "resourceType" in run.root else None
    return Node(item.value, item.type, holder, sibling=item.sibling)


def _around(run: Run, item: Item) -> dict[str, Node]:
    """A rule of a Bundle's profile about a resource in it means by %resource the Bundle, not that resource."""
    holder = run.root.get("resourceType") in ("Bundle", "Parameters")
    if holder and type(item.value) is dict and "resourceType" in item.value and item.value is not run.root:
        return {"resource": root(run.root), "rootResource": root(run.root)}
    return {}


def _environment(run: Run, item: Item) -> Environment:
    def conforms(resource: dict[str, object], canonical: str) -> bool | None:
        hushed = run.hushed()
        item = Item(str(resource.get("resourceType")), resource, None, (None, "", -1))
        return run.profiles.conforms(hushed, item, canonical)

    return Environment(
        resolve=lambda literal: run.find(literal, run.root),
        member_of=run.member,
        conforms_to=conforms,
        most_nodes=_MOST_NODES,
        variables=_around(run, item),
    )
