# SPDX-License-Identifier: Apache-2.0
"""What a compiled profile consists of, and how a value is held against it: rules, child elements, slices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from salus.fhir.validate.members import Member
from salus.fhir.validate.profiles.run import Item, Place, Run, inside, items
from salus.fhir.validate.profiles.slicing import Matcher

Json = dict[str, Any]
Rule = Callable[[Run, Item], None]


@dataclass(slots=True)
class Checks:
    """What is asked of one value."""

    rules: tuple[Rule, ...] = ()
    parts: tuple[Part, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rules or self.parts)

    def run(self, run: Run, item: Item) -> None:
        """Hold an item against the rules."""
        for rule in self.rules:
            rule(run, item)
        if self.parts:
            parent = inside(item) or {}
            for part in self.parts:
                part.run(run, parent, item.place)


@dataclass(slots=True)
class Slice:
    """One slice with its own limits."""

    name: str
    min: int
    max: int | None
    matcher: Matcher
    checks: Checks
    slicing: Slicing | None


@dataclass(slots=True)
class Slicing:
    """The slices of one element."""

    slices: tuple[Slice, ...]
    rules: str
    ordered: bool

    def run(self, run: Run, found: list[Item], place: Place) -> None:
        """Sort items into slices and hold them against those."""
        counts: list[list[Item]] = [[] for _ in self.slices]
        last, loose = -1, False
        for item in found:
            at = next((i for i, one in enumerate(self.slices) if one.matcher.matches(run, item)), -1)
            if at < 0:
                loose = True
                if self.rules == "closed":
                    run.report(item.place, "structure", "belongs to none of the slices that the profile allows")
                elif _undefined(item):
                    run.report(item.place, "structure", "is a part that the definition of the extension does not have")
                continue
            if self.rules == "openAtEnd" and loose:
                run.report(item.place, "structure", "must stand before the items that belong to no slice")
            if self.ordered and at < last:
                run.report(item.place, "structure", "stands out of the order of the profile's slices")
            last = max(last, at)
            counts[at].append(item)
        for one, inside_it in zip(self.slices, counts, strict=True):
            if len(inside_it) < one.min:
                words = f"must have at least {one.min} in the slice {one.name}, as the profile says"
                run.report(place, "required", words)
            if one.max is not None and len(inside_it) > one.max:
                words = f"may have at most {one.max} in the slice {one.name}, as the profile says"
                run.report(inside_it[one.max].place, "structure", words)
            for item in inside_it:
                one.checks.run(run, item)
            if one.slicing is not None:
                one.slicing.run(run, inside_it, place)


@dataclass(slots=True)
class Part:
    """One child element."""

    label: str
    members: tuple[Member, ...]
    min: int
    max: int | None
    allowed: frozenset[str]
    checks: Checks
    slicing: Slicing | None

    def run(self, run: Run, parent: Json, place: Place) -> None:
        """Hold the values of this element against the profile."""
        found = list(items(parent, self.members, place))
        count = len(found)
        if count < self.min:
            words = "is required by the profile" if self.min == 1 else f"must be there {self.min} times by the profile"
            run.report((place, self.label, -1), "required", words)
        if self.max is not None and count > self.max:
            words = "may not be there by the profile" if self.max == 0 else f"may be there {self.max} times at most"
            run.report(found[self.max].place, "structure", words)
        for item in found:
            if self.allowed and item.type not in self.allowed:
                run.report(item.place, "structure", "is of a type that the profile does not allow here")
            elif self.checks:
                self.checks.run(run, item)
        if self.slicing is not None:
            self.slicing.run(run, found, (place, self.label, -1))


def _undefined(item: Item) -> bool:
    """Whether an extension is named as a part of another, which does not define it."""
    url = item.value.get("url") if item.type == "Extension" and type(item.value) is dict else None
    return type(url) is str and ":" not in url
