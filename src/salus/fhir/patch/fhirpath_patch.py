# SPDX-License-Identifier: Apache-2.0
"""FHIRPath Patch: add, insert, delete, replace and move (https://hl7.org/fhir/R4/fhirpatch.html).

Each operation is carried out on what the ones before it left. A path must lead to one place of the resource itself
(insert and move: to one list); what it leads to in other resources is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from salus.fhir import fhirpath
from salus.fhir.fhirpath import Environment, Expression, Node
from salus.fhir.patch import slots
from salus.fhir.patch.json_patch import clone
from salus.fhir.patch.result import without_empty
from salus.fhir.patch.slots import Slot
from salus.fhir.patch.wording import does_not_fit, malformed, too_much
from salus.kernel.errors import Issue, Kind, Problem

MOST_OPERATIONS: Final = 500
MOST_NODES: Final = 200_000
"""Nodes that all paths of a patch may visit together: about a fifth of a second."""

_PARTS: Final = {
    "add": {"type", "path", "name", "value"},
    "insert": {"type", "path", "value", "index"},
    "delete": {"type", "path"},
    "replace": {"type", "path", "value"},
    "move": {"type", "path", "source", "destination"},
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Attributes:
        parts: by name.
        place: where it stands in the Parameters resource.
    """

    type: str
    path: Expression
    parts: dict[str, dict[str, Any]]
    place: str

    def number(self, name: str) -> int:
        """The value of a part that is a position."""
        value = self.parts[name].get("valueInteger")
        if not isinstance(value, int) or value < 0:
            raise malformed(f"{name} must be a valueInteger from 0.", self.place)
        return value


def read(parameters: dict[str, Any]) -> list[Operation]:
    """Read the operations of a valid Parameters resource.

    Raises:
        Problem: INCORRECT with the place of what is not an operation; TOO_COSTLY above the bounds.
    """
    found = parameters.get("parameter", [])
    if len(found) > MOST_OPERATIONS:
        raise too_much(f"A patch may have {MOST_OPERATIONS} operations.")
    return [_operation(parameter, f"Parameters.parameter[{number}]") for number, parameter in enumerate(found)]


def _operation(parameter: dict[str, Any], place: str) -> Operation:
    if parameter.get("name") != "operation":
        raise malformed("Each parameter must be named operation.", place)
    parts = {part["name"]: part for part in parameter.get("part", ())}
    kind = parts.get("type", {}).get("valueCode")
    if kind not in _PARTS:
        raise malformed("type must be a valueCode: add, insert, delete, replace or move.", place)
    if parts.keys() != _PARTS[kind] or len(parts) != len(parameter["part"]):
        raise malformed(f"{kind} has the parts {', '.join(sorted(_PARTS[kind]))}, each once.", place)
    path = parts["path"].get("valueString")
    if not isinstance(path, str):
        raise malformed("path must be a valueString.", place)
    try:
        return Operation(kind, fhirpath.compile(path), parts, place)
    except Problem as problem:
        words = " ".join(issue.text for issue in problem.issues) or problem.public
        raise malformed(f"path is not a FHIRPath expression. {words}", place) from None


def apply(document: Any, operations: list[Operation]) -> Any:
    """Carry out a FHIRPath Patch.

    Args:
        document: the decoded resource; it is not changed.
        operations: as `read` gives them.

    Returns:
        The patched resource, without elements that lost their last content.

    Raises:
        Problem: INVALID when a path does not lead to one place, or a value is not of the type of its element;
            TOO_COSTLY. Places are those of the Parameters resource.
    """
    patched = clone(document)
    environment = Environment(most_nodes=MOST_NODES // max(1, len(operations)))
    for operation in operations:
        try:
            _carry_out(patched, operation, environment)
        except Problem as problem:
            raise _placed(problem, operation.place) from None
    return without_empty(patched)


def _placed(problem: Problem, place: str) -> Problem:
    texts = [issue.text for issue in problem.issues] or [problem.public]
    kind = Kind.INVALID if problem.kind is Kind.INCORRECT else problem.kind  # the path could be read, but not followed
    return Problem(kind, problem.public, problem.detail, issues=tuple(Issue("processing", t, place) for t in texts))


def _carry_out(patched: dict[str, Any], operation: Operation, environment: Environment) -> None:
    found = [_own(node, patched, operation.place) for node in operation.path.evaluate(patched, environment=environment)]
    match operation.type:
        case "add":
            slots.add(_one(found, operation), operation.parts["name"], operation.parts["value"], operation.place)
        case "delete":
            if found:
                Slot.of(_one(found, operation), operation.place).delete()
        case "replace":
            Slot.of(_one(found, operation), operation.place).replace(operation.parts["value"])
        case "insert":
            _insert(patched, found, operation, environment)
        case _:
            source, destination = operation.number("source"), operation.number("destination")
            _list(found, operation).move(source, destination)


def _own(node: Node, patched: dict[str, Any], place: str) -> Node:
    """A node of the resource that is patched; values that were worked out, and other resources, are refused."""
    top = node
    while top.parent is not None:
        top = top.parent
    if top.value is not patched:
        raise does_not_fit("The path must lead to an element of the resource itself.", place)
    return node


def _one(found: list[Node], operation: Operation) -> Node:
    if len(found) != 1:
        words = "leads nowhere" if not found else "leads to more than one element"
        raise does_not_fit(f"The path {words}.", operation.place)
    return found[0]


def _list(found: list[Node], operation: Operation) -> Slot:
    """The one list whose items a path leads to."""
    if not found:
        raise does_not_fit("The path leads nowhere.", operation.place)
    first = found[0]
    same = all(node.parent is first.parent and node.key == first.key for node in found)
    if first.index < 0 or not same:
        raise does_not_fit("The path must lead to the items of one list.", operation.place)
    return Slot.of(first, operation.place)


def _insert(patched: dict[str, Any], found: list[Node], operation: Operation, environment: Environment) -> None:
    index = operation.number("index")
    if found:
        _list(found, operation).insert(index, operation.parts["value"])
        return
    # A list without items has no nodes; its name is the last step of the path.
    whole = operation.parts["path"]["valueString"]
    before, _, name = whole.rpartition(".")
    if index or not before or not name.isalnum():
        raise does_not_fit("The list has no such position.", operation.place)
    parents = [
        _own(node, patched, operation.place)
        for node in fhirpath.compile(before).evaluate(patched, environment=environment)
    ]
    slots.add(_one(parents, operation), {"valueString": name}, operation.parts["value"], operation.place)
