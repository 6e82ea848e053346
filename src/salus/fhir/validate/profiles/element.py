# SPDX-License-Identifier: Apache-2.0
"""The elements of a profile as a tree that grows from R4's own type.

A snapshot and a differential are read alike: each ElementDefinition changes what is there already. So a profile
without a snapshot starts from the tree of its base, and one with a snapshot from the plain type
(https://hl7.org/fhir/R4/elementdefinition.html, https://hl7.org/fhir/R4/profiling.html#snapshot).

Slices start without the children of the element that they slice: whatever is said of that element holds for every item
anyway and is checked there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from salus.fhir.definitions import PRIMITIVES, Field, structure

Json = dict[str, Any]

PREFIX: Final = "http://hl7.org/fhir/StructureDefinition/"
_MAX_VALUE_SET: Final = PREFIX + "elementdefinition-maxValueSet"
_SYSTEM: Final = "http://hl7.org/fhirpath/"


class UnknownPathError(Exception):
    """An element definition names a path that its base does not have. The text is the place, without its words."""


class TypeRef(NamedTuple):
    """One type that an element may have, with the profiles that it, or what it refers to, must fulfil."""

    code: str
    profiles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


@dataclass(slots=True)
class Element:
    """One element, or one slice of it.

    Attributes:
        name: last step of the path, `value[x]` for a choice.
        table: path of its own type in the definitions of R4; empty when it has several types or none.
        base: what R4 says about it; None for a root and for a slice.
        min, max: how many; None and "" where nothing is said.
        repeats: for a content reference, whether it is to what this profile says of that element, and not to R4.
        values: the `fixed[x]`, `pattern[x]`, `minValue[x]`, `maxValue[x]` and `maxLength` of the definition, by these
            names without the type.
    """

    name: str
    table: str = ""
    base: Field | None = None
    min: int | None = None
    max: str = ""
    types: tuple[TypeRef, ...] = ()
    values: Json = field(default_factory=dict)
    binding: tuple[str, str] | None = None
    constraints: dict[str, Json] = field(default_factory=dict)
    slicing: Json | None = None
    slice_name: str = ""
    slices: dict[str, Element] = field(default_factory=dict)
    children: dict[str, Element] = field(default_factory=dict)
    grown: bool = False
    repeats: bool = True

    def base_binding(self) -> str:
        """Url of the value set that R4 itself binds with strength required and checks; "" for none."""
        return self.base.binding if self.base is not None else ""

    def base_targets(self) -> set[str]:
        """Canonicals of the types that R4 lets a reference point to."""
        return {PREFIX + name for name in self.base.targets} if self.base is not None else set()

    def child(self, name: str) -> Element:
        """The child of this name, made from R4's definition when the profile says nothing about it.

        A choice may be named by one of its types: `valueQuantity` is the slice of `value[x]` for that type.

        Raises:
            UnknownPathError: there is no such child.
        """
        self.grow()
        found = self.children.get(name) or self.children.get(name + "[x]")
        if found is not None:
            return found
        for known in self.children.values():
            stem = known.name.removesuffix("[x]")
            if stem != known.name and name.startswith(stem):
                for ref in known.types:
                    if stem + ref.code[:1].upper() + ref.code[1:] == name:
                        return known if len(known.types) == 1 else known.of_type(name, ref)
        raise UnknownPathError(name)

    def of_type(self, name: str, ref: TypeRef) -> Element:
        """The slice of a choice for one of its types."""
        self.slicing = self.slicing or {"discriminator": [{"type": "type", "path": "$this"}], "rules": "open"}
        found = self.slices.get(name)
        if found is None:
            found = Element(self.name, _table((ref,)), None, 0, self.max, (TypeRef(ref.code),), slice_name=name)
            self.slices[name] = found
        return found

    def slice(self, name: str) -> Element:
        """The slice of this name; `a/b` is slice `b` of slice `a`."""
        outer, _, inner = name.rpartition("/")
        if outer and outer in self.slices:
            return self.slices[outer].slice(inner)
        found = self.slices.get(name)
        if found is None:
            found = Element(self.name, self.table, None, 0, self.max, self.types, slice_name=name)
            self.slices[name] = found
        return found

    def grow(self) -> None:
        """Give it the children that its type has in R4."""
        if self.grown or not self.table:
            return
        self.grown = True
        for known in structure().types[self.table].fields:
            self.children.setdefault(known.name, plain(known))
        if self.table == "Element":
            self.children.setdefault("value", Element("value"))  # of a primitive: nothing that a rule could see

    def apply(self, said: Json) -> None:
        """Take over what an ElementDefinition says."""
        self.min = said.get("min", self.min)
        self.max = said.get("max", self.max)
        if "type" in said:
            self.types = tuple(_reference(one) for one in said["type"] if type(one) is dict and "code" in one)
            table = _table(self.types)
            if table:  # a backbone element keeps its own path
                self.table = self.table if table in ("BackboneElement", "Element") and self.table else table
        if "slicing" in said:
            self.slicing = said["slicing"]
        if type(said.get("binding")) is dict and said["binding"].get("valueSet"):
            self.binding = (said["binding"].get("strength", ""), said["binding"]["valueSet"])
            for more in said["binding"].get("extension", ()):
                if more.get("url") == _MAX_VALUE_SET and "valueCanonical" in more:
                    self.values["maxValueSet"] = more["valueCanonical"]
        for rule in said.get("constraint", ()):
            self.constraints[rule.get("key", "")] = rule
        for name, value in said.items():
            for kind in ("fixed", "pattern", "minValue", "maxValue"):
                if name.startswith(kind) and len(name) > len(kind):
                    self.values[kind] = value
        if type(said.get("contentReference")) is str:
            self.repeats = said["contentReference"].startswith("#")
        if "maxLength" in said:
            self.values["maxLength"] = said["maxLength"]


def plain(known: Field) -> Element:
    """An element as R4 defines it."""
    targets = tuple(PREFIX + name for name in known.targets)
    types = tuple(TypeRef(code, (), targets if code == "Reference" else ()) for code in known.types)
    return Element(known.name, _table(types), known, known.min, known.max, types)


def read(root: Element, elements: list[Json]) -> None:
    """Let the tree grow by the element definitions of a snapshot or differential, in their order.

    Raises:
        UnknownPathError: a path that does not exist, with that path.
    """
    latest: dict[str, Element] = {}  # the elements on the way to the last one, by path
    way: list[str] = []
    top = ""
    for said in elements:
        path = said["path"]
        if not top:
            top = path.partition(".")[0]
            latest[top] = root
        if path == top:
            root.apply(said)
            continue
        above, _, name = path.rpartition(".")
        try:
            parent = _parent(latest, root, above, top)
            found = parent.child(name)
        except UnknownPathError:
            raise UnknownPathError(path) from None
        if said.get("sliceName"):
            found = found.slice(said["sliceName"]) if not found.slice_name else found
        found.apply(said)
        while way and not path.startswith(way[-1] + "."):
            del latest[way.pop()]
        way.append(path)
        latest[path] = found


def _parent(latest: dict[str, Element], root: Element, path: str, top: str) -> Element:
    """The element that a path means here: the last one named so, or one reached through the last one above."""
    found = latest.get(path)
    if found is not None:
        return found
    above, _, name = path.rpartition(".")
    if not above or path == top:
        return root
    return _parent(latest, root, above, top).child(name)


def _reference(said: Json) -> TypeRef:
    code = said["code"]
    if code.startswith(_SYSTEM):
        code = ""
    return TypeRef(code, tuple(said.get("profile", ())), tuple(said.get("targetProfile", ())))


def _table(types: tuple[TypeRef, ...]) -> str:
    """Path in R4's definitions of the only type."""
    codes = {ref.code for ref in types}
    if len(codes) != 1:
        return ""
    code = codes.pop()
    if code in PRIMITIVES:
        return "Element"
    return code.removeprefix("#") if code.removeprefix("#") in structure().types else ""
