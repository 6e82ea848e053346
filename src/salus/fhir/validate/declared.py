# SPDX-License-Identifier: Apache-2.0
"""Profiles at work: which ones a resource and what it holds must fulfil, and whether they do.

A resource must fulfil what it declares in `meta.profile` (https://hl7.org/fhir/R4/resource.html#Meta), what the policy
demands of its type, and what somebody asks for. So must each resource inside it, for what that declares. Extensions are
held against their own definitions, wherever they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from salus.fhir.validate.bundles import References, Use, entries_of
from salus.fhir.validate.finding import Finding, Severity
from salus.fhir.validate.profiles.book import Book
from salus.fhir.validate.profiles.element import PREFIX
from salus.fhir.validate.profiles.run import Finder, Item, Place, Run

Json = dict[str, Any]
Member = Callable[[str, str, str], "bool | None"]
Canonicals = tuple[str, ...]
Found = list[Finding]

_HOLDERS: Final = frozenset({"Bundle", "Parameters"})


def declared(resource: Json) -> list[str]:
    """Canonicals in `meta.profile`."""
    meta = resource.get("meta")
    said = meta.get("profile") if type(meta) is dict else None
    return [one for one in said if type(one) is str] if type(said) is list else []


def held(resource: Json, place: Place) -> Iterator[tuple[Json, Place, str]]:
    """Every resource inside another: with its place, and the address of its Bundle entry if it has one."""
    for name in ("contained", "entry", "parameter", "part"):
        items = resource.get(name)
        for index, item in enumerate(items if type(items) is list else []):
            if type(item) is not dict:
                continue
            where = (place, name, index)
            inner = item if name == "contained" else item.get("resource")
            if type(inner) is dict and type(inner.get("resourceType")) is str:
                at = where if name == "contained" else (where, "resource", -1)
                address = item.get("fullUrl")
                yield inner, at, address if type(address) is str else ""
                yield from held(inner, at)
            elif name in ("parameter", "part"):
                yield from held(item, where)


class Profiling:
    """Holds resources against profiles.

    Args:
        book: the checkers.
        member: whether a code is in a value set, None when that is not known.
    """

    def __init__(self, book: Book, member: Member) -> None:
        self._book = book
        self._member = member

    def findings(
        self, resource: Json, more: Canonicals = (), *, demanded: Canonicals = (), strict: bool = False
    ) -> Found:
        """As `finding`, at once; unknown profiles are an error when `strict`, and else passed over."""
        pieces = self.finding(resource, more, demanded=demanded, strict=strict)
        return [one for piece in pieces for one in piece]

    def finding(
        self,
        resource: Json,
        more: Canonicals = (),
        *,
        demanded: Canonicals = (),
        strict: bool = False,
        warn: bool = False,
    ) -> Iterator[Found]:
        """What is wrong by the profiles that a resource must fulfil: a list for it, and one for each resource inside.

        Args:
            resource: a resource of a known type.
            more: canonicals that it must fulfil beside those that it declares.
            demanded: those among them that must be known here: else it cannot be said that they are fulfilled.
            strict: whether any unknown profile is an error.
            warn: whether it is worth a warning, if it is no error.
        """
        kind = resource["resourceType"]
        place: Place = (None, kind, -1)
        told = Severity.ERROR if strict else Severity.WARNING if warn else None
        bundle = entries_of(resource) if kind == "Bundle" else None
        yield self._one(resource, resource, place, _finder(bundle, ""), (*declared(resource), *more), demanded, told)
        if kind in _HOLDERS or "contained" in resource:
            for inner, where, address in held(resource, place):
                wanted = declared(inner)
                if wanted:
                    yield self._one(inner, resource, where, _finder(bundle, address), tuple(wanted), (), told)

    def _one(
        self,
        resource: Json,
        root: Json,
        place: Place,
        find: Finder,
        wanted: Canonicals,
        demanded: Canonicals,
        told: Severity | None,
    ) -> Found:
        if not wanted:
            return []
        local = root if place[1] == "contained" else resource
        run = Run(local, find, self._member, self._book)
        item = Item(resource["resourceType"], resource, None, place)
        for canonical in dict.fromkeys(wanted):
            if self._book.is_type(canonical):
                if canonical.partition("|")[0].removeprefix(PREFIX) not in (item.type, "Resource", "DomainResource"):
                    run.report(place, "structure", "declares another type of resource as its profile")
            elif self._book.conforms(run, item, canonical) is None:
                severity = Severity.ERROR if canonical in demanded else told
                if severity is not None:
                    words = "is to fulfil a profile that is not known here, so it cannot be held against that"
                    run.report(place, "not-found", words, severity)
        return run.found


def _finder(bundle: References | None, address: str) -> Finder:
    """Finds what a reference means: a contained resource, or an entry of the Bundle, seen from an entry's address."""

    def find(literal: str, local: Any) -> Json | None:
        if literal[:1] == "#":
            if literal == "#":
                return local if type(local) is dict else None
            contained = local.get("contained") if type(local) is dict else None
            for item in contained if type(contained) is list else []:
                if type(item) is dict and item.get("id") == literal[1:]:
                    return item
            return None
        found = bundle.resolve(Use(literal, "", (), address)) if bundle is not None else None
        return found[0] if found else None

    return find
