# SPDX-License-Identifier: Apache-2.0
"""The registry of search parameters: what can be asked of every R4 type and which families answer it.

A parameter is a set of families of its type, so that each value is indexed once however many parameters
read it: `combo-code` is {code, component.code}; `patient` and `subject` share the family `subject`. A
parameter that Salus does not answer stays in the registry with the reason, so that asking for it is an
error with a name.

Families that would give every value away by counting (status, gender, category, active …) are marked
unindexed: the search index holds nothing for them and a query is answered by opening the candidates.

The table is compiled from HL7's definitions (`ORIGIN.md`) and worked out per type on first use.
https://hl7.org/fhir/R4/searchparameter-registry.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from salus.fhir.definitions import fields, resource_types, structure
from salus.fhir.search.expression import parse
from salus.fhir.search.leaves import Hop, Leaf, leaves
from salus.fhir.search.table import Definition, table
from salus.kernel.errors import Kind, Problem

# Named in the store's own columns, not in the index.
_STORED = {"_id", "_lastUpdated"}

_FEW_CODES = 64
_FEW_VALUES = (
    {"active", "category", "class", "clinicalStatus", "criticality", "gender", "intent", "priority"}
    | {"security", "severity", "status", "use", "verificationStatus"}
)  # fmt: skip

_REASONS = {
    "composite": "composite parameters are not answered",
    "special": "positions are not compared",
    "_text": "the narrative is not indexed",
    "_content": "whole content is not indexed",
    "_query": "named queries are not offered",
    "phonetic": "names are not compared by sound",
}

# Which data types yield rows for which kind of parameter (https://hl7.org/fhir/R4/search.html#ptypes).
_READS = {
    kind: set(types.split())
    for kind, types in {
        "token": "CodeableConcept Coding Identifier ContactPoint boolean code id string uri oid uuid",
        "date": "date dateTime instant Period Timing",
        "string": "string markdown",
        "reference": "Reference canonical uri url",
        "uri": "uri url canonical oid uuid",
        "quantity": "Quantity Age Count Distance Duration Money Range",
        "number": "decimal integer positiveInt unsignedInt Range",
    }.items()
}

# A search by name or address reads their parts (https://hl7.org/fhir/R4/search.html#string).
_PARTS = {
    "HumanName": ("family", "given", "text", "prefix", "suffix"),
    "Address": ("line", "city", "district", "state", "postalCode", "country", "text"),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """What can be asked of a resource type under one name.

    Attributes:
        code: the name in a query, such as `birthdate`.
        kind: number, date, string, token, reference, composite, quantity, uri or special.
        families: names in the index whose values answer it.
        targets: for references, the resource types asked for; empty means any.
        low_cardinality: one of its families has too few values to be indexed; answered by opening
            candidates only.
        url: canonical URL of the SearchParameter.
        expression: the FHIRPath of the definition.
        unsupported: why Salus does not answer it; empty when it does.
    """

    code: str
    kind: str
    families: tuple[str, ...]
    targets: tuple[str, ...]
    low_cardinality: bool
    url: str
    expression: str
    unsupported: str = ""


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


class _Registered(NamedTuple):
    parameters: Mapping[str, Parameter]
    spots: tuple[Spot, ...]
    unindexed: frozenset[str]


def parameters(type_: str) -> Mapping[str, Parameter]:
    """Search parameters of a resource type by code, those on every type included.

    Raises:
        Problem: INCORRECT when R4 has no such resource type.
    """
    return _registered(type_).parameters


def spots(type_: str) -> tuple[Spot, ...]:
    """Everything that extraction reads from a resource of this type; each element and kind of row once."""
    return _registered(type_).spots


def unindexed(type_: str) -> frozenset[str]:
    """Families of a type for which the search index holds nothing."""
    return _registered(type_).unindexed


@cache
def _registered(type_: str) -> _Registered:
    if type_ not in resource_types():
        raise Problem(Kind.INCORRECT, "FHIR R4 has no such resource type.")
    bases = {type_, "Resource"}
    if "contained" in fields(type_):  # all but Binary, Bundle and Parameters are DomainResources
        bases.add("DomainResource")
    asked = [(found, _spots(type_, found)) for found in table().parameters if bases.intersection(found.base)]
    # Which targets are asked for is the parameter's business; the element is read once.
    every = list(dict.fromkeys(Spot(s.leaf._replace(targets=()), s.kind, s.system) for _, read in asked for s in read))
    closed = {spot.leaf.family for spot in every if not _indexed(spot)}
    closed -= {spot.leaf.family for spot in every if _indexed(spot)}
    known = {found.code: _parameter(found, read, every, closed) for found, read in asked}
    return _Registered(MappingProxyType(known), tuple(every), frozenset(closed))


def _spots(type_: str, found: Definition) -> list[Spot]:
    """The leaves that answer a definition; empty when Salus does not answer it or the store does."""
    if found.code in _STORED or found.code in _REASONS or found.kind not in _READS or not found.expression:
        return []
    way = [leaf for path in parse(found.expression) for leaf in leaves(type_, path)]
    if found.kind == "string":
        way = [part for leaf in way for part in _in_parts(leaf)]
    return [Spot(leaf, found.kind, _implicit(leaf)) for leaf in _joined(way) if leaf.datatype in _READS[found.kind]]


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


def _indexed(spot: Spot) -> bool:
    leaf = spot.leaf
    if spot.kind != "token":
        return True
    if leaf.datatype not in ("code", "Coding", "CodeableConcept"):
        return leaf.datatype != "boolean"
    if leaf.binding and len(structure().value_sets.get(leaf.binding, ())) in range(1, _FEW_CODES + 1):
        return False
    return leaf.family.rpartition(".")[2].partition("[")[0] not in _FEW_VALUES


def _parameter(found: Definition, read: list[Spot], every: list[Spot], closed: set[str]) -> Parameter:
    families = dict.fromkeys(spot.leaf.family for spot in read)
    for spot in read:
        families.update(dict.fromkeys(sibling.leaf.family for sibling in narrowed(spot, every)))
    if found.code in _STORED:
        families = {found.code: None}
    reason = ""
    if not families:
        reason = _REASONS.get(found.code) or _REASONS.get(found.kind) or "it points into an embedded resource"
    return Parameter(
        code=found.code,
        kind=found.kind,
        families=tuple(families),
        targets=_targets(found, read),
        low_cardinality=any(family in closed for family in families),
        url=found.url,
        expression=found.expression,
        unsupported=reason,
    )


def _targets(found: Definition, read: list[Spot]) -> tuple[str, ...]:
    """Resource types asked for: what the expression names, else what the elements allow.

    `SearchParameter.target` is not used: in R4 it lists types of other resources and leaves out allowed ones.
    """
    if found.kind != "reference" or not all(spot.leaf.targets for spot in read):
        return ()
    return tuple(sorted({target for spot in read for target in spot.leaf.targets}))


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
