# SPDX-License-Identifier: Apache-2.0
"""From the tree of a profile to the rules that it adds to R4.

What the profile only repeats is left out: R4's own cardinalities, types, bindings and invariants are checked before any
profile is asked. So a checker of a US Core profile consists of a few dozen small functions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from salus.fhir.definitions import structure
from salus.fhir.validate.members import Member, members
from salus.fhir.validate.profiles.bindings import binding
from salus.fhir.validate.profiles.checks import Checks, Part, Rule, Slice, Slicing
from salus.fhir.validate.profiles.element import PREFIX, Element
from salus.fhir.validate.profiles.paths import Trees, said
from salus.fhir.validate.profiles.rules import VALUES, conforming, kept, pointing
from salus.fhir.validate.profiles.run import Item, Run
from salus.fhir.validate.profiles.slicing import matcher


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
            make(value) for name, make in VALUES.items() if (value := element.values.get(name)) is not None
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
                rules.append(kept(key, rule_of))
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
            rules.append(conforming(profiles))
        targets = tuple(t for ref in element.types if ref.code == "Reference" for t in ref.targets)
        base = element.base_targets()
        kinds = frozenset(self.shelf.type_of(target) for target in targets)
        if targets and PREFIX + "Resource" not in targets and set(targets) != base:
            rules.append(pointing(kinds, tuple(t for t in targets if t.partition("|")[0] not in _plain_types())))
        return rules


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
