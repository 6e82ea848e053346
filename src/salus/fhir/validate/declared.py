# SPDX-License-Identifier: Apache-2.0
"""Profiles at work: which ones a resource and what it holds must fulfil, and whether they do.

A resource must fulfil what it declares in `meta.profile` (https://hl7.org/fhir/R4/resource.html#Meta), what the policy
demands of its type, and what somebody asks for. So must each resource inside it, for what that declares. A thorough
look also asks for what is `implied`. Extensions are held against their own definitions, wherever they stand.
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
Implying = Callable[[Json], Canonicals]

# R4 binds any component of a vital sign to these, as required. HL7's validator does not insist, and units such as L/min
# for oxygen beside a saturation are sound.
_UNITS: Final = "http://hl7.org/fhir/ValueSet/ucum-vitals-common"
_HOLDERS: Final = frozenset({"Bundle", "Parameters"})


def _nothing(_resource: Json) -> Canonicals:
    return ()


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
        self._lenient = _any_unit(member)

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
        implied: Implying = _nothing,
    ) -> Iterator[Found]:
        """What is wrong by the profiles that a resource must fulfil: a list for it, and one for each resource inside.

        Args:
            resource: a resource of a known type.
            more: canonicals that it must fulfil beside those that it declares.
            demanded: those among them that must be known here: else it cannot be said that they are fulfilled.
            strict: whether any unknown profile is an error.
            warn: whether it is worth a warning, if it is no error.
            implied: canonicals that a resource must fulfil without declaring them, as far as they are known.
        """
        kind = resource["resourceType"]
        place: Place = (None, kind, -1)
        told = Severity.ERROR if strict else Severity.WARNING if warn else None
        bundle = entries_of(resource) if kind == "Bundle" else None
        wanted: Canonicals = (*declared(resource), *more)
        yield self._one(resource, resource, place, _finder(bundle, ""), wanted, demanded, told)
        yield self._implied(resource, resource, place, _finder(bundle, ""), wanted, implied)
        if kind in _HOLDERS or "contained" in resource:
            for inner, where, address in held(resource, place):
                wanted = tuple(declared(inner))
                finder = _finder(bundle, address)
                if wanted:
                    yield self._one(inner, resource, where, finder, wanted, (), told)
                yield self._implied(inner, resource, where, finder, wanted, implied)

    def _one(
        self,
        resource: Json,
        root: Json,
        place: Place,
        find: Finder,
        wanted: Canonicals,
        demanded: Canonicals,
        told: Severity | None,
        member: Member | None = None,
    ) -> Found:
        if not wanted:
            return []
        local = root if place[1] == "contained" else resource
        run = Run(local, find, member or self._member, self._book)
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

    def _implied(
        self, resource: Json, root: Json, place: Place, find: Finder, declared: Canonicals, implied: Implying
    ) -> Found:
        """What is wrong by profiles that nobody named, and which those are; without warnings, as nobody asked."""
        found: Found = []
        for canonical in implied(resource):
            if canonical in declared or self._book.checker(canonical) is None:
                continue
            said = self._one(resource, root, place, find, (canonical,), (), None, self._lenient)
            wrong = [one for one in said if one.severity is Severity.ERROR]
            if wrong:
                run = Run(resource, find, self._member, self._book)
                words = f"is held against the profile {canonical}, which its type or its code asks for"
                run.report(place, "informational", words, Severity.INFORMATION)
                found += [*run.found, *wrong]
        return found


def _any_unit(member: Member) -> Member:
    """A membership that lets components of a vital sign, such as a flow of oxygen, have units beyond R4's twelve."""

    def asked(value_set: str, system: str, code: str) -> bool | None:
        return True if value_set.partition("|")[0] == _UNITS else member(value_set, system, code)

    return asked


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
