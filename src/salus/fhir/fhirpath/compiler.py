# SPDX-License-Identifier: Apache-2.0
"""From syntax to closures: each part of an expression becomes a function from one collection to the next.

What can be decided once is decided here: which function a name means, which type a type name means, whether an argument
is a constant. A run only calls what was made. In strict mode an element that no item of the collection can have is an
error, as are `as` over several items, a criterion that is no Boolean, and functions that rely on an order that
`children()` does not promise; else all that is empty or true, as the paths of FHIR itself need.
"""

from __future__ import annotations

from typing import Any, Final

from salus.fhir.fhirpath import constants
from salus.fhir.fhirpath.context import Collection, Context, fault
from salus.fhir.fhirpath.convert import TEXTS, integer_of, truth
from salus.fhir.fhirpath.elements import table
from salus.fhir.fhirpath.functions import FUNCTIONS
from salus.fhir.fhirpath.functions.calling import SortKey, Step
from salus.fhir.fhirpath.functions.subsetting import at
from salus.fhir.fhirpath.lexer import wrong
from salus.fhir.fhirpath.navigation import member, presence, typed_start
from salus.fhir.fhirpath.node import Node
from salus.fhir.fhirpath.operators import EMPTY, FALSE, OPERATORS, TRUE, negative, positive
from salus.fhir.fhirpath.syntax import (
    Binary,
    Call,
    Constant,
    Indexer,
    Literal,
    Member,
    Path,
    Sign,
    Syntax,
    TypeTest,
    Variable,
)
from salus.fhir.fhirpath.types import is_known
from salus.fhir.fhirpath.typing import as_type, is_type, meaning, of_type

_LOGIC: Final = frozenset({"and", "or", "implies"})
_TYPED: Final = frozenset({"is", "as", "ofType"})
_UNORDERED: Final = frozenset({"children", "descendants"})
_ORDERED: Final = frozenset({"first", "last", "tail", "skip", "take"})


