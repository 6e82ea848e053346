# SPDX-License-Identifier: Apache-2.0
"""What strict mode refuses, because it can only be a mistake.

An element that no item of the collection can have, a focus of another type, a criterion that is no Boolean, and
functions that rely on an order that `children()` does not promise. Elsewhere all that is empty or true, as the paths of
FHIR itself need.
"""

from __future__ import annotations

from typing import Any, Final

from salus.fhir.fhirpath.context import Collection, Context, fault
from salus.fhir.fhirpath.elements import table
from salus.fhir.fhirpath.functions.calling import Step
from salus.fhir.fhirpath.lexer import wrong
from salus.fhir.fhirpath.navigation import members
from salus.fhir.fhirpath.node import Node
from salus.fhir.fhirpath.routes import Leg
from salus.fhir.fhirpath.syntax import Call, Indexer, Member, Part, Syntax, TypeTest, type_argument
from salus.fhir.fhirpath.types import TypeInfo, is_a, is_known

_UNORDERED: Final = frozenset({"children", "descendants"})
_ORDERED: Final = frozenset({"first", "last", "tail", "skip", "take"})


def refuse_mistakes(start: Syntax | None, parts: tuple[Part, ...]) -> None:
    """Refuse what can be seen to be a mistake from the parts of a path.

    Raises:
        Problem: INCORRECT.
    """
    before: Syntax | Part | None = start
    for part in parts:
        if before is not None:
            _sensible(before, part)
        before = part


def _sensible(before: Syntax | Part, part: Part) -> None:
    if isinstance(before, Call) and before.name in _UNORDERED:
        if isinstance(part, Indexer) or (isinstance(part, Call) and part.name in _ORDERED):
            wrong(before.at, "what follows needs an order, and this function promises none")
        return
    if not isinstance(part, Member):
        return
    name = before.type if isinstance(before, TypeTest) and before.operator == "as" else ""
    if isinstance(before, Call) and before.name in ("as", "ofType"):
        name = type_argument(before)
    plain = name.rpartition(".")[2]
    if is_known(plain) and part.name not in table(plain).elements:
        wrong(part.at, "the type has no such element")


def typed_start(name: str) -> Step:
    """The type of what is in focus, at the beginning of a path: `Patient` in `Patient.name`."""

    def run(items: Collection, _: Context) -> Collection:
        found = [item for item in items if type(item) is Node and is_a(item.type, name)]
        return fault("the focus is of another type") if items and not found else found

    return run


def member(name: str) -> Step:
    """The elements of a name, which some item must be able to have."""
    step = members([Leg(name)])

    def run(items: Collection, ctx: Context) -> Collection:
        if items and not any(_can_have(item, name) for item in items):
            fault("no such element can be here")
        return step(items, ctx)

    return run


def boolean_only(step: Step) -> Step:
    """A criterion whose value must be a Boolean."""

    def run(items: Collection, ctx: Context) -> Collection:
        found = step(items, ctx)
        value = found[0] if len(found) == 1 else None
        inner = value.value if type(value) is Node else value
        return found if not found or type(inner) is bool else fault("a Boolean is needed")

    return run


def _can_have(item: Any, name: str) -> bool:
    if type(item) is TypeInfo:
        return True
    return type(item) is Node and name in table(item.type).elements
