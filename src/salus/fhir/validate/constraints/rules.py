# SPDX-License-Identifier: Apache-2.0
"""Which constraints are judged by expression, and what they say.

https://hl7.org/fhir/R4/conformance-rules.html#constraints
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, NamedTuple

from salus.fhir.definitions import Constraint, structure
from salus.fhir.fhirpath import Environment, Expression, Node, compile  # noqa: A004
from salus.fhir.validate import invariants
from salus.kernel.errors import Problem

# Said elsewhere, in words of their own: by the schema (dom-2, dom-4, dom-5, ele-1, ext-1) and by the careful walk.
ELSEWHERE: Final = frozenset(
    {"dom-2", "dom-3", "dom-4", "dom-5", "ele-1", "ext-1", "per-1", "ref-1", "rng-2", "txt-1", "txt-2"}
)
# Expressions that R4 published with a mistake, and what was meant.
CORRECTED: Final = {
    # `Boolean` is FHIRPath's own type; an answer is of FHIR's.
    "que-7": "operator = 'exists' implies (answer is boolean)",
}
# The published expressions are ours to run, on resources whose size is bounded: no stranger chooses them.
_ENVIRONMENT: Final = Environment(most_nodes=5_000_000)


class Rule(NamedTuple):
    """One constraint at one path.

    Attributes:
        key: such as `obs-7`.
        error: whether breaking it makes the resource invalid; else it is a warning.
        human: its words.
        expression: compiled.
    """

    key: str
    error: bool
    human: str
    expression: Expression

    def broken(self, node: Node) -> bool:
        """Whether a node breaks it. What cannot be evaluated, because the content is no FHIR, is not judged."""
        try:
            return not self.expression.holds(node, environment=_ENVIRONMENT)
        except Problem:
            return False


@cache
def rules(path: str) -> tuple[Rule, ...]:
    """Constraints at a path that nothing else judges.

    Args:
        path: a type (`Observation`, `Patient.contact`) or an element (`Organization.telecom`, `Narrative.div`).
    """
    said = {key for key, _, _ in (*invariants.translated(path), *invariants.written(path))} if _is_type(path) else set()
    return tuple(_rule(found) for found in structure().constraints.get(path, ()) if _remains(found, said))


def _is_type(path: str) -> bool:
    return path in structure().types


def _remains(found: Constraint, said: set[Any]) -> bool:
    return found.key not in ELSEWHERE and found.key not in said


def _rule(found: Constraint) -> Rule:
    text = CORRECTED.get(found.key, found.expression)
    return Rule(found.key, found.severity == "error", found.human.strip().removesuffix("."), compile(text))
