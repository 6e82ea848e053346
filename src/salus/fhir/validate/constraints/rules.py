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
_NAME: Final = "name.matches('[A-Z]([A-Za-z0-9_]){0,254}')"
# Expressions that R4 published with a mistake, and what their words say. HL7's validator corrects the same but que-7
# (org.hl7.fhir.core, FHIRPathExpressionFixer).
_MEANT: Final = {
    # `Boolean` is FHIRPath's own type; an answer is of FHIR's.
    "operator = 'exists' implies (answer is Boolean)": "operator = 'exists' implies (answer is boolean)",
    # "More than one".
    "enableWhen.count() > 2 implies enableBehavior.exists()": "enableWhen.count() > 1 implies enableBehavior.exists()",
    # Elements that need not be there.
    _NAME: f"name.exists() implies {_NAME}",
    "fullUrl.contains('/_history/').not()": "fullUrl.exists() implies fullUrl.contains('/_history/').not()",
    "probability is decimal implies (probability as decimal) <= 100": (
        "probability.empty() or (probability is decimal implies (probability as decimal) <= 100)"
    ),
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


def meant(expression: str) -> str:
    """A constraint as it was meant, where R4 published it with a mistake; any other as it is."""
    return _MEANT.get(expression, expression)


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
    words = found.human.strip().removesuffix(".")
    return Rule(found.key, found.severity == "error", words, compile(meant(found.expression)))
