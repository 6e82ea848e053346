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

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from salus.fhir.definitions import fields, resource_types
from salus.fhir.search.expression import parse
from salus.fhir.search.leaves import Leaf, leaves
from salus.fhir.search.spots import STORED, WORDY, Spot, indexed, narrowed, read_by, spots_of
from salus.fhir.search.table import Definition, table
from salus.kernel.errors import Kind, Problem

_REASONS = {"_query": "named queries are not offered"}


class Component(NamedTuple):
    """One part of a composite parameter.

    Attributes:
        kind: of its values.
        families: names within an item of the composite, see `composites`.
        narrowing: families of the search index in which the same values stand; empty when one is not indexed.
        targets: for references, the resource types asked for.
        spots: what is read from an item, by the path of the item's type; of the resource itself when `root`.
        root: the expression began with `%resource`.
        expression: as it is defined.
    """

    kind: str
    families: tuple[str, ...]
    narrowing: tuple[str, ...]
    targets: tuple[str, ...]
    spots: Mapping[str, tuple[Spot, ...]]
    root: bool
    expression: str


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
        components: parts of a composite.
        items: where the items of a composite stand.
    """

    code: str
    kind: str
    families: tuple[str, ...]
    targets: tuple[str, ...]
    low_cardinality: bool
    url: str
    expression: str
    unsupported: str = ""
    components: tuple[Component, ...] = ()
    items: tuple[Leaf, ...] = ()

    @property
    def elements(self) -> frozenset[str]:
        """Top-level elements that it reads; `*` when it may read any."""
        if self.code in WORDY or any(family.startswith("@") for family in self.families):
            return frozenset("*")
        names = {family for family in self.families if not self.items}
        for part in self.components:
            for read in part.spots.values():
                names |= {spot.leaf.family for spot in read}
        names |= {item.family for item in self.items if item.family}
        return frozenset(name.partition(".")[0].partition("[")[0] for name in names)


class Custom(NamedTuple):
    """A parameter that somebody defined, beside those of R4.

    Attributes:
        definition: of one or more types.
        ready: whether every record has been indexed for it.
        engine: the expression needs the FHIRPath engine; its rows carry the family `@url`.
    """

    definition: Definition
    ready: bool
    engine: bool = False


class _Registered(NamedTuple):
    parameters: Mapping[str, Parameter]
    spots: tuple[Spot, ...]
    unindexed: frozenset[str]


class Registry:
    """The search parameters of every type: those of R4, and those that were defined beside them.

    Args:
        custom: in the order of their definition; a code that R4 has for the type is passed over.
        generation: of the definitions; records say with which they were indexed.
    """

    def __init__(self, custom: Iterable[Custom] = (), generation: int = 0) -> None:
        self.custom = tuple(custom)
        self.generation = generation
        self._types: dict[str, _Registered] = {}

    def parameters(self, type_: str) -> Mapping[str, Parameter]:
        """Search parameters of a resource type by code, those on every type included.

        Raises:
            Problem: INCORRECT when R4 has no such resource type.
        """
        return self._registered(type_).parameters

    def spots(self, type_: str) -> tuple[Spot, ...]:
        """Everything that extraction reads from a resource of this type; each element and kind of row once."""
        return self._registered(type_).spots

    def unindexed(self, type_: str) -> frozenset[str]:
        """Families of a type for which the search index holds nothing."""
        return self._registered(type_).unindexed

    def engine(self, type_: str) -> tuple[Definition, ...]:
        """Definitions for a type whose index rows the FHIRPath engine finds; composites have none."""
        bases = _bases(type_)
        found = (one.definition for one in self.custom if one.engine and one.definition.kind != "composite")
        return tuple(definition for definition in found if bases.intersection(definition.base))

    def _registered(self, type_: str) -> _Registered:
        found = self._types.get(type_)
        if found is None:
            found = self._types[type_] = _register(type_, self.custom) if self._concerns(type_) else _standard(type_)
        return found

    def _concerns(self, type_: str) -> bool:
        bases = _bases(type_)
        return any(bases.intersection(one.definition.base) for one in self.custom)


STANDARD = Registry()


def parameters(type_: str) -> Mapping[str, Parameter]:
    """Search parameters that R4 has for a resource type; raises as `Registry.parameters`."""
    return STANDARD.parameters(type_)


def spots(type_: str) -> tuple[Spot, ...]:
    """What extraction reads for the parameters of R4."""
    return STANDARD.spots(type_)


def unindexed(type_: str) -> frozenset[str]:
    """Families that are not in the index, of the parameters of R4."""
    return STANDARD.unindexed(type_)


@cache
def _bases(type_: str) -> frozenset[str]:
    """The names in SearchParameter.base that mean a type."""
    if type_ not in resource_types():
        raise Problem(Kind.INCORRECT, "FHIR R4 has no such resource type.")
    if "contained" in fields(type_):  # all but Binary, Bundle and Parameters are DomainResources
        return frozenset({type_, "Resource", "DomainResource"})
    return frozenset({type_, "Resource"})


@cache
def _standard(type_: str) -> _Registered:
    return _register(type_, ())


def _register(type_: str, custom: tuple[Custom, ...]) -> _Registered:
    bases = _bases(type_)
    asked = [(found, spots_of(type_, found)) for found in table().parameters if bases.intersection(found.base)]
    taken = {found.code for found, _ in asked}
    added = [one for one in custom if bases.intersection(one.definition.base) and one.definition.code not in taken]
    own = [(one.definition, [] if one.engine else spots_of(type_, one.definition)) for one in added]
    # Which targets are asked for is the parameter's business; the element is read once.
    read = [spot for _, some in (*asked, *own) for spot in some]
    every = list(dict.fromkeys(Spot(s.leaf._replace(targets=()), s.kind, s.system) for s in read))
    closed = {spot.leaf.family for spot in every if not indexed(spot)}
    closed -= {spot.leaf.family for spot in every if indexed(spot)}
    closed |= {f"@{one.definition.url}" for one in added if one.engine and one.definition.kind == "token"}
    sure = [*asked, *((one.definition, some) for one, (_, some) in zip(added, own, strict=True) if one.ready)]
    held = {(spot.leaf.family, spot.kind) for _, some in sure for spot in some}
    known = {found.code: _parameter(type_, found, some, every, held, closed) for found, some in (*asked, *own)}
    for one in added:
        known[one.definition.code] = _custom(known[one.definition.code], one, closed)
    return _Registered(MappingProxyType(known), tuple(every), frozenset(closed))


def _custom(made: Parameter, one: Custom, closed: set[str]) -> Parameter:
    from dataclasses import replace

    if one.engine:
        family = f"@{one.definition.url}"
        made = replace(made, families=(family,), unsupported="", low_cardinality=family in closed)
        if one.definition.kind == "composite":
            made = replace(made, items=(), components=_by_engine(one.definition, family))
    return made if one.ready else replace(made, unsupported="it is still being indexed")


def _by_engine(found: Definition, family: str) -> tuple[Component, ...]:
    parts = zip(found.components, found.kinds, strict=True)
    return tuple(Component(kind, (family,), (), (), MappingProxyType({}), False, text) for (_, text), kind in parts)


def _parameter(
    type_: str, found: Definition, read: list[Spot], every: list[Spot], held: set[tuple[str, str]], closed: set[str]
) -> Parameter:
    families = dict.fromkeys(spot.leaf.family for spot in read)
    for spot in read:
        families.update(dict.fromkeys(sibling.leaf.family for sibling in narrowed(spot, every)))
    if found.code in STORED | WORDY:
        families = {found.code: None}
    items, parts = _components(type_, found, every, held, closed)
    if items:
        families = {f"${found.code}": None}
    reason = ""
    if not families:
        reason = _REASONS.get(found.code) or "it points into an embedded resource"
    return Parameter(
        code=found.code,
        kind=found.kind,
        families=tuple(families),
        targets=_targets(found, read),
        low_cardinality=any(family in closed for family in families),
        url=found.url,
        expression=found.expression,
        unsupported=reason,
        components=parts,
        items=items,
    )


def _components(
    type_: str, found: Definition, every: list[Spot], held: set[tuple[str, str]], closed: set[str]
) -> tuple[tuple[Leaf, ...], tuple[Component, ...]]:
    """Items and parts of a composite; none for other kinds, and for one that only the FHIRPath engine understands.

    Args:
        held: families and kinds in which the index has every value of every record.
    """
    if found.kind != "composite":
        return (), ()
    try:
        items = tuple(leaf for path in parse(found.expression) for leaf in leaves(type_, path))
        kinds = found.kinds or [
            next(one.kind for one in table().parameters if one.url == u) for u, _ in found.components
        ]
        told = zip(found.components, kinds, strict=True)
        parts = tuple(_component(type_, items, kind, text, every, held, closed) for (_, text), kind in told if items)
    except Problem:
        return (), ()
    return items, parts


def _below(item: Leaf, spot: Spot) -> str:
    return f"{item.family}.{spot.leaf.family}" if item.family else spot.leaf.family


def _component(
    type_: str,
    items: tuple[Leaf, ...],
    kind: str,
    expression: str,
    every: list[Spot],
    held: set[tuple[str, str]],
    closed: set[str],
) -> Component:
    root = expression.startswith("%resource.")
    paths = parse(expression.removeprefix("%resource."))
    starts = (Leaf((), "", type_),) if root else items
    read = {start.datatype: tuple(read_by(start.datatype, paths, kind)) for start in starts}
    families = dict.fromkeys(spot.leaf.family for some in read.values() for spot in some)
    whole = [
        spot._replace(leaf=spot.leaf._replace(hops=(*start.hops, *spot.leaf.hops), family=_below(start, spot)))
        for start in starts
        for spot in read[start.datatype]
    ]
    narrowing = [spot.leaf.family for spot in whole]
    if any((family, kind) not in held for family in narrowing):
        narrowing = []
    narrowing += [sibling.leaf.family for spot in whole for sibling in narrowed(spot, every) if narrowing]
    if closed.intersection(narrowing):
        narrowing = []
    targets = tuple(sorted({target for some in read.values() for spot in some for target in spot.leaf.targets}))
    narrow = tuple(dict.fromkeys(narrowing))
    return Component(kind, tuple(families), narrow, targets, MappingProxyType(read), root, expression)


def _targets(found: Definition, read: list[Spot]) -> tuple[str, ...]:
    """Resource types asked for: what the expression names, else what the elements allow.

    `SearchParameter.target` is not used: in R4 it lists types of other resources and leaves out allowed ones.
    """
    if found.kind != "reference" or not all(spot.leaf.targets for spot in read):
        return ()
    return tuple(sorted({target for spot in read for target in spot.leaf.targets}))
