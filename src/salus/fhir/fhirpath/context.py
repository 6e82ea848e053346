# SPDX-License-Identifier: Apache-2.0
"""What an expression may ask of the world, and what it has used up.

Expressions come from strangers: in patches, in search parameters, in profiles. Each evaluation has a budget of nodes;
when it is spent, the evaluation ends with a Problem. Everything that could take long draws on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NoReturn

import msgspec

from salus.fhir.fhirpath.node import Node
from salus.fhir.terminology.protocol import Subsumption
from salus.kernel.errors import Kind, Problem

MOST_NODES: Final = 250_000
LONGEST_TEXT: Final = 1_048_576  # https://hl7.org/fhir/R4/datatypes.html#string

Collection = list[Any]
"""Nodes for what is FHIR, plain values for what is not. Never changed once it is made."""


def nothing_resolves(_: str) -> dict[str, Any] | None:
    """Knows no other resource."""
    return None


def nothing_known(*_: Any) -> None:
    """Cannot tell."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Knowledge from outside; without it the functions that need it are empty.

    Attributes:
        resolve: the resource that a literal reference or canonical points to, None if there is none or it may not be
            seen. Contained resources, and entries of the Bundle around, are found without it.
        member_of: as `Terminology.member_of`: value set, system, code; None for "cannot tell".
        subsumes: as `Terminology.subsumes`: system, and two codes.
        conforms_to: whether a resource conforms to a profile, by its canonical; None for a profile that is not known.
            R4's own resource types are known without it, by their name alone.
        element_definition: the content of the ElementDefinition that a profile has for a node.
        in_slice: whether a node belongs to the slice of a name in a profile.
        now: what `now()`, `today()` and `timeOfDay()` say; aware. None: the moment of the evaluation.
        variables: values of `%name`; nodes, plain values, or lists of them.
        trace: gets name and nodes of each `trace()`.
        most_nodes: budget of one evaluation.
    """

    resolve: Callable[[str], dict[str, Any] | None] = nothing_resolves
    member_of: Callable[[str, str, str], bool | None] = nothing_known
    subsumes: Callable[[str, str, str], Subsumption | None] = nothing_known
    conforms_to: Callable[[dict[str, Any], str], bool | None] = nothing_known
    element_definition: Callable[[Node], dict[str, Any] | None] = nothing_known
    in_slice: Callable[[Node, str, str], bool | None] = nothing_known
    now: datetime | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    trace: Callable[[str, Collection], None] = nothing_known
    most_nodes: int = MOST_NODES


NOTHING: Final = Environment()


class Context(msgspec.Struct, eq=False, gc=False):
    """The state of one evaluation.

    Attributes:
        origin: the collection that the evaluation started with.
        environment: knowledge from outside.
        left: nodes that may still be visited.
        focus: what `$this` means.
        index: what `$index` means, None outside of an iteration.
        total: what `$total` means.
        moment: what `now()` says, once it was asked.
        entries: the entries of the Bundle around, by what references call them, once they were asked for.
    """

    origin: Collection
    environment: Environment
    left: int
    focus: Collection
    index: int | None = None
    total: Collection | None = None
    moment: datetime | None = None
    entries: dict[str, Node] | None = None

    def spend(self, count: int) -> None:
        """Draw on the budget.

        Raises:
            Problem: TOO_COSTLY when it is used up.
        """
        self.left -= count
        if self.left < 0:
            raise Problem(Kind.TOO_COSTLY, "The expression visits more elements than are allowed.")

    def text(self, text: str) -> str:
        """Draw on the budget for a text that was made or searched.

        Raises:
            Problem: TOO_COSTLY when it is longer than FHIR allows, or the budget is used up.
        """
        size = len(text)
        if size > LONGEST_TEXT:
            raise Problem(Kind.TOO_COSTLY, "The expression makes a text of more than 1 MB.")
        self.left -= 1 + (size >> 6)
        if self.left < 0:
            self.spend(0)
        return text

    @property
    def resource(self) -> Node | None:
        """`%resource`: the resource around the first node that the evaluation started with."""
        first = self.origin[0] if self.origin else None
        return first.resource if type(first) is Node else None

    @property
    def container(self) -> Node | None:
        """`%rootResource`: as `%resource`, but for a contained one that which contains it."""
        found = self.resource
        return found.container if found else None


def fault(words: str) -> NoReturn:
    """Stop: the expression cannot be evaluated here.

    Raises:
        Problem: INCORRECT. The words never repeat a value.
    """
    raise Problem(Kind.INCORRECT, f"The FHIRPath expression cannot be evaluated: {words}.")
