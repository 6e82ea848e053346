# SPDX-License-Identifier: Apache-2.0
"""What the elements of a type are in XML: children in the order of the definition, and a few attributes.

https://hl7.org/fhir/R4/xml.html  `id` of an element and `url` of an extension are attributes; `id` of a resource is an
element like others. Choices carry their type in the name, as in JSON.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Final, NamedTuple

from salus.fhir.definitions import structure
from salus.fhir.validate.members import members

FHIR: Final = "http://hl7.org/fhir"
XHTML: Final = "http://www.w3.org/1999/xhtml"
DEEPEST: Final = 200
"""Levels of elements; the tree of the JSON reader goes as deep (two levels for each element that repeats)."""

_ANY_RESOURCE: Final = frozenset({"Resource", "DomainResource"})


class Form(Enum):
    """How an element is written."""

    PRIMITIVE = 1
    COMPLEX = 2
    RESOURCE = 3  # an element around a resource, such as `contained`
    XHTML = 4


class Child(NamedTuple):
    """A child element.

    Attributes:
        name: in XML and in JSON alike.
        type: type code, or path of a backbone element.
        many: whether JSON carries an array.
    """

    name: str
    form: Form
    type: str
    many: bool


class Shape(NamedTuple):
    """A type in XML.

    Attributes:
        attributes: JSON names that are attributes.
        children: child elements by name, in the order of the definition.
    """

    attributes: tuple[str, ...]
    children: dict[str, Child]


@cache
def shape(path: str) -> Shape:
    """The shape of a type or backbone element.

    Args:
        path: `Patient`, `HumanName`, `Patient.contact`; `Element` for the inside of a primitive.
    """
    found = structure().types[path]
    attributes = () if found.kind == "resource" else ("id", "url") if path == "Extension" else ("id",)
    children = {
        name: Child(name, _form(member.type, primitive=member.primitive), member.type, member.field.many)
        for name, member in members(path).items()
        if not member.sibling and name not in attributes
    }
    return Shape(attributes, children)


def _form(type_: str, *, primitive: bool) -> Form:
    if type_ == "xhtml":
        return Form.XHTML
    if primitive:
        return Form.PRIMITIVE
    return Form.RESOURCE if type_ in _ANY_RESOURCE else Form.COMPLEX
