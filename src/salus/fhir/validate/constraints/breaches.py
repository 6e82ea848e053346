# SPDX-License-Identifier: Apache-2.0
"""Every constraint that a resource breaks, each with its key, its place and its words."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from salus.fhir.definitions import structure
from salus.fhir.fhirpath.node import Node, root
from salus.fhir.validate.constraints.rules import Rule, rules
from salus.fhir.validate.finding import Finding, Severity

_PIECE: Final = 300  # elements


def breaches(resource: dict[str, Any], *, warnings: bool = True) -> list[Finding]:
    """Constraints that need FHIRPath and are broken.

    Args:
        resource: of a known type; its content may break the schema.
        warnings: whether constraints of severity `warning` are judged too.

    Returns:
        findings of severity ERROR or WARNING and code `invariant`, in the order of the elements.
    """
    *_, found = breaching(resource, warnings=warnings)
    return found


def breaching(resource: dict[str, Any], *, warnings: bool = True) -> Iterator[list[Finding]]:
    """As `breaches`, in pieces: gives what was found so far after every few hundred elements, and at the end."""
    found: list[Finding] = []
    waiting = [root(resource)]
    seen = 0
    while waiting:
        node = waiting.pop()
        seen += 1
        if seen % _PIECE == 0:
            yield found
        for rule in _at(node, warnings):
            if rule.broken(node):
                place = node.place
                severity = Severity.ERROR if rule.error else Severity.WARNING
                found.append(Finding(severity, "invariant", f"`{place}` breaks {rule.key}: {rule.human}.", place))
        waiting.extend(reversed(node.children()))
    yield found


def _at(node: Node, warnings: bool) -> tuple[Rule, ...]:
    parent = node.parent.type if node.parent is not None else ""
    return _rules(node.type, parent, node.key if parent else "", warnings)


@cache
def _rules(kind: str, parent: str, key: str, warnings: bool) -> tuple[Rule, ...]:
    """Constraints of a type, and of the element where it stands."""
    found = rules(kind)
    if parent:
        for field in structure().types[parent].fields if parent in structure().types else ():
            stem = field.name.removesuffix("[x]")
            here = f"{parent}.{field.name}"
            if here != kind and (key == stem or (field.name.endswith("[x]") and _is_choice(key, stem, field.types))):
                found += rules(here)
    return tuple(rule for rule in found if warnings or rule.error)


def _is_choice(key: str, stem: str, types: tuple[str, ...]) -> bool:
    return key in {stem + code[0].upper() + code[1:] for code in types}
