# SPDX-License-Identifier: Apache-2.0
"""What FHIR R4 says about its types: fields, cardinalities, bindings, reference targets, constraints.

The table is compiled from HL7's StructureDefinitions (`ORIGIN.md`) and read once, on first use. Types are
named by path: `Patient`, `HumanName`, and `Patient.contact` for a backbone element, to which a field refers
as `#Patient.contact`. Choice elements keep their name, such as `value[x]`. Nothing is validated here.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import NamedTuple

import msgspec
import zstandard


class Field(NamedTuple):
    """One element of a type.

    Attributes:
        name: element name, `value[x]` for a choice.
        types: type codes; `#path` for a backbone element or content reference; `Resource` for any resource.
        min: least number of values.
        many: whether JSON carries an array.
        max: greatest number as FHIR writes it: `1`, `*` or a number.
        binding: URL of the value set that a `code` or CodeableConcept is bound to with strength required and
            whose codes can be listed, else "".
        targets: resource types that a Reference may point to; empty means any.
    """

    name: str
    types: tuple[str, ...]
    min: int
    many: bool
    max: str
    binding: str
    targets: tuple[str, ...]


class Type(msgspec.Struct, frozen=True, gc=False):
    """A resource, data type or backbone element.

    Attributes:
        kind: `resource`, `complex-type` or `backbone`.
        abstract: True for Resource, DomainResource, Element and BackboneElement.
        fields: the elements in the order of the definition, inherited ones included.
    """

    kind: str
    abstract: bool
    fields: tuple[Field, ...]


class Constraint(NamedTuple):
    """A rule of a StructureDefinition: key such as `obs-6`, `error` or `warning`, FHIRPath, words."""

    key: str
    severity: str
    expression: str
    human: str


class Primitive(msgspec.Struct, frozen=True, gc=False):
    """A primitive type: the type it specialises and the regular expression that HL7 publishes."""

    base: str
    regex: str


class Structure(msgspec.Struct, frozen=True, gc=False):
    """The whole table.

    Attributes:
        types: every type by path.
        value_sets: sorted codes by URL, for the required bindings.
        systems: code system URLs by value set URL, for the value sets that bind a CodeableConcept.
        primitives: every primitive type by name.
        constraints: FHIRPath rules by element path; ele-1 stands on Element and ext-1 on Extension only.
    """

    types: dict[str, Type]
    value_sets: dict[str, tuple[str, ...]]
    systems: dict[str, tuple[str, ...]]
    primitives: dict[str, Primitive]
    constraints: dict[str, tuple[Constraint, ...]]


# https://hl7.org/fhir/R4/datatypes.html#primitive
PRIMITIVES = frozenset(
    {
        *(
            "base64Binary",
            "boolean",
            "canonical",
            "code",
            "date",
            "dateTime",
            "decimal",
            "id",
            "instant",
            "integer",
        ),
        *("markdown", "oid", "positiveInt", "string", "time", "unsignedInt", "uri", "url", "uuid", "xhtml"),
    }
)


@cache
def structure() -> Structure:
    """The compiled definitions; read and unpacked once per process (about 10 ms)."""
    packed = resources.files(__package__).joinpath("structure.msgpack.zst").read_bytes()
    return msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(packed), type=Structure)


@cache
def resource_types() -> tuple[str, ...]:
    """Names of the 146 concrete resource types of R4, sorted."""
    return tuple(n for n, t in structure().types.items() if t.kind == "resource" and not t.abstract)


@cache
def fields(path: str) -> dict[str, Field]:
    """Elements of a type by name, in the order of the definition.

    Args:
        path: `Patient`, `HumanName`, `Patient.contact`, …; a leading `#` is allowed.

    Raises:
        KeyError: R4 has no such type.
    """
    return {field.name: field for field in structure().types[path.removeprefix("#")].fields}
