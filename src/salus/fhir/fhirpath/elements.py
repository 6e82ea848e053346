# SPDX-License-Identifier: Apache-2.0
"""The elements of each type as FHIRPath sees them: choices under one name, primitives with extensions.

Compiled from `salus.fhir.definitions` on first use of a type. https://hl7.org/fhir/R4/fhirpath.html#polymorphism
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from salus.fhir.definitions import PRIMITIVES, Field, structure

_ANY: Final = frozenset({"Resource", "DomainResource"})

Form = tuple[str, str, str]
"""JSON name; the name of its sibling or ""; type."""


class Element(NamedTuple):
    """One element.

    Attributes:
        name: as FHIRPath says it: `value`, not `value[x]`.
        forms: how JSON may write it; one, or one for each type of a choice.
        by_key: the forms by JSON name.
        of_primitive: whether it belongs to a primitive, so that JSON writes it in the sibling.
        many: whether it may repeat.
    """

    name: str
    forms: tuple[Form, ...]
    by_key: dict[str, Form]
    of_primitive: bool
    many: bool


class Elements(NamedTuple):
    """The elements of a type.

    Attributes:
        elements: by name.
        forms: what JSON may have, by JSON name.
        places: how a place says a JSON name: `value.ofType(Quantity)`.
        of_primitive: whether the type is a primitive.
    """

    elements: dict[str, Element]
    forms: dict[str, Form]
    places: dict[str, str]
    of_primitive: bool


@cache
def table(path: str) -> Elements:
    """Elements of a type; none for a type that R4 does not have.

    Args:
        path: `Patient`, `Patient.contact`, `code`; types of FHIRPath itself have no elements.
    """
    primitive = path in PRIMITIVES
    found = structure().types.get("Element" if primitive else path)
    made = Elements({}, {}, {}, primitive)
    for field in found.fields if found else ():
        _add(made, field, primitive)
    return made


def is_resource(name: str) -> bool:
    """Whether a type is a resource type of R4."""
    return name in resources()  # not remembered by name: content may name anything


@cache
def resources() -> frozenset[str]:
    """The resource types of R4."""
    return frozenset(name for name, kind in structure().types.items() if kind.kind == "resource")


def _add(made: Elements, field: Field, primitive: bool) -> None:
    stem, choice = field.name.removesuffix("[x]"), field.name.endswith("[x]")
    forms: list[Form] = []
    for code in field.types:
        key = stem + code[0].upper() + code[1:] if choice else stem
        kind = "Resource" if code in _ANY else code.removeprefix("#")
        forms.append((key, "_" + key if code in PRIMITIVES else "", kind))
        made.forms[key] = forms[-1]
        made.places[key] = f"{stem}.ofType({code})" if choice else stem
    made.elements[stem] = Element(stem, tuple(forms), {form[0]: form for form in forms}, primitive, field.many)
