# SPDX-License-Identifier: Apache-2.0
"""From syntax to closures: each part of an expression becomes a function from one collection to the next.

What can be decided once is decided here: which function a name means, which type a type name means, which names are one
step, whether an argument is a constant, whether plain values will do. A run only calls what was made. In strict mode,
what can only be a mistake is an error (`salus.fhir.fhirpath.strict`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from salus.fhir.fhirpath import constants, steps, strict
from salus.fhir.fhirpath.folding import folded
from salus.fhir.fhirpath.functions import FUNCTIONS
from salus.fhir.fhirpath.functions.calling import Input, SortKey, Step
from salus.fhir.fhirpath.lexer import wrong
from salus.fhir.fhirpath.links import LOGIC, Link, linked, logic, operated, tested, with_constant
from salus.fhir.fhirpath.navigation import members, presence
from salus.fhir.fhirpath.operators import OPERATORS, negative, positive
from salus.fhir.fhirpath.plain import values
from salus.fhir.fhirpath.routes import Leg
from salus.fhir.fhirpath.syntax import (
    Binary,
    Call,
    Constant,
    Indexer,
    Literal,
    Member,
    Part,
    Path,
    Sign,
    Syntax,
    TypeTest,
    Variable,
    type_argument,
)
from salus.fhir.fhirpath.trails import Trail, grouped, joined
from salus.fhir.fhirpath.typing import TypeTester, as_type, is_type, meaning, of_type

_TYPED: Final = frozenset({"is", "as", "ofType"})


class Compiler:
    """Makes the step for an expression.

    Args:
        strict: whether to refuse what can only be a mistake.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict

    def step(self, syntax: Syntax, *, plain: bool = False) -> Step:
        """The step for any part of an expression.

        Args:
            syntax: the part.
            plain: whether plain values will do where it finds elements.

        Raises:
            Problem: INCORRECT for an unknown function or type, or a wrong number of arguments.
        """
        match syntax:
            case Literal(said):
                return steps.constant(said)
            case Variable(name):
                return steps.VARIABLES[name]
            case Constant(name, place):
                return constants.constant(name, place)
            case Sign(minus, operand):
                return steps.in_turn([self.step(operand, plain=True), negative if minus else positive])
            case Path(start, parts):
                return self.path(start, parts, plain=plain)
            case TypeTest("as", Path()) if not self.strict:
                return self.path(syntax, (), plain=plain)
            case TypeTest():
                return self.chain(syntax)
            case Binary():
                short = folded(syntax)
                return steps.constant(short.values) if isinstance(short, Literal) else self.chain(short)

    # ── paths ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def path(self, start: Syntax | None, parts: tuple[Part, ...], *, plain: bool) -> Step:
        """Parts one after the other."""
        groups: Sequence[Part | Trail] = parts
        if self.strict:
            strict.refuse_mistakes(start, parts)
        else:
            start, parts = joined(start, parts)
            groups = grouped(parts, first=start is None, plain=plain)
        made: list[Step] = [] if start is None else [self.step(start)]
        for part in groups:
            made.append(self.part(part, first=not made))
        return steps.in_turn(made)

    def part(self, part: Part | Trail, *, first: bool) -> Step:
        """A part of a path; at its beginning, the name of a type stands for what is in focus: `Patient.name`."""
        match part:
            case Trail():
                return self.trail(part)
            case Member(name):
                return strict.typed_start(name) if first and name[:1].isupper() else strict.member(name)
            case Indexer(Literal((int() as number,))) if type(number) is int:
                return steps.indexed_by(number)
            case Indexer(position):
                return steps.indexed(self.step(position, plain=True))
            case Call():
                return self.call(part)

    def trail(self, trail: Trail) -> Step:
        """A run of names."""
        legs = [Leg(name, self.tester(narrowed) if narrowed else None) for name, narrowed in trail.names]
        if trail.asked:
            return presence(legs, trail.start, exists=trail.asked == "exists")
        return values(legs, trail.start) if trail.plain else members(legs, trail.start)

    def call(self, call: Call) -> Step:
        """A function."""
        name, arguments, place = call
        if name in _TYPED:
            return self.typed(name, self.tester(call))
        function = FUNCTIONS.get(name)
        if function is None:
            return wrong(place, "there is no such function")
        if not function.least <= len(arguments) <= function.most:
            wrong(place, f"this function takes {_count(function.least, function.most)}")
        if name == "sort":
            return function.build([self.sort_key(argument) for argument in arguments])
        made = [self.step(argument, plain=function.asks is Input.VALUES) for argument in arguments]
        if name == "iif" and self.strict:
            made[0] = strict.boolean_only(made[0])
        return function.build(made)

    def sort_key(self, argument: Syntax) -> SortKey:
        """A key of `sort`; a minus before it turns the order round, for texts too."""
        if isinstance(argument, Sign) and argument.minus:
            return SortKey(self.step(argument.operand, plain=True), True)
        return SortKey(self.step(argument, plain=True), False)

    # ── types ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def tester(self, call: Call | TypeTest) -> TypeTester:
        """What decides whether an item is of the type that is named."""
        if isinstance(call, TypeTest):
            return meaning(call.type, call.at, loose=call.operator != "is" and not self.strict)
        return meaning(type_argument(call), call.at, loose=call.name != "is" and not self.strict)

    def typed(self, name: str, test: TypeTester) -> Step:
        """`is`, `as` and `ofType`."""
        if name == "ofType":
            return of_type(test)
        return is_type(test) if name == "is" else as_type(test, strict=self.strict)

    # ── operators ────────────────────────────────────────────────────────────────────────────────────────────────────

    def chain(self, syntax: Syntax) -> Step:
        """Operators that group to the left."""
        spine: list[Binary | TypeTest] = []
        while isinstance(syntax, (Binary, TypeTest)):
            spine.append(syntax)
            syntax = syntax.left if isinstance(syntax, Binary) else syntax.operand
        start = self.step(syntax, plain=_reads(spine[-1]))
        return linked(start, [self.link(part) for part in reversed(spine)])

    def link(self, part: Binary | TypeTest) -> Link:
        """What an operator does with its left side."""
        if isinstance(part, TypeTest):
            return tested(self.typed(part.operator, self.tester(part)))
        said = folded(part.right)
        if part.operator not in LOGIC and isinstance(said, Literal):
            return with_constant(part.operator, said.values)
        right = self.step(said, plain=_reads(part))
        return logic(part.operator, right) if part.operator in LOGIC else operated(OPERATORS[part.operator], right)


def _reads(part: Binary | TypeTest) -> bool:
    """Whether an operator asks only what its sides say: all do but those that hand on what they get."""
    return isinstance(part, Binary) and part.operator != "|"


def _count(least: int, most: int) -> str:
    if most == 0:
        return "no arguments"
    if least == most:
        return f"{least} argument{'s' if least > 1 else ''}"
    return f"{least} to {most} arguments"
