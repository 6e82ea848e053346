# SPDX-License-Identifier: Apache-2.0
"""Which elements answer a search parameter, and how each is read.

A spot is a leaf with a kind of row. Families that would give every value away by counting (status, gender, category,
active …) are told apart here: the search index holds nothing for them.
https://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from salus.fhir.definitions import fields, structure
from salus.fhir.search.expression import Path, parse
from salus.fhir.search.leaves import Hop, Leaf, leaves
from salus.fhir.search.table import Definition, table

# Named in the store's own columns, not in the index.
STORED = {"_id", "_lastUpdated"}

# Answered over the words of the whole resource, see `words`.
WORDY = {"_text", "_content"}

_FEW_CODES = 64
_FEW_VALUES = (
    {"active", "category", "class", "clinicalStatus", "criticality", "gender", "intent", "language"}
    | {"priority", "security", "severity", "status", "use", "verificationStatus"}
)  # fmt: skip

# Which data types yield rows for which kind of parameter.
READS = {
    kind: set(types.split())
    for kind, types in {
        "token": "CodeableConcept Coding Identifier ContactPoint boolean code id string uri oid uuid",
        "date": "date dateTime instant Period Timing",
        "string": "string markdown",
        "sound": "HumanName string",
        "reference": "Reference canonical uri url",
        "uri": "uri url canonical oid uuid",
        "quantity": "Quantity Age Count Distance Duration Money Range",
        "number": "decimal integer positiveInt unsignedInt Range",
        "position": "Location.position",
    }.items()
}

# A search by name or address reads their parts (https://hl7.org/fhir/R4/search.html#string).
_PARTS = {
    "HumanName": ("family", "given", "text", "prefix", "suffix"),
    "Address": ("line", "city", "district", "state", "postalCode", "country", "text"),
}


class Spot(NamedTuple):
    """A leaf and how to read it.

    Attributes:
        leaf: where it is.
        kind: kind of the rows it yields, by the kind of parameter that reads it.
        system: implicit code system of a `code` or boolean, or "".
    """

    leaf: Leaf
    kind: str
    system: str


def spots_of(type_: str, found: Definition) -> list[Spot]:
    """The leaves of a type that answer a definition; empty when the store does, or nothing can."""
    if found.code in STORED or not found.expression:
        return []
    kind = {"phonetic": "sound", "near": "position"}.get(found.code, found.kind)
    if kind not in READS:
        return []
    return read_by(type_, parse(found.expression), kind)


def read_by(type_: str, paths: Iterable[Path], kind: str) -> list[Spot]:
    """The leaves of a type (or backbone element, by its path) that paths reach and that a kind reads."""
    return _read([leaf for path in paths for leaf in leaves(type_, path)], kind)


def of_leaf(leaf: Leaf, kind: str) -> list[Spot]:
    """How a kind reads one element, its parts included; all under the family of the leaf."""
    return [spot._replace(leaf=spot.leaf._replace(family=leaf.family)) for spot in _read([leaf], kind)]


def _read(way: list[Leaf], kind: str) -> list[Spot]:
    if kind == "string":
        way = [part for leaf in way for part in _in_parts(leaf)]
    if kind == "sound":
        way = [leaf._replace(family=f"{leaf.family}[sound]") for leaf in way]
    return [Spot(leaf, kind, _implicit(leaf)) for leaf in _joined(way) if leaf.datatype in READS[kind]]


def _in_parts(leaf: Leaf) -> list[Leaf]:
    parts = _PARTS.get(leaf.datatype)
    if parts is None:
        return [leaf]
    known = fields(leaf.datatype)
    return [Leaf((*leaf.hops, Hop(name, known[name].many)), f"{leaf.family}.{name}", "string") for name in parts]


def _joined(way: list[Leaf]) -> list[Leaf]:
    """Leaves that ask "there and not false" of the same choice element become one."""
    found: dict[tuple[tuple[Hop, ...], str, str], Leaf] = {}
    for leaf in way:
        key = (leaf.hops, leaf.family, "" if leaf.truth else leaf.datatype)
        before = found.get(key)
        found[key] = leaf if before is None else before._replace(truth=before.truth + leaf.truth)
    return list(found.values())


def _implicit(leaf: Leaf) -> str:
    if leaf.datatype == "boolean":
        return "http://terminology.hl7.org/CodeSystem/special-values"
    return table().systems.get(leaf.binding, "") if leaf.datatype == "code" else ""


def indexed(spot: Spot) -> bool:
    """Whether the values of a spot are many enough to stand in the index."""
    leaf = spot.leaf
    if spot.kind != "token":
        return spot.kind != "position"
    if leaf.datatype not in ("code", "Coding", "CodeableConcept"):
        return leaf.datatype != "boolean"
    if "extension[" in leaf.family:  # race, gender identity …: nobody says how many values there are
        return False
    if leaf.binding and len(structure().value_sets.get(leaf.binding, ())) in range(1, _FEW_CODES + 1):
        return False
    return leaf.family.rpartition(".")[2].partition("[")[0] not in _FEW_VALUES


def narrowed(spot: Spot, every: list[Spot] | tuple[Spot, ...]) -> list[Spot]:
    """Spots that read the same element as an unfiltered one, but only where a filter holds.

    `telecom` and `telecom.where(system='phone')` are such a pair: phones are then indexed under
    `telecom[system=phone]` only, and the parameter `telecom` asks for both families.
    """
    if any(hop.where for hop in spot.leaf.hops):
        return []
    return [
        other
        for other in every
        if other.kind == spot.kind
        and other.leaf.datatype == spot.leaf.datatype
        and len(other.leaf.hops) == len(spot.leaf.hops)
        and any(hop.where for hop in other.leaf.hops)
        and tuple(hop._replace(where=None) for hop in other.leaf.hops) == spot.leaf.hops
    ]
