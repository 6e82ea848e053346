# SPDX-License-Identifier: Apache-2.0
"""Translating codes by a ConceptMap, forwards and back (https://hl7.org/fhir/R4/conceptmap-operation-translate.html)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from salus.fhir.terminology.protocol import Canonicals, Coding
from salus.fhir.terminology.source import Resource
from salus.kernel.errors import Kind, Problem

_MAX_MAPS = 20  # maps that hand an unmapped code on to each other
_NO_MATCH = frozenset({"unmatched", "disjoint"})
# https://hl7.org/fhir/R4/valueset-concept-map-equivalence.html read from the other side.
_BACKWARDS = {
    "wider": "narrower",
    "narrower": "wider",
    "subsumes": "specializes",
    "specializes": "subsumes",
}


class Product(NamedTuple):
    """Another value that comes out of a translation: the element that it is for, and the value."""

    element: str
    coding: Coding


class Match(NamedTuple):
    """One translation.

    Attributes:
        equivalence: how the target relates to what was asked for.
        coding: the target; None when the map says that there is none.
        source: canonical of the map that says so.
    """

    equivalence: str
    coding: Coding | None
    products: tuple[Product, ...]
    source: str

    @property
    def positive(self) -> bool:
        """Whether it is a translation, and not the statement that there is none."""
        return self.coding is not None and self.equivalence not in _NO_MATCH


class Asked(NamedTuple):
    """What is to be translated.

    Attributes:
        target: only into this code system; empty for any.
        dependencies: code or text by the element that it depends on.
        reverse: from target to source.
    """

    coding: Coding
    target: str = ""
    dependencies: Mapping[str, str] = {}
    reverse: bool = False


def translate(canonicals: Canonicals, concept_map: Resource, asked: Asked) -> list[Match]:
    """Every match in a map, in the order of the map.

    Args:
        canonicals: for the maps that `unmapped` names.

    Raises:
        Problem: INVALID when maps hand a code on to each other in a circle.
    """
    return list(_matches(canonicals, concept_map, asked, (), set()))


def applies(concept_map: Resource, *, source: str = "", target: str = "") -> bool:
    """Whether a map is from and to these value sets; empty does not narrow."""
    return all(
        not wanted
        or wanted.partition("|")[0] in {concept_map.get(f"{side}{kind}", "").partition("|")[0] for kind in _KINDS}
        for side, wanted in (("source", source), ("target", target))
    )


_KINDS = ("Uri", "Canonical")


def _matches(
    canonicals: Canonicals, map_: Resource, asked: Asked, trail: Sequence[str], given: set[str]
) -> Iterator[Match]:
    """The matches of one map; `given` are the maps whose matches were given already, and each is given once."""
    url = map_.get("url", "")
    if url in trail:
        raise Problem(Kind.INVALID, "Concept maps hand unmapped codes on to each other in a circle.")
    if len(trail) >= _MAX_MAPS:
        raise Problem(Kind.TOO_COSTLY, f"More than {_MAX_MAPS} concept maps hand a code on to each other.")
    if url in given:
        return
    name = f"{url}|{map_['version']}" if url and "version" in map_ else url
    near, far = ("target", "source") if asked.reverse else ("source", "target")
    for group in map_.get("group", ()):
        if group.get(near, "") != asked.coding.system or _other_version(group, near, asked.coding.version):
            continue
        if asked.target and group.get(far, "") != asked.target:
            continue
        if asked.reverse:
            yield from _backwards(group, asked, name)
            continue
        elements = [each for each in group.get("element", ()) if each.get("code") == asked.coding.code]
        found = [match for element in elements for match in _forwards(group, element, asked, name)]
        yield from found
        if not elements:
            yield from _unmapped(canonicals, group, asked, name, (*trail, url), given)
    if url:
        given.add(url)


def _other_version(group: Resource, near: str, version: str) -> bool:
    stated = group.get(f"{near}Version", "")
    return bool(version and stated and version != stated)


def _forwards(group: Resource, element: Resource, asked: Asked, name: str) -> Iterator[Match]:
    for target in element.get("target", ()):
        if not _holds(target.get("dependsOn", ()), asked.dependencies):
            continue
        coding = _coding(group, "target", target)
        yield Match(target.get("equivalence", "relatedto"), coding, _products(target), name)


def _backwards(group: Resource, asked: Asked, name: str) -> Iterator[Match]:
    for element in group.get("element", ()):
        for target in element.get("target", ()):
            if target.get("code") == asked.coding.code and _holds(target.get("dependsOn", ()), asked.dependencies):
                stated = target.get("equivalence", "relatedto")
                coding = _coding(group, "source", element)
                yield Match(_BACKWARDS.get(stated, stated), coding, (), name)


def _unmapped(
    canonicals: Canonicals, group: Resource, asked: Asked, name: str, trail: Sequence[str], given: set[str]
) -> Iterator[Match]:
    """https://hl7.org/fhir/R4/conceptmap-definitions.html#ConceptMap.group.unmapped"""
    rule = group.get("unmapped", {})
    mode = rule.get("mode")
    if mode == "provided":
        target = Coding(group.get("target", ""), asked.coding.code, "", group.get("targetVersion", ""))
        yield Match("equal", target, (), name)
    elif mode == "fixed" and "code" in rule:
        yield Match("inexact", _coding(group, "target", rule), (), name)
    elif mode == "other-map":
        other = canonicals.find("ConceptMap", rule.get("url", ""))
        if other is not None:
            yield from _matches(canonicals, other, asked, trail, given)


def _holds(depends: Sequence[Resource], given: Mapping[str, str]) -> bool:
    """Whether everything that a mapping depends on was given."""
    return all(given.get(each.get("property", "")) == each.get("value") for each in depends)


def _products(target: Resource) -> tuple[Product, ...]:
    return tuple(
        Product(
            each.get("property", ""), Coding(each.get("system", ""), each.get("value", ""), each.get("display", ""))
        )
        for each in target.get("product", ())
    )


def _coding(group: Resource, side: str, named: Resource) -> Coding | None:
    if "code" not in named:
        return None
    return Coding(group.get(side, ""), named["code"], named.get("display", ""), group.get(f"{side}Version", ""))
