# SPDX-License-Identifier: Apache-2.0
"""A place in a resource: its value, its type, and how to get there.

While an expression runs, elements of FHIR are nodes and values of FHIRPath are plain Python values; what comes out of
an expression is always nodes. A node costs one small object: its place is put into words only when somebody asks.
"""

from __future__ import annotations

from typing import Any

import msgspec

from salus.fhir.fhirpath.elements import Element, is_resource, resources, table


class Node(msgspec.Struct, eq=False, gc=False):
    """One element, resource or value.

    Attributes:
        value: as `salus.fhir.json.decode` gives it; for a result that is no element, a plain value (`bool`, `int`,
            `Decimal`, `str`, `Temporal`, `Quantity` or `TypeInfo`). None where a primitive has only extensions.
        type: FHIR type (`HumanName`, `code`, `Patient.contact`) or `System.` and a type of FHIRPath.
        parent: the node that holds it, None at the root.
        key: JSON name in the parent: `valueQuantity` where FHIRPath says `value`; empty at the root.
        index: position when JSON has an array there, else -1.
        sibling: what JSON writes under the name with an underscore, beside the value of a primitive.
    """

    value: Any
    type: str
    parent: Node | None = None
    key: str = ""
    index: int = -1
    sibling: dict[str, Any] | None = None

    @property
    def place(self) -> str:
        """FHIRPath of the node: `Patient.name[0].given[1]`, `Observation.value.ofType(Quantity).code`."""
        steps: list[str] = []
        node: Node = self
        while node.parent is not None:
            steps.append(node.step)
            node = node.parent
        return ".".join([node.type, *reversed(steps)])

    @property
    def step(self) -> str:
        """The last part of the place: `given[1]`."""
        parent = self.parent
        if parent is None:
            return self.type
        said = table(parent.type).places.get(self.key, self.key)
        return f"{said}[{self.index}]" if self.index >= 0 else said

    @property
    def is_resource(self) -> bool:
        """Whether it is a whole resource, perhaps inside another."""
        return is_resource(self.type)

    @property
    def resource(self) -> Node:
        """The nearest resource around it, or itself; the root where there is none."""
        node: Node = self
        while node.parent is not None and not is_resource(node.type):
            node = node.parent
        return node

    @property
    def container(self) -> Node:
        """The resource that contains the resource around it, or that resource."""
        found = self.resource
        return found.parent.resource if found.key == "contained" and found.parent else found

    def children_named(self, name: str) -> list[Node]:
        """The nodes of one element, by its FHIRPath name."""
        found: list[Node] = []
        element = table(self.type).elements.get(name)
        if element:
            collect(element, self, found)
        return found

    def children(self) -> list[Node]:
        """Every element in it, in the order of the JSON."""
        found: list[Node] = []
        known = table(self.type)
        inside = self.sibling if known.of_primitive else self.value
        if type(inside) is not dict:
            return found
        forms = known.forms
        for key, value in inside.items():
            form = forms.get(key)
            if form is not None:
                _, under, kind = form
                shape = type(value)
                if kind == "Resource":
                    append(self, key, kind, value, None, found)
                elif shape is dict or (shape is str and under not in inside):
                    found.append(Node(value, kind, self, key))
                elif shape is list and under not in inside:
                    at = 0
                    for one in value:
                        if one is not None:
                            found.append(Node(one, kind, self, key, at))
                        at += 1  # noqa: SIM113 - counting by hand takes half as long as `enumerate`
                else:
                    append(self, key, kind, value, inside.get(under) if under else None, found)
            elif key[:1] == "_" and key[1:] in forms and key[1:] not in inside:
                append(self, key[1:], forms[key[1:]][2], None, value, found)
        return found


def root(resource: dict[str, Any], type_: str = "") -> Node:
    """A node for a resource that stands alone.

    Args:
        resource: its content.
        type_: type, where the content does not say it: `HumanName`.
    """
    return Node(resource, type_ or resource_type(resource))


def resource_type(resource: dict[str, Any]) -> str:
    """Type that a resource names, `Resource` if R4 does not know it."""
    name = resource.get("resourceType")
    return name if type(name) is str and name in resources() else "Resource"


def collect(element: Element, node: Node, out: list[Any]) -> None:
    """Append the nodes of one element of a node.

    Args:
        element: of the node's type.
        node: whose children are wanted; content that breaks R4 is passed over.
        out: gets them, in order.
    """
    inside = node.sibling if element.of_primitive else node.value
    if type(inside) is not dict:
        return
    if len(element.forms) == 1:
        key, under, kind = element.forms[0]
        value = inside.get(key)
        if value is not None or under in inside:
            append(node, key, kind, value, inside.get(under) if under else None, out)
        return
    by_key = element.by_key
    for key, value in inside.items():
        form = by_key.get(key)
        if form is not None:
            if type(value) is dict:
                out.append(Node(value, form[2], node, key))
            else:
                append(node, key, form[2], value, inside.get(form[1]) if form[1] else None, out)
        elif key[:1] == "_" and key[1:] in by_key and key[1:] not in inside:
            append(node, key[1:], by_key[key[1:]][2], None, value, out)


def append(node: Node, key: str, kind: str, value: Any, sibling: Any, out: list[Any]) -> None:
    """Append the nodes of what stands under one name, however it stands there.

    Args:
        node: whose children are wanted.
        key: JSON name.
        kind: type of the element.
        value: under that name.
        sibling: under the name with an underscore.
        out: gets them, in order.
    """
    if type(value) is list and sibling is None and kind != "Resource":
        for index, item in enumerate(value):
            if item is not None:
                out.append(Node(item, kind, node, key, index))
        return
    if type(value) is list or (value is None and type(sibling) is list):
        values = value if type(value) is list else ()
        beside = sibling if type(sibling) is list else ()
        for index in range(max(len(values), len(beside))):
            item = values[index] if index < len(values) else None
            other = beside[index] if index < len(beside) else None
            if item is not None or type(other) is dict:
                _one(node, key, kind, item, other, index, out)
    elif value is not None or type(sibling) is dict:
        _one(node, key, kind, value, sibling, -1, out)


def _one(node: Node, key: str, kind: str, value: Any, sibling: Any, index: int, out: list[Any]) -> None:
    if type(value) is dict:
        if kind == "Resource":
            kind = resource_type(value)
        out.append(Node(value, kind, node, key, index))
    else:
        out.append(Node(value, kind, node, key, index, sibling if type(sibling) is dict else None))
