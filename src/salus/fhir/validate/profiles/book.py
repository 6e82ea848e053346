# SPDX-License-Identifier: Apache-2.0
"""The checkers of all profiles that were asked for, each made once.

Kept by canonical url, as it is written, with or without version; all are dropped when what is installed changes.
"""

from __future__ import annotations

import copy
from typing import Any, Final, NamedTuple

from salus.fhir.definitions import PRIMITIVES, structure
from salus.fhir.validate.knowledge import Knowledge
from salus.fhir.validate.profiles.checks import Checks
from salus.fhir.validate.profiles.compiling import Compiler
from salus.fhir.validate.profiles.element import PREFIX, Element, TypeRef, UnknownPathError, read
from salus.fhir.validate.profiles.run import Item, Run

Json = dict[str, Any]

_MISSING: Final = object()
_HOLDERS: Final = frozenset({"Bundle", "Parameters"})
_ANY: Final = frozenset({"Resource", "DomainResource", "Element", "BackboneElement"})


class Checker(NamedTuple):
    """A compiled profile: the type that it is for, and what it asks beyond R4."""

    type: str
    checks: Checks


class Book:
    """Profiles by canonical url.

    Args:
        knowledge: the definitions.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._generation = knowledge.generation
        self._trees: dict[str, Element | None] = {}
        self._checkers: dict[str, Checker | None] = {}

    def fresh(self) -> None:
        """Start anew when what is installed has changed."""
        if self._generation != self._knowledge.generation:
            self._generation = self._knowledge.generation
            self._trees = {}
            self._checkers = {}

    def checker(self, canonical: str) -> Checker | None:
        """The checker of a profile; None when it is not known or cannot be understood."""
        found = self._checkers.get(canonical, _MISSING)
        if found is _MISSING:
            tree = self.tree(canonical)
            if tree is None:
                return None  # not kept: anybody may name profiles that do not exist
            found = self._checkers[canonical] = Checker(self.type_of(canonical), Compiler(self).checks(tree))
        return found  # type: ignore[return-value]

    def conforms(self, run: Run, item: Item, canonical: str) -> bool | None:
        """Hold an item against a profile; what is wrong is reported to the run.

        Returns:
            None when the profile is not known.
        """
        checker = self.checker(canonical)
        if checker is None:
            return None
        if checker.type != item.type and checker.type not in _ANY:
            run.report(item.place, "structure", f"is not of the type {checker.type} that the profile is for")
            return False
        around = run.root
        if around.get("resourceType") in _HOLDERS and type(item.value) is dict and "resourceType" in item.value:
            run.root = item.value  # a resource of its own, in whose profile `%resource` means it
        run.depth += 1
        checker.checks.run(run, item)
        run.depth -= 1
        run.root = around
        return not run.failed

    def is_type(self, canonical: str) -> bool:
        """Whether a canonical names a type of R4, which is no profile but may be declared like one."""
        return canonical.partition("|")[0].removeprefix(PREFIX) in structure().types

    def type_of(self, canonical: str) -> str:
        """The type that a profile constrains; "" when it is not known."""
        plain = canonical.partition("|")[0]
        name = plain.removeprefix(PREFIX)
        if name != plain and (name in structure().types or name in PRIMITIVES):
            return name
        definition = self._knowledge.definition(canonical)
        kind = (definition or {}).get("type")
        return kind if type(kind) is str else ""

    def tree(self, canonical: str) -> Element | None:
        """The tree of a profile."""
        found = self._trees.get(canonical, _MISSING)
        if found is _MISSING:
            definition = self._knowledge.definition(canonical)
            if definition is None:
                return None  # not kept: anybody may name profiles that do not exist
            self._trees[canonical] = None  # a profile that is its own base ends here
            try:
                found = self.grown(definition)
            except (UnknownPathError, KeyError, TypeError, AttributeError):
                found = None  # it is broken, and so no profile
            self._trees[canonical] = found
        return found  # type: ignore[return-value]

    def grown(self, definition: Json) -> Element | None:
        """The tree of a StructureDefinition: from its snapshot, or from its base and its differential.

        Raises:
            UnknownPathError: it speaks of a path that its base does not have.
        """
        kind = str(definition.get("type", ""))
        snapshot = (definition.get("snapshot") or {}).get("element")
        if snapshot:
            root = _plain(kind)
            if root is not None:
                read(root, snapshot)
            return root
        base = str(definition.get("baseDefinition", ""))
        own = self.tree(base) if base.removeprefix(PREFIX) not in structure().types else None
        root = copy.deepcopy(own) if own is not None else _plain(kind)
        elements = (definition.get("differential") or {}).get("element")
        if root is not None and elements:
            read(root, elements)
        return root


def _plain(kind: str) -> Element | None:
    """A type of R4 as a tree that says nothing more."""
    if kind in PRIMITIVES:
        return Element(kind, "Element", types=(TypeRef(kind),))
    return Element(kind, kind, types=(TypeRef(kind),)) if kind in structure().types else None
