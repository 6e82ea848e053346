# SPDX-License-Identifier: Apache-2.0
"""Where the values of a FHIRPath Patch go: members of JSON objects, with their `_name` siblings and lists.

https://hl7.org/fhir/R4/json.html#primitive
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from salus.fhir.definitions import PRIMITIVES
from salus.fhir.fhirpath import Node
from salus.fhir.fhirpath.elements import Element, Form, table
from salus.fhir.patch.values import Value, value_of
from salus.fhir.patch.wording import does_not_fit, malformed


@dataclass(slots=True)
class Slot:
    """The place of one node.

    Attributes:
        holder: the JSON object that it stands in.
        element: how it is defined.
        key: its JSON name there.
        index: its position in a list, or -1.
        place: of the operation, for errors.
    """

    holder: dict[str, Any]
    element: Element
    key: str
    index: int
    place: str

    @classmethod
    def of(cls, node: Node, place: str) -> Slot:
        """The slot of a node.

        Raises:
            Problem: INVALID for the resource itself, which is in none.
        """
        if node.parent is None:
            raise does_not_fit("A patch changes elements; the resource as a whole is updated or deleted.", place)
        found = next((e for e in table(node.parent.type).elements.values() if node.key in e.by_key), None)
        if found is None:
            raise does_not_fit("The path must lead to an element of R4.", place)
        return cls(_inside(node.parent), found, node.key, node.index, place)

    def delete(self) -> None:
        """Take the value out."""
        if self.index < 0:
            self.holder.pop(self.key, None)
            self.holder.pop("_" + self.key, None)
            return
        for name in (self.key, "_" + self.key):
            values = self.holder.get(name)
            if values is not None and self.index < len(values):
                del values[self.index]

    def replace(self, part: dict[str, Any]) -> None:
        """Put another value in its place; a choice may come to hold another type."""
        form, value = _fitting(self.element, part, self.place)
        if self.index < 0:
            self.delete()
            _set(self.holder, form, value)
            return
        self.delete()
        _insert(self.holder, form, self.index, value)

    def insert(self, index: int, part: dict[str, Any]) -> None:
        """Put a value into the list; raises Problem(INVALID) for a position that it does not have."""
        form, value = _fitting(self.element, part, self.place)
        if index > _length(self.holder, form):
            raise does_not_fit("The list has no such position.", self.place)
        _insert(self.holder, form, index, value)

    def move(self, source: int, destination: int) -> None:
        """Move an item of the list; `destination` counts after it was taken out."""
        form = self.element.by_key[self.key]
        if max(source, destination) >= _length(self.holder, form):
            raise does_not_fit("The list has no such position.", self.place)
        _level(self.holder, form)
        for name in (form[0], form[1]):
            if name in self.holder:
                values = self.holder[name]
                values.insert(destination, values.pop(source))


def add(node: Node, name_part: dict[str, Any], part: dict[str, Any], place: str) -> None:
    """Add an element to a node: to the end of a list, or where there is none yet.

    Args:
        name_part: the part `name`.
        part: the part `value`.
    """
    name = name_part.get("valueString")
    if not isinstance(name, str):
        raise malformed("name must be a valueString.", place)
    put(_inside(node), node.type, name, part, place)


def put(holder: dict[str, Any], type_: str, name: str, part: dict[str, Any], place: str) -> None:
    """Add an element to the JSON object of a type.

    Raises:
        Problem: INVALID when the type has no such element, it is there and may not repeat, or the value does not suit.
    """
    elements = table(type_).elements
    stem = name.removesuffix("[x]")
    element = elements.get(stem) or next((e for e in elements.values() if name in e.by_key), None)
    if element is None:
        raise does_not_fit("There is no element of this name.", place)
    form, value = _fitting(element, part, place)
    if element.many:
        _insert(holder, form, _length(holder, form), value)
        return
    if any(key in holder or "_" + key in holder for key in element.by_key):
        raise does_not_fit("The element is there already and may not repeat; replace it instead.", place)
    _set(holder, form, value)


def _fitting(element: Element, part: dict[str, Any], place: str) -> tuple[Form, Value]:
    value, form = None, element.forms[0]
    for form in element.forms:
        value = value_of(part, form[2], choice=len(element.forms) > 1, put=put, place=place)
        if value is not None:
            break
    if value is None:
        raise does_not_fit("The value is not of a type that the element may have.", place)
    return form, value


def _inside(node: Node) -> dict[str, Any]:
    """The JSON object that the elements of a node stand in; for a primitive it is its sibling, made if need be."""
    if node.type not in PRIMITIVES:
        inside: dict[str, Any] = node.value
        return inside
    if node.sibling is None:
        node.sibling = {}
        holder = _inside(node.parent) if node.parent is not None else {}
        if node.index < 0:
            holder["_" + node.key] = node.sibling
        else:
            beside = holder.setdefault("_" + node.key, [])
            beside += [None] * (len(holder[node.key]) - len(beside))
            beside[node.index] = node.sibling
    return node.sibling


# ── JSON objects ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _length(holder: dict[str, Any], form: Form) -> int:
    return max(len(holder.get(form[0], ())), len(holder.get(form[1], ())) if form[1] else 0)


def _set(holder: dict[str, Any], form: Form, value: Value) -> None:
    if value.content is not None:
        holder[form[0]] = value.content
    if value.sibling is not None:
        holder[form[1]] = value.sibling


def _level(holder: dict[str, Any], form: Form) -> None:
    """Make the two arrays of a primitive equally long, as far as they are there."""
    length = _length(holder, form)
    for name in form[:2]:
        if name in holder:
            holder[name] += [None] * (length - len(holder[name]))


def _insert(holder: dict[str, Any], form: Form, index: int, value: Value) -> None:
    _level(holder, form)
    length = _length(holder, form)
    for name, one in ((form[0], value.content), (form[1], value.sibling)):
        if one is None and name not in holder:
            continue
        holder.setdefault(name, [None] * length).insert(index, one)
