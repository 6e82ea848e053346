# SPDX-License-Identifier: Apache-2.0
"""Follow a search expression through the structure of a type to the JSON elements it points to.

A *leaf* is one element of one data type, reached by a fixed chain of JSON keys. The *family* of a leaf is
its name in the search index: the element path without the type, choice elements by their base name, with a
filter where one applies (`component.code`, `telecom[system=phone]`, `effective`). Which rows a leaf yields
is decided in `parameters` and `extract`.
"""

from __future__ import annotations

from typing import NamedTuple

from salus.fhir.definitions import Field, fields
from salus.fhir.search.expression import Path, Step


class Hop(NamedTuple):
    """One JSON key on the way to a leaf.

    Attributes:
        key: name in the JSON object, with the type suffix of a choice.
        many: whether an array stands there.
        where: only the items whose element (first) equals a text (second).
        position: only the item that stands there, from 0.
    """

    key: str
    many: bool
    where: tuple[str, str] | None = None
    position: int | None = None


class Leaf(NamedTuple):
    """An element that a search parameter reads.

    Attributes:
        hops: the way from the resource; for `truth` leaves the way to the element's owner.
        family: name in the index.
        datatype: FHIR type of the element.
        binding: URL of the required value set, or "".
        targets: resource types that a reference may point to here, or is asked to (`where(resolve() is
            T)`); empty means any.
        truth: keys of a choice element of which only "is there and not false" is asked; empty otherwise.
    """

    hops: tuple[Hop, ...]
    family: str
    datatype: str
    binding: str = ""
    targets: tuple[str, ...] = ()
    truth: tuple[str, ...] = ()


def leaves(type_: str, path: Path) -> list[Leaf]:
    """Leaves of a resource type that a path of an expression reaches; none when it starts at another type.

    Args:
        type_: resource type.
        path: one branch of `expression.parse`.
    """
    found = [Leaf((), "", type_)]
    for step in path:
        found = [after for leaf in found for after in _step(type_, leaf, step)]
    return list(dict.fromkeys(found))


def _step(type_: str, leaf: Leaf, step: Step) -> list[Leaf]:
    match step.op:
        case "root":
            if step.name in (type_, "Resource", "DomainResource"):
                return [leaf]
            # `InsurancePlan.name` is written as `name | alias`, relative to the type.
            return _field(leaf, step.name) if step.name[0].islower() else []
        case "field":
            return _field(leaf, step.name)
        case "as":
            return [leaf] if leaf.datatype == step.name else []
        case "where":
            hop = leaf.hops[-1]._replace(where=(step.name, step.literal))
            family = f"{leaf.family}[{step.name}={step.literal}]"
            return [leaf._replace(hops=(*leaf.hops[:-1], hop), family=family)]
        case "resolve":
            return [leaf._replace(targets=(step.name,))]
        case "index":
            hop = leaf.hops[-1]._replace(position=int(step.name))
            return [leaf._replace(hops=(*leaf.hops[:-1], hop), family=f"{leaf.family}[{step.name}]")]
        case "exists-not-false":
            return [
                leaf._replace(
                    hops=leaf.hops[:-1],
                    family=f"{leaf.family}[true]",
                    datatype="boolean",
                    truth=(leaf.hops[-1].key,),
                )
            ]
    return []


def _field(leaf: Leaf, name: str) -> list[Leaf]:
    try:
        known = fields(leaf.datatype)
    except KeyError:  # a primitive, or any resource: nothing below it is defined
        return []
    family = f"{leaf.family}.{name}" if leaf.family else name
    plain = known.get(name)
    if plain is not None:
        return [_below(leaf, plain, family, plain.name, kind) for kind in plain.types]
    choice = known.get(f"{name}[x]")
    if choice is None:
        return _written_out(leaf, known, name)
    return [_below(leaf, choice, family, name + kind[0].upper() + kind[1:], kind) for kind in choice.types]


def _written_out(leaf: Leaf, known: dict[str, Field], name: str) -> list[Leaf]:
    """US Core and others write `valueDateTime` where FHIRPath says `value.ofType(dateTime)`."""
    for field in known.values():
        base = field.name.removesuffix("[x]")
        for kind in field.types if base != field.name and name.startswith(base) else ():
            if name == base + kind[0].upper() + kind[1:]:
                return [_below(leaf, field, f"{leaf.family}.{base}" if leaf.family else base, name, kind)]
    return []


def _below(leaf: Leaf, element: Field, family: str, key: str, kind: str) -> Leaf:
    hops = (*leaf.hops, Hop(key, element.many))
    return Leaf(hops, family, kind.removeprefix("#"), element.binding, element.targets)
