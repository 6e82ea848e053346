# SPDX-License-Identifier: Apache-2.0
"""A ValueSet resource, read into plain values (https://hl7.org/fhir/R4/valueset.html#compose). Nothing is looked up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from salus.fhir.terminology.code_system import designation_of
from salus.fhir.terminology.source import Designation, Filter, Resource

_TOO_COSTLY = "http://hl7.org/fhir/StructureDefinition/valueset-toocostly"
_UNCLOSED = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"
_MAX_DEPTH = 50


class Named(NamedTuple):
    """A code that a value set lists itself, with the names that it gives."""

    code: str
    display: str
    designations: tuple[Designation, ...]


class Include(NamedTuple):
    """One `include` or `exclude`: everything that it says must hold together.

    Attributes:
        system, version: empty when only value sets are named.
        concepts: codes that are listed, in order; None when none are.
        filters: all must pass.
        sets: canonicals of value sets; the code must be in each.
    """

    system: str
    version: str
    concepts: Mapping[str, Named] | None
    filters: tuple[Filter, ...]
    sets: tuple[str, ...]


class Stored(NamedTuple):
    """One member of an expansion that came with the resource."""

    system: str
    version: str
    named: Named
    active: bool
    abstract: bool


class ValueSet(NamedTuple):
    """A value set as the rules see it.

    Attributes:
        key: url and version, which tells two sets apart.
        inactive: whether retired codes are members; None when the set does not say.
        stored: members of the expansion in the resource, by system and code.
        whole: that expansion says to be complete.
    """

    key: str
    url: str
    version: str
    name: str
    includes: tuple[Include, ...]
    excludes: tuple[Include, ...]
    inactive: bool | None
    stored: Mapping[tuple[str, str], Stored]
    whole: bool
    resource: Resource


def read(resource: Resource) -> ValueSet:
    """Read a ValueSet that is structurally valid."""
    url, version = resource.get("url", ""), resource.get("version", "")
    compose = resource.get("compose", {})
    expansion = resource.get("expansion", {})
    stored = {(one.system, one.named.code): one for one in _stored(expansion.get("contains", ()), 0)}
    return ValueSet(
        f"{url}|{version}" if url else f"#{id(resource)}",
        url,
        version,
        resource.get("title") or resource.get("name") or url,
        tuple(_include(each) for each in compose.get("include", ())),
        tuple(_include(each) for each in compose.get("exclude", ())),
        compose.get("inactive"),
        stored,
        _whole(expansion, len(stored)),
        resource,
    )


def _include(each: Resource) -> Include:
    concepts = each.get("concept")
    return Include(
        each.get("system", ""),
        each.get("version", ""),
        None if concepts is None else {one["code"]: _named(one) for one in concepts if "code" in one},
        tuple(Filter(f.get("property", ""), f.get("op", ""), str(f.get("value", ""))) for f in each.get("filter", ())),
        tuple(one for one in each.get("valueSet", ()) if one is not None),  # null stands where only an extension is
    )


def _named(one: Resource) -> Named:
    names = tuple(designation_of(each) for each in one.get("designation", ()))
    return Named(one["code"], one.get("display", ""), names)


def _stored(contains: list[Resource], depth: int) -> Iterator[Stored]:
    for each in contains:
        if "code" in each:
            active, abstract = each.get("inactive") is not True, each.get("abstract") is True
            yield Stored(each.get("system", ""), each.get("version", ""), _named(each), active, abstract)
        if depth < _MAX_DEPTH:
            yield from _stored(each.get("contains", ()), depth + 1)


def _whole(expansion: Resource, members: int) -> bool:
    """Whether an expansion that came along holds every member."""
    if not expansion or expansion.get("offset", 0) or expansion.get("total", members) > members:
        return False
    extensions = {each.get("url") for each in expansion.get("extension", ())}
    narrowing = {each.get("name") for each in expansion.get("parameter", ())} & {
        "filter",
        "activeOnly",
        "limitedExpansion",
    }
    return not narrowing and extensions.isdisjoint({_TOO_COSTLY, _UNCLOSED})
