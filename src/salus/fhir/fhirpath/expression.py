# SPDX-License-Identifier: Apache-2.0
"""A compiled expression, and how to get one."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from salus.fhir.fhirpath.compiler import Compiler
from salus.fhir.fhirpath.constants import collection
from salus.fhir.fhirpath.context import NOTHING, Collection, Context, Environment
from salus.fhir.fhirpath.convert import READERS, system, type_name
from salus.fhir.fhirpath.elements import resources
from salus.fhir.fhirpath.functions.calling import Step
from salus.fhir.fhirpath.node import Node
from salus.fhir.fhirpath.parser import parse
from salus.fhir.fhirpath.syntax import Path
from salus.kernel.errors import Kind, Problem

# Compiled expressions that stay, and the length of one; together they bound the memory that strangers can fill.
_KEPT: Final = 1024
_LONGEST_KEPT: Final = 1_000


class Expression:
    """An expression, ready to run; thread-safe, since a run keeps its state apart.

    Attributes:
        text: as it was written.
    """

    __slots__ = ("_plain", "_step", "text")

    def __init__(self, text: str, step: Step, plain: Step) -> None:
        self.text = text
        self._step = step
        self._plain = plain

    def evaluate(self, focus: Any, *, environment: Environment = NOTHING) -> list[Node]:
        """Everything that the expression finds.

        Args:
            focus: a resource as `salus.fhir.json.decode` gives it, a node, a plain value, or a list of them.
            environment: knowledge from outside.

        Returns:
            nodes in order. What is no element of a resource has a type of `System.` and no parent.

        Raises:
            Problem: INCORRECT when the expression cannot be evaluated on this; TOO_COSTLY when it goes beyond its
            budget.
        """
        found = self._run(self._step, focus, environment)
        if len(found) == 1:
            only = found[0]
            return [only if type(only) is Node else Node(only, type_name(only))]
        return [item if type(item) is Node else Node(item, type_name(item)) for item in found]

    def values(self, focus: Any, *, environment: Environment = NOTHING) -> list[Any]:
        """As `evaluate`, but plain values: `bool`, `int`, `Decimal`, `str`, `Temporal`, `Quantity`; JSON for the rest.

        A primitive without value is left out.
        """
        found = []
        for item in self._run(self._plain, focus, environment):
            value = item
            if type(item) is Node:
                reader = READERS.get(item.type)
                value = reader(item.value) if reader else item.value
            if value is not None:
                found.append(value)
        return found

    def holds(self, focus: Any, *, environment: Environment = NOTHING) -> bool:
        """Whether a constraint is kept (https://hl7.org/fhir/R4/conformance-rules.html#constraints).

        It must evaluate to true. An empty answer is not true: whoever writes a constraint says what holds where an
        element is not there (`a.empty() or …`). HL7's validator reads it so. A single value that is no Boolean
        counts as true, and so do several values.

        Raises:
            Problem: as `evaluate`.
        """
        found = self._run(self._plain, focus, environment)
        return bool(found) and not (len(found) == 1 and system(found[0]) is False)

    def _run(self, step: Step, focus: Any, environment: Environment) -> Collection:
        origin: Collection
        if type(focus) is dict:
            name = focus.get("resourceType")
            origin = [Node(focus, name if type(name) is str and name in resources() else "Resource")]
        elif type(focus) is Node and not focus.type.startswith("System."):
            origin = [focus]
        else:
            origin = collection(focus)
        try:
            return step(origin, Context(origin, environment, environment.most_nodes, origin))
        except RecursionError:
            raise Problem(Kind.TOO_COSTLY, "The expression goes too deep.") from None

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


def compile(text: str, *, strict: bool = False) -> Expression:  # noqa: A001 - the field's word, used with its module
    """Read and compile an expression; of those of ordinary length the last ones stay compiled.

    Args:
        text: FHIRPath, at most 20,000 characters and 60 levels of nesting.
        strict: refuse what can only be a mistake, such as an element that no item can have
            (`salus.fhir.fhirpath.compiler`).

    Raises:
        Problem: INCORRECT with the position of what is wrong.
    """
    return _kept(text, strict) if len(text) <= _LONGEST_KEPT else _compiled(text, strict)


def _compiled(text: str, strict: bool) -> Expression:
    syntax, compiler = parse(text), Compiler(strict=strict)
    step = compiler.step(syntax)
    return Expression(text, step, compiler.step(syntax, plain=True) if isinstance(syntax, Path) else step)


_kept = lru_cache(maxsize=_KEPT)(_compiled)
