# SPDX-License-Identifier: Apache-2.0
"""From the tree of a profile to the rules that it adds to R4.

What the profile only repeats is left out: R4's own cardinalities, types, bindings and invariants are checked before any
profile is asked. So a checker of a US Core profile consists of a few dozen small functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from salus.fhir.definitions import structure
from salus.fhir.validate.finding import Severity
from salus.fhir.validate.members import Member, members
from salus.fhir.validate.profiles.bindings import binding
from salus.fhir.validate.profiles.element import PREFIX, Element
from salus.fhir.validate.profiles.invariants import invariant
from salus.fhir.validate.profiles.paths import Trees, resolved, said
from salus.fhir.validate.profiles.run import Item, Place, Run, inside, items
from salus.fhir.validate.profiles.slicing import Matcher, matcher
from salus.fhir.validate.profiles.values import below, equal, fits

Json = dict[str, Any]
Rule = Callable[[Run, Item], None]

DEEPEST: Final = 12  # profiles that name profiles that name profiles


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


class Compiler:
    """Compiles one profile.

    Args:
        shelf: other profiles.
    """

    def __init__(self, shelf: Trees) -> None:
        self.shelf = shelf
        self.by_table: dict[str, Checks] = {}  # what the profile asks of a backbone element, for content references

    def checks(self, element: Element) -> Checks:
        """The rules for one value of an element."""
        made = Checks()
        made.rules = tuple(self._rules(element))
        made.parts = tuple(part for child in element.children.values() if (part := self._part(element, child)))
        return made

    def _part(self, parent: Element, child: Element) -> Part | None:
        base = child.base
        own = _members(parent.table, child.name)
        if not own or base is None:
            return None
        least = child.min if child.min is not None and child.min > base.min else 0
        most = int(child.max) if child.max.isdigit() and child.max != base.max else None
        codes = {ref.code for ref in child.types}
        backbone = base.types[0].startswith("#")
        whole = backbone or "" in codes or not codes or codes >= set(base.types)
        allowed = frozenset() if whole else frozenset(codes)
        if allowed & {"Resource", "DomainResource"}:
            allowed = frozenset()
        checks = self.checks(child)
        if child.table and base.types == ("#" + child.table,):
            if child.table == f"{parent.table}.{child.name}":
                self.by_table[child.table] = checks
            elif child.repeats and not said(child):
                checks.rules = (*checks.rules, self._repeated(child.table))
        label = child.name.removesuffix("[x]")
        made = Part(label, own, least, most, allowed, checks, self._slicing(child))
        return made if least or most is not None or allowed or made.checks or made.slicing else None

    def _slicing(self, element: Element) -> Slicing | None:
        if not element.slices:
            return None
        made = []
        for one in element.slices.values():
            checks = self.checks(one)
            hushed = _hushed(checks)
            most = int(one.max) if one.max.isdigit() else None
            nested = self._slicing(one)
            made.append(
                Slice(one.slice_name, one.min or 0, most, matcher(self.shelf, element, one, hushed), checks, nested)
            )
        slicing = element.slicing or {}
        return Slicing(tuple(made), slicing.get("rules", "open"), slicing.get("ordered") is True)

    def _rules(self, element: Element) -> list[Rule]:
        rules: list[Rule] = [
            make(value) for name, make in _VALUES.items() if (value := element.values.get(name)) is not None
        ]
        if element.binding is not None and element.binding[1].partition("|")[0] != element.base_binding():
            rule = binding(*element.binding)
            if rule is not None:
                rules.append(rule)
        if "maxValueSet" in element.values:
            rule = binding("required", element.values["maxValueSet"])
            if rule is not None:
                rules.append(rule)
        rules += self._types(element)
        for key, rule_of in element.constraints.items():
            if key not in known_invariants() and rule_of.get("expression"):
                rules.append(_invariant(key, rule_of))
        return rules

    def _repeated(self, path: str) -> Rule:
        """A content reference: what holds for the element that it points to holds here."""

        def rule(run: Run, item: Item) -> None:
            checks = self.by_table.get(path)
            if checks:
                checks.run(run, item)

        return rule

    def _types(self, element: Element) -> list[Rule]:
        rules: list[Rule] = []
        profiles = {ref.code: own for ref in element.types if (own := _beyond(ref.code, ref.profiles))}
        if profiles:
            rules.append(_conforming(profiles))
        targets = tuple(t for ref in element.types if ref.code == "Reference" for t in ref.targets)
        base = element.base_targets()
        kinds = frozenset(self.shelf.type_of(target) for target in targets)
        if targets and PREFIX + "Resource" not in targets and set(targets) != base:
            rules.append(_pointing(kinds, tuple(t for t in targets if t.partition("|")[0] not in _plain_types())))
        return rules


def _invariant(key: str, said: Json) -> Rule:
    ask = invariant(said["expression"])
    severity = Severity.WARNING if said.get("severity") == "warning" else Severity.ERROR
    words = f"breaks {key} of the profile: {str(said.get('human', '')).strip().removesuffix('.')}"

    def rule(run: Run, item: Item) -> None:
        if ask is not None and ask(run, item) is False:
            run.report(item.place, "invariant", words, severity)

    return rule


def _fixed(value: Any) -> Rule:
    def rule(run: Run, item: Item) -> None:
        if not equal(item.value, value):
            run.report(item.place, "value", "must have exactly the value that the profile fixes")

    return rule


def _pattern(value: Any) -> Rule:
    def rule(run: Run, item: Item) -> None:
        if not fits(item.value, value):
            run.report(item.place, "value", "must have everything that the pattern of the profile has")

    return rule


def _least(value: Any) -> Rule:
    def rule(run: Run, item: Item) -> None:
        if below(item.value, value):
            run.report(item.place, "value", "is less than the profile allows")

    return rule


def _greatest(value: Any) -> Rule:
    def rule(run: Run, item: Item) -> None:
        if below(value, item.value):
            run.report(item.place, "value", "is more than the profile allows")

    return rule


def _longest(value: Any) -> Rule:
    def rule(run: Run, item: Item) -> None:
        if type(item.value) is str and len(item.value) > value:
            run.report(item.place, "value", f"has more than the {value} characters that the profile allows")

    return rule


_VALUES: Final[dict[str, Callable[[Any], Rule]]] = {
    "fixed": _fixed,
    "pattern": _pattern,
    "minValue": _least,
    "maxValue": _greatest,
    "maxLength": _longest,
}


def _conforming(profiles: dict[str, tuple[str, ...]]) -> Rule:
    """The value fulfils one of the profiles on its type."""

    def rule(run: Run, item: Item) -> None:
        wanted = profiles.get(item.type) or profiles.get("Resource") or ()
        if not wanted or run.depth > DEEPEST:
            return
        if len(wanted) == 1:
            run.profiles.conforms(run, item, wanted[0])
            return
        for canonical in wanted:
            hushed = run.hushed()
            if run.profiles.conforms(hushed, item, canonical) is None or not hushed.failed:
                return
        run.report(item.place, "structure", "fulfils none of the profiles that may stand here")

    return rule


def _pointing(kinds: frozenset[str], profiles: tuple[str, ...]) -> Rule:
    """The reference points to one of the types and, where its target is at hand, to one that fulfils a profile."""

    def rule(run: Run, item: Item) -> None:
        target = resolved(run, item)
        if target is None or "" in kinds:
            return
        if target.type not in kinds:
            run.report(item.place, "structure", "points to a type that the profile does not allow here")
            return
        if target.value is None or not profiles or run.depth > DEEPEST:
            return
        for canonical in profiles:
            hushed = run.hushed()
            if run.profiles.conforms(hushed, target, canonical) is None or not hushed.failed:
                return
        run.report(
            item.place, "structure", "points to a resource that fulfils none of the profiles that the profile asks for"
        )

    return rule


def _undefined(item: Item) -> bool:
    """Whether an extension is named as a part of another, which does not define it."""
    url = item.value.get("url") if item.type == "Extension" and type(item.value) is dict else None
    return type(url) is str and ":" not in url


def _hushed(checks: Checks) -> Callable[[Run, Item], bool]:
    def test(run: Run, item: Item) -> bool:
        hushed = run.hushed()
        checks.run(hushed, item)
        return not hushed.failed

    return test


def _beyond(code: str, profiles: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(profile for profile in profiles if profile.partition("|")[0] != PREFIX + code)


@cache
def _members(table: str, name: str) -> tuple[Member, ...]:
    if table not in structure().types:
        return ()
    return tuple(m for m in members(table).values() if m.field.name == name and not m.sibling)


@cache
def known_invariants() -> frozenset[str]:
    """Keys of R4's own constraints, which are checked without any profile."""
    return frozenset(rule.key for rules in structure().constraints.values() for rule in rules)


@cache
def _plain_types() -> frozenset[str]:
    return frozenset(PREFIX + name for name in structure().types)