class Compiler:
    """Makes the step for an expression.

    Args:
        strict: whether to refuse what can only be a mistake.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict

    def step(self, syntax: Syntax) -> Step:
        """The step for any part of an expression.

        Raises:
            Problem: INCORRECT for an unknown function or type, or a wrong number of arguments.
        """
        match syntax:
            case Literal(values):
                return _constant(list(values))
            case Variable(name):
                return _VARIABLES[name]
            case Constant(name, place):
                return constants.constant(name, place)
            case Sign(minus, operand):
                return _after(self.step(operand), negative if minus else positive)
            case Path(start, steps):
                return self.path(start, steps)
            case Binary() | TypeTest():
                return self.chain(syntax)

    # ── paths ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def path(self, start: Syntax | None, parts: tuple[Member | Call | Indexer, ...]) -> Step:
        """Steps one after the other."""
        steps: list[Step] = [self.step(start)] if start is not None else []
        before: Syntax | Member | Call | Indexer | None = start
        for part in parts:
            if self.strict and before is not None:
                _sensible(before, part)
            fused = None if self.strict else _presence(before, part, first=len(steps) == 1)
            if fused is not None:
                steps[-1] = fused
            else:
                steps.append(self.part(part, first=not steps))
            before = part
        count = len(steps)
        if count == 1:
            return steps[0]

        def run(items: Collection, ctx: Context) -> Collection:
            for step in steps:
                items = step(items, ctx)
            ctx.left = left = ctx.left - count
            if left < 0:
                ctx.spend(0)
            return items

        return run

    def part(self, part: Member | Call | Indexer, *, first: bool) -> Step:
        """A single step of a path."""
        match part:
            case Member(name):
                return self.member(name, first=first)
            case Indexer(position):
                return _indexed(self.step(position))
            case Call(name, arguments, place):
                return self.call(name, arguments, place)

    def member(self, name: str, *, first: bool) -> Step:
        """An element, or at the beginning of a path also the type of what is in focus: `Patient.name`."""
        if first and name[:1].isupper():
            return typed_start(name, strict=self.strict)
        return member(name, strict=self.strict)

    def call(self, name: str, arguments: tuple[Syntax, ...], place: int) -> Step:
        """A function."""
        if name in _TYPED:
            if len(arguments) != 1:
                wrong(place, "this function takes the name of a type")
            return self.typed(name, _type_argument(arguments[0], place), place)
        function = FUNCTIONS.get(name)
        if function is None:
            return wrong(place, "there is no such function")
        if not function.least <= len(arguments) <= function.most:
            wrong(place, f"this function takes {_count(function.least, function.most)}")
        make = self.sort_key if name == "sort" else self.step
        steps: list[Step] = [make(argument) for argument in arguments]
        if name == "iif" and self.strict:
            steps[0] = _boolean_only(steps[0])
        return function.build(steps)

    def sort_key(self, argument: Syntax) -> SortKey:
        """A key of `sort`; a minus before it turns the order round, for texts too."""
        if isinstance(argument, Sign) and argument.minus:
            return SortKey(self.step(argument.operand), True)
        return SortKey(self.step(argument), False)

    def typed(self, name: str, type_name: str, place: int) -> Step:
        """`is`, `as` and `ofType`."""
        test = meaning(type_name, place, loose=name != "is" and not self.strict)
        if name == "ofType":
            return of_type(test)
        return is_type(test) if name == "is" else as_type(test, strict=self.strict)

    # ── operators ────────────────────────────────────────────────────────────────────────────────────────────────────

    def chain(self, syntax: Syntax) -> Step:
        """Operators that group to the left, worked off in a loop, so that a long sum is not a deep one."""
        spine: list[Binary | TypeTest] = []
        while isinstance(syntax, (Binary, TypeTest)):
            spine.append(syntax)
            syntax = syntax.left if isinstance(syntax, Binary) else syntax.operand
        made = self.step(syntax)
        links = [self.link(part) for part in reversed(spine)]
        count = len(links)
        if count == 1:
            link = links[0]
            return lambda items, ctx: link(made(items, ctx), items, ctx)

        def run(items: Collection, ctx: Context) -> Collection:
            found = made(items, ctx)
            for link in links:
                found = link(found, items, ctx)
            ctx.spend(count)
            return found

        return run

    def link(self, part: Binary | TypeTest) -> Any:
        """What an operator does with its left side: a function of left side, focus and evaluation."""
        if isinstance(part, TypeTest):
            step = self.typed(part.operator, part.type, part.at)
            return lambda left, _, ctx: step(left, ctx)
        right = self.step(part.right)
        if part.operator in _LOGIC:
            return _logic(part.operator, right)
        if part.operator == "=" and isinstance(part.right, Literal) and len(part.right.values) == 1:
            return _equals(part.right.values)
        operator = OPERATORS[part.operator]
        return lambda left, items, ctx: operator(left, right(items, ctx), ctx)


# ── pieces ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _this(_: Collection, ctx: Context) -> Collection:
    return ctx.focus


def _index(_: Collection, ctx: Context) -> Collection:
    return EMPTY if ctx.index is None else [ctx.index]


def _total(_: Collection, ctx: Context) -> Collection:
    return ctx.total


_VARIABLES: Final[dict[str, Step]] = {"this": _this, "index": _index, "total": _total}


def _constant(values: Collection) -> Step:
    return lambda _, __: values


def _after(operand: Step, then: Step) -> Step:
    return lambda items, ctx: then(operand(items, ctx), ctx)


def _indexed(index: Step) -> Step:
    return lambda items, ctx: at(items, integer_of(index(ctx.focus, ctx)))


def _boolean_only(step: Step) -> Step:
    def run(items: Collection, ctx: Context) -> Collection:
        found = step(items, ctx)
        value = found[0] if len(found) == 1 else None
        inner = value.value if type(value) is Node else value
        return found if not found or type(inner) is bool else fault("a Boolean is needed")

    return run


def _equals(values: tuple[Any, ...]) -> Any:
    """`=` with a constant, the most frequent comparison; texts are compared at once."""
    constant = list(values)
    text = constant[0] if type(constant[0]) is str else None
    general = OPERATORS["="]

    def run(left: Collection, _: Collection, ctx: Context) -> Collection:
        if text is not None and len(left) == 1:
            item = left[0]
            value = item.value if type(item) is Node and item.type in TEXTS else item
            if type(value) is str:
                return TRUE if value == text else FALSE
        return general(left, constant, ctx)

    return run


def _logic(operator: str, right: Step) -> Any:
    """`and`, `or`, `implies` with three values (https://hl7.org/fhirpath/N1/#boolean-logic)."""
    # The value of the left side that settles the answer, the answer then, and the value of the right that does.
    decisive, answer, settles = {
        "and": (False, FALSE, False),
        "or": (True, TRUE, True),
        "implies": (False, TRUE, True),
    }[operator]

    def run(left: Collection, items: Collection, ctx: Context) -> Collection:
        one = True if left is TRUE else False if left is FALSE else truth(left)
        if one is decisive:
            return answer
        found = right(items, ctx)
        other = True if found is TRUE else False if found is FALSE else truth(found)
        if other is settles:
            return answer
        if one is None or other is None:
            return EMPTY
        return TRUE if other else FALSE

    return run


def _type_argument(argument: Syntax, place: int) -> str:
    """The name of a type, written where arguments are."""
    if isinstance(argument, Path) and argument.start is None:
        names = [part.name for part in argument.steps if isinstance(part, Member)]
        if len(names) == len(argument.steps):
            return ".".join(names)
    return wrong(place, "this function takes the name of a type")


def _presence(
    before: Syntax | Member | Call | Indexer | None, part: Member | Call | Indexer, *, first: bool
) -> Step | None:
    """`name.exists()` and `name.empty()` as a single step."""
    if not isinstance(before, Member) or (first and before.name[:1].isupper()):
        return None
    if isinstance(part, Call) and part.name in ("exists", "empty") and not part.arguments:
        return presence(before.name, exists=part.name == "exists")
    return None


def _sensible(before: Syntax | Member | Call | Indexer, part: Member | Call | Indexer) -> None:
    """Refuse what can be seen to be a mistake from two neighbouring parts of a path."""
    if isinstance(before, Call) and before.name in _UNORDERED:
        if isinstance(part, Indexer) or (isinstance(part, Call) and part.name in _ORDERED):
            wrong(before.at, "what follows needs an order, and this function promises none")
        return
    if not isinstance(part, Member):
        return
    name = before.type if isinstance(before, TypeTest) and before.operator == "as" else ""
    if isinstance(before, Call) and before.name in ("as", "ofType"):
        name = _type_argument(before.arguments[0], before.at)
    plain = name.rpartition(".")[2]
    if is_known(plain) and part.name not in table(plain).elements:
        wrong(part.at, "the type has no such element")


def _count(least: int, most: int) -> str:
    if most == 0:
        return "no arguments"
    if least == most:
        return f"{least} argument{'s' if least > 1 else ''}"
    return f"{least} to {most} arguments"
