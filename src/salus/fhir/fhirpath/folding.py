# SPDX-License-Identifier: Apache-2.0
"""Operators over constants are worked out when an expression is compiled: `('C' | 'CM' | 'CD')`, `1 + 2`."""

from __future__ import annotations

from salus.fhir.fhirpath.context import NOTHING, Context
from salus.fhir.fhirpath.links import LOGIC
from salus.fhir.fhirpath.operators import OPERATORS
from salus.fhir.fhirpath.syntax import Binary, Literal, Syntax
from salus.kernel.errors import Problem


def folded(syntax: Syntax) -> Syntax:
    """The same with a constant in place of what has no other value. What cannot be evaluated stays, and fails later."""
    spine: list[Binary] = []
    while isinstance(syntax, Binary):
        spine.append(syntax)
        syntax = syntax.left
    while spine and isinstance(syntax, Literal):
        made = _worked_out(syntax, spine[-1])
        if made is None:
            break
        syntax = made
        spine.pop()
    for part in reversed(spine):
        syntax = part._replace(left=syntax)
    return syntax


def _worked_out(left: Literal, part: Binary) -> Literal | None:
    right = folded(part.right)
    if part.operator in LOGIC or not isinstance(right, Literal):
        return None
    try:
        found = OPERATORS[part.operator](
            list(left.values), list(right.values), Context([], NOTHING, NOTHING.most_nodes, [])
        )
    except Problem:
        return None
    return Literal(tuple(found))
