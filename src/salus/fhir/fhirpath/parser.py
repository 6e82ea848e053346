# SPDX-License-Identifier: Apache-2.0
"""From tokens to syntax, by precedence climbing (https://hl7.org/fhirpath/N1/#operator-precedence)."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from salus.fhir.fhirpath import temporal
from salus.fhir.fhirpath.calendar import WORDS
from salus.fhir.fhirpath.lexer import Token, tokens, wrong
from salus.fhir.fhirpath.quantity import quantity
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

DEEPEST: Final = 60  # levels of nesting; each costs a few frames when the expression runs

# Binds tighter the higher it is; every operator groups to the left.
_LEVELS: Final = {
    **dict.fromkeys(("implies",), 1),
    **dict.fromkeys(("or", "xor"), 2),
    **dict.fromkeys(("and",), 3),
    **dict.fromkeys(("in", "contains"), 4),
    **dict.fromkeys(("=", "~", "!=", "!~"), 5),
    **dict.fromkeys(("<", "<=", ">", ">="), 6),
    **dict.fromkeys(("|",), 7),
    **dict.fromkeys(("is", "as"), 8),
    **dict.fromkeys(("+", "-", "&"), 9),
    **dict.fromkeys(("*", "/", "div", "mod"), 10),
}
_TYPES: Final = 8
_NAMES: Final = frozenset({"as", "contains", "in", "is"})  # words of operators that may also be names
_RESERVED: Final = frozenset({"and", "or", "xor", "implies", "div", "mod"})
_UNITS: Final = frozenset({*WORDS, *(word + "s" for word in WORDS)})
_LARGEST: Final = 2**31 - 1


def parse(text: str) -> Syntax:
    """Read an expression.

    Raises:
        Problem: INCORRECT, with the position of the fault.
    """
    return _Parser(tokens(text)).whole()


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self.tokens = found
        self.at = 0
        self.depth = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def sees(self, mark: str) -> bool:
        return self.next.kind == "mark" and self.next.text == mark

    def expect(self, mark: str) -> None:
        if not self.sees(mark):
            wrong(self.next.at, f"`{mark}` is missing")
        self.at += 1

    def whole(self) -> Syntax:
        found = self.expression(1)
        if self.next.kind != "end":
            wrong(self.next.at, "the expression should end here, or an operator is missing")
        return found

    def enter(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            wrong(self.next.at, f"the nesting is deeper than {DEEPEST} levels")

    def expression(self, level: int) -> Syntax:
        """Everything from here whose operators bind at least as tightly as `level`."""
        before = self.depth
        self.enter()
        left = self.term()
        while True:
            token = self.next
            binds = _LEVELS.get(token.text, 0) if token.kind in ("mark", "word") else 0
            if binds < level or not binds:
                break
            self.at += 1
            if binds == _TYPES:
                left = TypeTest(token.text, left, self.type_name(), token.at)
            else:
                left = Binary(token.text, left, self.expression(binds + 1), token.at)
        self.depth = before
        return left

    def term(self) -> Syntax:
        token = self.next
        if token.kind == "mark" and token.text in "+-":
            self.at += 1
            self.enter()
            found = Sign(token.text == "-", self.term())
            self.depth -= 1
            return found
        return self.steps(self.start())

    def start(self) -> Syntax | Member | Call:
        token = self.take()
        match token.kind:
            case "number":
                return self.number(token)
            case "string":
                return Literal((token.text,))
            case "moment":
                return _moment(token)
            case "constant":
                return Constant(token.text, token.at)
            case "variable":
                return Variable(token.text, token.at)
            case "word" if token.text in ("true", "false") and not self.sees("("):
                return Literal((token.text == "true",))
            case "word" | "quoted" if token.kind == "quoted" or token.text not in _RESERVED:
                return self.invocation(token)
            case "mark" if token.text == "(":
                found = self.expression(1)
                self.expect(")")
                return found
            case "mark" if token.text == "{":
                self.expect("}")
                return Literal(())
            case _:
                return wrong(token.at, "a value, a name or a function is expected")

    def steps(self, start: Syntax | Member | Call) -> Syntax:
        found: list[Member | Call | Indexer] = []
        if isinstance(start, (Member, Call)):
            found.append(start)
        while True:
            if self.sees("."):
                self.at += 1
                token = self.take()
                if token.kind == "variable":
                    wrong(token.at, "`$this`, `$index` and `$total` may only begin a path")
                if token.kind not in ("word", "quoted"):
                    wrong(token.at, "a name or function is expected after the point")
                found.append(self.invocation(token))
            elif self.sees("["):
                self.at += 1
                found.append(Indexer(self.expression(1)))
                self.expect("]")
            else:
                break
        if isinstance(start, (Member, Call)):
            return Path(None, tuple(found))
        return Path(start, tuple(found)) if found else start

    def invocation(self, token: Token) -> Member | Call:
        if token.kind == "word" and self.sees("("):
            self.at += 1
            arguments: list[Syntax] = []
            while not self.sees(")"):
                if arguments:
                    self.expect(",")
                arguments.append(self.expression(1))
            self.at += 1
            return Call(token.text, tuple(arguments), token.at)
        return Member(token.text, token.at)

    def type_name(self) -> str:
        """`Quantity`, `FHIR.Patient`, also in parentheses."""
        if self.sees("("):
            self.at += 1
            found = self.type_name()
            self.expect(")")
            return found
        parts = [self.identifier()]
        while self.sees("."):
            self.at += 1
            parts.append(self.identifier())
        return ".".join(parts)

    def identifier(self) -> str:
        token = self.take()
        if token.kind not in ("word", "quoted"):
            wrong(token.at, "the name of a type is expected")
        return token.text

    def number(self, token: Token) -> Syntax:
        following = self.next
        if following.kind == "string" or (following.kind == "word" and following.text in _UNITS):
            self.at += 1
            return Literal((quantity(Decimal(token.text), following.text),))
        if "." in token.text:
            return Literal((Decimal(token.text),))
        value = int(token.text) if len(token.text) < 20 else _LARGEST + 1
        if value > _LARGEST:
            wrong(token.at, "a whole number may be 2147483647 at most")
        return Literal((value,))


def _moment(token: Token) -> Literal:
    text = token.text
    kind = "Time" if text[0] == "T" else "DateTime" if "T" in text else "Date"
    value = temporal.parse(kind, text)
    if value is None:
        wrong(token.at, "there is no such date or time")
    return Literal((value,))
